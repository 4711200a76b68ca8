// SPDX-License-Identifier: GPL-2.0-only
// What NVIDIA's page tables from Pascal on have in common. The entries above a table (PDE0) are dual: 16 bytes, of
// which the low half leads to a table of 32 pages of 64 KiB and the high half to one of 512 pages of 4 KiB. The low
// half may be a leaf of 2 MiB instead.
//
// Both tables lie in one piece of memory: 4 KiB of small entries, then 256 bytes of big ones. The small entries say
// all that there is to know. A big one, which the MMU prefers to the 16 small ones, is the group's hint: the side
// table of mm/pt. A big entry of 0 leaves the choice to the small ones. (PRIVILEGE alone in v2 and PCF 3 in v3 say
// "no small ones are valid" and save the MMU a read; they are not used, since the next small page would have to count
// which groups are empty.)
//
// An entry whose low bit is clear is a PDE where PDEs may be, and then leads on if its APERTURE is not 0. So a
// retired leaf keeps no aperture there: the generation says where else it remembers it.
#pragma once

#include "mm/pt/format.hpp"

namespace svm {

// W, the generation's words: see nv_v2.hpp. Tables' level and the dual one are the last two.
template <typename W>
struct nv : W {
	static constexpr u32 hints = 1 << 4;
	static constexpr u32 small_bytes = 4096;
	static constexpr u32 side_bytes = 256;
	static constexpr bool denies_atomics = true;
	static constexpr bool vram = true;
	static constexpr unsigned dual = W::depth - 2;

	static constexpr u64 empty(unsigned) { return 0; }

	static u64 load(const void *entry) { return __atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED); }

	// A leaf in the low half counts whatever the high half says, so it is written first. A word that is no leaf takes the way to the big
	// pages first; the small ones map the same until they go, too.
	static void store(void *entry, unsigned lv, u64 w)
	{
		put(entry, 0, w, __ATOMIC_RELAXED);
		if (lv == dual)
			put(entry, 1, 0, __ATOMIC_RELAXED);
	}

	// Release, both times: a walk through this entry finds the tables below it filled. Its partner is the device's walk.
	static void link(void *entry, unsigned lv, u64 addr, svm_aperture where)
	{
		if (lv == dual) {
			put(entry, 1, W::pde(addr, where), __ATOMIC_RELEASE);
			addr += small_bytes;
		}
		put(entry, 0, W::pde(addr, where), __ATOMIC_RELEASE);
	}

	static constexpr entry_state classify(u64 w, unsigned lv)
	{
		if ((w & W::valid) || w == W::sparse)
			return entry_state::valid;
		if (!w)
			return entry_state::empty;
		return lv + 1 < W::depth && (w & W::aperture_mask) ? entry_state::link : entry_state::retired;
	}

	static constexpr u64 null_leaf(unsigned) { return W::sparse; }
	static constexpr bool is_null(u64 w) { return w == W::sparse || (w & (W::valid | W::was_null)) == W::was_null; }
	static constexpr u64 retire(u64 w) { return w == W::sparse ? W::gone | W::was_null : W::retire_page(w); }
	static constexpr u64 with_hint(u64 w, unsigned) { return w; }
	static constexpr u64 without_hint(u64 w) { return w; }
	static constexpr unsigned hint(u64) { return 0; }

	// The word of a group's first page is that of the big page.
	static void set_side(void *table, unsigned group, u64 w) { put(side(table), group, w, __ATOMIC_RELAXED); }
	static void clear_side(void *table, unsigned group) { put(side(table), group, 0, __ATOMIC_RELAXED); }

private:
	static void *side(void *table) { return static_cast<char *>(table) + small_bytes; }
	static void put(void *entry, unsigned i, u64 w, int order) { __atomic_store_n(static_cast<u64 *>(entry) + i, w, order); }
};

} // namespace svm
