// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intel Xe2. Tables of 512 entries of 8 bytes resolve 47:39, 38:30, 29:21 and 20:12.
 *
 *	0 present, 1 writable, 3 4 PAT0-1, 6 (29:21 only) the child is a table of 32 pages of 64
 *	KiB, 7 PAT2 in the last level and "leaf" at 29:21 and 38:30, 8 one of 16 that make up 64 KiB
 *	(last level), 9 null, 10 atomics, 11 device memory, 12 PAT2 in a large leaf, 51:12 address,
 *	61 PAT4, 62 PAT3
 *
 * An access may write if all entries on its way are writable. Atomics and null are the leaf's
 * alone. PAT index 2 is cached and coherent, 0 and 13 are cached and not, 3 is uncached.
 */
#include "mmu.h"

static u8 cache_of(u64 e, bool large)
{
	u32 pat = mmu_bits(e, 4, 3) | mmu_bits(e, large ? 12 : 7, large ? 12 : 7) << 2 |
		  mmu_bits(e, 62, 62) << 3 | mmu_bits(e, 61, 61) << 4;

	switch (pat) {
	case 2:
		return MMU_COHERENT;
	case 0:
	case 13:
		return MMU_NONCOHERENT;
	case 3:
		return MMU_UNCACHED;
	default:
		return MMU_OTHER;
	}
}

static void read_leaf(u64 va, u64 e, u32 shift, bool write, struct mmu_translation *found)
{
	bool large = shift > 16, group = shift == 12 && mmu_bits(e, 8, 8);
	u64 addr = mmu_bits(e, 51, 12) << 12;

	if (large)
		addr &= ~(1ull << 12);
	if (mmu_bits(e, 6, 6) || (large && mmu_bits(e, 8, 8))) {
		mmu_malformed(found, "a leaf with bits of a link or of a smaller leaf");
		return;
	}
	found->read = true;
	found->write = write && mmu_bits(e, 1, 1);
	found->atomic = mmu_bits(e, 10, 10);
	found->null = mmu_bits(e, 9, 9);
	found->aperture = mmu_bits(e, 11, 11) ? MMU_VRAM : MMU_SYSTEM;
	found->cache = cache_of(e, large);
	if (found->null)
		addr = va & ((1ull << (group ? 16 : shift)) - 1) & ~((1ull << shift) - 1);
	mmu_block(found, va, addr, shift, group ? 16 : shift);
}

static void walk(const struct mmu_memory *memory, u64 table, u32 aperture, u64 va,
		 struct mmu_translation *found)
{
	bool write = true;
	u32 shift = 39;

	while (!(va >> 48)) {
		u64 index = (va >> shift) & (shift == 16 ? 31 : 511);
		u64 e = mmu_read(memory, table, aperture, index * 8, shift, found);

		if (!mmu_bits(e, 0, 0))
			return;
		if (mmu_bits(e, 2, 2) || mmu_bits(e, 5, 5) || mmu_bits(e, 60, 52) ||
		    mmu_bits(e, 63, 63)) {
			mmu_malformed(found, "reserved bits");
			return;
		}
		if (shift <= 16 || (shift < 39 && mmu_bits(e, 7, 7))) {
			read_leaf(va, e, shift, write, found);
			return;
		}
		if (mmu_bits(e, 10, 7) || mmu_bits(e, 62, 61) ||
		    (shift != 21 && mmu_bits(e, 6, 6))) {
			mmu_malformed(found, "a link with bits of a leaf");
			return;
		}
		mmu_follow(found, found->entries - 1);
		write &= mmu_bits(e, 1, 1);
		table = mmu_bits(e, 51, 12) << 12;
		aperture = mmu_bits(e, 11, 11) ? MMU_VRAM : MMU_SYSTEM;
		shift = mmu_bits(e, 6, 6) ? 16 : shift - 9;
	}
}

const struct mmu mmu_xe2 = { .name = "xe2", .va_bits = 48, .walk = walk };
