// SPDX-License-Identifier: GPL-2.0-only
/*
 * Switching injection on. By default it looks away from allocations that may
 * reclaim, and from single pages: from all of ours. Its switches are files of
 * debugfs, which only userspace writes.
 */
#include <linux/gfp.h>
#include <linux/kmod.h>
#include <linux/slab.h>

#include "inject.h"

#ifdef CONFIG_FAULT_INJECTION
static bool counts(void *(*get)(void), void (*put)(void *p))
{
	void *probe;
	u32 left;

	inject_at(INJECT_NEVER);
	probe = get();
	left = inject_left();
	if (probe)
		put(probe);
	return probe && left != INJECT_NEVER;
}

static void *get_slab(void)
{
	return kmalloc(32, GFP_KERNEL);
}

static void put_slab(void *p)
{
	kfree(p);
}

static void *get_one_page(void)
{
	return (void *)__get_free_page(GFP_KERNEL);
}

static void put_one_page(void *p)
{
	free_page((unsigned long)p);
}

/*
 * A filter that no cache passes takes the slab allocator out of it, an order that no
 * allocation has the page allocator.
 */
bool injection_on(struct kunit *test, enum inject_kind kind)
{
	char script[] = "cd /sys/kernel/debug\n"
			"echo 0 | tee failslab/verbose >fail_page_alloc/verbose\n"
			"echo N | tee failslab/ignore-gfp-wait >fail_page_alloc/ignore-gfp-wait\n"
			"echo $0 >failslab/cache-filter\n"
			"echo $1 >fail_page_alloc/min-order\n";
	bool slab = kind == INJECT_SLAB;
	char *argv[6] = { "/bin/sh", "-c", script, slab ? "N" : "Y", slab ? "99" : "0", NULL };
	char *env[2] = { "PATH=/bin:/usr/bin", NULL };

	call_usermodehelper(argv[0], argv, env, UMH_WAIT_PROC);
	/* A slab allocation may want a page, a page is no slab's. */
	if (slab ? counts(get_slab, put_slab) && !counts(get_one_page, put_one_page) :
		   counts(get_one_page, put_one_page))
		return true;
	kunit_mark_skipped(test, "the switches of failslab and fail_page_alloc cannot be set");
	return false;
}
#endif
