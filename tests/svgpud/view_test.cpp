// SPDX-License-Identifier: GPL-2.0-only
// The translation that a job keeps for itself, beside the TLB: what it is good for, and what ends it.
#include "memory_rig.hpp"
#include "model/memory_view.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x6600'0000'0000;

class view : public testing::Test, protected stall_port {
protected:
	view()
	{
		EXPECT_TRUE(space.set_root(pages.root(), SVGPU_SYSTEM));
	}

	unsigned engine() const override { return 0; }
	void check() override {}
	void stall(u64 at, svgpu_access access) override { throw job_ended{ SVGPU_DONE_FAULT, at, access }; }

	u64 new_page(u64 at, u64 content, u64 bits)
	{
		u64 place = rig.take(page);

		*rig.at<u64>(place) = content;
		pages.map(at, place, bits);
		return place;
	}

	// What the access ends with: nothing, or a fault.
	template <class Access> bool faults(Access access)
	{
		try {
			access();
		} catch (const job_ended &end) {
			EXPECT_EQ(end.status, SVGPU_DONE_FAULT);
			return true;
		}
		return false;
	}

	memory_rig rig;
	physical memory{ rig.ram(), rig.vram() };
	std::vector<std::string> violations;
	violation_report report = [this](const std::string &what) { violations.push_back(what); };
	address_space space{ memory, 1, report };
	tables pages{ rig };
	memory_view mine{ space, *this };
};

TEST_F(view, a_kept_translation_is_a_hit)
{
	new_page(va, 5, PRESENT);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	EXPECT_EQ(mine.count().hits, 1u);
	EXPECT_EQ(mine.count().misses, 1u);
}

TEST_F(view, a_kept_translation_is_checked_against_the_ledger)
{
	new_page(va, 5, PRESENT);
	mine.load<u64>(va);
	// Acknowledged and not done, so nothing has told the job.
	space.acknowledge(va, va + page, space.begin_invalidation());
	violations.clear();
	mine.load<u64>(va);
	ASSERT_EQ(violations.size(), 1u);
	EXPECT_NE(violations[0].find("a translation of"), std::string::npos) << violations[0];
}

TEST_F(view, a_translation_kept_for_reading_is_none_for_writing)
{
	u64 place = new_page(va, 5, PRESENT);

	mine.load<u64>(va);
	EXPECT_TRUE(faults([&] { mine.store<u64>(va, 6); }));
	EXPECT_EQ(*rig.at<u64>(place), 5u);
}

TEST_F(view, a_translation_kept_for_writing_is_none_for_atomics)
{
	u64 place = new_page(va, 5, PRESENT | RW);

	mine.store<u64>(va, 6);
	EXPECT_TRUE(faults([&] { mine.compare_exchange(va, 6, 7); }));
	EXPECT_EQ(*rig.at<u64>(place), 6u);
}

TEST_F(view, a_kept_translation_is_that_of_its_page)
{
	new_page(va, 5, PRESENT);
	new_page(va + page, 6, PRESENT);
	new_page(va - page, 4, PRESENT);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	EXPECT_EQ(mine.load<u64>(va + page), 6u);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	EXPECT_EQ(mine.load<u64>(va - page), 4u);
	EXPECT_EQ(mine.load<u64>(va + page - 8), 0u);
}

TEST_F(view, a_kept_translation_ends_with_its_invalidation)
{
	new_page(va, 5, PRESENT);
	mine.load<u64>(va);
	pages.unmap(va);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	space.invalidate(va, va + page);
	EXPECT_TRUE(faults([&] { mine.load<u64>(va); }));
}

TEST_F(view, a_kept_translation_ends_with_its_root)
{
	tables other(rig);
	u64 place = rig.take(page);

	*rig.at<u64>(place) = 6;
	new_page(va, 5, PRESENT);
	other.map(va, place);
	EXPECT_EQ(mine.load<u64>(va), 5u);
	EXPECT_TRUE(space.set_root(other.root(), SVGPU_SYSTEM));
	EXPECT_EQ(mine.load<u64>(va), 6u);
}

} // namespace
