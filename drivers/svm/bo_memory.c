// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of buffer objects: pages of shmem, which the device reaches by DMA, and what they
 * hold.
 *
 * All of it is under the buffer's resv lock.
 */
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include <drm/drm_prime.h>

#include "bo.h"

/* Does the device reach the memory itself, and not a bounced copy of it? */
bool svm_drm_is_reached(struct device *dma_device, struct sg_table *table)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_dma_sg(table, sg, i) {
		if (dma_need_sync(dma_device, sg_dma_address(sg)))
			return false;
	}
	return true;
}

static int map_pages(struct svm_drm_bo *bo, struct page **pages)
{
	struct device *dma_device = bo->dev->dma_device;
	struct sg_table *table;
	int ret;

	table = drm_prime_pages_to_sg(bo->gem.dev, pages, svm_drm_bo_pages(bo));
	if (IS_ERR(table))
		return PTR_ERR(table);
	ret = dma_map_sgtable(dma_device, table, DMA_BIDIRECTIONAL, 0);
	if (!ret && !svm_drm_is_reached(dma_device, table)) {
		dma_unmap_sgtable(dma_device, table, DMA_BIDIRECTIONAL, 0);
		ret = -EIO;
	}
	if (ret) {
		sg_free_table(table);
		kfree(table);
		return ret;
	}
	bo->table = table;
	return 0;
}

/* Gives a buffer pages of system memory, mapped for the device. Return: 0, -ENOMEM, -EIO. */
int svm_drm_bo_take_pages(struct svm_drm_bo *bo)
{
	struct page **pages = drm_gem_get_pages(&bo->gem);
	int ret;

	if (IS_ERR(pages))
		return PTR_ERR(pages);
	ret = map_pages(bo, pages);
	if (ret) {
		drm_gem_put_pages(&bo->gem, pages, false, false);
		return ret;
	}
	bo->pages = pages;
	return 0;
}

/* The device reaches the pages no more. */
void svm_drm_bo_unmap_pages(struct svm_drm_bo *bo)
{
	dma_unmap_sgtable(bo->dev->dma_device, bo->table, DMA_BIDIRECTIONAL, 0);
	sg_free_table(bo->table);
	kfree(bo->table);
	bo->table = NULL;
}

/* The content has been copied to VRAM, or goes with the buffer. */
void svm_drm_bo_give_pages(struct svm_drm_bo *bo)
{
	drm_gem_put_pages(&bo->gem, bo->pages, false, false);
	bo->pages = NULL;
	shmem_truncate_range(file_inode(bo->gem.filp), 0, (loff_t)-1);
}

static void copy_one(struct page *page, void __iomem *vram, enum svm_drm_copy what)
{
	void *cpu = page ? kmap_local_page(page) : NULL;

	if (what == SVM_DRM_COPY_IN)
		memcpy_toio(vram, cpu, PAGE_SIZE);
	else if (what == SVM_DRM_COPY_OUT)
		memcpy_fromio(cpu, vram, PAGE_SIZE);
	else
		memset_io(vram, 0, PAGE_SIZE);
	if (cpu)
		kunmap_local(cpu);
}

/* Between the pages and VRAM, of which the buffer has both; or VRAM alone. */
void svm_drm_bo_copy(struct svm_drm_bo *bo, enum svm_drm_copy what)
{
	struct svm_drm_vram_block *block;
	unsigned int i = 0;
	u64 at;

	list_for_each_entry(block, &bo->blocks, link) {
		for (at = 0; at < block->bytes; at += PAGE_SIZE, i++) {
			copy_one(what == SVM_DRM_COPY_ZERO ? NULL : bo->pages[i],
				 bo->dev->vram.cpu + block->start + at, what);
			cond_resched();
		}
	}
	/* What was written is seen before anything leads there: pairs with the device's walk. */
	wmb();
}
