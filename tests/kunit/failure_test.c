// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's memory fails, or is lost; and how many allocations there are at all,
 * counted by the kernel's own fault injection. Their failures are in fail_nth_test.c.
 */
#include <linux/file.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "inject.h"

#define RW	(PROT_READ | PROT_WRITE)

/* A vm, a window, a fault: until no allocation is left to fail. */
SVM_CASE(device_memory_fails_at_each_level)
{
	const struct world_params params = {};
	struct svm_vm *vm;
	int nth, err, before = atomic_read(&w->b.live);

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		return;
	/* Root, two directories, the table. */
	for (nth = 1; nth <= 5; nth++) {
		w->b.fail_at = atomic_read(&w->b.allocs) + nth;
		err = world_vm(w, &params, &vm);
		SAME(w, err, nth == 1 ? -ENOMEM : 0);
		if (err)
			continue;
		SAME(w, svm_fault(vm, w->base + 0x1000, SVM_WRITE),
		     nth <= 4 ? -ENOMEM : 0);
		w->b.fail_at = 0;
		/* Nothing is left in a state that stands in the way. */
		SAME(w, svm_fault(vm, w->base + 0x1000, SVM_WRITE), 0);
		svm_vm_destroy(vm);
		SAME(w, atomic_read(&w->b.live), before);
	}
	w->b.fail_at = 0;
}

SVM_CASE(device_memory_runs_out_in_a_prefetch)
{
	u64 pages, off;

	/* No huge leaves, which need no memory of the device's. */
	if (!NEED(w, map_anon(w, 0, SZ_8M, RW)))
		return;
	for (off = SZ_1M; off < SZ_8M; off += SZ_2M)
		unmap(w, off, SZ_4K);
	w->b.full_after = atomic_read(&w->b.allocs) + 3;
	SAME(w, svm_prefetch(w->vm, w->base, w->base + SZ_8M, SVM_WRITE, &pages), -ENOMEM);
	w->b.full_after = 0;
	SAME(w, svm_prefetch(w->vm, w->base, w->base + SZ_8M, SVM_WRITE, &pages), 0);
	SAME(w, pages, (u64)(SZ_8M >> PAGE_SHIFT) - 4);
	SAME(w, reachable(w, 0, SZ_8M), pages);
}

SVM_CASE_WITH(tables_that_the_device_lost_are_not_believed, .vram = true)
{
	struct file *file = map_file(w, 0, SZ_1M, RW, MAP_SHARED);

	if (!NEED(w, file && touch(w, 0, SZ_1M)))
		return;
	if (!NEED(w, map_anon(w, SZ_2M, SZ_2M, RW) && touch(w, SZ_2M, SZ_4K)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_2M, SVM_WRITE), 0);
	SAME(w, reachable(w, 0, SZ_4M), 256 + 512ull);
	backend_reset(&w->b);
	/* Words that look like leaves lead to no page of ours: none is touched. */
	zap(file, 3, 1);
	unmap(w, SZ_2M, SZ_2M);
	unmap(w, 0, SZ_64K);
	SAME(w, counters(w).dirtied, 0ull);
	SAME(w, svm_unbind(w->vm, 0, min_t(u64, w->mm->task_size, 1ull << 48)), 0);
	SAME(w, counters(w).tables, 0ull);
	fput(file);
}

#ifdef CONFIG_FAULT_INJECTION
/* Allocations that a fault makes. */
static u32 count_allocations(struct world *w, u64 off, enum svm_access access, int *err)
{
	inject_at(INJECT_NEVER);
	*err = fault(w, off, access);
	return INJECT_NEVER - inject_left();
}

SVM_CASE(fault_in_a_table_allocates_nothing)
{
	int err;

	if (!injection_on(w->test, INJECT_SLAB))
		return;
	if (!NEED(w, map_anon(w, 0, SZ_1M, RW) && touch(w, 0, SZ_1M)))
		return;
	if (!NEED(w, map_anon(w, SZ_2M, SZ_1M, RW) && touch(w, SZ_2M, SZ_1M)))
		return;
	/* The counter counts: a table costs something. */
	HOLDS(w, count_allocations(w, 0, SVM_WRITE, &err));
	SAME(w, err, 0);
	unmap(w, 0x10000, SZ_512K);
	if (!NEED(w, map_anon(w, 0x10000, SZ_64K, RW) && touch(w, 0x10000, SZ_64K)))
		return;
	expect_absent(w, 0x10000);
	SAME(w, count_allocations(w, 0x10000, SVM_WRITE, &err), 0u);
	SAME(w, err, 0);
	expect_mirrored(w, 0x10000, true);
	/* Nor does one that is there already. */
	SAME(w, count_allocations(w, 0x10000, SVM_READ, &err), 0u);
	SAME(w, err, 0);
}

/* Allocations that the CPU's replacement of a zero page makes. */
static u32 count_replacement(struct world *w, u64 off)
{
	inject_at(INJECT_NEVER);
	touch(w, off, SZ_4K);
	return INJECT_NEVER - inject_left();
}

SVM_CASE(invalidation_allocates_nothing)
{
	u32 alone;
	u8 byte;

	if (!injection_on(w->test, INJECT_SLAB))
		return;
	/* The first page of a mapping costs core mm more than the others. */
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_4K)))
		return;
	if (!NEED(w, !copy_from_user(&byte, (void __user *)(w->base + 0x2000), 1)))
		return;
	alone = count_replacement(w, 0x2000);
	SAME(w, fault(w, 0x3000, SVM_READ), 0);
	expect_mirrored(w, 0x3000, false);
	SAME(w, count_replacement(w, 0x3000), alone);
	expect_absent(w, 0x3000);
}

#endif

static struct kunit_case cases[] = {
	KUNIT_CASE(device_memory_fails_at_each_level),
	KUNIT_CASE(device_memory_runs_out_in_a_prefetch),
	KUNIT_CASE(tables_that_the_device_lost_are_not_believed),
#ifdef CONFIG_FAULT_INJECTION
	KUNIT_CASE(fault_in_a_table_allocates_nothing),
	KUNIT_CASE(invalidation_allocates_nothing),
#endif
	{}
};

static struct kunit_suite failure_suite = {
	.name = "svm_failure",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&failure_suite);
