// SPDX-License-Identifier: GPL-2.0-only
// What single Xe2 entries say, against the layout's description.
#include "mmu/mmu.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace {

constexpr std::uint64_t one = 1, present = 1, rw = 2, compact_below = 1 << 6;
constexpr std::uint64_t root = 0x1000, below = 0x1000; // the table of each next level lies so much further on

// A walk whose way leads to one word: in the table of `level` (3 is the root's), all entries above it being links.
struct way {
	unsigned level;
	bool compact;
	std::uint64_t word;
	u32 where = MMU_SYSTEM;	 // of the table below the word

	static u64 read(void *self, u64 address, u32 aperture)
	{
		way &w = *static_cast<way *>(self);
		unsigned at = 3 - static_cast<unsigned>(address / below - root / below);

		w.where = aperture;
		if (address >= 0x100000)
			return 0; // where the word leads
		if (at == w.level)
			return w.word;
		return (root + below * (4 - at)) | present | rw | (at == 1 && w.compact ? compact_below : 0);
	}

	mmu_translation walk(std::uint64_t va)
	{
		mmu_memory memory = { read, this, nullptr };
		mmu_translation found{};

		mmu_xe2.walk(&memory, root, MMU_SYSTEM, va, &found);
		return found;
	}
};

mmu_translation decode(std::uint64_t word, unsigned level, bool compact = false, std::uint64_t va = 0)
{
	return way{ level, compact, word }.walk(va);
}

// The entries that were read on top of those that lead to the word.
unsigned went_on(std::uint64_t word, unsigned level)
{
	return decode(word, level).entries - (4 - level);
}

mmu_outcome kind_of(std::uint64_t word, unsigned level, bool compact = false, std::uint64_t va = 0)
{
	return decode(word, level, compact, va).what;
}

TEST(xe2, nothing_counts_in_an_entry_that_is_not_present)
{
	for (unsigned level = 0; level < 4; ++level)
		EXPECT_EQ(kind_of(~one, level), MMU_ABSENT);
}

TEST(xe2, link)
{
	for (unsigned level = 1; level < 4; ++level) {
		EXPECT_EQ(went_on(0x0000123456789000 | 0x1b, level), 1u);
		EXPECT_EQ(decode(0x0000123456789000 | 0x1b, level).links, (1u << (4 - level)) - 1);

		way vram{ level, false, 0x0000123456789000 | 0x801 };

		vram.walk(0);
		EXPECT_EQ(vram.where, u32{ MMU_VRAM });
	}
}

TEST(xe2, only_level_1_leads_to_compact_tables)
{
	EXPECT_EQ(went_on(0x100043, 1), 1u);
	EXPECT_EQ(kind_of(0x100043, 2), MMU_MALFORMED);
	EXPECT_EQ(kind_of(0x100043, 3), MMU_MALFORMED);
}

TEST(xe2, leaf_4k)
{
	auto leaf = decode(0x000fedcba9876000 | 0xc03, 0, false, 0);

	EXPECT_EQ(leaf.what, MMU_MAPPED);
	EXPECT_EQ(leaf.lg2, 12u);
	EXPECT_EQ(leaf.address, 0x000fedcba9876000u);
	EXPECT_EQ(leaf.aperture, MMU_VRAM);
	EXPECT_TRUE(leaf.write);
	EXPECT_TRUE(leaf.atomic);
	EXPECT_FALSE(leaf.null);

	auto read_only = decode(0x1001, 0, false, 0);

	EXPECT_FALSE(read_only.write);
	EXPECT_FALSE(read_only.atomic);
	EXPECT_EQ(read_only.aperture, MMU_SYSTEM);
}

TEST(xe2, pat_bits_are_no_address_and_no_page_size)
{
	// PAT0, PAT1, PAT4, PAT3, and PAT2 at its two places.
	constexpr std::uint64_t pat = one << 3 | one << 4 | one << 61 | one << 62;

	auto small = decode(0x7000 | pat | one << 7 | 1, 0, false, 0);
	auto large = decode(0x600000 | pat | one << 12 | 0x81, 1, false, 0);
	auto huge = decode(0xc0000000 | pat | one << 12 | 0x81, 2, false, 0);

	EXPECT_EQ(small.what, MMU_MAPPED);
	EXPECT_EQ(small.address, 0x7000u);
	EXPECT_EQ(small.lg2, 12u);
	EXPECT_EQ(large.what, MMU_MAPPED);
	EXPECT_EQ(large.address, 0x600000u);
	EXPECT_EQ(large.lg2, 21u);
	EXPECT_EQ(huge.what, MMU_MAPPED);
	EXPECT_EQ(huge.address, 0xc0000000u);
	EXPECT_EQ(huge.lg2, 30u);
}

TEST(xe2, no_leaf_of_512_gib)
{
	EXPECT_EQ(kind_of(0x81, 3), MMU_MALFORMED);
}

TEST(xe2, misaligned_large_leaves)
{
	for (unsigned b = 13; b < 21; ++b)
		EXPECT_EQ(kind_of(0x81 | one << b, 1), MMU_MALFORMED) << b;
	EXPECT_EQ(kind_of(0x81 | one << 21, 1), MMU_MAPPED);
	for (unsigned b = 13; b < 30; ++b)
		EXPECT_EQ(kind_of(0x81 | one << b, 2), MMU_MALFORMED) << b;
	EXPECT_EQ(kind_of(0x81 | one << 30, 2), MMU_MAPPED);
	for (unsigned b = 12; b < 16; ++b)
		EXPECT_EQ(kind_of(0x1 | one << b, 0, true), MMU_MALFORMED) << b;
	EXPECT_EQ(kind_of(0x1 | one << 16, 0, true), MMU_MAPPED);
}

TEST(xe2, compact_leaf)
{
	auto leaf = decode(0x50003, 0, true, 0);

	EXPECT_EQ(leaf.lg2, 16u);
	EXPECT_EQ(leaf.address, 0x50000u);
}

TEST(xe2, reserved_bits_of_leaves)
{
	std::vector<unsigned> bits = { 63 };

	for (unsigned b = 52; b < 61; ++b)
		bits.push_back(b);
	for (unsigned b : bits) {
		EXPECT_EQ(kind_of(0x1 | one << b, 0), MMU_MALFORMED) << b;
		EXPECT_EQ(kind_of(0x1 | one << b, 0, true), MMU_MALFORMED) << b;
		EXPECT_EQ(kind_of(0x81 | one << b, 1), MMU_MALFORMED) << b;
		EXPECT_EQ(kind_of(0x81 | one << b, 2), MMU_MALFORMED) << b;
	}
}

TEST(xe2, reserved_bits_of_links)
{
	std::vector<unsigned> bits = { 8, 9, 10, 61, 62, 63 };

	for (unsigned b = 52; b < 61; ++b)
		bits.push_back(b);
	for (unsigned level = 1; level < 4; ++level) {
		for (unsigned b : bits)
			EXPECT_EQ(kind_of(0x1 | one << b, level), MMU_MALFORMED) << level << ' ' << b;
	}
}

TEST(xe2, ps64_makes_a_64k_leaf_of_any_of_its_16_entries)
{
	for (std::uint64_t i = 0; i < 16; ++i) {
		auto leaf = decode(0x30000 | i << 12 | 0x103, 0, false, 0x7f0000000000 | i << 12);

		EXPECT_EQ(leaf.what, MMU_MAPPED);
		EXPECT_EQ(leaf.lg2, 16u);
		EXPECT_EQ(leaf.address, 0x30000u);
	}
}

TEST(xe2, ps64_out_of_step)
{
	EXPECT_EQ(kind_of(0x31103, 0, false, 0x2000), MMU_MALFORMED);
	EXPECT_EQ(kind_of(0x31103, 0, false, 0x1000), MMU_MAPPED);
}

TEST(xe2, null_leaves_have_no_address)
{
	for (unsigned level = 0; level < 3; ++level) {
		auto leaf = decode(0xdeadbeef000 | 0x203 | (level ? 0x80 : 0), level, false, 0);

		EXPECT_EQ(leaf.what, MMU_MAPPED);
		EXPECT_TRUE(leaf.null);
		EXPECT_EQ(leaf.address, 0u);
		EXPECT_EQ(leaf.lg2, 12 + 9 * level);
	}
}

} // namespace
