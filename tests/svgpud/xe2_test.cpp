// SPDX-License-Identifier: GPL-2.0-only
// What single Xe2 entries say, against the layout's description.
#include "model/xe2.hpp"

#include "hw/svgpu_regs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

using namespace svgpu;
using xe2::kind;

namespace {

constexpr std::uint64_t one = 1;

kind kind_of(std::uint64_t word, unsigned level, bool compact = false, std::uint64_t va = 0)
{
	return xe2::decode(word, level, compact, va).kind;
}

TEST(xe2, nothing_counts_in_an_entry_that_is_not_present)
{
	for (unsigned level = 0; level < 4; ++level)
		EXPECT_EQ(kind_of(~one, level), kind::absent);
}

TEST(xe2, link)
{
	for (unsigned level = 1; level < 4; ++level) {
		auto system = xe2::decode(0x0000123456789000 | 0x1b, level, false, 0);

		EXPECT_EQ(system.kind, kind::table);
		EXPECT_EQ(system.address, 0x0000123456789000u);
		EXPECT_EQ(system.aperture, unsigned{ SVGPU_SYSTEM });
		EXPECT_TRUE(system.write);
		EXPECT_FALSE(system.compact);

		auto vram = xe2::decode(0x1000 | 0x801, level, false, 0);

		EXPECT_EQ(vram.aperture, unsigned{ SVGPU_VRAM });
		EXPECT_FALSE(vram.write);
	}
}

TEST(xe2, only_level_1_leads_to_compact_tables)
{
	EXPECT_TRUE(xe2::decode(0x1043, 1, false, 0).compact);
	EXPECT_EQ(kind_of(0x1043, 2), kind::reserved);
	EXPECT_EQ(kind_of(0x1043, 3), kind::reserved);
}

TEST(xe2, leaf_4k)
{
	auto leaf = xe2::decode(0x000fedcba9876000 | 0xc03, 0, false, 0);

	EXPECT_EQ(leaf.kind, kind::leaf);
	EXPECT_EQ(leaf.lg2, 12u);
	EXPECT_EQ(leaf.address, 0x000fedcba9876000u);
	EXPECT_EQ(leaf.aperture, unsigned{ SVGPU_VRAM });
	EXPECT_TRUE(leaf.write);
	EXPECT_TRUE(leaf.atomic);
	EXPECT_FALSE(leaf.null);

	auto read_only = xe2::decode(0x1001, 0, false, 0);

	EXPECT_FALSE(read_only.write);
	EXPECT_FALSE(read_only.atomic);
	EXPECT_EQ(read_only.aperture, unsigned{ SVGPU_SYSTEM });
}

TEST(xe2, pat_bits_are_no_address_and_no_page_size)
{
	// PAT0, PAT1, PAT4, PAT3, and PAT2 at its two places.
	constexpr std::uint64_t pat = one << 3 | one << 4 | one << 61 | one << 62;

	auto small = xe2::decode(0x7000 | pat | one << 7 | 1, 0, false, 0);
	auto large = xe2::decode(0x600000 | pat | one << 12 | 0x81, 1, false, 0);
	auto huge = xe2::decode(0xc0000000 | pat | one << 12 | 0x81, 2, false, 0);

	EXPECT_EQ(small.kind, kind::leaf);
	EXPECT_EQ(small.address, 0x7000u);
	EXPECT_EQ(small.lg2, 12u);
	EXPECT_EQ(large.kind, kind::leaf);
	EXPECT_EQ(large.address, 0x600000u);
	EXPECT_EQ(large.lg2, 21u);
	EXPECT_EQ(huge.kind, kind::leaf);
	EXPECT_EQ(huge.address, 0xc0000000u);
	EXPECT_EQ(huge.lg2, 30u);
}

TEST(xe2, no_leaf_of_512_gib)
{
	EXPECT_EQ(kind_of(0x81, 3), kind::reserved);
}

TEST(xe2, misaligned_large_leaves)
{
	for (unsigned b = 13; b < 21; ++b)
		EXPECT_EQ(kind_of(0x81 | one << b, 1), kind::reserved) << b;
	EXPECT_EQ(kind_of(0x81 | one << 21, 1), kind::leaf);
	for (unsigned b = 13; b < 30; ++b)
		EXPECT_EQ(kind_of(0x81 | one << b, 2), kind::reserved) << b;
	EXPECT_EQ(kind_of(0x81 | one << 30, 2), kind::leaf);
	for (unsigned b = 12; b < 16; ++b)
		EXPECT_EQ(kind_of(0x1 | one << b, 0, true), kind::reserved) << b;
	EXPECT_EQ(kind_of(0x1 | one << 16, 0, true), kind::leaf);
}

TEST(xe2, compact_leaf)
{
	auto leaf = xe2::decode(0x50003, 0, true, 0);

	EXPECT_EQ(leaf.lg2, 16u);
	EXPECT_EQ(leaf.address, 0x50000u);
}

TEST(xe2, reserved_bits_of_leaves)
{
	std::vector<unsigned> bits = { 63 };

	for (unsigned b = 52; b < 61; ++b)
		bits.push_back(b);
	for (unsigned b : bits) {
		EXPECT_EQ(kind_of(0x1 | one << b, 0), kind::reserved) << b;
		EXPECT_EQ(kind_of(0x1 | one << b, 0, true), kind::reserved) << b;
		EXPECT_EQ(kind_of(0x81 | one << b, 1), kind::reserved) << b;
		EXPECT_EQ(kind_of(0x81 | one << b, 2), kind::reserved) << b;
	}
}

TEST(xe2, reserved_bits_of_links)
{
	std::vector<unsigned> bits = { 8, 9, 10, 61, 62, 63 };

	for (unsigned b = 52; b < 61; ++b)
		bits.push_back(b);
	for (unsigned level = 1; level < 4; ++level) {
		for (unsigned b : bits)
			EXPECT_EQ(kind_of(0x1 | one << b, level), kind::reserved) << level << ' ' << b;
	}
}

TEST(xe2, ps64_makes_a_64k_leaf_of_any_of_its_16_entries)
{
	for (std::uint64_t i = 0; i < 16; ++i) {
		auto leaf = xe2::decode(0x30000 | i << 12 | 0x103, 0, false, 0x7f0000000000 | i << 12);

		EXPECT_EQ(leaf.kind, kind::leaf);
		EXPECT_EQ(leaf.lg2, 16u);
		EXPECT_EQ(leaf.address, 0x30000u);
	}
}

TEST(xe2, ps64_out_of_step)
{
	EXPECT_EQ(kind_of(0x31103, 0, false, 0x2000), kind::reserved);
	EXPECT_EQ(kind_of(0x31103, 0, false, 0x1000), kind::leaf);
}

TEST(xe2, null_leaves_have_no_address)
{
	for (unsigned level = 0; level < 3; ++level) {
		auto leaf = xe2::decode(0xdeadbeef000 | 0x203 | (level ? 0x80 : 0), level, false, 0);

		EXPECT_EQ(leaf.kind, kind::leaf);
		EXPECT_TRUE(leaf.null);
		EXPECT_EQ(leaf.address, 0u);
		EXPECT_EQ(leaf.lg2, 12 + 9 * level);
	}
}

} // namespace
