// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes' pages in VRAM: where they lie, and what goes home when it is full.
 *
 * VRAM is taken in chunks of 2 MiB, or smaller where it is in pieces, from the driver's
 * allocator, which buffer objects and page tables use too. A chunk hands out pages of 4 KiB to
 * any process, and goes back when the last one is free. It is also what an eviction sends home,
 * page by page. What a page holds before it is handed out does not matter: it is filled whole.
 *
 * Pages and buffers are in one order of age, from when the chunk got its last page, or the
 * buffer came in. Nothing that has been there for less than a slice is sent away for another
 * page or buffer: where more is in use at a time than there is, some stays in system memory,
 * instead of all being moved all the time. Page tables wait for nobody's slice.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/export.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <svm/memory.h>

#include "bo.h"

#define CHUNK_BYTES	SZ_2M
#define CHUNK_PAGES	(CHUNK_BYTES / PAGE_SIZE)
#define ROUNDS		64	/* chunks or buffers that one request sends away */

struct chunk {
	struct list_head link;	/* in pages->open, ->full (or leaving) or ->empty */
	struct list_head blocks; /* the one block */
	u64 first;		/* page of VRAM */
	u32 count;
	u32 used;		/* with one for each eviction that is at it */
	unsigned long since;	/* jiffies */
	bool leaving;		/* an eviction is at it: no page of it is handed out */
	DECLARE_BITMAP(taken, CHUNK_PAGES);
};

/* Pages lock held. */
static void unuse(struct svm_drm_pages *pages, struct chunk *chunk)
{
	lockdep_assert_held(&pages->lock);
	if (!--chunk->used)
		list_move_tail(&chunk->link, &pages->empty);
	else if (!chunk->leaving && !bitmap_full(chunk->taken, chunk->count))
		list_move_tail(&chunk->link, &pages->open);
}

static void free_page_of(void *arg, const struct svm_memory_page *page)
{
	struct svm_drm_device *dev = arg;
	struct svm_drm_pages *pages = &dev->pages;
	struct chunk *chunk = page->block;
	unsigned long flags;
	bool empty;

	spin_lock_irqsave(&pages->lock, flags);
	__clear_bit(page->page - chunk->first, chunk->taken);
	unuse(pages, chunk);
	empty = !list_empty(&pages->empty);
	spin_unlock_irqrestore(&pages->lock, flags);
	if (empty)
		queue_work(dev->wq, &pages->work);
}

/* Gives back chunks that have no page any more. */
static void free_empty(struct svm_drm_device *dev)
{
	struct svm_drm_pages *pages = &dev->pages;
	struct chunk *chunk, *next;
	LIST_HEAD(empty);

	spin_lock_irq(&pages->lock);
	list_splice_init(&pages->empty, &empty);
	spin_unlock_irq(&pages->lock);
	list_for_each_entry_safe(chunk, next, &empty, link) {
		dev->ops->vram_free(dev, &chunk->blocks);
		kfree(chunk);
	}
}

static void free_in_worker(struct work_struct *work)
{
	struct svm_drm_device *dev = container_of(work, struct svm_drm_device, pages.work);

	free_empty(dev);
	svm_drm_bos_tell_of_room(dev);
}

/* Pages of chunks that have some, for out[] from @got on. Return: how many there are then. */
static u32 take_open(struct svm_drm_pages *pages, struct svm_memory_page *out, u32 got, u32 n)
{
	struct chunk *chunk, *next;

	spin_lock_irq(&pages->lock);
	list_for_each_entry_safe(chunk, next, &pages->open, link) {
		u32 i = find_first_zero_bit(chunk->taken, chunk->count);

		for (; i < chunk->count && got < n; got++) {
			__set_bit(i, chunk->taken);
			chunk->used++;
			out[got] = (struct svm_memory_page){
				.page = chunk->first + i,
				.block = chunk,
			};
			i = find_next_zero_bit(chunk->taken, chunk->count, i + 1);
		}
		chunk->since = jiffies;
		if (i >= chunk->count)
			list_move_tail(&chunk->link, &pages->full);
		if (got == n)
			break;
	}
	spin_unlock_irq(&pages->lock);
	return got;
}

/* Makes chunks of what @bytes of VRAM there are. Return: 0, -ENOSPC, -ENOMEM. */
static int add_chunks(struct svm_drm_device *dev, u64 bytes)
{
	struct svm_drm_pages *pages = &dev->pages;
	struct svm_drm_vram_block *block, *next;
	struct chunk *chunk;
	LIST_HEAD(blocks);
	int ret;

	ret = dev->ops->vram_alloc(dev, bytes, &blocks);
	if (ret)
		return ret;
	list_for_each_entry_safe(block, next, &blocks, link) {
		/* As buffers of one process: pages of many, so charged to none. */
		chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
		if (!chunk)
			break;
		INIT_LIST_HEAD(&chunk->blocks);
		list_move_tail(&block->link, &chunk->blocks);
		chunk->first = block->start >> PAGE_SHIFT;
		chunk->count = block->bytes >> PAGE_SHIFT;
		chunk->since = jiffies;
		spin_lock_irq(&pages->lock);
		list_add_tail(&chunk->link, &pages->open);
		spin_unlock_irq(&pages->lock);
		ret = 1;
	}
	if (!list_empty(&blocks))
		dev->ops->vram_free(dev, &blocks);
	return ret ? 0 : -ENOMEM;
}

/* The chunk that has been in use for longest, in use by the caller; NULL: none is old enough. */
static struct chunk *oldest(struct svm_drm_pages *pages, unsigned long before)
{
	struct list_head *lists[] = { &pages->full, &pages->open };
	struct chunk *chunk, *found = NULL;
	unsigned int i;

	spin_lock_irq(&pages->lock);
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		list_for_each_entry(chunk, lists[i], link)
			if (!chunk->leaving && !time_after(chunk->since, before) &&
			    (!found || time_before(chunk->since, found->since)))
				found = chunk;
	if (found) {
		found->used++;
		found->leaving = true;
		list_move_tail(&found->link, &pages->full);
	}
	spin_unlock_irq(&pages->lock);
	return found;
}

/* Sends a chunk's pages home. Return: is there more room, in it or where it was? */
static bool evict(struct svm_drm_device *dev, struct chunk *chunk)
{
	struct svm_drm_pages *pages = &dev->pages;
	long moved = svm_memory_evict(pages->memory, chunk->first, chunk->count);
	bool empty;

	spin_lock_irq(&pages->lock);
	/* What stays is held by something just now: others go first. */
	chunk->since = jiffies;
	chunk->leaving = false;
	unuse(pages, chunk);
	empty = !list_empty(&pages->empty);
	spin_unlock_irq(&pages->lock);
	if (empty)
		free_empty(dev);
	return moved > 0 || empty;
}

/* The oldest chunk, if it is in use since @before or longer. */
static bool evict_oldest(struct svm_drm_device *dev, unsigned long before)
{
	struct chunk *chunk = dev->pages.memory ? oldest(&dev->pages, before) : NULL;

	return chunk && evict(dev, chunk);
}

/**
 * svm_drm_make_room() - send home what has been in VRAM for longest
 * @dev: the device
 * @patience: in jiffies: not what came in since
 *
 * Context: process; sleeps; no lock is held that is taken under a folio lock.
 * Return: true: there is more room; false: nothing could be moved just now.
 */
bool svm_drm_make_room(struct svm_drm_device *dev, unsigned long patience)
{
	unsigned long before = jiffies - patience, bo_since;
	bool bo = svm_drm_bo_oldest(dev, &bo_since);

	if (bo && !time_after(bo_since, before))
		return evict_oldest(dev, bo_since) || svm_drm_bo_send_away(dev, patience) ||
		       evict_oldest(dev, before);
	return evict_oldest(dev, before);
}

/* For svm_memory_ops.alloc. */
static int alloc_pages_of(void *arg, struct svm_memory_page *out, u32 n)
{
	struct svm_drm_device *dev = arg;
	struct svm_drm_pages *pages = &dev->pages;
	unsigned int rounds = ROUNDS;
	u32 got = 0;
	int ret;

	if (!READ_ONCE(dev->bos.closed)) /* with svm_drm_bos_evict_all() */
		got = take_open(pages, out, 0, n);
	while (got < n && rounds--) {
		if (fatal_signal_pending(current))
			break;
		if (READ_ONCE(dev->bos.closed)) /* with svm_drm_bos_evict_all() */
			break;
		ret = add_chunks(dev, CHUNK_BYTES);
		if (ret == -ENOSPC)
			ret = add_chunks(dev, (u64)(n - got) << PAGE_SHIFT);
		if (ret == -ENOSPC && svm_drm_make_room(dev, SVM_DRM_SLICE))
			ret = 0;
		if (ret)
			break;
		got = take_open(pages, out, got, n);
	}
	return got;
}

static u64 copy_begin(void *arg, const struct svm_copy *copies, u32 n, bool into)
{
	struct svm_drm_device *dev = arg;

	return dev->ops->copy_begin(dev, copies, n, into);
}

static int copy_wait(void *arg, u64 token)
{
	struct svm_drm_device *dev = arg;

	return dev->ops->copy_wait(dev, token);
}

static const struct svm_memory_ops memory_ops = {
	.alloc = alloc_pages_of,
	.free = free_page_of,
	.copy_begin = copy_begin,
	.copy_wait = copy_wait,
};

/* @dev->wq is there. Return: 0, also where the kernel or the device has no such memory; -ENOMEM. */
int svm_drm_pages_init(struct svm_drm_device *dev)
{
	struct svm_drm_pages *pages = &dev->pages;
	int ret;

	spin_lock_init(&pages->lock);
	INIT_LIST_HEAD(&pages->open);
	INIT_LIST_HEAD(&pages->full);
	INIT_LIST_HEAD(&pages->empty);
	INIT_WORK(&pages->work, free_in_worker);
	if (!dev->vram.bytes || !dev->ops->copy_begin || !svm_format_describe(dev->format)->vram)
		return 0;
	/* Pages are numbered as VRAM's bytes are, and the first one may be left out of it. */
	ret = svm_memory_create(dev->dma_device, (dev->vram.bytes >> PAGE_SHIFT) + 1, &memory_ops,
				dev, &pages->memory);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

u64 svm_drm_pages_resident(struct svm_drm_device *dev)
{
	return dev->pages.memory ? svm_memory_resident(dev->pages.memory) : 0;
}
EXPORT_SYMBOL_GPL(svm_drm_pages_resident);

/* No vm is left. Pages go home, as long as the device can copy; then VRAM is free of them. */
void svm_drm_pages_stop(struct svm_drm_device *dev)
{
	struct svm_drm_pages *pages = &dev->pages;

	if (pages->memory)
		svm_memory_destroy(pages->memory);
	pages->memory = NULL;
	/* Of lost pages none comes back by free_page_of() any more. */
	spin_lock_irq(&pages->lock);
	list_splice_init(&pages->open, &pages->empty);
	list_splice_init(&pages->full, &pages->empty);
	spin_unlock_irq(&pages->lock);
	cancel_work_sync(&pages->work);
	free_empty(dev);
}

/* VRAM is about to lose its content. Return: 0, -EBUSY: some pages cannot go just now. */
int svm_drm_pages_evict_all(struct svm_drm_device *dev)
{
	struct svm_drm_pages *pages = &dev->pages;
	unsigned int rounds = 10;

	if (!pages->memory)
		return 0;
	/* Others may look at a page for a moment. */
	while (svm_memory_resident(pages->memory) && rounds--) {
		svm_memory_evict(pages->memory, 0, (dev->vram.bytes >> PAGE_SHIFT) + 1);
		if (svm_memory_resident(pages->memory))
			msleep(20);
	}
	free_empty(dev);
	return svm_memory_resident(pages->memory) ? -EBUSY : 0;
}
