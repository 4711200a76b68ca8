/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which physical memory is plain: ordinary RAM that has a memory map, no memory of a device.
 *
 * Loops over the pages of a fault or an unmap ask it of each page, and the pages lie where the
 * allocator found them. So the answer is kept for each section of a window.
 */
#ifndef SVM_PORT_RAM_H
#define SVM_PORT_RAM_H

#include <linux/mmzone.h>
#include <linux/types.h>

#ifdef CONFIG_SPARSEMEM
#define SVM_RAM_SHIFT	PFN_SECTION_SHIFT
#else
#define SVM_RAM_SHIFT	0
#endif

/**
 * struct svm_ram - sections that one loop knows to be plain; begins as { 0, 0 }
 * @first: the first section of the window
 * @plain: bit n: section @first + n is plain
 */
struct svm_ram {
	unsigned long first;
	u64 plain;
};

bool svm_ram_look(struct svm_ram *ram, unsigned long pfn);

/* Is the page known to be plain? If not, it may be all the same: svm_ram_look(). */
static inline bool svm_ram_holds(const struct svm_ram *ram, unsigned long pfn)
{
	unsigned long n = (pfn >> SVM_RAM_SHIFT) - ram->first;

	return n < 64 && ram->plain >> n & 1;
}

#endif
