// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads: faults that must not wait for each other would dead-lock here (and be
 * reported after a time limit); faults, invalidations and teardown at once.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)
#define LIMIT	(30 * HZ)

/* A thread that faults: once, or until it is told to stop. */
struct faulter {
	struct world *w;
	u64 off;
	u64 bytes;	/* 0: once; else pages of so much, round and round */
	enum svm_access access;
	int err;	/* the last that is not among those allowed */
	u64 count;
	bool stop;
	struct completion done;
};

static bool is_allowed(int err)
{
	return !err || err == -EFAULT || err == -EAGAIN;
}

static int faulter_thread(void *arg)
{
	struct faulter *f = arg;
	u64 at = 0;
	int err;

	do {
		err = fault(f->w, f->off + at, f->access);
		if (!f->bytes || !is_allowed(err))
			f->err = err;
		at = f->bytes ? (at + 7 * PAGE_SIZE) % f->bytes : 0;
		f->count++;
		cond_resched();
	} while (f->bytes && !READ_ONCE(f->stop));
	/* The module is not unloaded before the case that waits for this is over. */
	complete(&f->done);
	return 0;
}

static bool faulter_start(struct faulter *f)
{
	struct task_struct *task;

	init_completion(&f->done);
	task = kthread_run(faulter_thread, f, "svm_kunit");
	if (!IS_ERR(task))
		return true;
	complete(&f->done);
	KUNIT_FAIL(f->w->test, "no thread: %ld", PTR_ERR(task));
	return false;
}

/* Waits for its end; a thread that never ends would be worse than a failed case. */
static bool faulter_end(struct faulter *f)
{
	bool ended;

	WRITE_ONCE(f->stop, true);
	ended = wait_for_completion_timeout(&f->done, LIMIT);
	KUNIT_EXPECT_TRUE_MSG(f->w->test, ended, "a fault did not end");
	if (!ended)
		wait_for_completion(&f->done);
	return ended;
}

/* Nobody leaves table_alloc before two are in it. */
struct meeting {
	atomic_t here;
	struct completion both;
	bool met;
};

static void meet(struct backend *b)
{
	struct meeting *m = b->arg;

	if (atomic_inc_return(&m->here) == 2)
		complete_all(&m->both);
	if (wait_for_completion_timeout(&m->both, LIMIT))
		m->met = true;
	else
		complete_all(&m->both);
}

static void check_meeting(struct world *w, u64 one, u64 other)
{
	struct meeting m = { .here = ATOMIC_INIT(0) };
	struct faulter a = { .w = w, .off = one, .access = SVM_WRITE };
	struct faulter b = { .w = w, .off = other, .access = SVM_WRITE };

	init_completion(&m.both);
	w->b.arg = &m;
	w->b.on_alloc = meet;
	if (faulter_start(&a) && faulter_start(&b))
		faulter_end(&b);
	faulter_end(&a);
	w->b.on_alloc = NULL;
	HOLDS(w, m.met);
	SAME(w, a.err, 0);
	SAME(w, b.err, 0);
	expect_mirrored(w, one, true);
	expect_mirrored(w, other, true);
}

SVM_CASE(faults_in_two_tables_are_under_way_at_once)
{
	if (!NEED(w, map_anon(w, 0, SZ_8M, RW)))
		return;
	if (!NEED(w, map_anon(w, SZ_16M, SZ_4K, RW)))
		return;
	/* The directories and the interval are there; the tables are not. */
	SAME(w, fault(w, SZ_16M, SVM_WRITE), 0);
	unmap(w, SZ_2M + SZ_64K, SZ_4K);
	unmap(w, SZ_4M + SZ_64K, SZ_4K);
	check_meeting(w, SZ_2M, SZ_4M);
}

SVM_CASE(faults_in_two_new_intervals_are_under_way_at_once)
{
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW)))
		return;
	if (!NEED(w, map_anon(w, SZ_512M + 0x1000, SZ_64K, RW)))
		return;
	check_meeting(w, 0x1000, SZ_512M + 0x1000);
}

SVM_CASE(duplicate_fault_needs_no_mmap_lock)
{
	struct faulter f = { .w = w, .off = 0x1000, .access = SVM_READ };
	bool ended;

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW)))
		return;
	SAME(w, fault(w, 0x1000, SVM_WRITE), 0);
	mmap_write_lock(w->mm);
	ended = faulter_start(&f) && wait_for_completion_timeout(&f.done, LIMIT);
	mmap_write_unlock(w->mm);
	HOLDS(w, ended);
	if (!ended)
		wait_for_completion(&f.done);
	SAME(w, f.err, 0);
}

/* Every leaf leads to the page that the CPU has there now. */
static void check_agreement(struct world *w, u64 bytes)
{
	struct leaf leaf;
	u64 off, seen = 0, wrong = 0;

	for (off = 0; off < bytes; off += PAGE_SIZE) {
		leaf = look(w, off);
		seen += leaf.present;
		wrong += leaf.present && !leads_to_cpus_page(w, off, &leaf);
	}
	SAME(w, wrong, 0ull);
	KUNIT_EXPECT_GT(w->test, seen, 0ull);
}

#define THREADS	3
#define STORM	(8 * HZ)	/* a slow machine makes fewer rounds */

static bool start_all(struct world *w, struct faulter *f, u64 bytes)
{
	int i;

	for (i = 0; i < THREADS; i++) {
		f[i] = (struct faulter) {
			.w = w, .off = i * PAGE_SIZE, .bytes = bytes - THREADS * PAGE_SIZE,
			.access = i ? SVM_WRITE : SVM_READ,
		};
		if (!faulter_start(&f[i]))
			break;
	}
	if (i == THREADS)
		return true;
	/* They use the world, which is about to go. */
	while (i--)
		faulter_end(&f[i]);
	return false;
}

static void end_all(struct world *w, struct faulter *f)
{
	int i;

	for (i = 0; i < THREADS; i++) {
		faulter_end(&f[i]);
		SAME(w, f[i].err, 0);
		KUNIT_EXPECT_GT(w->test, f[i].count, 0ull);
	}
}

/* Until a fault came through: a storm without a pause lets none, which is -EAGAIN by right. */
static void wait_for_a_fault(struct world *w)
{
	u64 before = counters(w).ptes_written;
	int i;

	for (i = 0; i < 1000 && counters(w).ptes_written == before; i++)
		usleep_range(500, 1000);
}

SVM_CASE(faults_against_invalidations)
{
	unsigned long end = jiffies + STORM;
	struct faulter f[THREADS] = {};
	struct file *file = map_file(w, 0, SZ_4M, RW, MAP_SHARED);
	u64 at = 0;
	int i;

	if (!NEED(w, file && touch(w, 0, SZ_4M)))
		return;
	if (!NEED(w, start_all(w, f, SZ_4M)))
		return;
	for (i = 0; i < 150 && time_before(jiffies, end); i++) {
		zap(file, at % 1024, 1 + at % 64);
		at += 37;
		if (i % 3 == 0)
			wait_for_a_fault(w);
	}
	wait_for_a_fault(w);
	end_all(w, f);
	check_agreement(w, SZ_4M);
	KUNIT_EXPECT_GT(w->test, counters(w).ptes_zapped, 0ull);
	fput(file);
}

SVM_CASE(faults_against_new_mappings)
{
	unsigned long end = jiffies + STORM;
	struct faulter f[THREADS] = {};
	u64 at = 0;
	int i;

	/* Huge and small pages, holes, read-only memory, and splits of what was huge. */
	if (!NEED(w, map_anon(w, 0, SZ_4M, RW) && touch(w, 0, SZ_4M)))
		return;
	if (!NEED(w, start_all(w, f, SZ_4M)))
		return;
	for (i = 0; i < 100 && time_before(jiffies, end); i++) {
		u64 off = (at % 16) * SZ_256K;

		unmap(w, off, SZ_128K);
		if (!map_anon(w, off, at % 3 ? SZ_128K : SZ_64K, RW))
			break;
		if (!(at % 32)) {
			map_anon(w, 0, SZ_4M, RW);
			touch(w, SZ_2M, SZ_4K);
		}
		at += 5;
		if (i % 3 == 0)
			wait_for_a_fault(w);
	}
	wait_for_a_fault(w);
	end_all(w, f);
	check_agreement(w, SZ_4M);
}

SVM_CASE_WITH(unbind_amid_faults, .unbound = true)
{
	struct faulter f[THREADS] = {};
	int i;

	if (!NEED(w, map_anon(w, 0, SZ_4M, RW) && touch(w, 0, SZ_4M)))
		return;
	unmap(w, SZ_1M, SZ_4K);
	if (!NEED(w, start_all(w, f, SZ_4M)))
		return;
	for (i = 0; i < 20; i++) {
		SAME(w, svm_bind(w->vm, w->base, w->base + SZ_4M, 0), 0);
		msleep(20);
		SAME(w, svm_unbind(w->vm, w->base, w->base + SZ_4M), 0);
		SAME(w, reachable(w, 0, SZ_4M), 0ull);
		SAME(w, counters(w).present, 0ull);
	}
	end_all(w, f);
	SAME(w, counters(w).tables, 0ull);
	SAME(w, counters(w).intervals, 0ull);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(faults_in_two_tables_are_under_way_at_once),
	KUNIT_CASE(faults_in_two_new_intervals_are_under_way_at_once),
	KUNIT_CASE(duplicate_fault_needs_no_mmap_lock),
	KUNIT_CASE_SLOW(faults_against_invalidations),
	KUNIT_CASE_SLOW(faults_against_new_mappings),
	KUNIT_CASE_SLOW(unbind_amid_faults),
	{}
};

static struct kunit_suite parallel_suite = {
	.name = "svm_parallel",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&parallel_suite);
