// SPDX-License-Identifier: GPL-2.0-only
/* Faults: what they map, with which rights, and whom they leave alone. */
#include <linux/file.h>
#include <linux/io.h>
#include <linux/mman.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)

SVM_CASE(fault_write_maps_the_page)
{
	if (!NEED(w, map_anon(w, 0, SZ_64K, RW) && touch(w, 0, SZ_64K)))
		return;
	expect_absent(w, 0);
	SAME(w, fault(w, 0x3000, SVM_WRITE), 0);
	expect_mirrored(w, 0x3000, true);
	HOLDS(w, look(w, 0x3000).atomic);
}

SVM_CASE(fault_makes_absent_memory_present)
{
	if (!NEED(w, map_anon(w, 0, SZ_64K, RW)))
		return;
	SAME(w, cpu_phys(w, 0x3000, false), 0ull);
	SAME(w, fault(w, 0x3000, SVM_WRITE), 0);
	expect_mirrored(w, 0x3000, true);
	HOLDS(w, cpu_phys(w, 0x3000, true));
}

SVM_CASE(fault_fills_its_granule)
{
	/* What is present is taken in the whole table; the granule of 64 KiB is made present. */
	if (!NEED(w, map_anon(w, 0x1000, SZ_1M, RW) && touch(w, 0x81000, SZ_4K)))
		return;
	SAME(w, fault(w, 0x23000, SVM_WRITE), 0);
	SAME(w, counters(w).duplicates, 0ull);
	SAME(w, reachable(w, 0x20000, SZ_64K), 16ull);
	SAME(w, reachable(w, 0, SZ_2M), 17ull);
	expect_mirrored(w, 0x81000, true);
}

SVM_CASE_WITH(fault_of_a_granule_of_one_page, .granule_lg2 = PAGE_SHIFT)
{
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW)))
		return;
	SAME(w, fault(w, 0x3000, SVM_READ), 0);
	SAME(w, reachable(w, 0, SZ_2M), 1ull);
}

SVM_CASE(fault_twice_is_a_duplicate)
{
	struct svm_counters before;

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		return;
	SAME(w, fault(w, 0x1000, SVM_WRITE), 0);
	before = counters(w);
	SAME(w, fault(w, 0x1000, SVM_WRITE), 0);
	SAME(w, counters(w).duplicates, before.duplicates + 1);
	SAME(w, counters(w).ptes_written, before.ptes_written);
	SAME(w, fault(w, 0x1000, SVM_READ), 0);
	SAME(w, fault(w, 0x1000, SVM_ATOMIC), 0);
	SAME(w, counters(w).duplicates, before.duplicates + 3);
}

SVM_CASE(fault_where_nothing_is)
{
	if (!NEED(w, map_anon(w, SZ_64K, SZ_4K, RW)))
		return;
	SAME(w, fault(w, 0, SVM_READ), -EFAULT);
	SAME(w, fault(w, 0, SVM_WRITE), -EFAULT);
	SAME(w, fault(w, SZ_32M, SVM_READ), -EFAULT);
	/* Not an address of the device's, nor of the process's. */
	SAME(w, svm_fault(w->vm, 1ull << 48, SVM_READ), -EFAULT);
	SAME(w, svm_fault(w->vm, ~0ull, SVM_READ), -EFAULT);
	SAME(w, svm_fault(w->vm, w->mm->task_size, SVM_READ), -EFAULT);
	SAME(w, counters(w).failed, 6ull);
	SAME(w, counters(w).ptes_written, 0ull);
}

SVM_CASE(fault_read_only_mapping)
{
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, PROT_READ)))
		return;
	SAME(w, fault(w, 0x1000, SVM_WRITE), -EPERM);
	SAME(w, fault(w, 0x1000, SVM_ATOMIC), -EPERM);
	expect_absent(w, 0x1000);
	SAME(w, fault(w, 0x1000, SVM_READ), 0);
	expect_mirrored(w, 0x1000, false);
	HOLDS(w, !look(w, 0x1000).atomic);
	SAME(w, fault(w, 0x1000, SVM_WRITE), -EPERM);
	expect_mirrored(w, 0x1000, false);
}

SVM_CASE(fault_no_access)
{
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, PROT_NONE)))
		return;
	SAME(w, fault(w, 0x1000, SVM_READ), -EFAULT);
	SAME(w, fault(w, 0x1000, SVM_WRITE), -EFAULT);
	expect_absent(w, 0x1000);
}

SVM_CASE(fault_bad_neighbours_do_no_harm)
{
	/* Of the granule: a hole, PROT_NONE, read-only, then writable memory. */
	if (!NEED(w, map_anon(w, 0x11000, 0x2000, PROT_NONE)))
		return;
	if (!NEED(w, map_anon(w, 0x13000, 0x2000, PROT_READ)))
		return;
	if (!NEED(w, map_anon(w, 0x15000, 0x3000, RW) && touch(w, 0x15000, 0x1000)))
		return;
	SAME(w, fault(w, 0x16000, SVM_WRITE), 0);
	expect_mirrored(w, 0x16000, true);
	expect_mirrored(w, 0x17000, true);
	expect_mirrored(w, 0x15000, true);
	SAME(w, reachable(w, 0x10000, 0x5000), 0ull);
	SAME(w, fault(w, 0x13000, SVM_READ), 0);
	expect_mirrored(w, 0x13000, false);
	SAME(w, fault(w, 0x12000, SVM_READ), -EFAULT);
	SAME(w, fault(w, 0x10000, SVM_READ), -EFAULT);
	SAME(w, fault(w, 0x18000, SVM_READ), -EFAULT);
}

SVM_CASE(fault_read_shares_the_zero_page)
{
	u64 zero = page_to_phys(ZERO_PAGE(0));

	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW)))
		return;
	SAME(w, fault(w, 0x4000, SVM_READ), 0);
	SAME(w, look(w, 0x4000).addr, zero);
	HOLDS(w, !look(w, 0x4000).write);
	SAME(w, look(w, 0x5000).addr, zero);
	SAME(w, fault(w, 0x4000, SVM_WRITE), 0);
	expect_mirrored(w, 0x4000, true);
	HOLDS(w, look(w, 0x4000).addr != zero);
}

SVM_CASE(fault_past_the_end_of_a_file)
{
	struct file *file = map_file(w, 0x1000, SZ_32K, RW, MAP_SHARED);

	if (!NEED(w, file))
		return;
	/* The mapping outlives the file's second half. */
	i_size_write(file_inode(file), SZ_16K);
	SAME(w, fault(w, 0x1000, SVM_WRITE), 0);
	SAME(w, fault(w, 0x1000 + SZ_16K, SVM_READ), -EFAULT);
	SAME(w, reachable(w, 0, SZ_64K), 4ull);
	expect_mirrored(w, 0x1000 + SZ_16K - SZ_4K, true);
	fput(file);
}

SVM_CASE(fault_reads_private_file_without_copying)
{
	struct file *file = map_file(w, 0x1000, SZ_32K, RW, MAP_PRIVATE);
	u64 shared;

	if (!NEED(w, file))
		return;
	SAME(w, fault(w, 0x2000, SVM_READ), 0);
	shared = look(w, 0x2000).addr;
	expect_mirrored(w, 0x2000, false);
	SAME(w, fault(w, 0x2000, SVM_WRITE), 0);
	expect_mirrored(w, 0x2000, true);
	HOLDS(w, look(w, 0x2000).addr != shared);
	fput(file);
}

SVM_CASE(fault_huge_page)
{
	if (!NEED(w, map_anon(w, 0, SZ_4M, RW) && touch(w, SZ_2M, SZ_4K)))
		return;
	SAME(w, fault(w, SZ_2M + 0x5000, SVM_WRITE), 0);
	SAME(w, look(w, SZ_2M).lg2, 21u);
	SAME(w, counters(w).huge_leaves, 1ull);
	expect_mirrored(w, SZ_2M, true);
	expect_mirrored(w, SZ_4M - SZ_4K, true);
	/* It is a node without memory of the device's: three directories and no table. */
	SAME(w, atomic_read(&w->b.live), 3);
}

SVM_CASE(fault_half_bound_huge_page)
{
	/* A window that ends amid the huge page: small leaves, grouped by 16. */
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, svm_unbind(w->vm, 0, min_t(u64, w->mm->task_size, 1ull << 48)), 0);
	SAME(w, svm_bind(w->vm, w->base, w->base + SZ_1M, 0), 0);
	SAME(w, fault(w, 0x5000, SVM_WRITE), 0);
	SAME(w, look(w, 0x5000).lg2, 16u);
	SAME(w, reachable(w, 0, SZ_2M), (u64)SZ_1M >> PAGE_SHIFT);
	SAME(w, fault(w, SZ_1M, SVM_READ), -EFAULT);
	SAME(w, svm_unbind(w->vm, w->base, w->base + SZ_1M), 0);
	SAME(w, svm_bind_all(w->vm), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(fault_write_maps_the_page),
	KUNIT_CASE(fault_makes_absent_memory_present),
	KUNIT_CASE(fault_fills_its_granule),
	KUNIT_CASE(fault_of_a_granule_of_one_page),
	KUNIT_CASE(fault_twice_is_a_duplicate),
	KUNIT_CASE(fault_where_nothing_is),
	KUNIT_CASE(fault_read_only_mapping),
	KUNIT_CASE(fault_no_access),
	KUNIT_CASE(fault_bad_neighbours_do_no_harm),
	KUNIT_CASE(fault_read_shares_the_zero_page),
	KUNIT_CASE(fault_past_the_end_of_a_file),
	KUNIT_CASE(fault_reads_private_file_without_copying),
	KUNIT_CASE(fault_huge_page),
	KUNIT_CASE(fault_half_bound_huge_page),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "svm_fault",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&fault_suite);
