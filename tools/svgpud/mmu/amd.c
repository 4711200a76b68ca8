// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMD GFX9 and GFX12. Tables of 512 entries of 8 bytes resolve 47:39 (PDB2), 38:30 (PDB1), 29:21
 * (PDB0) and 20:12 (PTB).
 *
 *	0 valid, 1 system, 2 snooped, 3 encrypted, 4 executable, 5 readable, 6 writeable,
 *	11:7 fragment, 47:12 address of a page, 47:6 of a table
 *	GFX9:  51 PRT, 54 leaf (in PDB0 and PDB1), 56 TF, 58:57 MTYPE, 63:59 block fragment size
 *	of a PDE
 *	GFX12: 55:54 MTYPE, 56 PRT, 58 compressed, 59 bus atomics, 63 leaf (in PTBs too)
 *
 * PRT counts in a word that is not valid. A fragment of n says that 2^n pages around are one block;
 * a leaf of a PDB is 2^9 or 2^18 pages by its place. MTYPE 0 is cached, 3 is not.
 */
#include "mmu.h"

struct generation {
	u32 prt, leaf, mtype;
	bool leaf_in_ptb;
	u64 reserved; /* of a leaf that is valid */
};

static void read_leaf(const struct generation *g, u64 va, u64 e, u32 shift,
		      struct mmu_translation *found)
{
	u32 fragment = mmu_bits(e, 11, 7), mtype = mmu_bits(e, g->mtype + 1, g->mtype);
	u64 addr = mmu_bits(e, 47, 12) << 12;

	if (e & g->reserved) {
		mmu_malformed(found, "reserved bits");
		return;
	}
	if (shift > 12 && fragment != shift - 12) {
		mmu_malformed(found, "a large leaf whose fragment is not its size");
		return;
	}
	if (!mmu_bits(e, 1, 1) && mmu_bits(e, 2, 2)) {
		mmu_malformed(found, "snooping of the device's own memory");
		return;
	}
	found->read = mmu_bits(e, 5, 5);
	found->write = mmu_bits(e, 6, 6);
	found->atomic = found->write;
	found->aperture = mmu_bits(e, 1, 1) ? MMU_SYSTEM : MMU_VRAM;
	found->cache = mtype == 3 ? MMU_UNCACHED : mtype ? MMU_OTHER : MMU_COHERENT;
	if (found->cache == MMU_COHERENT && found->aperture == MMU_SYSTEM && !mmu_bits(e, 2, 2))
		found->cache = MMU_NONCOHERENT;
	mmu_block(found, va, addr, shift, 12 + fragment);
}

static void null(u64 va, u32 shift, struct mmu_translation *found)
{
	found->read = true;
	found->write = true;
	found->atomic = true;
	found->null = true;
	mmu_block(found, va, 0, shift, shift);
}

static void walk(const struct generation *g, const struct mmu_memory *memory, u64 table,
		 u32 aperture, u64 va, struct mmu_translation *found)
{
	u32 shift = 39;

	while (!(va >> 48)) {
		u64 e = mmu_read(memory, table, aperture, ((va >> shift) & 511) * 8, shift, found);
		bool is_leaf = shift == 12 || mmu_bits(e, g->leaf, g->leaf);

		/* An entry that is not a leaf cannot be PRT. */
		if (!mmu_bits(e, 0, 0)) {
			if (mmu_bits(e, g->prt, g->prt) && is_leaf)
				null(va, shift, found);
			return;
		}
		if (is_leaf && shift == 39) {
			mmu_malformed(found, "a leaf of 512 GiB");
			return;
		}
		if (is_leaf) {
			if (g->leaf_in_ptb && !mmu_bits(e, g->leaf, g->leaf))
				mmu_malformed(found, "a page without the leaf bit");
			else
				read_leaf(g, va, e, shift, found);
			return;
		}
		if (mmu_bits(e, 6, 3) || mmu_bits(e, 63, 48)) {
			mmu_malformed(found, "a link with bits of a leaf");
			return;
		}
		mmu_follow(found, found->entries - 1);
		table = mmu_bits(e, 47, 6) << 6;
		aperture = mmu_bits(e, 1, 1) ? MMU_SYSTEM : MMU_VRAM;
		shift -= 9;
	}
}

static void walk_gfx9(const struct mmu_memory *memory, u64 root, u32 aperture, u64 va,
		      struct mmu_translation *found)
{
	/* 53:48 and TMZ; LOG, TF, and 63:59 in a leaf */
	static const struct generation gfx9 = {
		.prt = 51,
		.leaf = 54,
		.mtype = 57,
		.leaf_in_ptb = false,
		.reserved = 0x3full << 48 | 3ull << 55 | 0x1full << 59 | 1ull << 3,
	};

	walk(&gfx9, memory, root, aperture, va, found);
}

static void walk_gfx12(const struct mmu_memory *memory, u64 root, u32 aperture, u64 va,
		       struct mmu_translation *found)
{
	/* 53:48, PRT of a valid page, 57 and 62:60, TMZ */
	static const struct generation gfx12 = {
		.prt = 56,
		.leaf = 63,
		.mtype = 54,
		.leaf_in_ptb = true,
		.reserved = 0x3full << 48 | 3ull << 56 | 7ull << 60 | 1ull << 3,
	};

	walk(&gfx12, memory, root, aperture, va, found);
}

const struct mmu mmu_amd_gfx9 = { .name = "amd_gfx9", .va_bits = 48, .walk = walk_gfx9 };
const struct mmu mmu_amd_gfx12 = { .name = "amd_gfx12", .va_bits = 48, .walk = walk_gfx12 };
