// SPDX-License-Identifier: GPL-2.0-only
/* Memory: what a table costs, and that the shrinker gets back those that map nothing. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mman.h>

#include "mm/port.h"
#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)

/* From 7.3 on a kernel thread, which runs these tests, has an empty root directory. */
#ifndef scoped_with_init_fs
#define scoped_with_init_fs()
#endif

/* Asks all shrinkers for all they have. */
static bool shrink_all(struct world *w)
{
	struct file *file;
	loff_t at = 0;
	ssize_t n;

	scoped_with_init_fs()
		file = filp_open("/proc/sys/vm/drop_caches", O_WRONLY, 0);
	if (IS_ERR(file)) {
		KUNIT_FAIL(w->test, "drop_caches: %ld", PTR_ERR(file));
		return false;
	}
	n = kernel_write(file, "2", 1, &at);
	filp_close(file, NULL);
	SAME(w, n, (ssize_t)1);
	return n == 1;
}

/* A table that was in use when the shrinker last looked is left for the next time. */
static void shrink_until(struct world *w, u64 tables)
{
	int i;

	for (i = 0; i < 4 && counters(w).tables > tables; i++)
		if (!shrink_all(w))
			return;
	SAME(w, counters(w).tables, tables);
}

SVM_CASE(shrinker_frees_empty_tables)
{
	u64 before, freed;

	if (!NEED(w, map_anon(w, 0, SZ_4M, RW)))
		return;
	unmap(w, SZ_64K, SZ_4K);
	unmap(w, SZ_2M + SZ_64K, SZ_4K);
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	SAME(w, fault(w, SZ_2M, SVM_WRITE), 0);
	SAME(w, counters(w).tables, 2ull);
	before = counters(w).device_bytes;
	freed = counters(w).tables_freed;
	/* In use: none goes. */
	if (!NEED(w, shrink_all(w) && shrink_all(w)))
		return;
	SAME(w, counters(w).tables, 2ull);
	unmap(w, 0, SZ_2M);
	shrink_until(w, 1);
	expect_mirrored(w, SZ_2M, true);
	/* And again from the beginning. */
	if (!NEED(w, map_anon(w, 0, SZ_64K, RW)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	expect_mirrored(w, 0, true);
	unmap(w, 0, SZ_4M);
	shrink_until(w, 0);
	/* Their memory goes after a grace period; unbinding waits for one. */
	SAME(w, svm_unbind(w->vm, 0, min_t(u64, w->mm->task_size, 1ull << 48)), 0);
	HOLDS(w, counters(w).device_bytes < before);
	HOLDS(w, counters(w).tables_freed > freed);
}

SVM_CASE(shrinker_frees_empty_huge_tables)
{
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	if (!NEED(w, look(w, 0).lg2 == 21))
		return;
	unmap(w, 0, SZ_2M);
	shrink_until(w, 0);
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	expect_mirrored(w, 0x1000, true);
}

SVM_CASE(a_table_costs_at_most_128_bytes)
{
	/* What lock debugging adds is not the mirror's, and it adds whole words. */
	u64 debug = round_up(sizeof(struct port_lock) - sizeof(u32), sizeof(u64)), before, i;

	if (!NEED(w, map_anon(w, 0, SZ_32M, RW)))
		return;
	for (i = 0; i < 16; i++)
		unmap(w, i * SZ_2M + SZ_64K, SZ_4K);
	/* Directories and the interval. */
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	before = counters(w).host_bytes;
	for (i = 1; i < 16; i++)
		SAME(w, fault(w, i * SZ_2M, SVM_WRITE), 0);
	SAME(w, counters(w).tables, 16ull);
	KUNIT_EXPECT_GT(w->test, counters(w).host_bytes, before);
	KUNIT_EXPECT_LE(w->test, counters(w).host_bytes - before, 15 * (128 + debug));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(shrinker_frees_empty_tables),
	KUNIT_CASE(shrinker_frees_empty_huge_tables),
	KUNIT_CASE(a_table_costs_at_most_128_bytes),
	{}
};

static struct kunit_suite reclaim_suite = {
	.name = "svm_reclaim",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&reclaim_suite);
