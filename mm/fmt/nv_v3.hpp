// SPDX-License-Identifier: GPL-2.0-only
// NVIDIA's MMU v3 (Hopper, Blackwell): 57 bits of VA, PDE4 56, PDE3 55:47, PDE2 46:38, PDE1 37:29, PDE0 28:21 (dual,
// see nv.hpp), 4 KiB pages 20:12. Layout as in Linux 7.3, nouveau's nvhw/ref/gh100/dev_mmu.h (NV_MMU_VER3_*) and
// vmmgh100.c.
//
//	bit 0    VALID (in a PDE: 0)
//	2:1      APERTURE: page 0 VRAM, 2 system coherent, 3 system not coherent; table 1 VRAM, 2, 3
//	7:3      PCF of a page: bit 3 uncached, 4 privileged, 5 read-only, 6 no atomics, 7 access counters off; alone in a word: 1 sparse
//	5:3      PCF of a table: 1 uncached, ATS allowed
//	11:8     KIND; 6 is generic memory
//	51:12    address (39:12 in VRAM)
//
// A retired leaf: the low byte is 0, which is an invalid page and an invalid table, and KIND, which then means
// nothing, remembers the rest: bit 8 marks it, 9 says read-only, 10 VRAM, 11 null. 512 MiB leaves sit in PDE1.
#pragma once

#include "mm/fmt/nv.hpp"

namespace svm {

struct nv_v3_words {
	static constexpr const char *name = "nv_v3";
	static constexpr unsigned va_bits = 57;
	static constexpr unsigned depth = 6;
	static constexpr level levels[depth] = {
		{ 56, 1, 3, false, true },
		{ 47, 9, 3, false, true },
		{ 38, 9, 3, false, true },
		{ 29, 9, 3, true, true },
		{ 21, 8, 4, true, true },
		{ 12, 9, 3, true, true },
	};

	static constexpr u64 valid = bit(0);
	static constexpr u64 aperture_mask = bit(1) | bit(2);
	static constexpr u64 uncached = bit(3);
	static constexpr u64 read_only = bit(5);
	static constexpr u64 no_atomics = bit(6);
	static constexpr u64 no_counters = bit(7);
	static constexpr u64 generic_memory = 6ull << 8;
	static constexpr u64 address_mask = bit(52) - bit(12);
	static constexpr u64 sparse = 1 << 3;

	static constexpr u64 gone = bit(8);
	static constexpr u64 was_read_only = bit(9);
	static constexpr u64 was_vram = bit(10);
	static constexpr u64 was_null = bit(11);

	static constexpr u64 pde(u64 addr, svm_aperture where) { return addr | (where == SVM_VRAM ? 1 : 2) << 1 | 1 << 3; }

	static constexpr u64 page_aperture(leaf_attrs a)
	{
		return a.aperture == SVM_VRAM ? 0 : a.cache == cache_policy::noncoherent ? 3 << 1 : 2 << 1;
	}

	static constexpr u64 leaf(unsigned, u64 addr, leaf_attrs a)
	{
		return addr | valid | page_aperture(a) | (a.cache == cache_policy::uncached ? uncached : 0) | (a.write ? 0 : read_only) |
		       (a.write && a.atomic ? 0 : no_atomics) | no_counters | generic_memory;
	}

	static constexpr bool writable(u64 w) { return !(w & (w & valid ? read_only : was_read_only)); }

	static constexpr bool allows(u64 w, svm_access access)
	{
		u64 denies = (access == SVM_READ ? 0 : read_only) | (access == SVM_ATOMIC ? no_atomics : 0);

		return w == sparse || ((w & valid) && !(w & denies));
	}

	static constexpr u64 address(u64 w, unsigned) { return w & address_mask; }

	static constexpr svm_aperture aperture(u64 w)
	{
		bool vram = w & valid ? !(w & aperture_mask) : w & was_vram;

		return vram ? SVM_VRAM : SVM_SYSTEM;
	}

	static constexpr u64 retire_page(u64 w)
	{
		return (w & address_mask) | gone | (w & read_only ? was_read_only : 0) | (w & aperture_mask ? 0 : was_vram);
	}
	static constexpr u64 grant_write(u64 w, bool atomic)
	{
		return w == sparse ? w : w & ~(read_only | (atomic ? no_atomics : 0));
	}

};

using nv_v3 = nv<nv_v3_words>;

static_assert(format<nv_v3> && geometry<nv_v3>::table_lg2 == 21 && geometry<nv_v3>::table_bytes == 4352);

} // namespace svm
