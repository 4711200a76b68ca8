// SPDX-License-Identifier: GPL-2.0-only
/* Bindings: what may be bound, how addresses translate, several in a table, intervals, prefetch. */
#include <linux/mman.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)

/* A device address far from the CPU's. */
#define DEVICE	0x300000000000ull

static int bind(struct world *w, u64 start, u64 end, s64 offset)
{
	return svm_bind(w->vm, start, end, offset);
}

SVM_CASE_WITH(bind_rejects_bad_spans, .unbound = true)
{
	u64 user = w->mm->task_size, at = w->base;

	SAME(w, bind(w, at, at, 0), -EINVAL);
	SAME(w, bind(w, at + SZ_4K, at, 0), -EINVAL);
	SAME(w, bind(w, at + 1, at + SZ_2M, 0), -EINVAL);
	SAME(w, bind(w, at, at + SZ_2M + 1, 0), -EINVAL);
	/* Outside the process's addresses, or the device's, or around the end of both. */
	SAME(w, bind(w, user - SZ_2M, user + SZ_2M, 0), -EINVAL);
	SAME(w, bind(w, 1ull << 48, (1ull << 48) + SZ_2M, 0), -EINVAL);
	SAME(w, bind(w, ~0ull << PAGE_SHIFT, SZ_2M, 0), -EINVAL);
	SAME(w, bind(w, 0, SZ_2M, SZ_2M), -EINVAL);
	SAME(w, bind(w, SZ_2M, SZ_4M, SZ_4M), -EINVAL);
	SAME(w, bind(w, at, at + SZ_2M, SZ_2K), -EINVAL);
	SAME(w, bind(w, at, at + SZ_2M, 1), -EINVAL);
	SAME(w, bind(w, at, at + SZ_2M, S64_MIN), -EINVAL);
	/* Nothing of it stuck. */
	SAME(w, bind(w, 0, user, 0), 0);
}

static struct svm_bind_op op(u64 start, u64 end, u32 kind, s64 offset)
{
	return (struct svm_bind_op){ .start = start, .end = end, .kind = kind, .offset = offset };
}

SVM_CASE_WITH(bind_many_is_all_or_nothing, .unbound = true)
{
	u64 at = w->base;
	struct svm_bind_op good = op(at, at + SZ_4K, SVM_BIND_MIRROR, 0), two[2], out[4];
	struct svm_bind_op bad[] = {
		op(at + SZ_1M, at + SZ_2M, 3, 0),
		op(at + SZ_1M, at + SZ_2M, SVM_BIND_NULL, SZ_4K),
		op(at + SZ_1M, at + SZ_1M, SVM_BIND_NOTHING, 0),
		op(at + SZ_1M, at + SZ_1M + 1, SVM_BIND_NULL, 0),
		op(1ull << 48, (1ull << 48) + SZ_4K, SVM_BIND_NOTHING, 0),
		op(at - SZ_4K, at + SZ_4K, SVM_BIND_NULL, 0),
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		two[0] = good;
		two[1] = bad[i];
		SAME(w, svm_bind_many(w->vm, two, 2), -EINVAL);
		SAME(w, svm_bindings(w->vm, 0, out, ARRAY_SIZE(out)), 0u);
	}
	two[1] = op(at + SZ_4K, at + SZ_8K, SVM_BIND_NULL, 0);
	SAME(w, svm_bind_many(w->vm, two, 2), 0);
	SAME(w, svm_bindings(w->vm, 0, out, ARRAY_SIZE(out)), 2u);
	SAME(w, out[0].end, at + SZ_4K);
	SAME(w, out[1].kind, (u32)SVM_BIND_NULL);
	/* All of it goes by one hole, and a hole is no error. */
	SAME(w, svm_unbind(w->vm, at - SZ_2M, at + SZ_2M), 0);
	SAME(w, svm_bindings(w->vm, 0, out, ARRAY_SIZE(out)), 0u);
	SAME(w, svm_unbind(w->vm, at, at + SZ_2M), 0);
}

/* In one table: memory at two offsets, null, a hole. Each goes by a change of its own memory. */
SVM_CASE_WITH(bindings_share_a_table, .unbound = true)
{
	u64 at = w->base;
	s64 offset = -(s64)(SZ_4M + SZ_4K);
	struct svm_bind_op ops[] = {
		op(at, at + SZ_64K, SVM_BIND_MIRROR, 0),
		op(at + SZ_64K, at + SZ_128K, SVM_BIND_NULL, 0),
		op(at + SZ_128K, at + SZ_256K, SVM_BIND_MIRROR, offset),
	};
	struct leaf leaf;

	/* Too small for huge pages. */
	if (!NEED(w, map_anon(w, 0, SZ_1M, RW) && touch(w, 0, SZ_1M)) ||
	    !NEED(w, map_anon(w, SZ_4M, SZ_1M, RW) && touch(w, SZ_4M, SZ_1M)))
		return;
	SAME(w, svm_bind_many(w->vm, ops, ARRAY_SIZE(ops)), 0);
	SAME(w, fault(w, SZ_4K, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_64K + SZ_4K, SVM_WRITE), 0);
	SAME(w, svm_fault(w->vm, at + SZ_128K, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_256K, SVM_READ), -EFAULT);
	SAME(w, counters(w).tables, 1ull);
	SAME(w, counters(w).intervals, 2ull);
	SAME(w, counters(w).present, (u64)(SZ_256K >> PAGE_SHIFT));
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), at + SZ_128K, &leaf)))
		return;
	SAME(w, leaf.addr, cpu_phys(w, SZ_128K + SZ_4M + SZ_4K, true));
	unmap(w, SZ_128K + SZ_4M + SZ_4K, SZ_4K);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), at + SZ_128K, &leaf)))
		return;
	HOLDS(w, !leaf.present);
	unmap(w, 0, SZ_1M);
	expect_absent(w, SZ_4K);
	SAME(w, counters(w).present, (u64)(SZ_256K >> PAGE_SHIFT) - 1 - 16);
	/* The null part stays, and goes by a bind alone. */
	SAME(w, bind(w, at + SZ_64K, at + SZ_128K, 0), 0);
	SAME(w, counters(w).present, 31ull);
	SAME(w, fault(w, SZ_64K, SVM_READ), -EFAULT);
}

/* A page in the midst of a huge one is bound to something else, and back. */
SVM_CASE(a_page_is_replaced)
{
	u64 at = w->base + SZ_64K;
	struct svm_bind_op null = op(at, at + SZ_4K, SVM_BIND_NULL, 0);

	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_2M)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	SAME(w, svm_bind_many(w->vm, &null, 1), 0);
	expect_absent(w, SZ_64K);
	SAME(w, fault(w, SZ_64K, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_64K + SZ_4K, SVM_WRITE), 0);
	expect_mirrored(w, SZ_64K + SZ_4K, true);
	unmap(w, 0, SZ_64K);
	expect_absent(w, 0);
	SAME(w, svm_bind_all(w->vm), 0);
	SAME(w, fault(w, SZ_64K, SVM_WRITE), 0);
	expect_mirrored(w, SZ_64K, true);
}

/* 64 GiB of null, touched here and there: tables' records, but no device memory for leaves. */
SVM_CASE_WITH(null_costs_no_pages, .unbound = true)
{
	struct svm_bind_op null = op(DEVICE, DEVICE + 64ull * SZ_1G, SVM_BIND_NULL, 0);
	u64 bytes;
	int i;

	SAME(w, svm_bind_many(w->vm, &null, 1), 0);
	SAME(w, svm_fault(w->vm, DEVICE, SVM_WRITE), 0);
	bytes = counters(w).device_bytes;
	for (i = 0; i < 100; i++)
		SAME(w, svm_fault(w->vm, DEVICE + i * SZ_2M + SZ_4K, SVM_WRITE), 0);
	SAME(w, counters(w).device_bytes, bytes);
	SAME(w, counters(w).huge_leaves, 100ull);
	SAME(w, counters(w).intervals, 0ull);
	SAME(w, svm_unbind(w->vm, DEVICE, DEVICE + 64ull * SZ_1G), 0);
	SAME(w, counters(w).present, 0ull);
	SAME(w, counters(w).dirtied, 0ull);
}

SVM_CASE_WITH(fault_outside_a_window, .unbound = true)
{
	if (!NEED(w, map_anon(w, 0, SZ_4M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, fault(w, 0, SVM_READ), -EFAULT);
	SAME(w, bind(w, w->base, w->base + SZ_4K, 0), 0);
	SAME(w, fault(w, 0, SVM_READ), 0);
	SAME(w, fault(w, SZ_4K, SVM_READ), -EFAULT);
	/* Not a byte beyond the window, though the huge page goes on. */
	SAME(w, reachable(w, 0, SZ_4M), 1ull);
}

SVM_CASE_WITH(window_at_an_offset, .unbound = true)
{
	s64 offset = DEVICE - w->base;
	struct leaf leaf;

	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	if (!NEED(w, map_anon(w, SZ_2M, SZ_1M, RW) && touch(w, SZ_2M, SZ_1M)))
		return;
	SAME(w, bind(w, DEVICE, DEVICE + SZ_4M, offset), 0);
	SAME(w, svm_fault(w->vm, DEVICE + 0x1000, SVM_WRITE), 0);
	SAME(w, svm_fault(w->vm, DEVICE + SZ_2M + 0x1000, SVM_WRITE), 0);
	SAME(w, fault(w, 0x1000, SVM_READ), -EFAULT);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + 0x1000, &leaf)))
		return;
	SAME(w, leaf.addr, cpu_phys(w, 0x1000, true));
	SAME(w, leaf.lg2, 21u);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + SZ_2M + 0x1000, &leaf)))
		return;
	SAME(w, leaf.addr, cpu_phys(w, SZ_2M + 0x1000, true));
	/* Invalidations find their way, too. */
	unmap(w, SZ_2M, SZ_1M);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + SZ_2M + 0x1000, &leaf)))
		return;
	HOLDS(w, !leaf.present);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + 0x1000, &leaf)))
		return;
	HOLDS(w, leaf.present);
}

SVM_CASE_WITH(two_windows_on_one_memory, .unbound = true)
{
	struct leaf leaf;

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		return;
	SAME(w, bind(w, w->base, w->base + SZ_2M, 0), 0);
	SAME(w, bind(w, DEVICE, DEVICE + SZ_2M, DEVICE - w->base), 0);
	SAME(w, fault(w, 0x3000, SVM_WRITE), 0);
	SAME(w, svm_fault(w->vm, DEVICE + 0x3000, SVM_WRITE), 0);
	unmap(w, 0x3000, SZ_4K);
	expect_absent(w, 0x3000);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + 0x3000, &leaf)))
		return;
	HOLDS(w, !leaf.present);
	SAME(w, svm_unbind(w->vm, w->base, w->base + SZ_2M), 0);
	expect_absent(w, 0x4000);
	if (!NEED(w, !walk(&w->b, w->format, svm_vm_root(w->vm), DEVICE + 0x4000, &leaf)))
		return;
	SAME(w, leaf.addr, cpu_phys(w, 0x4000, true));
}

SVM_CASE_WITH(unbind_leaves_nothing, .unbound = true)
{
	struct svm_counters c;
	int i;

	if (!NEED(w, map_anon(w, 0, SZ_8M, RW) && touch(w, 0, SZ_8M)))
		return;
	for (i = 0; i < 3; i++) {
		SAME(w, bind(w, w->base, w->base + SZ_8M, 0), 0);
		SAME(w, fault(w, 0, SVM_WRITE), 0);
		SAME(w, fault(w, SZ_4M, SVM_READ), 0);
		SAME(w, svm_unbind(w->vm, w->base, w->base + SZ_8M), 0);
		SAME(w, reachable(w, 0, SZ_8M), 0ull);
		c = counters(w);
		SAME(w, c.present, 0ull);
		SAME(w, c.intervals, 0ull);
		SAME(w, c.tables, 0ull);
		SAME(w, fault(w, 0, SVM_READ), -EFAULT);
	}
}

static void check_intervals(struct world *w, u64 expected)
{
	if (!NEED(w, map_anon(w, 0, SZ_4K, RW) && map_anon(w, SZ_2M, SZ_4K, RW) &&
		  map_anon(w, SZ_512M, SZ_4K, RW)))
		return;
	SAME(w, counters(w).intervals, 0ull);
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	SAME(w, counters(w).intervals, 1ull);
	SAME(w, fault(w, SZ_2M, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_512M, SVM_WRITE), 0);
	SAME(w, counters(w).intervals, expected);
	unmap(w, 0, SZ_1G);
	expect_absent(w, 0);
	expect_absent(w, SZ_2M);
	expect_absent(w, SZ_512M);
}

SVM_CASE(intervals_of_512_mib) { check_intervals(w, 2); }
SVM_CASE_WITH(intervals_of_a_table, .interval_lg2 = 21) { check_intervals(w, 3); }
SVM_CASE_WITH(one_interval, .interval_lg2 = 48) { check_intervals(w, 1); }

SVM_CASE(bad_parameters)
{
	static const struct world_params bad[] = {
		{ .interval_lg2 = 20 }, { .interval_lg2 = 49 },
		{ .granule_lg2 = 11 }, { .granule_lg2 = 22 },
	};
	struct svm_vm *vm;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		SAME(w, world_vm(w, &bad[i], &vm), -EINVAL);
	HOLDS(w, !svm_format_find("none"));
	SAME(w, svm_format_describe(svm_format_find("xe2"))->va_bits, 48u);
}

SVM_CASE(prefetch_fills_what_there_is)
{
	u64 pages = 0;

	/* 16 MiB with a hole, a guard page and a read-only page. */
	if (!NEED(w, map_anon(w, 0x1000, SZ_16M, RW)))
		return;
	unmap(w, 0x5000, SZ_4K);
	if (!NEED(w, map_anon(w, SZ_2M, SZ_4K, PROT_NONE)))
		return;
	if (!NEED(w, map_anon(w, SZ_4M, SZ_4K, PROT_READ)))
		return;
	SAME(w, svm_prefetch(w->vm, w->base, w->base + SZ_16M, SVM_WRITE, &pages), 0);
	SAME(w, pages, (u64)(SZ_16M >> PAGE_SHIFT) - 4);
	SAME(w, reachable(w, 0, SZ_16M), pages);
	SAME(w, counters(w).prefetched, pages);
	expect_absent(w, 0x5000);
	expect_absent(w, SZ_2M);
	expect_absent(w, SZ_4M);
	SAME(w, svm_prefetch(w->vm, w->base, w->base + SZ_16M, SVM_READ, &pages), 0);
	SAME(w, pages, (u64)(SZ_16M >> PAGE_SHIFT) - 3);
	expect_mirrored(w, SZ_4M, false);
}

SVM_CASE_WITH(prefetch_rejects_bad_spans, .unbound = true)
{
	u64 at = w->base, pages;

	SAME(w, bind(w, at, at + SZ_4M, 0), 0);
	SAME(w, svm_prefetch(w->vm, at, at + SZ_4M + SZ_4K, SVM_READ, &pages), -EINVAL);
	SAME(w, svm_prefetch(w->vm, at + SZ_8M, at + SZ_16M, SVM_READ, &pages), -EINVAL);
	SAME(w, svm_prefetch(w->vm, at + 1, at + SZ_4K, SVM_READ, &pages), -EINVAL);
	SAME(w, svm_prefetch(w->vm, at, at + SZ_4K + 1, SVM_READ, &pages), -EINVAL);
	SAME(w, svm_prefetch(w->vm, at + SZ_4K, at, SVM_READ, &pages), -EINVAL);
	SAME(w, svm_prefetch(w->vm, at, at + SZ_4M, SVM_READ, &pages), 0);
	SAME(w, pages, 0ull);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(bind_rejects_bad_spans),
	KUNIT_CASE(bind_many_is_all_or_nothing),
	KUNIT_CASE(bindings_share_a_table),
	KUNIT_CASE(a_page_is_replaced),
	KUNIT_CASE(null_costs_no_pages),
	KUNIT_CASE(fault_outside_a_window),
	KUNIT_CASE(window_at_an_offset),
	KUNIT_CASE(two_windows_on_one_memory),
	KUNIT_CASE(unbind_leaves_nothing),
	KUNIT_CASE(intervals_of_512_mib),
	KUNIT_CASE(intervals_of_a_table),
	KUNIT_CASE(one_interval),
	KUNIT_CASE(bad_parameters),
	KUNIT_CASE(prefetch_fills_what_there_is),
	KUNIT_CASE(prefetch_rejects_bad_spans),
	{}
};

static struct kunit_suite bind_suite = {
	.name = "svm_bind",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&bind_suite);
