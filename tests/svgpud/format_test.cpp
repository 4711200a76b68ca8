// SPDX-License-Identifier: GPL-2.0-only
// A device of each format: what it announces, and that it walks by it.
#include "driver_rig.hpp"
#include "model/formats.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace svgpu;
using namespace svgpu::test;

namespace {

device_options of(unsigned format, const std::string &lies = {})
{
	device_options o;

	o.format = format;
	if (!lies.empty())
		o.evil = parse_evil(lies);
	return o;
}

TEST(formats, unknown_name_is_answered_with_the_known_ones)
{
	EXPECT_EQ(parse_format("xe2"), unsigned{ SVGPU_FORMAT_XE2 });
	EXPECT_EQ(parse_format("mlx5_odp"), unsigned{ SVGPU_FORMAT_MLX5_ODP });
	for (const char *name : { "", "xe", "xe22", "XE2", "pascal" }) {
		try {
			parse_format(name);
			ADD_FAILURE() << name;
		} catch (const std::invalid_argument &e) {
			EXPECT_NE(std::string(e.what()).find("xe2, nv_v2, nv_v3, amd_gfx9, amd_gfx12, mlx5_odp"), std::string::npos);
		}
	}
}

TEST(formats, each_is_announced_and_no_other_is_taken)
{
	for (unsigned format = 0; format < SVGPU_FORMATS; ++format) {
		driver_rig rig(of(format));

		EXPECT_EQ(rig.reg<u64>(SVGPU_REG_FORMATS).load(), u64{ 1 } << format);
		for (unsigned asked = 0; asked <= SVGPU_FORMATS; ++asked) {
			svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = 1 };

			op.address = rig.pages.root();
			op.format = asked;
			EXPECT_EQ(rig.sync(op) == SVGPU_SYNC_OK, asked == format) << format << ' ' << asked;
		}
	}
}

// What the device announces then is taken, and it walks by its own: a translation by the tables of that one is good.
TEST(formats, a_liar_announces_another_and_walks_by_its_own)
{
	std::set<u64> seen;

	for (unsigned seed = 0; seed < 40; ++seed) {
		driver_rig rig(of(SVGPU_FORMAT_XE2, std::to_string(seed) + ":other-format"));
		u64 bits = rig.reg<u64>(SVGPU_REG_FORMATS).load();
		svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = 1 };

		ASSERT_TRUE(std::has_single_bit(bits));
		ASSERT_NE(bits, 1u);
		ASSERT_LT(bits, u64{ 1 } << SVGPU_FORMATS);
		seen.insert(bits);
		rig.pages.map(0x12345000, 0x5000);
		op.address = rig.pages.root();
		op.format = static_cast<__u32>(std::countr_zero(bits));
		rig.must(op);
		rig.must({ .op = SVGPU_SYNC_TRANSLATE, .context = 1, .start = 0x12345000, .address = 0x5000 });
	}
	EXPECT_EQ(seen.size(), SVGPU_FORMATS - 1u);
}

TEST(formats, translate_says_whether_an_address_leads_there)
{
	driver_rig rig;
	constexpr u64 va = 0x7f0012345000;
	auto ask = [&](u64 at, u64 address, unsigned aperture = SVGPU_SYSTEM, unsigned context = driver_rig::context) {
		svgpu_sync op = { .op = SVGPU_SYNC_TRANSLATE, .context = context, .start = at, .address = address };

		op.aperture = aperture;
		return rig.sync(op) == SVGPU_SYNC_OK;
	};

	EXPECT_FALSE(ask(va, 0x5000)) << "the context is not set";
	rig.set_up();
	EXPECT_FALSE(ask(va, 0x5000)) << "nothing is mapped";
	rig.pages.map(va, 0x5000);
	EXPECT_TRUE(ask(va, 0x5000));
	EXPECT_TRUE(ask(va + 0x123, 0x5123));
	EXPECT_FALSE(ask(va, 0x6000));
	EXPECT_FALSE(ask(va + 1, 0x5000));
	EXPECT_FALSE(ask(va, 0x5000, SVGPU_VRAM));
	EXPECT_FALSE(ask(va, 0x5000, SVGPU_SYSTEM, 1000));
	EXPECT_FALSE(ask(u64{ 1 } << 60, 0x5000));
	rig.pages.map(va + page, 0x6000, PRESENT);
	EXPECT_FALSE(ask(va + page, 0x6000)) << "it is read-only";
	rig.pages.map(va + 2 * page, 0, PRESENT | RW | AE | NIL);
	EXPECT_FALSE(ask(va + 2 * page, 0)) << "it is null";
}

} // namespace
