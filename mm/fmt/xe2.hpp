// SPDX-License-Identifier: GPL-2.0-only
// Intel Xe2 PPGTT (Lunar Lake, Battlemage, Panther Lake): 4 levels of 48-bit VA, 4 KiB pages, leaves of 2 MiB, 1 GiB.
// Layout as in Linux 7.3, drivers/gpu/drm/xe/regs/xe_gtt_defs.h (XE_PPGTT_*, XE_PTE_*, XE_PAGE_*), xe_pt.c and xe_pat.c.
//
//	bit  0  PRESENT              bit  7  PAT2 in a 4 KiB leaf, PS (leaf) above
//	bit  1  RW                   bit  8  PS64: one of 16 leaves that make up a 64 KiB block
//	bit  3  PAT0                 bit  9  NULL: reads zero, drops writes
//	bit  4  PAT1                 bit 10  AE: atomics
//	bit 12  PAT2 in a large leaf bit 11  DM: the address is the device's memory
//	bit 61  PAT4, bit 62 PAT3
//	51:12   address (51:21 and 51:30 in large leaves)
//
// A word that is not PRESENT is ignored by the MMU, so a retired leaf is a leaf without that bit.
#pragma once

#include "mm/pt/format.hpp"

namespace svm {

struct xe2 {
	static constexpr const char *name = "xe2";
	static constexpr unsigned va_bits = 48;
	static constexpr unsigned depth = 4;
	static constexpr level levels[depth] = {
		{ 39, 9, 3, false, false },
		{ 30, 9, 3, true, true },
		{ 21, 9, 3, true, true },
		{ 12, 9, 3, true, true },
	};
	static constexpr u32 hints = 1 << 4;
	static constexpr u32 side_bytes = 0;
	static constexpr bool denies_atomics = true;
	static constexpr bool vram = true;

	static constexpr u64 present = bit(0);
	static constexpr u64 rw = bit(1);
	static constexpr u64 ps = bit(7);
	static constexpr u64 ps64 = bit(8);
	static constexpr u64 null = bit(9);
	static constexpr u64 ae = bit(10);
	static constexpr u64 dm = bit(11);
	static constexpr u64 address_mask = bit(52) - bit(12);

	// xe_pat.c, table of Xe2: 2 is write-back and coherent with the CPU's caches, 13 write-back and not coherent, 3 uncached.
	// Index 0 is not coherent either, but with it the retired word of a read-only page 0 would be an empty one.
	static constexpr unsigned pat_coherent = 2, pat_noncoherent = 13, pat_uncached = 3;

	static constexpr unsigned pat_of(cache_policy c)
	{
		return c == cache_policy::coherent ? pat_coherent : c == cache_policy::uncached ? pat_uncached : pat_noncoherent;
	}

	static constexpr u64 pat(unsigned index, bool large)
	{
		return ((index & 1) ? bit(3) : 0) | ((index & 2) ? bit(4) : 0) | ((index & 4) ? bit(large ? 12 : 7) : 0) |
		       ((index & 8) ? bit(62) : 0) | ((index & 16) ? bit(61) : 0);
	}

	static constexpr u64 empty(unsigned) { return 0; }

	static u64 load(const void *entry) { return __atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED); }
	static void store(void *entry, unsigned, u64 w) { __atomic_store_n(static_cast<u64 *>(entry), w, __ATOMIC_RELAXED); }

	// Entries that lead on carry PAT0 and PAT1 only. DM there tells in which memory the table below lies.
	static void link(void *entry, unsigned, u64 addr, svm_aperture where)
	{
		u64 w = addr | present | rw | pat(pat_coherent & 3, false) | (where == SVM_VRAM ? dm : 0);

		// Release: whoever walks through this entry finds the table below it filled. Its partner is the
		// device's walk, which follows the pointer that it read.
		__atomic_store_n(static_cast<u64 *>(entry), w, __ATOMIC_RELEASE);
	}

	static constexpr entry_state classify(u64 w, unsigned lv)
	{
		if (w & present)
			return lv + 1 < depth && !(w & ps) ? entry_state::link : entry_state::valid;
		return w ? entry_state::retired : entry_state::empty;
	}

	static constexpr u64 leaf(unsigned lv, u64 addr, leaf_attrs a)
	{
		bool large = lv + 1 < depth;

		return addr | present | (large ? ps : 0) | (a.write ? rw : 0) | (a.write && a.atomic ? ae : 0) |
		       (a.aperture == SVM_VRAM ? dm : 0) | pat(pat_of(a.cache), large);
	}

	static constexpr u64 null_leaf(unsigned lv) { return leaf(lv, 0, { true, true, SVM_SYSTEM }) | null; }
	static constexpr bool is_null(u64 w) { return w & null; }

	static constexpr bool writable(u64 w) { return w & rw; }

	static constexpr bool allows(u64 w, svm_access access)
	{
		u64 need = present | (access == SVM_READ ? 0 : rw) | (access == SVM_ATOMIC ? ae : 0);

		return (w & need) == need;
	}

	static constexpr u64 address(u64 w, unsigned lv) { return w & address_mask & ~(bit(levels[lv].shift) - 1); }
	static constexpr svm_aperture aperture(u64 w) { return w & dm ? SVM_VRAM : SVM_SYSTEM; }
	static constexpr u64 retire(u64 w) { return w & ~(present | ps64); }
	static constexpr u64 grant_write(u64 w, bool atomic) { return w | rw | (atomic ? ae : 0); }
	static constexpr u64 with_hint(u64 w, unsigned) { return w | ps64; }
	static constexpr u64 without_hint(u64 w) { return w & ~ps64; }
	static constexpr unsigned hint(u64 w) { return w & ps64 ? 4 : 0; }
	static void set_side(void *, unsigned, u64) {}
	static void clear_side(void *, unsigned) {}
};

static_assert(format<xe2>);
static_assert(geometry<xe2>::table_lg2 == 21 && geometry<xe2>::bytes(0) == 4096);

} // namespace svm
