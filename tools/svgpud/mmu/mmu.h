/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How devices read their page tables: one walker per format, written from the published layout and
 * never from the encoder in mm/fmt, so that the two can be held against each other. Plain C without
 * a library, so that programs, tests and kernel modules can use the same files.
 *
 * A walker refuses what a device cannot have been meant to see: reserved bits, addresses that are
 * not aligned, a block whose entries disagree about where it begins.
 */
#ifndef SVGPUD_MMU_H
#define SVGPUD_MMU_H

#if defined(__KERNEL__)
#include <linux/stddef.h>
#endif
#if defined(__KERNEL__) || defined(__cplusplus)
#include <svm/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
typedef __UINT8_TYPE__ u8;
typedef __UINT32_TYPE__ u32;
typedef unsigned long long u64;
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum mmu_outcome {
	MMU_ABSENT, /* a fault */
	MMU_MAPPED,
	MMU_MALFORMED, /* see mmu_translation.wrong */
};

enum mmu_aperture {
	MMU_SYSTEM = 0,
	MMU_VRAM = 1,
};

enum mmu_cache {
	MMU_COHERENT, /* cached; the CPU's caches are snooped */
	MMU_NONCOHERENT,
	MMU_UNCACHED,
	MMU_OTHER,
};

/* What a walk found. The TLB may keep it for the whole aligned block of 2^lg2 bytes. */
struct mmu_translation {
	enum mmu_outcome what;
	u64 address; /* that the block's first byte leads to */
	u32 lg2;
	u8 aperture;
	u8 cache;
	bool read;
	bool write;
	bool atomic;
	bool null; /* reads zero, drops writes; no address */
	u8 entries; /* that were read */
	u32 links; /* bit n: entry n led on to another table; a device may keep it, too */
	const char *wrong;
};

/* The device's way to memory: 8 bytes, which lie in it as a little-endian number. */
struct mmu_memory {
	u64 (*read)(void *context, u64 address, u32 aperture);
	void *context;
	/*
	 * Does the device have entry n of this walk, which stands for 2^lg2 bytes, from an earlier
	 * one? Then the entry is not read. NULL: the device keeps none.
	 */
	bool (*kept)(void *context, u32 n, u32 lg2, u64 *entry);
};

struct mmu {
	const char *name; /* as svm_format_find() has it */
	u32 va_bits;
	void (*walk)(const struct mmu_memory *memory, u64 root, u32 aperture, u64 va,
		     struct mmu_translation *found);
};

extern const struct mmu mmu_xe2, mmu_nv_v2, mmu_nv_v3, mmu_amd_gfx9, mmu_amd_gfx12, mmu_mlx5_odp;

/* The walker of that name, or NULL. */
const struct mmu *mmu_find(const char *name);

#ifdef __cplusplus
}
#endif

/* ---- for the walkers ---- */

static inline u64 mmu_bits(u64 word, u32 high, u32 low)
{
	return (word >> low) & ((2ull << (high - low)) - 1);
}

/* An entry for 2^lg2 bytes. */
static inline u64 mmu_read(const struct mmu_memory *memory, u64 table, u32 aperture, u64 offset,
			   u32 lg2, struct mmu_translation *found)
{
	u32 n = found->entries++;
	u64 entry;

	if (memory->kept && memory->kept(memory->context, n, lg2, &entry))
		return entry;
	return memory->read(memory->context, table + offset, aperture);
}

/* The walk goes on where entry n leads. */
static inline void mmu_follow(struct mmu_translation *found, u32 n)
{
	found->links |= 1u << n;
}

static inline void mmu_malformed(struct mmu_translation *found, const char *wrong)
{
	found->what = MMU_MALFORMED;
	found->wrong = wrong;
}

/* The block of 2^lg2 bytes around va, of which a part of 2^part bytes leads to addr. */
static inline void mmu_block(struct mmu_translation *found, u64 va, u64 addr, u32 part, u32 lg2)
{
	u64 inside = (1ull << lg2) - 1, below = (1ull << part) - 1;

	if ((addr & inside & ~below) != (va & inside & ~below) || (addr & below)) {
		mmu_malformed(found, "an address that does not fit the block's size");
		return;
	}
	found->what = MMU_MAPPED;
	found->address = addr & ~inside;
	found->lg2 = lg2;
}

#endif
