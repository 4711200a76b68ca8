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

bool injection_on(struct kunit *test)
{
	char script[] = "cd /sys/kernel/debug/$0; echo 0 >verbose; echo N >ignore-gfp-wait; "
			"[ ! -e min-order ] || echo 0 >min-order";
	char *slab[5] = { "/bin/sh", "-c", script, "failslab", NULL };
	char *pages[5] = { "/bin/sh", "-c", script, "fail_page_alloc", NULL };
	char *env[2] = { "PATH=/bin:/usr/bin", NULL };

	call_usermodehelper(slab[0], slab, env, UMH_WAIT_PROC);
	call_usermodehelper(pages[0], pages, env, UMH_WAIT_PROC);
	if (counts(get_slab, put_slab) && counts(get_one_page, put_one_page))
		return true;
	kunit_mark_skipped(test, "the switches of failslab and fail_page_alloc cannot be set");
	return false;
}
#endif
