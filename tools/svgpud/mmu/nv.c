// SPDX-License-Identifier: GPL-2.0-only
/*
 * NVIDIA's MMU v2 and v3. Directories of 8-byte entries, then one of 256 dual entries of 16 bytes
 * (28:21), below each of which there may be a table of 32 big pages (20:16) and one of 512 small
 * pages (20:12), 8 bytes each.
 *
 *	v2 page: 0 valid, 2:1 aperture (0 VRAM, 1 peer, 2 system coherent, 3 not coherent),
 *		3 volatile, 5 privileged, 6 read-only, 7 no atomics, 53:8 address >> 12, 63:56 kind
 *	v3 page: 0 valid, 2:1 aperture, 7:3 PCF (3 uncached, 4 privileged, 5 read-only,
 *		6 no atomics, 7 no access counters), 11:8 kind, 51:12 address
 *	v2 PDE: 2:1 aperture (0 invalid, 1 VRAM, 2, 3 system), 3 volatile, 53:8 address >> 12
 *	v3 PDE: 2:1 aperture, 5:3 PCF, 51:12 address
 *	dual: the big half in the low 8 bytes (its address in units of 256 bytes, from bit 4 on
 *		in v2, from bit 8 on in v3), the small half in the high 8
 *
 * Not valid: volatile (v2) or PCF 1 (v3) is sparse. In a big page, privileged alone (v2) or PCF 3
 * (v3) hides the small pages below. The MMU looks at the big page first; one that is neither valid
 * nor sparse nor hides leaves it to the small ones.
 */
#include "mmu.h"

struct version {
	bool three;
	u32 root_shift;
	u32 root_entries;
	u32 large_leaves; /* levels, by the bit of their shift, that have leaves */
};

enum word { WORD_NOTHING, WORD_HIDES, WORD_SPARSE, WORD_PAGE };

static enum word kind_of(const struct version *v, u64 e)
{
	if (mmu_bits(e, 0, 0))
		return WORD_PAGE;
	if (v->three) {
		u64 pcf = mmu_bits(e, 7, 3);

		return pcf == 1 ? WORD_SPARSE : pcf == 3 ? WORD_HIDES : WORD_NOTHING;
	}
	if (mmu_bits(e, 3, 3))
		return WORD_SPARSE;
	return mmu_bits(e, 5, 5) ? WORD_HIDES : WORD_NOTHING;
}

static void read_page(const struct version *v, u64 va, u64 e, u32 lg2,
		      struct mmu_translation *found)
{
	u64 aperture = mmu_bits(e, 2, 1), addr;
	bool read_only, no_atomics, uncached, privileged;

	if (v->three) {
		uncached = mmu_bits(e, 3, 3);
		privileged = mmu_bits(e, 4, 4);
		read_only = mmu_bits(e, 5, 5);
		no_atomics = mmu_bits(e, 6, 6);
		addr = mmu_bits(e, 51, 12) << 12;
	} else {
		uncached = mmu_bits(e, 3, 3);
		privileged = mmu_bits(e, 5, 5);
		read_only = mmu_bits(e, 6, 6);
		no_atomics = mmu_bits(e, 7, 7);
		addr = mmu_bits(e, 53, 8) << 12;
	}
	if (privileged || aperture == 1 ||
	    (v->three ? mmu_bits(e, 63, 52) : mmu_bits(e, 4, 4) || mmu_bits(e, 55, 54))) {
		mmu_malformed(found,
			      "a page that is privileged, a peer's, encrypted or compressed");
		return;
	}
	if (v->three ? mmu_bits(e, 11, 8) != 6 : mmu_bits(e, 63, 56) != 0) {
		mmu_malformed(found, "a kind that is not plain memory's");
		return;
	}
	found->read = true;
	found->write = !read_only;
	found->atomic = !read_only && !no_atomics;
	found->aperture = aperture ? MMU_SYSTEM : MMU_VRAM;
	found->cache = uncached ? MMU_UNCACHED : aperture == 3 ? MMU_NONCOHERENT : MMU_COHERENT;
	mmu_block(found, va, addr, lg2, lg2);
}

/* True: the word decides. */
static bool decides(const struct version *v, u64 va, u64 e, u32 lg2, struct mmu_translation *found)
{
	switch (kind_of(v, e)) {
	case WORD_PAGE:
		read_page(v, va, e, lg2, found);
		return true;
	case WORD_SPARSE:
		found->read = true;
		found->write = true;
		found->atomic = true;
		found->null = true;
		mmu_block(found, va, 0, lg2, lg2);
		return true;
	case WORD_HIDES:
		return lg2 == 16;
	default:
		return false;
	}
}

/* Where a PDE leads, in units of 2^unit bytes; false: nowhere. */
static bool follow(const struct version *v, u64 e, bool big, u64 *table, u32 *aperture)
{
	u64 where = mmu_bits(e, 2, 1);

	if (!where)
		return false;
	if (v->three)
		*table = big ? mmu_bits(e, 51, 8) << 8 : mmu_bits(e, 51, 12) << 12;
	else
		*table = big ? mmu_bits(e, 53, 4) << 8 : mmu_bits(e, 53, 8) << 12;
	*aperture = where == 1 ? MMU_VRAM : MMU_SYSTEM;
	return true;
}

/* The dual entry: its halves, and the tables below them. */
static void walk_dual(const struct version *v, const struct mmu_memory *memory, u64 table,
		      u32 aperture, u64 va, struct mmu_translation *found)
{
	u64 at = ((va >> 21) & 255) * 16, below;
	u32 first = found->entries;
	u64 low = mmu_read(memory, table, aperture, at, 21, found),
	    high = mmu_read(memory, table, aperture, at + 8, 21, found);
	bool leads = mmu_bits(low, 2, 1) && !mmu_bits(low, 0, 0);
	u32 where;

	if (!leads && decides(v, va, low, 21, found))
		return;
	if (leads && follow(v, low, true, &below, &where)) {
		u64 e = mmu_read(memory, below, where, ((va >> 16) & 31) * 8, 16, found);

		mmu_follow(found, first);
		if (decides(v, va, e, 16, found))
			return;
	}
	if (follow(v, high, false, &below, &where)) {
		u64 e = mmu_read(memory, below, where, ((va >> 12) & 511) * 8, 12, found);

		mmu_follow(found, first + 1);
		decides(v, va, e, 12, found);
	}
}

static void walk(const struct version *v, const struct mmu_memory *memory, u64 table, u32 aperture,
		 u64 va, struct mmu_translation *found)
{
	u32 shift = v->root_shift;
	u64 entries = v->root_entries;

	if (va >> shift >= entries)
		return;
	for (; shift > 21; shift = shift == 56 ? 47 : shift == 29 ? 21 : shift - 9, entries = 512) {
		u64 e = mmu_read(memory, table, aperture, ((va >> shift) & (entries - 1)) * 8,
				 shift, found);

		if (mmu_bits(e, 0, 0)) {
			if (v->large_leaves >> shift & 1)
				read_page(v, va, e, shift, found);
			else
				mmu_malformed(found, "a leaf where this version has none");
			return;
		}
		if (!follow(v, e, false, &table, &aperture)) {
			decides(v, va, e, shift, found);
			return;
		}
		mmu_follow(found, found->entries - 1);
	}
	walk_dual(v, memory, table, aperture, va, found);
}

static void walk_v2(const struct mmu_memory *memory, u64 root, u32 aperture, u64 va,
		    struct mmu_translation *found)
{
	static const struct version v2 = {
		.three = false, .root_shift = 47, .root_entries = 4, .large_leaves = 0
	};

	walk(&v2, memory, root, aperture, va, found);
}

static void walk_v3(const struct mmu_memory *memory, u64 root, u32 aperture, u64 va,
		    struct mmu_translation *found)
{
	static const struct version v3 = {
		.three = true, .root_shift = 56, .root_entries = 2, .large_leaves = 1u << 29
	};

	walk(&v3, memory, root, aperture, va, found);
}

const struct mmu mmu_nv_v2 = { .name = "nv_v2", .va_bits = 49, .walk = walk_v2 };
const struct mmu mmu_nv_v3 = { .name = "nv_v3", .va_bits = 57, .walk = walk_v3 };
