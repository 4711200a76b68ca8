// SPDX-License-Identifier: GPL-2.0-only
// Decoding of one Xe2 entry; see the header for the readings that are this device's own.
#include "model/xe2.hpp"

#include "hw/svgpu_regs.h"

namespace svgpu::xe2 {
namespace {

entry decode_table(std::uint64_t word, unsigned level)
{
	constexpr std::uint64_t leaf_only = ps64 | null | ae | pat3 | pat4;
	entry e;

	if (word & (leaf_only | (level == 1 ? 0 : pde_64k)))
		return { .kind = kind::reserved };
	e.kind = kind::table;
	e.address = word & address_field;
	e.aperture = word & dm ? SVGPU_VRAM : SVGPU_SYSTEM;
	e.compact = word & pde_64k;
	e.write = word & rw;
	return e;
}

unsigned leaf_lg2(unsigned level, bool compact) { return compact ? 16 : shift(level); }

entry decode_leaf(std::uint64_t word, unsigned level, bool compact, std::uint64_t va)
{
	entry e;

	e.kind = kind::leaf;
	e.lg2 = leaf_lg2(level, compact);
	// PAT2 sits in the lowest address bit of a large leaf.
	e.address = word & address_field & ~(level > 0 ? bit(12) : 0);
	e.aperture = word & dm ? SVGPU_VRAM : SVGPU_SYSTEM;
	e.write = word & rw;
	e.atomic = word & ae;
	e.null = word & null;
	if (e.null) {
		e.address = 0;
		return e;
	}
	if (level == 0 && !compact && (word & ps64)) {
		if ((e.address & 0xf000) != (va & 0xf000))
			return { .kind = kind::reserved };
		e.lg2 = 16;
		e.address &= ~std::uint64_t{ 0xffff };
	}
	if (e.address & (bit(e.lg2) - 1))
		return { .kind = kind::reserved };
	return e;
}

} // namespace

entry decode(std::uint64_t word, unsigned level, bool compact, std::uint64_t va)
{
	if (!(word & present))
		return { .kind = kind::absent };
	if (word & always_reserved)
		return { .kind = kind::reserved };
	if (level == 0)
		return decode_leaf(word, level, compact, va);
	if (!(word & ps))
		return decode_table(word, level);
	if (level == root_level)
		return { .kind = kind::reserved };
	return decode_leaf(word, level, compact, va);
}

} // namespace svgpu::xe2
