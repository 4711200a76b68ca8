/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which physical memory is plain: ordinary RAM that has a memory map, no memory of a device.
 *
 * Loops over the pages of a fault or an unmap ask it of each page, and the pages lie where the
 * allocator found them. So the answer is kept for a run of sections, which grows as pages of
 * sections beside it turn up.
 */
#ifndef SVM_PORT_RAM_H
#define SVM_PORT_RAM_H

#include <linux/types.h>

/**
 * struct svm_ram - a run of plain memory, of one loop; begins as { 0, 0 }
 * @start: its first pfn
 * @pages: how many; whole sections
 */
struct svm_ram {
	unsigned long start;
	unsigned long pages;
};

bool svm_ram_look(struct svm_ram *ram, unsigned long pfn);

/* Does the run hold the page? If not, it may be plain all the same: svm_ram_look(). */
static inline bool svm_ram_holds(const struct svm_ram *ram, unsigned long pfn)
{
	return pfn - ram->start < ram->pages;
}

#endif
