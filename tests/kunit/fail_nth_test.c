// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of each path fails once, N going up from 1 until a run gets through
 * with allocations left over. A run that failed says so with the right errno and leaves
 * nothing behind; the same run without injection then works. What ends things must
 * work without any memory.
 *
 * Covered is what the thread that calls allocates. Prefetch leaves some tables to
 * workers: theirs do not fail here, but in tests/system/test_fail_nth.cpp faults'
 * workers do.
 */
#include <linux/file.h>
#include <linux/mman.h>

#include "inject.h"

#ifdef CONFIG_FAULT_INJECTION
#define RW	(PROT_READ | PROT_WRITE)
#define LIMIT	1000	/* far more allocations than any path makes */

/**
 * struct fail_path - what is to fail
 * @name: for messages
 * @before: what must be there; no injection. NULL: nothing
 * @act: the path
 * @check: what must be so once it has worked. NULL: nothing
 * @after: takes everything back. NULL: nothing
 * @min_failed: so many of the slab allocator's must have mattered at least
 * @must_succeed: whatever fails
 * @cpus: the CPU's side allocates too, and hmm calls its failure -EFAULT
 */
struct fail_path {
	const char *name;
	void (*before)(struct world *w);
	int (*act)(struct world *w);
	void (*check)(struct world *w);
	void (*after)(struct world *w);
	u32 min_failed;
	bool must_succeed;
	bool cpus;
};

static void run_hook(struct world *w, void (*hook)(struct world *w))
{
	if (hook)
		hook(w);
}

static bool says_well(const struct fail_path *p, int err)
{
	return !err || (!p->must_succeed && (err == -ENOMEM || (p->cpus && err == -EFAULT)));
}

/* True: the nth allocation failed. */
static bool fail_one(struct world *w, const struct fail_path *p, u32 nth, u32 *failed)
{
	int err, live = atomic_read(&w->b.live);
	bool hit;

	run_hook(w, p->before);
	inject_at(nth);
	err = p->act(w);
	hit = !inject_left();
	*failed += !!err;
	KUNIT_EXPECT_TRUE_MSG(w->test, hit ? says_well(p, err) : !err,
			      "%s, allocation %u: %d", p->name, nth, err);
	if (err)
		KUNIT_EXPECT_EQ_MSG(w->test, p->act(w), 0, "%s after allocation %u had failed",
				    p->name, nth);
	run_hook(w, p->check);
	run_hook(w, p->after);
	KUNIT_EXPECT_EQ_MSG(w->test, atomic_read(&w->b.live), live, "%s, allocation %u",
			    p->name, nth);
	return hit;
}

/* Silent runs at the end: a page that was not wanted moves those behind it. */
static void fail_kind(struct world *w, const struct fail_path *p, enum inject_kind kind)
{
	u32 nth = 1, failed = 0, silent = 0, patience = kind == INJECT_SLAB ? 1 : 3;

	while (nth < LIMIT && silent < patience) {
		if (fail_one(w, p, nth, &failed)) {
			nth++;
			silent = 0;
		} else {
			silent++;
		}
	}
	/* Not kunit_info(): older kernels keep 512 bytes of a case's words, results and all. */
	pr_info("svm_fail_nth: %s: %u allocations of %s, %u of them mattered\n", p->name, nth - 1,
		kind == INJECT_SLAB ? "slabs" : "pages", failed);
	KUNIT_EXPECT_LT_MSG(w->test, nth, LIMIT, "%s", p->name);
	if (kind == INJECT_SLAB)
		KUNIT_EXPECT_GE_MSG(w->test, failed, p->min_failed, "%s", p->name);
}

static void fail_each(struct world *w, const struct fail_path *paths, int n)
{
	int i;

	if (!injection_on(w->test, INJECT_SLAB))
		return;
	for (i = 0; i < n; i++)
		fail_kind(w, &paths[i], INJECT_SLAB);
	if (!injection_on(w->test, INJECT_PAGES))
		return;
	for (i = 0; i < n; i++)
		fail_kind(w, &paths[i], INJECT_PAGES);
}

/* A vm beside the world's own, which the paths make and end. */
static struct svm_vm *other;

static int make_vm(struct world *w)
{
	const struct world_params params = { .unbound = true };

	return world_vm(w, &params, &other);
}

static void end_vm(struct world *w)
{
	svm_vm_destroy(other);
}

static void made(struct world *w)
{
	SAME(w, make_vm(w), 0);
}

static int bind(struct world *w)
{
	return svm_bind_all(other);
}

static void bound(struct world *w)
{
	made(w);
	SAME(w, bind(w), 0);
}

static int fault_other(struct world *w, u64 off, enum svm_access access)
{
	return svm_fault(other, w->base + off, access);
}

SVM_CASE(making_a_vm_and_its_windows)
{
	static const struct fail_path paths[] = {
		{ "create", NULL, make_vm, NULL, end_vm, .min_failed = 10 },
		{ "bind", made, bind, NULL, end_vm, .min_failed = 1 },
	};

	fail_each(w, paths, ARRAY_SIZE(paths));
}

static int first_fault(struct world *w)
{
	return fault_other(w, 0x1000, SVM_WRITE);
}

static void faulted(struct world *w)
{
	bound(w);
	SAME(w, first_fault(w), 0);
}

static int next_table(struct world *w)
{
	return fault_other(w, SZ_2M, SVM_WRITE);
}

static int prefetch_to(struct world *w, u64 bytes, u64 *pages)
{
	return svm_prefetch(other, w->base, w->base + bytes, SVM_WRITE, pages);
}

static int prefetch_table(struct world *w)
{
	u64 pages;

	return prefetch_to(w, SZ_2M, &pages);
}

static int prefetch_both(struct world *w)
{
	u64 pages;

	return prefetch_to(w, SZ_4M, &pages);
}

static void prefetched(struct world *w)
{
	u64 pages = 0;

	SAME(w, prefetch_to(w, SZ_4M, &pages), 0);
	SAME(w, pages, 32ull);
}

/* All pages are there: only ours fails. */
SVM_CASE(faults_of_present_memory)
{
	static const struct fail_path paths[] = {
		{ "first fault", bound, first_fault, NULL, end_vm, .min_failed = 5 },
		{ "fault in a new table", faulted, next_table, NULL, end_vm, .min_failed = 1 },
		{ "prefetch", bound, prefetch_table, prefetched, end_vm, .min_failed = 5 },
		/* How much of it falls to this thread is chance. */
		{ "prefetch by several", bound, prefetch_both, prefetched, end_vm },
	};

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		return;
	if (!NEED(w, map_anon(w, SZ_2M, SZ_64K, RW) && touch(w, SZ_2M, SZ_64K)))
		return;
	fail_each(w, paths, ARRAY_SIZE(paths));
}

static void absent(struct world *w)
{
	u8 byte;

	bound(w);
	HOLDS(w, map_anon(w, 0x1000, SZ_4K, RW));
	HOLDS(w, map_anon(w, 0x2000, SZ_4K, RW));
	/* A zero page, to be replaced. */
	HOLDS(w, !copy_from_user(&byte, (void __user *)(w->base + 0x2000), 1));
}

static int replace_zero_page(struct world *w)
{
	return fault_other(w, 0x2000, SVM_WRITE);
}

static void first_there(struct world *w)
{
	HOLDS(w, cpu_phys(w, 0x1000, true));
}

static void second_there(struct world *w)
{
	HOLDS(w, cpu_phys(w, 0x2000, true));
}

/* The CPU's side makes the pages, and fails as well. */
SVM_CASE(faults_of_absent_memory)
{
	static const struct fail_path paths[] = {
		{ "absent page", absent, first_fault, first_there, end_vm,
		  .min_failed = 5, .cpus = true },
		{ "zero page", absent, replace_zero_page, second_there, end_vm,
		  .min_failed = 5, .cpus = true },
	};

	fail_each(w, paths, ARRAY_SIZE(paths));
}

static struct file *file;

static void file_faulted(struct world *w)
{
	bound(w);
	SAME(w, fault_other(w, SZ_8M, SVM_WRITE), 0);
}

static int take_away(struct world *w)
{
	zap(file, 0, 1);
	return 0;
}

static void taken_away(struct world *w)
{
	struct svm_counters c;

	svm_vm_counters(other, &c);
	SAME(w, c.ptes_zapped + c.huge_zapped, 1ull);
	SAME(w, c.dirtied, 1ull);
}

static int unbind(struct world *w)
{
	return svm_unbind(other, 0, min_t(u64, w->mm->task_size, 1ull << 48));
}

static void unbound(struct world *w)
{
	struct svm_counters c;

	svm_vm_counters(other, &c);
	SAME(w, c.tables, 0ull);
	SAME(w, c.present, 0ull);
}

static int end_in_need(struct world *w)
{
	svm_vm_destroy(other);
	return 0;
}

/* What ends things works without memory. */
SVM_CASE(invalidation_and_teardown)
{
	static const struct fail_path paths[] = {
		{ "invalidation", file_faulted, take_away, taken_away, end_vm,
		  .must_succeed = true },
		{ "unbind", faulted, unbind, unbound, end_vm, .min_failed = 2 },
		{ "destroy", faulted, end_in_need, NULL, NULL, .must_succeed = true },
	};

	file = map_file(w, SZ_8M, SZ_4K, RW, MAP_SHARED);
	if (!NEED(w, file && touch(w, SZ_8M, SZ_4K)))
		return;
	if (NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		fail_each(w, paths, ARRAY_SIZE(paths));
	fput(file);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(making_a_vm_and_its_windows),
	KUNIT_CASE_SLOW(faults_of_present_memory),
	KUNIT_CASE_SLOW(faults_of_absent_memory),
	KUNIT_CASE_SLOW(invalidation_and_teardown),
	{}
};

static struct kunit_suite fail_nth_suite = {
	.name = "svm_fail_nth",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&fail_nth_suite);
#endif
