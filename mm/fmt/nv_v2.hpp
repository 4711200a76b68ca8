// SPDX-License-Identifier: GPL-2.0-only
// NVIDIA's MMU v2 (Pascal to Ada): 49 bits of VA, PDE3 48:47, PDE2 46:38, PDE1 37:29, PDE0 28:21 (dual, see nv.hpp),
// 4 KiB pages 20:12. Layout as in open-gpu-kernel-modules, dev_mmu.h of the generations (NV_MMU_VER2_*), and Linux
// 7.3, nouveau's vmmgp100.c.
//
//	bit 0    VALID (in a PDE: 0)
//	2:1      APERTURE: page 0 VRAM, 2 system coherent, 3 system not coherent; table 1 VRAM, 2, 3
//	bit 3    VOL: not cached; alone in a word: sparse
//	bit 5    PRIVILEGE    bit 6  READ_ONLY    bit 7  ATOMIC_DISABLE
//	53:8     address >> 12 (32:8 in VRAM)
//	63:56    KIND; 0, pitch, is right for system memory in all of these generations
//
// A retired leaf: VALID, VOL and APERTURE are 0, PRIVILEGE marks it, READ_ONLY stays, ATOMIC_DISABLE says VRAM, bit 4
// says null. The 512 MiB leaf of Ampere and Ada is not here, since a Pascal would take it for a PDE.
#pragma once

#include "mm/fmt/nv.hpp"

namespace svm {

struct nv_v2_words {
	static constexpr const char *name = "nv_v2";
	static constexpr unsigned va_bits = 49;
	static constexpr unsigned depth = 5;
	static constexpr level levels[depth] = {
		{ 47, 2, 3, false, true },
		{ 38, 9, 3, false, true },
		{ 29, 9, 3, false, true },
		{ 21, 8, 4, true, true },
		{ 12, 9, 3, true, true },
	};

	static constexpr u64 valid = bit(0);
	static constexpr u64 aperture_mask = bit(1) | bit(2);
	static constexpr u64 vol = bit(3);
	static constexpr u64 privilege = bit(5);
	static constexpr u64 read_only = bit(6);
	static constexpr u64 atomic_disable = bit(7);
	static constexpr u64 address_mask = bit(54) - bit(8);
	static constexpr u64 sparse = vol;

	static constexpr u64 gone = privilege;
	static constexpr u64 was_null = bit(4);
	static constexpr u64 was_vram = atomic_disable;

	static constexpr u64 pde(u64 addr, svm_aperture where) { return addr >> 4 | (where == SVM_VRAM ? 1 : 2) << 1 | vol; }

	static constexpr u64 page_aperture(leaf_attrs a)
	{
		return a.aperture == SVM_VRAM ? 0 : a.cache == cache_policy::noncoherent ? 3 << 1 : 2 << 1;
	}

	static constexpr u64 leaf(unsigned, u64 addr, leaf_attrs a)
	{
		return addr >> 4 | valid | page_aperture(a) | (a.cache == cache_policy::uncached ? vol : 0) | (a.write ? 0 : read_only) |
		       (a.write && a.atomic ? 0 : atomic_disable);
	}

	static constexpr bool writable(u64 w) { return !(w & read_only); }

	static constexpr bool allows(u64 w, svm_access access)
	{
		u64 denies = (access == SVM_READ ? 0 : read_only) | (access == SVM_ATOMIC ? atomic_disable : 0);

		return w == sparse || ((w & valid) && !(w & denies));
	}

	static constexpr u64 address(u64 w, unsigned) { return (w & address_mask) << 4; }

	static constexpr svm_aperture aperture(u64 w)
	{
		bool vram = w & valid ? !(w & aperture_mask) : w & was_vram;

		return vram ? SVM_VRAM : SVM_SYSTEM;
	}

	static constexpr u64 retire_page(u64 w)
	{
		return (w & (address_mask | read_only)) | gone | (w & aperture_mask ? 0 : was_vram);
	}
	static constexpr u64 grant_write(u64 w, bool atomic) { return w & ~(read_only | (atomic ? atomic_disable : 0)); }
};

using nv_v2 = nv<nv_v2_words>;

static_assert(format<nv_v2> && geometry<nv_v2>::table_lg2 == 21 && geometry<nv_v2>::table_bytes == 4352);

} // namespace svm
