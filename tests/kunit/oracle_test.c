// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are the checks on that would see a device write to memory that it has lost? Both can
 * be built in and still be off: poisoning wants a boot argument, page-table checks may
 * be switched off by one. A report of either fails the run (tools/vm/lib/guestlog.py).
 */
#include <linux/mm.h>
#include <linux/page_table_check.h>

#include "svm_kunit.h"

#if defined(CONFIG_PAGE_POISONING) && defined(CONFIG_PAGE_TABLE_CHECK)
static void freed_pages_are_filled_and_checked(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, page_poisoning_enabled_static());
}

static void page_tables_are_checked(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, static_branch_likely(&page_table_check_disabled));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(freed_pages_are_filled_and_checked),
	KUNIT_CASE(page_tables_are_checked),
	{}
};

static struct kunit_suite oracle_suite = {
	.name = "svm_oracle",
	.test_cases = cases,
};

kunit_test_suites(&oracle_suite);
#endif
