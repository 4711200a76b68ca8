// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a device in software, which processes may have pages in.
 *
 * What a page of it holds lies in a page of the kernel's that is found by the device page's
 * number. It is taken when svmirror asks for room, and given back with the device page. So the
 * memory costs what is in it, and it is full when the kernel has no page left, or at VRAM_BYTES.
 * The copy engine is memcpy(), done when a copy begins.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <svm/memory.h>

#include "vram.h"

#define VRAM_BYTES	SZ_256M
#define VRAM_PAGES	(VRAM_BYTES / PAGE_SIZE)

static int take_one(struct vram *vram, struct svm_memory_page *out)
{
	struct page *page = alloc_page(GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	u32 number;
	int ret;

	if (!page)
		return -ENOMEM;
	ret = xa_alloc_irq(&vram->pages, &number, page, XA_LIMIT(0, VRAM_PAGES - 1), GFP_KERNEL);
	if (ret) {
		__free_page(page);
		return ret;
	}
	out->page = number;
	out->block = page;
	return 0;
}

static int vram_alloc(void *arg, struct svm_memory_page *pages, u32 n)
{
	struct vram *vram = arg;
	u32 got = 0;

	if (atomic_xchg(&vram->refuse, 0))
		return 0;
	while (got < n && !take_one(vram, pages + got))
		got++;
	return got;
}

static void vram_free(void *arg, const struct svm_memory_page *page)
{
	struct vram *vram = arg;
	unsigned long flags;

	xa_lock_irqsave(&vram->pages, flags);
	__xa_erase(&vram->pages, page->page);
	xa_unlock_irqrestore(&vram->pages, flags);
	__free_page(page->block);
}

/* No IOMMU is in between, see dmirror_init(): the address for DMA is the memory's own. */
static u64 copy_begin(void *arg, const struct svm_copy *copy, u32 n, bool into)
{
	for (; n--; copy++) {
		struct page *ours = vram_page(arg, copy->page << PAGE_SHIFT);

		if (copy->dma == SVM_COPY_ZERO)
			clear_highpage(ours);
		else if (into)
			copy_highpage(ours, pfn_to_page(PHYS_PFN(copy->dma)));
		else
			copy_highpage(pfn_to_page(PHYS_PFN(copy->dma)), ours);
	}
	return 0;
}

static int copy_wait(void *arg, u64 token)
{
	return 0;
}

static const struct svm_memory_ops vram_ops = {
	.alloc = vram_alloc,
	.free = vram_free,
	.copy_begin = copy_begin,
	.copy_wait = copy_wait,
};

/* What the device's page at @addr holds, while a leaf or a copy has it. */
struct page *vram_page(struct vram *vram, u64 addr)
{
	return xa_load(&vram->pages, addr >> PAGE_SHIFT);
}

/* Sends home what can go. */
void vram_evict(struct vram *vram)
{
	if (vram->memory && svm_memory_resident(vram->memory))
		svm_memory_evict(vram->memory, 0, VRAM_PAGES);
}

/* @dma: for copies. Return: 0, also where the kernel has no such memory. */
int vram_init(struct vram *vram, struct device *dma)
{
	int ret;

	xa_init_flags(&vram->pages, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
	ret = svm_memory_create(dma, VRAM_PAGES, &vram_ops, vram, &vram->memory);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* No file is open. What processes cannot get back any more is lost to them. */
void vram_exit(struct vram *vram)
{
	unsigned long number;
	struct page *page;

	if (vram->memory)
		svm_memory_destroy(vram->memory);
	vram->memory = NULL;
	xa_for_each(&vram->pages, number, page)
		__free_page(page);
	xa_destroy(&vram->pages);
}
