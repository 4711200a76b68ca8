// SPDX-License-Identifier: GPL-2.0-only
// What one entry of an Intel Xe2 page table says, read from the layout's description alone: the driver's encoder is
// checked against this file, so it must never be derived from it.
//
// Levels are counted as the hardware does: 3 is the root. An entry of level n covers 1 << shift(n) bytes. Below a
// level-1 entry with PDE_64K lies a compact table of 32 entries of 64 KiB.
//
// Readings of this device where the layout leaves a choice:
//  - RW counts at every level: an access may write only if all entries on its way allow it. AE is the leaf's alone.
//  - DM in an entry that leads on says that the child table is in VRAM.
//  - Bits that mean nothing in an entry are reserved: 52..60 and 63 anywhere; PS at level 3; address bits below the
//    leaf's size; in an entry that leads on also 8, 9, 10, 61, 62, and PDE_64K above level 1.
//  - PS64 whose own address is not in step with its place in the 64 KiB block is reserved too.
#pragma once

#include <cstdint>

namespace svgpu::xe2 {

constexpr unsigned va_bits = 48;
constexpr unsigned root_level = 3;

constexpr unsigned shift(unsigned level) { return 12 + 9 * level; }

constexpr std::uint64_t bit(unsigned n) { return std::uint64_t{ 1 } << n; }

constexpr std::uint64_t present = bit(0);
constexpr std::uint64_t rw = bit(1);
constexpr std::uint64_t pde_64k = bit(6);
constexpr std::uint64_t ps = bit(7);
constexpr std::uint64_t ps64 = bit(8);
constexpr std::uint64_t null = bit(9);
constexpr std::uint64_t ae = bit(10);
constexpr std::uint64_t dm = bit(11);
constexpr std::uint64_t pat3 = bit(62);
constexpr std::uint64_t pat4 = bit(61);
constexpr std::uint64_t address_field = bit(52) - bit(12);
constexpr std::uint64_t always_reserved = (bit(61) - bit(52)) | bit(63);

enum class kind {
	absent,
	table,
	leaf,
	reserved,
};

struct entry {
	enum kind kind = kind::absent;
	std::uint64_t address = 0; // of the child table, or of the leaf's first byte
	unsigned aperture = 0;
	unsigned lg2 = 0; // leaf: bytes that it maps
	bool compact = false; // table: 32 entries of 64 KiB
	bool write = false;
	bool atomic = false;
	bool null = false;
};

// `va` is the address being walked to: PS64 is judged by its place in the 64 KiB block.
entry decode(std::uint64_t word, unsigned level, bool compact, std::uint64_t va);

} // namespace svgpu::xe2
