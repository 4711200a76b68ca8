// SPDX-License-Identifier: GPL-2.0-only
// AMD GFX12.0 (RDNA4). See amd.hpp for what all generations share; here, from amdgpu_vm.h and gmc_v12_0.c:
//
//	55:54    MTYPE
//	bit  56  PRT, with SNOOPED and SYSTEM beside it
//	bit  63  leaf (IS_PTE): set in every word of a PTB, also in empty ones, and in the leaves of PDB1 and PDB0
//
// GFX12.1's fifth level (57 bits of VA), its SNOOPED PDEs and the bus atomics of bit 59 are not here.
#pragma once

#include "mm/fmt/amd.hpp"

namespace svm {

struct amd_gfx12_bits {
	static constexpr const char *name = "amd_gfx12";
	static constexpr u64 prt = bit(56);
	static constexpr u64 prt_with = bit(1) | bit(2);
	static constexpr unsigned mtype_shift = 54;

	static constexpr u64 leaf_bit(unsigned) { return bit(63); }
};

using amd_gfx12 = amd<amd_gfx12_bits>;

static_assert(format<amd_gfx12> && geometry<amd_gfx12>::table_lg2 == 21);

} // namespace svm
