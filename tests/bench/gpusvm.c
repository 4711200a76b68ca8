// SPDX-License-Identifier: GPL-2.0-only
/*
 * drm_gpusvm with the least of a driver behind it.
 *
 * Fault handler, notifier callback and garbage collection are those that drm_gpusvm's
 * documentation describes and xe has: one lock around a fault; ranges of 2 MiB, 64 KiB and 4 KiB;
 * intervals of 512 MiB. What a driver adds costs as little as possible, in the peer's favour: a
 * range has a pointer to its table; one store to the entry above that table zaps the range; there
 * is no fence, no job that writes the entries, and no statistics. The table stays with the range
 * until the range is collected.
 */
#include <drm/drm_drv.h>
#include <drm/drm_pagemap.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bench.h"
#include "gpusvm_compat.h"

/* Bits of an entry; which ones they are costs the same. */
#define ENTRY_PRESENT	BIT_ULL(0)
#define ENTRY_WRITE	BIT_ULL(1)
#define ENTRY_LEAF	BIT_ULL(7)

/**
 * struct peer - one process
 * @svm: drm_gpusvm's
 * @drm: the device for it
 * @lock: the driver's lock around faults
 * @gone_lock: guards @gone
 * @gone: ranges that the process unmapped and no fault has collected yet
 * @tables: tables in use
 */
struct peer {
	struct drm_gpusvm svm;
	struct drm_device *drm;
	struct mutex lock;	/* around faults */
	spinlock_t gone_lock;	/* guards gone */
	struct list_head gone;
	u64 tables;
};

static const unsigned long chunk_sizes[] = { SZ_2M, SZ_64K, SZ_4K };

static struct peer *to_peer(struct drm_gpusvm *svm)
{
	return container_of(svm, struct peer, svm);
}

static struct peer_range *to_range(struct drm_gpusvm_range *base)
{
	return container_of(base, struct peer_range, base);
}

static struct drm_gpusvm_range *range_alloc(struct drm_gpusvm *svm)
{
	struct peer_range *range = kzalloc(sizeof(*range), GFP_KERNEL);

	if (!range)
		return NULL;
	INIT_LIST_HEAD(&range->link);
	init_pages(range, to_peer(svm)->drm);
	return &range->base;
}

static u64 pages_in(struct peer_range *range)
{
	return drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT;
}

static void range_free(struct drm_gpusvm_range *base)
{
	struct peer_range *range = to_range(base);

	drop_pages(base->gpusvm, range);
	if (range->table) {
		to_peer(base->gpusvm)->tables--;
		bench_table_free(range->table);
	}
	kfree(range);
}

/* Under the notifier lock, for writing. */
static void invalidate(struct drm_gpusvm *svm, struct drm_gpusvm_notifier *notifier,
		       const struct mmu_notifier_range *what)
{
	struct drm_gpusvm_ctx ctx = { .in_notifier = true };
	u64 start = max_t(u64, drm_gpusvm_notifier_start(notifier), what->start);
	u64 end = min_t(u64, drm_gpusvm_notifier_end(notifier), what->end);
	struct drm_gpusvm_range *first = drm_gpusvm_range_find(notifier, start, end);
	struct peer *p = to_peer(svm);
	struct drm_gpusvm_range *r;
	bool any = false;

	r = first;
	if (!r)
		return;
	drm_gpusvm_for_each_range(r, notifier, start, end) {
		any |= to_range(r)->above;
		WRITE_ONCE(to_range(r)->above, 0);
	}
	if (any)
		bench_flush(start, end);
	r = first;
	drm_gpusvm_for_each_range(r, notifier, start, end) {
		drm_gpusvm_unmap_pages(svm, pages_of(to_range(r)), pages_in(to_range(r)), &ctx);
		if (what->event != MMU_NOTIFY_UNMAP)
			continue;
		set_unmapped(to_range(r), what);
		spin_lock(&p->gone_lock);
		if (list_empty(&to_range(r)->link))
			list_add_tail(&to_range(r)->link, &p->gone);
		spin_unlock(&p->gone_lock);
	}
}

static const struct drm_gpusvm_ops gpusvm_ops = {
	.range_alloc = range_alloc,
	.range_free = range_free,
	.invalidate = invalidate,
};

static struct peer_range *next_gone(struct peer *p)
{
	struct peer_range *range;

	spin_lock(&p->gone_lock);
	range = list_first_entry_or_null(&p->gone, struct peer_range, link);
	if (range)
		list_del_init(&range->link);
	spin_unlock(&p->gone_lock);
	return range;
}

/* Under the driver's lock: what was unmapped goes before anything new comes. */
static void collect_garbage(struct peer *p)
{
	struct drm_gpusvm_ctx ctx = {};
	struct peer_range *range;

	while ((range = next_gone(p))) {
		drm_gpusvm_unmap_pages(&p->svm, pages_of(range), pages_in(range), &ctx);
		drm_gpusvm_range_remove(&p->svm, &range->base);
	}
}

static bool is_bound(struct peer *p, struct peer_range *range, bool write)
{
	bool valid;

	if (!READ_ONCE(range->above) || (write && !range->write))
		return false;
	drm_gpusvm_notifier_lock(&p->svm);
	valid = pages_valid(&p->svm, range);
	drm_gpusvm_notifier_unlock(&p->svm);
	return valid;
}

/* A range that was bound for reading gives its pages back before they are fetched for writing. */
static void forget_pages(struct peer *p, struct peer_range *range)
{
	struct drm_gpusvm_ctx ctx = {};

	WRITE_ONCE(range->above, 0);
	bench_flush(drm_gpusvm_range_start(&range->base), drm_gpusvm_range_end(&range->base));
	drm_gpusvm_unmap_pages(&p->svm, pages_of(range), pages_in(range), &ctx);
}

static bool one_leaf(struct peer_range *range)
{
	return pages_of(range)->dma_addr[0].order == PMD_SHIFT - PAGE_SHIFT;
}

static void write_entries(struct peer_range *range, u64 bits)
{
	unsigned long pages = pages_in(range);
	unsigned long first = (drm_gpusvm_range_start(&range->base) >> PAGE_SHIFT) % PTRS_PER_PTE;
	const struct drm_pagemap_addr *addr = pages_of(range)->dma_addr;
	unsigned long i, j;

	for (i = 0; i < pages; addr++) {
		for (j = 0; j < 1ul << addr->order; i++, j++)
			WRITE_ONCE(range->table[first + i],
				   (addr->addr + (j << PAGE_SHIFT)) | bits);
	}
}

/* Under the driver's lock. -EAGAIN: the process changed its memory meanwhile. */
static int bind(struct peer *p, struct peer_range *range, bool write)
{
	u64 bits = ENTRY_PRESENT | (write ? ENTRY_WRITE : 0);
	int err = 0;

	if (!range->table && !one_leaf(range)) {
		range->table = bench_table_alloc();
		if (!range->table)
			return -ENOMEM;
		p->tables++;
	}
	drm_gpusvm_notifier_lock(&p->svm);
	if (!pages_valid(&p->svm, range)) {
		err = -EAGAIN;
	} else if (one_leaf(range)) {
		WRITE_ONCE(range->above, pages_of(range)->dma_addr[0].addr | bits | ENTRY_LEAF);
	} else if (!range->table) {
		err = -EAGAIN;		/* one leaf until just now */
	} else {
		write_entries(range, bits);
		WRITE_ONCE(range->above, virt_to_phys(range->table) | ENTRY_PRESENT);
	}
	range->write = write;
	drm_gpusvm_notifier_unlock(&p->svm);
	return err;
}

static int fault_once(struct peer *p, u64 va, bool write)
{
	struct drm_gpusvm_ctx ctx = { .read_only = !write };
	struct drm_gpusvm_range *base;
	struct peer_range *range;
	int err;

	collect_garbage(p);
	base = drm_gpusvm_range_find_or_insert(&p->svm, va, 0, TASK_SIZE, &ctx);
	if (IS_ERR(base))
		return PTR_ERR(base);
	range = to_range(base);
	if (is_bound(p, range, write))
		return 0;
	if (range->above)
		forget_pages(p, range);
	err = drm_gpusvm_get_pages(&p->svm, pages_of(range), p->svm.mm, &base->notifier->notifier,
				   drm_gpusvm_range_start(base), drm_gpusvm_range_end(base), &ctx);
	if (err == -EOPNOTSUPP)
		return -EAGAIN;
	return err ?: bind(p, range, write);
}

static int gpusvm_fault(void *state, u64 va, bool write)
{
	struct peer *p = state;
	int err;

	mutex_lock(&p->lock);
	do {
		err = fault_once(p, va, write);
	} while (err == -EAGAIN);
	mutex_unlock(&p->lock);
	return err;
}

/* As xe's: range by range under the driver's lock. */
static int gpusvm_prefetch(void *state, u64 start, u64 end)
{
	int err = 0;
	u64 va;

	for (va = start; va < end && !err; va = ALIGN(va + 1, SZ_2M))
		err = gpusvm_fault(state, va, true);
	return err;
}

static const struct drm_driver driver = {
	.name = "svm_bench",
	.desc = "what drm_gpusvm is told of the fake device",
};

static int gpusvm_begin(u32 granule_lg2, void **state)
{
	struct peer *p = kzalloc(sizeof(*p), GFP_KERNEL);
	int err;

	if (!p)
		return -ENOMEM;
	p->drm = drm_dev_alloc(&driver, bench_device);
	if (IS_ERR(p->drm)) {
		err = PTR_ERR(p->drm);
		goto free;
	}
	mutex_init(&p->lock);
	spin_lock_init(&p->gone_lock);
	INIT_LIST_HEAD(&p->gone);
	err = init_gpusvm(&p->svm, p->drm, &gpusvm_ops, chunk_sizes, ARRAY_SIZE(chunk_sizes));
	if (err)
		goto put;
	*state = p;
	return 0;
put:
	drm_dev_put(p->drm);
free:
	kfree(p);
	return err;
}

static void gpusvm_end(void *state)
{
	struct peer *p = state;

	mutex_lock(&p->lock);
	collect_garbage(p);
	drm_gpusvm_fini(&p->svm);
	mutex_unlock(&p->lock);
	WARN_ON(p->tables);
	drm_dev_put(p->drm);
	kfree(p);
}

/* What kvmalloc() gave: a slab object, or whole pages. */
static u64 size_of_array(const void *array, u64 bytes)
{
	if (!array)
		return 0;
	return is_vmalloc_addr(array) ? PAGE_ALIGN(bytes) : ksize(array);
}

static void count_range(struct drm_gpusvm_range *base, struct svm_bench_state *out)
{
	struct peer_range *range = to_range(base);
	struct drm_gpusvm_pages *pages = pages_of(range);

	if (range->above)
		out->pages += pages_in(range);
	/* What the driver keeps of a range for itself is not drm_gpusvm's. */
	out->host_bytes += offsetof(struct peer_range, link);
	out->host_bytes += size_of_array(pages->dma_addr,
					 pages_in(range) * sizeof(*pages->dma_addr));
}

static void gpusvm_state(void *state, struct svm_bench_state *out)
{
	struct peer *p = state;
	struct drm_gpusvm_notifier *notifier;
	struct drm_gpusvm_range *r;

	mutex_lock(&p->lock);
	collect_garbage(p);
	drm_gpusvm_for_each_notifier(notifier, &p->svm, 0, LONG_MAX) {
		out->host_bytes += ksize(notifier);
		r = NULL;
		drm_gpusvm_for_each_range(r, notifier, 0, LONG_MAX)
			count_range(r, out);
	}
	out->table_bytes = p->tables << PAGE_SHIFT;
	mutex_unlock(&p->lock);
}

const struct bench_ops bench_gpusvm = {
	.begin = gpusvm_begin,
	.end = gpusvm_end,
	.fault = gpusvm_fault,
	.prefetch = gpusvm_prefetch,
	.state = gpusvm_state,
};
