// SPDX-License-Identifier: GPL-2.0-only
// AMD GFX9 (Vega, and the CDNA parts built on it). See amd.hpp for what all generations share; here, from amdgpu_vm.h and gmc_v9_0.c:
//
//	bit  51  PRT (a comment in gmc_v9_0.c says T at 52; AMDGPU_PTE_PRT is what the driver writes)
//	bit  54  leaf (PDE_PTE), in PDB1 and PDB0 only
//	58:57    MTYPE
//
// translate_further, a mode of the driver's for parts with two levels, is off: PDEs have no block fragment size and no TF bit.
#pragma once

#include "mm/fmt/amd.hpp"

namespace svm {

struct amd_gfx9_bits {
	static constexpr const char *name = "amd_gfx9";
	static constexpr u64 prt = bit(51);
	static constexpr u64 prt_with = 0;
	static constexpr unsigned mtype_shift = 57;

	static constexpr u64 leaf_bit(unsigned lv) { return lv < 3 ? bit(54) : 0; }
};

using amd_gfx9 = amd<amd_gfx9_bits>;

static_assert(format<amd_gfx9> && geometry<amd_gfx9>::table_lg2 == 21 && geometry<amd_gfx9>::hint_max == 9);

} // namespace svm
