// SPDX-License-Identifier: GPL-2.0-only
/*
 * mlx5's tables of an on-demand region. Big-endian. A region is found by its key, and here a key
 * stands for the place of its table.
 *
 *	KSM, 16 bytes: 4 bytes reserved, 4 key, 8 address in that region.
 *		Three levels: 47:39, 38:30, 29:21.
 *	MTT,  8 bytes: DMA address, bit 0 it may be read, bit 1 it may be written. 20:12.
 */
#include "mmu.h"

static u64 big_endian(u64 word)
{
	return __builtin_bswap64(word);
}

static void walk(const struct mmu_memory *memory, u64 region, u32 aperture, u64 va,
		 struct mmu_translation *found)
{
	u32 shift;
	u64 e;

	if (va >> 48)
		return;
	for (shift = 39; shift > 12; shift -= 9) {
		u64 at = ((va >> shift) & 511) * 16;

		e = big_endian(mmu_read(memory, region, aperture, at, shift, found));
		if (!e)
			return;
		if (e >> 32 || mmu_read(memory, region, aperture, at + 8, shift, found)) {
			mmu_malformed(found,
				      "a KSM with reserved bits, or into the middle of a region");
			return;
		}
		mmu_follow(found, found->entries - 2);
		mmu_follow(found, found->entries - 1);
		region = e;
	}
	e = big_endian(mmu_read(memory, region, aperture, ((va >> 12) & 511) * 8, 12, found));
	if (!mmu_bits(e, 1, 0))
		return;
	if (mmu_bits(e, 11, 2)) {
		mmu_malformed(found, "reserved bits");
		return;
	}
	found->read = mmu_bits(e, 0, 0);
	found->write = mmu_bits(e, 1, 1);
	found->atomic = found->write;
	found->aperture = MMU_SYSTEM;
	found->cache = MMU_COHERENT;
	mmu_block(found, va, e & ~0xfffull, 12, 12);
}

const struct mmu mmu_mlx5_odp = { .name = "mlx5_odp", .va_bits = 48, .walk = walk };
