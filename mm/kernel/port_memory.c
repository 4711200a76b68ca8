// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages in a device's memory, from svm_memory_create() to the last of them.
 *
 * They are device-private: each has a struct page, behind no address that a CPU reaches. Where
 * a process has one, its CPU's entry says so, and core mm calls svm_move_home() when
 * the CPU touches it. Such a page is named by its pfn alone; what the driver needs to
 * free it (its block) lies in zone_device_data. It names neither an mm nor an address, since
 * fork shares pages and mremap moves them.
 *
 * The end. svm_memory_destroy() sends home what it can. What cannot be copied any more stays as it
 * is, the pagemap with it, until the processes that have it unmap it or die; a touch is
 * SIGBUS. The driver may be gone by then, so none of its functions is called: @gone.
 */
#include <linux/delay.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "port_memory.h"

static void end(struct svm_memory *memory)
{
	memunmap_pages(&memory->pgmap);
	release_mem_region(memory->pgmap.range.start, range_len(&memory->pgmap.range));
	cleanup_srcu_struct(&memory->users);
	kfree(memory);
	atomic_long_dec(&svm_live.memories);
}

static void end_in_worker(struct work_struct *work)
{
	end(container_of(work, struct svm_memory, end_work));
	/* svmirror_exit() waits for this to return: it ends the queue. */
	module_put(THIS_MODULE);
}

static void page_freed(struct page *page)
{
	struct svm_memory *memory = svm_memory_of(page);
	struct svm_memory_page freed = {
		.page = svm_memory_index(memory, page),
		.block = page->zone_device_data,
	};
	int section = srcu_read_lock(&memory->users);

	/* With the WRITE_ONCE() in svm_memory_destroy(), which then waits for this section. */
	if (!READ_ONCE(memory->gone))
		memory->ops->free(memory->arg, &freed);
	srcu_read_unlock(&memory->users, section);
	/* Only after svm_memory_destroy(). memunmap_pages() waits for what core mm does yet. */
	if (atomic_long_dec_and_test(&memory->used))
		svm_work_queue(&memory->end_work);
}

#ifdef HAVE_PGMAP_FOLIO_FREE
static void folio_freed(struct folio *folio)
{
	page_freed(&folio->page);
}
#endif

static const struct dev_pagemap_ops pagemap_ops = {
#ifdef HAVE_PGMAP_FOLIO_FREE
	.folio_free = folio_freed,
#else
	.page_free = page_freed,
#endif
	.migrate_to_ram = svm_move_home,
};

/* The struct page of what the driver found: locked, with one reference. */
struct page *svm_memory_take(struct svm_memory *memory, const struct svm_memory_page *from)
{
	struct page *page = pfn_to_page(memory->first + from->page);

	atomic_long_inc(&memory->used);
	page->zone_device_data = from->block;
#ifdef HAVE_PGMAP_FOLIO_FREE
	zone_device_page_init(page, &memory->pgmap, 0);
#else
	zone_device_page_init(page);
#endif
	return page;
}

static int map_pages(struct svm_memory *memory)
{
	/* Core mm wants whole sections. What lies behind @pages is never handed out. */
	u64 bytes = ALIGN(memory->pages << PAGE_SHIFT, 1ull << PA_SECTION_SHIFT);
	struct resource *region;
	void *mapped;

	region = request_free_mem_region(&iomem_resource, bytes, "svmirror");
	if (IS_ERR(region))
		return PTR_ERR(region);
	memory->pgmap.type = MEMORY_DEVICE_PRIVATE;
	memory->pgmap.range.start = region->start;
	memory->pgmap.range.end = region->end;
	memory->pgmap.nr_range = 1;
	memory->pgmap.ops = &pagemap_ops;
	memory->pgmap.owner = memory;
	mapped = memremap_pages(&memory->pgmap, dev_to_node(memory->dev));
	if (IS_ERR(mapped)) {
		release_mem_region(region->start, bytes);
		return PTR_ERR(mapped);
	}
	memory->first = PHYS_PFN(region->start);
	return 0;
}

int svm_memory_create(struct device *dev, u64 pages, const struct svm_memory_ops *ops, void *arg,
		      struct svm_memory **out)
{
	struct svm_memory *memory;
	int err;

	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE) || !IS_ENABLED(CONFIG_MIGRATION))
		return -EOPNOTSUPP;
	if (!dev || !ops || !pages || pages > PHYS_PFN(PHYS_ADDR_MAX))
		return -EINVAL;
	memory = kzalloc(sizeof(*memory), GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	memory->dev = dev;
	memory->ops = ops;
	memory->arg = arg;
	memory->pages = pages;
	atomic_long_set(&memory->used, 1);
	INIT_WORK(&memory->end_work, end_in_worker);
	err = init_srcu_struct(&memory->users);
	if (err)
		goto fail_alloc;
	err = map_pages(memory);
	if (err)
		goto fail_srcu;
	atomic_long_inc(&svm_live.memories);
	*out = memory;
	return 0;

fail_srcu:
	cleanup_srcu_struct(&memory->users);
fail_alloc:
	kfree(memory);
	return err;
}
EXPORT_SYMBOL_GPL(svm_memory_create);

u64 svm_memory_resident(const struct svm_memory *memory)
{
	return atomic_long_read(&memory->used) - 1;
}
EXPORT_SYMBOL_GPL(svm_memory_resident);

#define EVICT_ROUNDS	20	/* of EVICT_PAUSE ms: so long others may look at a page */
#define EVICT_PAUSE	20

void svm_memory_destroy(struct svm_memory *memory)
{
	struct device *dev = memory->dev;
	unsigned int round;
	u64 lost;

	for (round = 0; round < EVICT_ROUNDS && svm_memory_resident(memory); round++) {
		if (round)
			msleep(EVICT_PAUSE);
		/* The device cannot copy any more. */
		if (svm_memory_evict(memory, 0, memory->pages) < 0)
			break;
	}
	/* With the READ_ONCE()s in the sections. */
	WRITE_ONCE(memory->gone, true);
	synchronize_srcu(&memory->users);
	/* In case it is the last page's freer who takes it down. */
	__module_get(THIS_MODULE);
	lost = svm_memory_resident(memory);
	if (!atomic_long_dec_and_test(&memory->used)) {
		dev_warn(dev, "processes lose %llu pages that were in its memory\n", lost);
		return;
	}
	end(memory);
	module_put(THIS_MODULE);
}
EXPORT_SYMBOL_GPL(svm_memory_destroy);
