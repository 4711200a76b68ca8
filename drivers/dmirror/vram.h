/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory of a device in software.
 */
#ifndef SVM_DMIRROR_VRAM_H
#define SVM_DMIRROR_VRAM_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct device;
struct page;
struct svm_memory;

/**
 * struct vram - a device's memory
 * @memory: what processes have of it; NULL: the kernel has no device-private memory
 * @pages: by their number, the kernel's pages that hold what the device's pages do
 * @refuse: 1: find no room when it is asked for next
 */
struct vram {
	struct svm_memory *memory;
	struct xarray pages;
	atomic_t refuse;
};

int vram_init(struct vram *vram, struct device *dma);
void vram_exit(struct vram *vram);
void vram_evict(struct vram *vram);
struct page *vram_page(struct vram *vram, u64 addr);

#endif
