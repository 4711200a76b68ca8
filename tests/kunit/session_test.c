// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions: what a kernel thread has of the process while it serves its faults, and
 * that it has nothing of it afterwards.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)
#define LIMIT	(30 * HZ)

/* A thread of its own, which has no memory of any process. */
struct worker {
	struct world *w;
	void (*body)(struct worker *k);
	struct svm_session session;
	struct completion begun;
	struct completion cancelled;
	struct completion done;
	int err;
};

static int worker_thread(void *arg)
{
	struct worker *k = arg;

	k->body(k);
	/* The module is not unloaded before the case that waits for this is over. */
	complete(&k->done);
	return 0;
}

static bool worker_start(struct worker *k)
{
	init_completion(&k->begun);
	init_completion(&k->cancelled);
	init_completion(&k->done);
	return NEED(k->w, !IS_ERR(kthread_run(worker_thread, k, "svm_kunit")));
}

static void expect_own(struct world *w)
{
	HOLDS(w, !current->mm);
	HOLDS(w, !fatal_signal_pending(current));
#ifdef CONFIG_MEMCG
	HOLDS(w, !current->active_memcg);
#endif
}

static void serves_by_itself(struct worker *k)
{
	k->err = fault(k->w, 0, SVM_WRITE);
	expect_own(k->w);
}

SVM_CASE(fault_takes_a_session)
{
	struct worker k = { .w = w, .body = serves_by_itself };

	if (!NEED(w, map_anon(w, 0, SZ_1M, RW)) || !worker_start(&k))
		return;
	HOLDS(w, wait_for_completion_timeout(&k.done, LIMIT));
	SAME(w, k.err, 0);
	expect_mirrored(w, 0, true);
}

static void serves_in_one(struct worker *k)
{
	struct world *w = k->w;
	u64 at;

	SAME(w, svm_session_begin(w->vm, &k->session), 0);
	HOLDS(w, current->mm == w->mm);
#ifdef CONFIG_MEMCG
	HOLDS(w, current->active_memcg);
#endif
	for (at = 0; at < SZ_1M; at += SZ_64K)
		SAME(w, fault(w, at, SVM_WRITE), 0);
	HOLDS(w, current->mm == w->mm);
	svm_session_end(&k->session);
	expect_own(w);
}

SVM_CASE(one_for_many_faults)
{
	struct worker k = { .w = w, .body = serves_in_one };

	if (!NEED(w, map_anon(w, 0, SZ_1M, RW)) || !worker_start(&k))
		return;
	HOLDS(w, wait_for_completion_timeout(&k.done, LIMIT));
	expect_mirrored(w, SZ_1M - PAGE_SIZE, true);
}

static void is_cancelled(struct worker *k)
{
	struct world *w = k->w;

	SAME(w, svm_session_begin(w->vm, &k->session), 0);
	complete(&k->begun);
	HOLDS(w, wait_for_completion_timeout(&k->cancelled, LIMIT));
	SAME(w, fault(w, 0, SVM_WRITE), -EINTR);
	svm_session_end(&k->session);
	expect_own(w);
	/* The next one is not. */
	SAME(w, svm_session_begin(w->vm, &k->session), 0);
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	svm_session_end(&k->session);
}

SVM_CASE(cancelled_and_begun_again)
{
	struct worker k = { .w = w, .body = is_cancelled };

	if (!NEED(w, map_anon(w, 0, SZ_1M, RW)) || !worker_start(&k))
		return;
	HOLDS(w, wait_for_completion_timeout(&k.begun, LIMIT));
	svm_session_cancel(&k.session);
	complete(&k.cancelled);
	HOLDS(w, wait_for_completion_timeout(&k.done, LIMIT));
}

/* The thread of a case has the process's memory already. */
SVM_CASE(changes_nothing_for_the_process)
{
	struct svm_session session;

	SAME(w, svm_session_begin(w->vm, &session), 0);
	svm_session_cancel(&session);
	HOLDS(w, !fatal_signal_pending(current));
	svm_session_end(&session);
	HOLDS(w, current->mm == w->mm);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fault_takes_a_session),
	KUNIT_CASE(one_for_many_faults),
	KUNIT_CASE(cancelled_and_begun_again),
	KUNIT_CASE(changes_nothing_for_the_process),
	{}
};

static struct kunit_suite session_suite = {
	.name = "svm_session",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&session_suite);
