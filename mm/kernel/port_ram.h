/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which physical memory is plain: ordinary RAM that has a memory map, no memory of a device.
 *
 * Loops over the pages of a fault or an unmap ask it of each page, and the pages lie where the
 * allocator found them. So the answer is kept for each section of a window.
 */
#ifndef SVM_PORT_RAM_H
#define SVM_PORT_RAM_H

#include <linux/bits.h>
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

#define SVM_RAM_SOME	16	/* words that are looked at together */

struct svm_ram svm_ram_look_all(struct svm_ram ram, u64 sections);

/* One word's part in svm_ram_alike(). */
static __always_inline void svm_ram_add(u64 word, u64 like, u64 *differ, u64 *sections)
{
	*differ |= word ^ like;
	*sections |= 1ull << (word >> SVM_RAM_SHIFT & 63);
}

/*
 * Do SVM_RAM_SOME words have @flags of the bits in @mask, and do all lead to plain memory in the
 * window? It costs half of what a look at each of them does. False where it is not worth
 * the trouble to tell.
 */
static __always_inline bool svm_ram_alike(struct svm_ram *ram, const u64 *word, u64 flags,
					  u64 mask)
{
	/* Of a page's number, what all pages of a window have in common. */
	const u64 outside = GENMASK_ULL(51, SVM_RAM_SHIFT + 6);
	u64 differ = 0, sections = 0;
	unsigned int i;

	flags |= (u64)ram->first << SVM_RAM_SHIFT;
	for (i = 0; i < SVM_RAM_SOME; i += 4) {
		svm_ram_add(word[i], flags, &differ, &sections);
		svm_ram_add(word[i + 1], flags, &differ, &sections);
		svm_ram_add(word[i + 2], flags, &differ, &sections);
		svm_ram_add(word[i + 3], flags, &differ, &sections);
	}
	sections &= ~ram->plain;
	if (differ & (mask | outside))
		return false;
	if (unlikely(sections))
		*ram = svm_ram_look_all(*ram, sections);
	return !(sections & ~ram->plain);
}

#endif
