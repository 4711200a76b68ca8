// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are the checks on that a run relies on? They can be built in and still be off. Poisoning
 * wants a boot argument and page-table checks may be switched off by one: the two would see
 * a device write to memory that it has lost. KCSAN may have been off from the start, or have
 * switched itself off. What they report fails the run (tools/vm/lib/guestlog.py).
 */
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/page_table_check.h>
#include <linux/sched.h>

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
#endif

#ifdef CONFIG_KCSAN
static u64 svm_raced;

/* By this name the run knows that KCSAN has reported what it had to, and that it is no fault. */
static noinline void svm_race_on_purpose(void)
{
	svm_raced++;
}

static int race(void *unused)
{
	while (!kthread_should_stop()) {
		svm_race_on_purpose();
		cond_resched();
	}
	return 0;
}

static void races_are_looked_for(struct kunit *test)
{
	unsigned long end = jiffies + 2 * HZ;
	struct task_struct *other = kthread_run(race, NULL, "svm_race");

	KUNIT_ASSERT_FALSE(test, IS_ERR(other));
	while (time_before(jiffies, end)) {
		svm_race_on_purpose();
		cond_resched();
	}
	kthread_stop(other);
	KUNIT_EXPECT_GT(test, svm_raced, 0);
}
#endif

static struct kunit_case cases[] = {
#if defined(CONFIG_PAGE_POISONING) && defined(CONFIG_PAGE_TABLE_CHECK)
	KUNIT_CASE(freed_pages_are_filled_and_checked),
	KUNIT_CASE(page_tables_are_checked),
#endif
#ifdef CONFIG_KCSAN
	KUNIT_CASE(races_are_looked_for),
#endif
	{}
};

static struct kunit_suite oracle_suite = {
	.name = "svm_oracle",
	.test_cases = cases,
};

kunit_test_suites(&oracle_suite);
