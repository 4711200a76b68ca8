// SPDX-License-Identifier: GPL-2.0-only
// What AMD's page tables of GFX9 to GFX12 have in common: 4 levels of 48-bit VA, PDB2 47:39, PDB1 38:30, PDB0 29:21,
// PTB 20:12. Layout as in Linux 7.3, drivers/gpu/drm/amd/amdgpu/amdgpu_vm.h (AMDGPU_PTE_*, AMDGPU_PDE_*),
// amdgpu_vm_pt.c and gmc_v*_0.c.
//
//	bit 0  VALID      bit 4  EXECUTABLE   11:7   fragment: 2^n pages around are one block
//	bit 1  SYSTEM     bit 5  READABLE     47:12  address of a page; 47:6 of a table
//	bit 2  SNOOPED    bit 6  WRITEABLE    and by generation: the leaf bit, PRT, MTYPE
//	bit 3  TMZ (encrypted; never set in a valid word here)
//
// The fragment is a hint of any size up to the table's span. Leaves of 2 MiB and 1 GiB sit in PDB0 and PDB1 with the
// leaf bit set. PRT in a word that is not VALID: reads zero, drops writes. An empty word is not zero: EXECUTABLE
// ranks the fault below others ("Workaround for fault priority problem on GMC9"), and an empty PDE is a leaf that is
// not valid (amdgpu_vm_pt_clear()). No word forbids atomics: that is a matter of the bus.
//
// A retired leaf loses VALID and its fragment, or PRT; TMZ remembers that it was null. The MMU looks at PRT of a word
// that is not VALID, and at bits 4, 54 and 56 together (no retry), and bit 56 is never set in a retired word.
#pragma once

#include "mm/pt/format.hpp"

namespace svm {

// B, the generation's: name, prt, prt_with (what PRT asks for beside it), mtype_shift, leaf_bit(lv).
template <typename B>
struct amd : B {
	static constexpr unsigned va_bits = 48;
	static constexpr unsigned depth = 4;
	static constexpr level levels[depth] = {
		{ 39, 9, 3, false, false },
		{ 30, 9, 3, true, true },
		{ 21, 9, 3, true, true },
		{ 12, 9, 3, true, true },
	};
	static constexpr u32 hints = 0x3fe; // 8 KiB to 2 MiB
	static constexpr u32 side_bytes = 0;
	static constexpr bool denies_atomics = false;
	static constexpr bool vram = true;

	static constexpr u64 valid = bit(0);
	static constexpr u64 system = bit(1);
	static constexpr u64 snooped = bit(2);
	static constexpr u64 tmz = bit(3);
	static constexpr u64 executable = bit(4);
	static constexpr u64 readable = bit(5);
	static constexpr u64 writeable = bit(6);
	static constexpr unsigned fragment_shift = 7;
	static constexpr u64 fragment_mask = 0x1full << fragment_shift;
	static constexpr u64 address_mask = bit(48) - bit(12);

	// MTYPE 0 is NC: cached, and coherent where the bus snoops. 3 is UC.
	static constexpr u64 mtype(cache_policy c) { return c == cache_policy::uncached ? 3ull << B::mtype_shift : 0; }

	static constexpr u64 memory(svm_aperture where, cache_policy c)
	{
		return where == SVM_VRAM ? 0 : system | (c == cache_policy::noncoherent ? 0 : snooped);
	}

	static constexpr u64 empty(unsigned lv) { return B::leaf_bit(lv) | (lv + 1 < depth ? 0 : executable); }

	static u64 load(const void *entry) { return __atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED); }
	static void store(void *entry, unsigned, u64 w) { __atomic_store_n(static_cast<u64 *>(entry), w, __ATOMIC_RELAXED); }

	static void link(void *entry, unsigned, u64 addr, svm_aperture where)
	{
		u64 w = addr | valid | memory(where, cache_policy::coherent);

		// Release: the device that walks through this entry finds the table below it filled. Its partner is the device's walk.
		__atomic_store_n(static_cast<u64 *>(entry), w, __ATOMIC_RELEASE);
	}

	static constexpr entry_state classify(u64 w, unsigned lv)
	{
		if (w & valid)
			return lv + 1 < depth && !(w & B::leaf_bit(lv)) ? entry_state::link : entry_state::valid;
		if (w & B::prt)
			return entry_state::valid;
		return w == empty(lv) ? entry_state::empty : entry_state::retired;
	}

	static constexpr u64 leaf(unsigned lv, u64 addr, leaf_attrs a)
	{
		u64 fragment = lv + 1 < depth ? static_cast<u64>(levels[lv].shift - 12) << fragment_shift : 0;

		return addr | valid | executable | readable | (a.write ? writeable : 0) | memory(a.aperture, a.cache) | mtype(a.cache) |
		       fragment | B::leaf_bit(lv);
	}

	static constexpr u64 null_leaf(unsigned lv) { return B::prt | B::prt_with | B::leaf_bit(lv); }
	static constexpr bool is_null(u64 w) { return !(w & valid) && (w & (B::prt | tmz)); }
	static constexpr bool writable(u64 w) { return (w & writeable) || is_null(w); }

	static constexpr bool allows(u64 w, svm_access access)
	{
		if (!(w & valid))
			return w & B::prt;
		return access == SVM_READ || (w & writeable);
	}

	static constexpr u64 address(u64 w, unsigned lv) { return w & address_mask & ~(bit(levels[lv].shift) - 1); }
	static constexpr svm_aperture aperture(u64 w) { return w & system ? SVM_SYSTEM : SVM_VRAM; }
	static constexpr u64 retire(u64 w) { return w & valid ? w & ~(valid | fragment_mask) : (w & ~B::prt) | tmz; }
	static constexpr u64 grant_write(u64 w, bool) { return w & valid ? w | writeable : w; }
	static constexpr u64 with_hint(u64 w, unsigned n) { return w | static_cast<u64>(n) << fragment_shift; }
	static constexpr u64 without_hint(u64 w) { return w & ~fragment_mask; }
	static constexpr unsigned hint(u64 w) { return static_cast<unsigned>((w & fragment_mask) >> fragment_shift); }
	static void set_side(void *, unsigned, u64) {}
	static void clear_side(void *, unsigned) {}
};

} // namespace svm
