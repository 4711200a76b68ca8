/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's own fault injection, for the thread that runs a case: its Nth
 * allocation from now on fails, the slab allocator's and the page allocator's
 * counted alike. Leak detection and sanitizers allocate too and are counted.
 */
#ifndef SVM_KUNIT_INJECT_H
#define SVM_KUNIT_INJECT_H

#include <linux/sched.h>

#include "svm_kunit.h"

#ifdef CONFIG_FAULT_INJECTION
/* Far more than any one call makes. */
#define INJECT_NEVER	1000000u

/* False: it cannot be had, and the case is marked as skipped. */
bool injection_on(struct kunit *test);

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
