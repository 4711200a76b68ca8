// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every level of each format, read back by its walker: entries at the ends of each
 * level's tables, leaves of each size that the mirror makes, tables in either memory.
 */
#include <linux/mman.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)

static u32 va_bits(struct world *w)
{
	return svm_format_describe(svm_format_find(w->format))->va_bits;
}

/* One page, mirrored at the given device address; found there and in no other table. */
static void check_at(struct world *w, u64 va)
{
	const struct svm_table_mem *root = svm_vm_root(w->vm);
	u64 window = ALIGN_DOWN(va, SZ_2M), beside;
	struct leaf leaf;

	SAME(w, svm_bind(w->vm, window, window + SZ_2M, window - w->base), 0);
	SAME(w, svm_fault(w->vm, va, SVM_WRITE), 0);
	KUNIT_EXPECT_NULL(w->test, walk(&w->b, w->format, root, va, &leaf));
	HOLDS(w, leaf.present && leaf.write && leaf.atomic && !leaf.vram);
	/* Pages that happen to lie one behind the other may share a fragment. */
	HOLDS(w, leaf.lg2 >= 12 && leaf.lg2 < 21);
	SAME(w, leaf.addr, cpu_phys(w, va - window, true));
	for (beside = SZ_2M; beside < 1ull << va_bits(w); beside <<= 1) {
		KUNIT_EXPECT_NULL(w->test, walk(&w->b, w->format, root, va ^ beside, &leaf));
		KUNIT_EXPECT_FALSE_MSG(w->test, leaf.present, "at %llx also %llx",
				       va, va ^ beside);
	}
	SAME(w, svm_unbind(w->vm, window, window + SZ_2M), 0);
	KUNIT_EXPECT_NULL(w->test, walk(&w->b, w->format, root, va, &leaf));
	HOLDS(w, !leaf.present);
}

/* The first, the last and a middle entry of each level, on their own. */
static void check_levels(struct world *w)
{
	static const u32 entries[] = { 0, 1, 255, 511 };
	u32 shift;
	int i;

	if (!NEED(w, map_anon(w, 0, SZ_2M - SZ_4K, RW)))
		return;
	for (shift = 12; shift + 9 <= va_bits(w); shift += 9)
		for (i = 0; i < ARRAY_SIZE(entries); i++)
			if (shift > 12 || entries[i] < 511)
				check_at(w, (u64)entries[i] << shift);
	check_at(w, (1ull << va_bits(w)) - SZ_8K);
	HOLDS(w, !w->b.vram || w->b.used);
}

static void check_huge(struct world *w)
{
	const struct svm_format_info *format = svm_format_describe(svm_format_find(w->format));
	struct leaf leaf;

	if (!NEED(w, map_anon(w, SZ_512M, SZ_2M, RW) && touch(w, SZ_512M, SZ_4K)))
		return;
	SAME(w, fault(w, SZ_512M + 0x123000, SVM_WRITE), 0);
	leaf = look(w, SZ_512M + 0x1ff000);
	SAME(w, leaf.lg2, format->leaf_sizes & SZ_2M ? 21u : 12u);
	HOLDS(w, leaf.write && leaf.atomic);
	expect_mirrored(w, SZ_512M, true);
	expect_mirrored(w, SZ_512M + 0x1ff000, true);
	SAME(w, reachable(w, SZ_512M - SZ_2M, 3 * SZ_2M), 512ull);
}

SVM_CASE(huge_leaf) { check_huge(w); }
SVM_CASE_WITH(huge_leaf_in_device_tables, .vram = true) { check_huge(w); }

SVM_CASE(huge_leaf_read_only)
{
	struct leaf leaf;

	/* The huge zero page, or 512 times the small one. */
	if (!NEED(w, map_anon(w, 0, SZ_2M, PROT_READ)))
		return;
	SAME(w, fault(w, 0, SVM_READ), 0);
	leaf = look(w, 0);
	HOLDS(w, leaf.present && !leaf.write && !leaf.atomic);
	HOLDS(w, leads_to_cpus_page(w, 0, &leaf));
	SAME(w, fault(w, 0, SVM_WRITE), -EPERM);
}

SVM_CASE_WITH(hints_of_64k_come_and_go, .unbound = true)
{
	/* Half of a huge page, so that small leaves are used on contiguous memory. */
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	if (!NEED(w, cpu_phys(w, SZ_64K, true) == cpu_phys(w, 0, true) + SZ_64K))
		return;
	SAME(w, svm_bind(w->vm, w->base + SZ_32K, w->base + SZ_1M, 0), 0);
	SAME(w, fault(w, SZ_512K, SVM_WRITE), 0);
	SAME(w, look(w, SZ_512K).lg2, 16u);
	SAME(w, look(w, SZ_1M - SZ_4K).lg2, 16u);
	/* A group of which the window has but half. */
	SAME(w, look(w, SZ_32K).lg2, 12u);
	SAME(w, look(w, SZ_64K).lg2, 16u);
}

/* A page is discarded, so a block falls apart, and comes back. */
static void check_format(struct world *w)
{
	u64 at;

	check_huge(w);
	unmap(w, SZ_512M + SZ_1M, SZ_4K);
	expect_absent(w, SZ_512M + SZ_1M);
	SAME(w, fault(w, SZ_512M, SVM_WRITE), 0);
	for (at = SZ_512M; at < SZ_512M + SZ_2M; at += SZ_64K + SZ_4K)
		expect_mirrored(w, at, true);
	SAME(w, reachable(w, SZ_512M, SZ_2M), 511ull);
}

/* The body with a world for each format that this build of the core knows. */
static void each_format(struct kunit *test, struct world_params params,
			void (*body)(struct world *w))
{
	char names[128], *rest = names;

	KUNIT_ASSERT_GT(test, strscpy(names, svm_format_names(), sizeof(names)), 0);
	while ((params.format = strsep(&rest, " "))) {
		kunit_info(test, "%s", params.format);
		world_run(test, &params, body);
	}
}

static void levels_of_each_format(struct kunit *test)
{
	each_format(test, (struct world_params){ .unbound = true, .granule_lg2 = 12 },
		    check_levels);
}

static void levels_of_each_format_in_device_memory(struct kunit *test)
{
	each_format(test, (struct world_params){ .unbound = true, .granule_lg2 = 12, .vram = true },
		    check_levels);
}

static void leaves_of_each_format(struct kunit *test)
{
	each_format(test, (struct world_params){ .vram = false }, check_format);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(levels_of_each_format),
	KUNIT_CASE(levels_of_each_format_in_device_memory),
	KUNIT_CASE_SLOW(leaves_of_each_format),
	KUNIT_CASE(huge_leaf),
	KUNIT_CASE(huge_leaf_in_device_tables),
	KUNIT_CASE(huge_leaf_read_only),
	KUNIT_CASE(hints_of_64k_come_and_go),
	{}
};

static struct kunit_suite format_suite = {
	.name = "svm_format",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&format_suite);
