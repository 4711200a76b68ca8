// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of processes' pages, between VRAM and system memory.
 *
 * They are operations of the sync ring: a list of pages each, in memory that the device reads. So
 * they are done in order with flushes: a page that goes home is copied after each flush that
 * was asked for before. There is a fixed number of lists. A copy that finds none waits for others'
 * copies, which the device ends in some 100 us, or it is wedged.
 */
#include <linux/dma-mapping.h>

#include "svgpu.h"

#define LIST_MAX	512
#define LIST_BYTES	(LIST_MAX * sizeof(struct svgpu_copy))
#define TOKEN(seq, list) ((seq) * SVGPU_COPIES + (list))

int svgpu_copies_init(struct svgpu_device *dev)
{
	struct svgpu_copies *copies = &dev->copies;
	unsigned int i;

	sema_init(&copies->free, SVGPU_COPIES);
	for (i = 0; i < SVGPU_COPIES; i++) {
		copies->list[i] = dma_alloc_coherent(&dev->pdev->dev, LIST_BYTES,
						     &copies->bus[i], GFP_KERNEL);
		if (!copies->list[i])
			return -ENOMEM;
	}
	return 0;
}

/* Also after svgpu_copies_init() failed. */
void svgpu_copies_fini(struct svgpu_device *dev)
{
	struct svgpu_copies *copies = &dev->copies;
	unsigned int i;

	for (i = 0; i < SVGPU_COPIES && copies->list[i]; i++)
		dma_free_coherent(&dev->pdev->dev, LIST_BYTES, copies->list[i], copies->bus[i]);
}

static unsigned int take_list(struct svgpu_copies *copies)
{
	unsigned long used;
	unsigned int i;

	down(&copies->free);
	/* One is free for each that the semaphore let pass. A stale look costs another turn. */
	do {
		used = READ_ONCE(copies->used);
		i = find_first_zero_bit(&used, SVGPU_COPIES);
	} while (i >= SVGPU_COPIES || test_and_set_bit_lock(i, &copies->used));
	return i;
}

static void give_list(struct svgpu_copies *copies, unsigned int i)
{
	clear_bit_unlock(i, &copies->used);
	up(&copies->free);
}

/* For svm_drm_ops.copy_begin. */
u64 svgpu_copy_begin(struct svm_drm_device *svm, const struct svm_copy *copies, u32 n, bool into)
{
	struct svgpu_device *dev = container_of(svm, struct svgpu_device, svm);
	unsigned int i = take_list(&dev->copies);
	struct svgpu_copy *list = dev->copies.list[i];
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_COPY,
		.address = dev->copies.bus[i],
		.end = n,
		.aperture = into ? SVGPU_VRAM : SVGPU_SYSTEM,
	};
	u32 k;

	if (WARN_ON_ONCE(n > LIST_MAX))
		return TOKEN(0, i);
	for (k = 0; k < n; k++) {
		list[k].vram = copies[k].page << PAGE_SHIFT;
		list[k].system = copies[k].dma == SVM_COPY_ZERO ? SVGPU_COPY_ZERO : copies[k].dma;
	}
	return TOKEN(svgpu_sync_begin(dev, &op, NULL), i);
}

/* For svm_drm_ops.copy_wait. */
int svgpu_copy_wait(struct svm_drm_device *svm, u64 token)
{
	struct svgpu_device *dev = container_of(svm, struct svgpu_device, svm);
	u64 seq = token / SVGPU_COPIES;

	svgpu_sync_wait(dev, seq, true);
	give_list(&dev->copies, token % SVGPU_COPIES);
	return !seq || svgpu_error(dev) ? -EIO : 0;
}
