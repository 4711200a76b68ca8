// SPDX-License-Identifier: GPL-2.0-only
// The walk over real tables: every level, every leaf size, both apertures, and what goes wrong on the way.
#include "memory_rig.hpp"
#include "model/address_space.hpp"

#include <gtest/gtest.h>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x7f12'3456'7000;

class walker : public testing::TestWithParam<unsigned> {
protected:
	walker()
		: memory(rig.ram(), rig.vram())
		, space(memory, 1, violated)
		, pages(rig, GetParam())
	{
		EXPECT_TRUE(space.set_root(pages.root(), pages.aperture()));
	}

	translated look(u64 at, svgpu_access access = SVGPU_READ)
	{
		inside_gate inside(space.gate, 0);

		return space.translate(at, access);
	}

	void expect_ok(u64 at, u64 address, svgpu_access access = SVGPU_READ)
	{
		translated t = look(at, access);

		ASSERT_EQ(t.verdict, verdict::ok);
		EXPECT_EQ(t.page.address + (at - t.page.va), address);
	}

	void expect_fault(u64 at, svgpu_access access = SVGPU_READ)
	{
		EXPECT_EQ(look(at, access).verdict, verdict::fault);
	}

	void expect_bus(u64 at, u64 address)
	{
		translated t = look(at);

		ASSERT_EQ(t.verdict, verdict::bus);
		EXPECT_EQ(t.address, address);
	}

	memory_rig rig;
	physical memory;
	violation_report violated = [](const std::string &what) { ADD_FAILURE() << what; };
	address_space space;
	tables pages;
};

INSTANTIATE_TEST_SUITE_P(tables_in, walker, testing::Values(SVGPU_SYSTEM, SVGPU_VRAM),
			 [](const auto &info) { return info.param == SVGPU_VRAM ? "vram" : "system"; });

TEST_P(walker, leaf_of_every_size)
{
	pages.set(va, 0, 0x5000 | PRESENT);
	pages.set(va + 2 * mib, 1, 2 * mib | PRESENT | PS);
	pages.set(va + gib, 2, 3 * gib | PRESENT | PS | DM);

	expect_ok(va + 0x123, 0x5123);
	expect_ok(va + 2 * mib + 0x54321, 2 * mib + (va + 0x54321) % (2 * mib));

	translated t = look(va + gib);

	EXPECT_EQ(t.verdict, verdict::ok);
	EXPECT_EQ(t.page.lg2, 30u);
	EXPECT_EQ(t.page.aperture, unsigned{ SVGPU_VRAM });
	EXPECT_EQ(t.page.address, 3 * gib);
}

TEST_P(walker, first_and_last_entry_of_each_table)
{
	constexpr u64 top = (u64{ 1 } << 48) - page;

	pages.map(0, 0x1000);
	pages.map(top, 0x2000);
	expect_ok(0, 0x1000);
	expect_ok(top + page - 1, 0x2fff);
}

TEST_P(walker, absent_at_every_level)
{
	expect_fault(va);
	for (unsigned level = 3; level > 0; --level) {
		// Links this level; the next one is empty.
		pages.entry(va, level - 1);
		expect_fault(va);
	}
}

TEST_P(walker, beyond_48_bits)
{
	expect_fault(u64{ 1 } << 48);
	expect_fault(0xffff800000000000);
	expect_fault(~u64{ 0 });
}

TEST_P(walker, reserved_bit_at_every_level)
{
	for (unsigned level = 0; level < 4; ++level) {
		u64 at = pages.entry(va, level);
		u64 word = rig.get(at, pages.aperture());

		for (unsigned b : { 52, 60, 63 }) {
			space.invalidate(0, ~u64{ 0 });
			rig.put(at, pages.aperture(), word | PRESENT | u64{ 1 } << b);
			expect_bus(va, at);
		}
		rig.put(at, pages.aperture(), word);
	}
}

TEST_P(walker, table_outside_of_memory)
{
	u64 outside = rig.aperture(pages.aperture()).size();
	u64 dm = pages.aperture() == SVGPU_VRAM ? DM : 0;

	for (unsigned level = 1; level < 4; ++level) {
		u64 at = pages.entry(va, level);
		u64 word = rig.get(at, pages.aperture());

		space.invalidate(0, ~u64{ 0 });
		rig.put(at, pages.aperture(), outside | PRESENT | RW | dm);
		expect_bus(va, outside + (va >> (12 + 9 * (level - 1))) % 512 * 8);
		rig.put(at, pages.aperture(), word);
	}
}

TEST_P(walker, dm_of_a_link_chooses_the_childs_memory)
{
	unsigned other = pages.aperture() == SVGPU_VRAM ? SVGPU_SYSTEM : SVGPU_VRAM;
	u64 child = rig.take(page, other);

	std::memset(rig.at<std::byte>(child, other), 0, page);
	rig.put(child + (va >> 12) % 512 * 8, other, 0x9000 | PRESENT);
	pages.set(va, 1, child | PRESENT | RW | (other == SVGPU_VRAM ? DM : 0));
	expect_ok(va, 0x9000);
}

TEST_P(walker, compact_table)
{
	u64 table = pages.new_table();
	u64 dm = pages.aperture() == SVGPU_VRAM ? DM : 0;
	constexpr u64 base = 0x40000000;

	pages.set(base, 1, table | PRESENT | RW | PDE_64K | dm);
	for (u64 i = 0; i < 32; i += 31) {
		rig.put(table + i * 8, pages.aperture(), (i + 1) << 16 | PRESENT);
		expect_ok(base + i * 64 * kib + 0xabcd, ((i + 1) << 16) + 0xabcd);
	}
	expect_fault(base + 64 * kib);
}

TEST_P(walker, write_needs_rw_at_every_level)
{
	pages.map(va, 0x5000, PRESENT | RW);
	expect_ok(va, 0x5000, SVGPU_WRITE);
	for (unsigned level = 0; level < 4; ++level) {
		u64 at = pages.entry(va, level);
		u64 word = rig.get(at, pages.aperture());

		space.invalidate(0, ~u64{ 0 });
		rig.put(at, pages.aperture(), word & ~RW);
		expect_fault(va, SVGPU_WRITE);
		expect_ok(va, 0x5000, SVGPU_READ);
		rig.put(at, pages.aperture(), word);
	}
}

TEST_P(walker, atomic_needs_ae_and_rw)
{
	pages.map(va, 0x5000, PRESENT | RW);
	expect_fault(va, SVGPU_ATOMIC);
	pages.map(va + page, 0x5000, PRESENT | AE);
	expect_fault(va + page, SVGPU_ATOMIC);
	pages.map(va + 2 * page, 0x5000, PRESENT | RW | AE);
	expect_ok(va + 2 * page, 0x5000, SVGPU_ATOMIC);
}

TEST_P(walker, bad_roots)
{
	u64 size = rig.aperture(pages.aperture()).size();

	EXPECT_FALSE(space.set_root(pages.root() + 8, pages.aperture()));
	EXPECT_FALSE(space.set_root(size, pages.aperture()));
	EXPECT_FALSE(space.set_root(~u64{ 0xfff }, pages.aperture()));
	EXPECT_FALSE(space.set_root(pages.root(), 2));
	EXPECT_TRUE(space.set_root(size - page, pages.aperture()));
}

} // namespace
