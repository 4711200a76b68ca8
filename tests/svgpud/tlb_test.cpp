// SPDX-License-Identifier: GPL-2.0-only
// What the TLB keeps, and what makes it forget.
#include "memory_rig.hpp"
#include "model/address_space.hpp"

#include <gtest/gtest.h>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x5500'0000'0000;
constexpr u64 everything = ~u64{ 0 };

class tlb_rig : public testing::Test {
protected:
	tlb_rig()
		: memory(rig.ram(), rig.vram())
		, space(memory, 1, violated)
		, pages(rig)
	{
		EXPECT_TRUE(space.set_root(pages.root(), SVGPU_SYSTEM));
	}

	translated look(u64 at, svgpu_access access = SVGPU_READ)
	{
		inside_gate inside(space.gate, 0);

		return space.translate(at, access);
	}

	// ~0: none.
	u64 address(u64 at, svgpu_access access = SVGPU_READ)
	{
		translated t = look(at, access);

		return t.verdict == verdict::ok ? t.page.address + (at - t.page.va) : ~u64{ 0 };
	}

	static constexpr u64 none = ~u64{ 0 };

	memory_rig rig;
	physical memory;
	violation_report violated = [](const std::string &what) { ADD_FAILURE() << what; };
	address_space space;
	tables pages;
};

TEST_F(tlb_rig, translation_outlives_its_entry_until_invalidated)
{
	pages.map(va, 0x5000);
	EXPECT_EQ(address(va), 0x5000u);
	pages.map(va, 0x6000);
	EXPECT_EQ(address(va), 0x5000u);
	EXPECT_TRUE(look(va).hit);
	pages.unmap(va);
	EXPECT_EQ(address(va), 0x5000u);
	space.invalidate(va, va + page);
	EXPECT_EQ(address(va), none);
}

TEST_F(tlb_rig, large_translations_stay_too)
{
	pages.set(va, 1, 2 * mib | PRESENT | PS);
	pages.set(va + gib, 2, gib | PRESENT | PS);
	EXPECT_EQ(address(va + page), 2 * mib + page);
	EXPECT_EQ(address(va + gib + page), gib + page);
	pages.set(va, 1, 0);
	pages.set(va + gib, 2, 0);
	EXPECT_EQ(address(va + 17 * page), 2 * mib + 17 * page);
	EXPECT_EQ(address(va + gib + 17 * page), gib + 17 * page);
	// One byte of it is enough.
	space.invalidate(va + 2 * mib - 1, va + 2 * mib);
	space.invalidate(va + 2 * gib - 1, va + 2 * gib);
	EXPECT_EQ(address(va), none);
	EXPECT_EQ(address(va + gib), none);
}

TEST_F(tlb_rig, end_of_an_invalidation_is_exclusive)
{
	for (u64 i = 0; i < 3; ++i) {
		pages.map(va + i * page, (5 + i) * page);
		EXPECT_EQ(address(va + i * page), (5 + i) * page);
		pages.unmap(va + i * page);
	}
	space.invalidate(va + page, va + 2 * page);
	EXPECT_EQ(address(va), 5 * page);
	EXPECT_EQ(address(va + page), none);
	EXPECT_EQ(address(va + 2 * page), 7 * page);
}

TEST_F(tlb_rig, absent_entries_are_not_kept)
{
	EXPECT_EQ(address(va), none);
	pages.map(va, 0x5000);
	EXPECT_EQ(address(va), 0x5000u);
}

// The table below each level is exchanged for one that maps elsewhere: the walk must go on through the old one.
TEST_F(tlb_rig, table_pointers_stay_at_every_level)
{
	for (unsigned level = 1; level < 4; ++level) {
		tables other(rig);
		u64 at = va + level * (u64{ 1 } << 40);
		u64 neighbour = at + page;

		pages.map(at, 0x5000);
		pages.map(neighbour, 0x6000);
		other.map(neighbour, 0x7000);
		EXPECT_EQ(address(at), 0x5000u); // the TLB has the way to the neighbour, not the neighbour
		rig.put(pages.entry(at, level), SVGPU_SYSTEM, rig.get(other.entry(at, level), SVGPU_SYSTEM));
		EXPECT_EQ(address(neighbour), 0x6000u) << "level " << level;
		space.invalidate(neighbour, neighbour + page);
		EXPECT_EQ(address(neighbour), 0x7000u) << "level " << level;
	}
}

TEST_F(tlb_rig, unlinked_table_is_walked_until_invalidated)
{
	pages.map(va, 0x5000);
	pages.map(va + page, 0x6000);
	EXPECT_EQ(address(va), 0x5000u);
	pages.set(va, 1, 0);
	EXPECT_EQ(address(va + page), 0x6000u);
	space.invalidate(va, va + 2 * mib);
	EXPECT_EQ(address(va + page), none);
}

TEST_F(tlb_rig, invalidation_elsewhere_drops_nothing)
{
	pages.map(va, 0x5000);
	pages.map(va + page, 0x6000);
	EXPECT_EQ(address(va), 0x5000u);
	pages.set(va, 1, 0);
	space.invalidate(va - page, va);
	space.invalidate(va + 2 * mib, everything);
	EXPECT_EQ(address(va), 0x5000u);
	EXPECT_EQ(address(va + page), 0x6000u);
}

TEST_F(tlb_rig, everything_means_everything)
{
	pages.map(0, 0x5000);
	pages.map(va, 0x6000);
	EXPECT_EQ(address(0), 0x5000u);
	EXPECT_EQ(address(va), 0x6000u);
	pages.unmap(0);
	pages.unmap(va);
	space.invalidate(0, everything);
	EXPECT_EQ(address(0), none);
	EXPECT_EQ(address(va), none);
}

TEST_F(tlb_rig, hint_lets_one_entry_speak_for_sixteen)
{
	for (u64 i = 0; i < 16; ++i)
		pages.map(va + i * page, 0x30000 + i * page, PRESENT | PS64);
	EXPECT_EQ(address(va + 5 * page), 0x35000u);
	// The others are gone from the table, but the one entry covered them.
	for (u64 i = 0; i < 16; ++i)
		pages.unmap(va + i * page);
	EXPECT_EQ(address(va + 15 * page), 0x3f000u);
	space.invalidate(va + 7 * page, va + 8 * page);
	for (u64 i = 0; i < 16; ++i)
		EXPECT_EQ(address(va + i * page), none);
}

TEST_F(tlb_rig, hint_left_behind_reaches_the_removed_neighbour)
{
	for (u64 i = 0; i < 16; ++i)
		pages.map(va + i * page, 0x30000 + i * page, PRESENT | PS64);
	pages.unmap(va + 3 * page);
	space.invalidate(va + 3 * page, va + 4 * page);
	EXPECT_EQ(address(va + 3 * page), none);
	EXPECT_EQ(address(va + 4 * page), 0x34000u);
	EXPECT_EQ(address(va + 3 * page), 0x33000u) << "the hint of page 4 should have been taken back";
}

TEST_F(tlb_rig, permission_upgrade_needs_an_invalidation)
{
	pages.map(va, 0x5000, PRESENT);
	EXPECT_EQ(address(va), 0x5000u);
	pages.map(va, 0x5000, PRESENT | RW);
	for (int i = 0; i < 3; ++i)
		EXPECT_EQ(address(va, SVGPU_WRITE), none);
	space.invalidate(va, va + page);
	EXPECT_EQ(address(va, SVGPU_WRITE), 0x5000u);
	EXPECT_EQ(address(va, SVGPU_ATOMIC), none);
	pages.map(va, 0x5000, PRESENT | RW | AE);
	EXPECT_EQ(address(va, SVGPU_ATOMIC), none);
	space.invalidate(va, va + page);
	EXPECT_EQ(address(va, SVGPU_ATOMIC), 0x5000u);
}

TEST_F(tlb_rig, denied_write_is_kept_too)
{
	pages.map(va, 0x5000, PRESENT);
	EXPECT_EQ(address(va, SVGPU_WRITE), none);
	pages.map(va, 0x5000, PRESENT | RW);
	EXPECT_EQ(address(va, SVGPU_WRITE), none);
}

TEST_F(tlb_rig, new_root_forgets_the_old_tables)
{
	tables other(rig);

	pages.map(va, 0x5000);
	other.map(va, 0x6000);
	EXPECT_EQ(address(va), 0x5000u);
	EXPECT_TRUE(space.set_root(other.root(), SVGPU_SYSTEM));
	EXPECT_EQ(address(va), 0x6000u);
}

} // namespace
