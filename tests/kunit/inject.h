/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own fault injection, for the thread that runs a case: its Nth
 * allocation from now on fails. Which allocations count is chosen: the slab allocator's,
 * of which a call makes the same ones each time (leak detection doubles them); or
 * the page allocator's, where a slab may want a page or not.
 */
#ifndef SVM_KUNIT_INJECT_H
#define SVM_KUNIT_INJECT_H

#include <linux/sched.h>

#include "svm_kunit.h"

#ifdef CONFIG_FAULT_INJECTION
/* Far more than any one call makes. */
#define INJECT_NEVER	1000000u

enum inject_kind { INJECT_SLAB, INJECT_PAGES };

/* False: it cannot be had, and the case is marked as skipped. */
bool injection_on(struct kunit *test, enum inject_kind kind);

static inline void inject_at(u32 nth)
{
	current->fail_nth = nth;
}

/* Ends it. Return: how far it was from the next failure; 0: there was one. */
static inline u32 inject_left(void)
{
	u32 left = current->fail_nth;

	current->fail_nth = 0;
	return left;
}
#endif

#endif
