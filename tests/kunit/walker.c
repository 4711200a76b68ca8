// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads page tables as the device would, by the virtual GPU's walkers (tools/svgpud/mmu), which
 * were written from the layouts alone.
 */
#include <linux/bitops.h>

#include "svm_kunit.h"
#include "tools/svgpud/mmu/mmu.h"

struct reader {
	const struct backend *b;
	bool nowhere;	/* an entry was read that can lie in no table */
};

static u64 read_entry(void *context, u64 address, u32 aperture)
{
	struct reader *r = context;
	const u64 *entry = backend_entry(r->b, address, aperture == MMU_VRAM);

	if (entry)
		return READ_ONCE(*entry);
	r->nowhere = true;
	return 0;
}

static const char *translate(const struct backend *b, const struct mmu *mmu,
			     const struct svm_table_mem *root, u64 va,
			     struct mmu_translation *found)
{
	struct reader r = { .b = b };
	const struct mmu_memory memory = { .read = read_entry, .context = &r };

	memset(found, 0, sizeof(*found));
	mmu->walk(&memory, root->addr, root->aperture, va, found);
	if (r.nowhere)
		return "a link to no table";
	return found->what == MMU_MALFORMED ? found->wrong : NULL;
}

/* Each page of a block that the device may take as one says the same as the others. */
static const char *check_block(const struct backend *b, const struct mmu *mmu,
			       const struct svm_table_mem *root, u64 va,
			       const struct mmu_translation *block)
{
	u64 start = va & ~(BIT_ULL(block->lg2) - 1), at;
	struct mmu_translation found;

	for (at = start; at - start < BIT_ULL(block->lg2); at += PAGE_SIZE) {
		const char *wrong = translate(b, mmu, root, at, &found);

		if (wrong)
			return wrong;
		if (found.what != MMU_MAPPED || found.address != block->address ||
		    found.lg2 != block->lg2 || found.write != block->write ||
		    found.atomic != block->atomic || found.null != block->null)
			return "a block whose pages differ";
	}
	return NULL;
}

const char *walk(const struct backend *b, const char *format, const struct svm_table_mem *root,
		 u64 va, struct leaf *leaf)
{
	const struct mmu *mmu = mmu_find(format);
	struct mmu_translation found;
	const char *wrong;

	memset(leaf, 0, sizeof(*leaf));
	if (!mmu)
		return "a format without a walker";
	if (va >> mmu->va_bits)
		return "an address that the device does not have";
	wrong = translate(b, mmu, root, va, &found);
	if (wrong)
		return wrong;
	leaf->links = hweight32(found.links);
	if (found.what == MMU_ABSENT)
		return NULL;
	if (!found.read || (found.atomic && !found.write))
		return "a leaf that allows atomics or writing without what they need";
	leaf->present = true;
	leaf->write = found.write;
	leaf->atomic = found.atomic;
	leaf->vram = found.aperture == MMU_VRAM;
	leaf->null = found.null;
	leaf->coherent = found.cache == MMU_COHERENT;
	leaf->lg2 = found.lg2;
	leaf->addr = found.address + (va & (BIT_ULL(found.lg2) - 1) & PAGE_MASK);
	/* Larger ones are one leaf each. Once a block is enough: at its first page. */
	if (found.lg2 > PAGE_SHIFT && found.lg2 < 21 && !(va & (BIT_ULL(found.lg2) - 1)))
		return check_block(b, mmu, root, va, &found);
	return NULL;
}
