// SPDX-License-Identifier: GPL-2.0-only
// The model's check of itself: a translation that outlives an acknowledged invalidation is found out, wherever it hides,
// and nothing else is taken for one.
#include "driver_rig.hpp"
#include "../unit/seeded.hpp"

#include "model/flush_ledger.hpp"

#include <gtest/gtest.h>


using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x3'0000'0000;
constexpr u64 top_span = u64{ 1 } << 39; // of one entry of the root

TEST(flush_ledger, later_ones_lie_above_earlier_ones)
{
	flush_ledger l;
	auto a = l.begin(), b = l.begin(), c = l.begin();

	l.acknowledge(10, 20, a);
	l.acknowledge(15, 30, b);
	l.acknowledge(17, 18, c);
	EXPECT_EQ(l.latest(0, 10), 0u);
	EXPECT_EQ(l.latest(9, 11), a);
	EXPECT_EQ(l.latest(10, 15), a);
	EXPECT_EQ(l.latest(10, 16), b);
	EXPECT_EQ(l.latest(16, 17), b);
	EXPECT_EQ(l.latest(17, 18), c);
	EXPECT_EQ(l.latest(18, 40), b);
	EXPECT_EQ(l.latest(30, 40), 0u);
	l.acknowledge(0, ~u64{ 0 }, l.begin());
	EXPECT_EQ(l.latest(17, 18), c + 1);
	EXPECT_EQ(l.latest(1000, 1001), c + 1);
}

TEST(flush_ledger, as_an_array_would_have_it)
{
	svm_test::seeded random(1);

	for (unsigned round = 0; round < 200; ++round) {
		flush_ledger l;
		std::array<u64, 64> model{};

		for (unsigned step = 0; step < 60; ++step) {
			u64 start = random() % 63, end = start + 1 + random() % (64 - start), newest = 0;

			if (random() % 2) {
				u64 now = l.begin();

				l.acknowledge(start, end, now);
				std::fill(model.begin() + start, model.begin() + end, now);
			}
			start = random() % 63, end = start + 1 + random() % (64 - start);
			for (u64 i = start; i < end; ++i)
				newest = std::max(newest, model[i]);
			ASSERT_EQ(l.latest(start, end), newest);
		}
	}
}

struct spoken {
	std::mutex lock;
	std::vector<std::string> said;

	violation_report report()
	{
		return [this](const std::string &what) {
			std::lock_guard hold(lock);

			said.push_back(what);
		};
	}
	bool about(const std::string &what)
	{
		std::lock_guard hold(lock);

		return std::any_of(said.begin(), said.end(), [&](auto &s) { return s.find(what) != s.npos; });
	}
};

class check : public testing::Test {
protected:
	check()
		: memory(rig.ram(), rig.vram())
		, report(violations.report())
		, space(memory, 1, report)
		, pages(rig)
	{
		space.set_root(pages.root(), SVGPU_SYSTEM);
		pages.map(va, 0x5000);
		use(va);
	}

	translated use(u64 at)
	{
		inside_gate inside(space.gate, 0);

		return space.translate(at, SVGPU_READ);
	}

	memory_rig rig;
	physical memory;
	spoken violations;
	violation_report report;
	address_space space;
	tables pages;
};

TEST_F(check, an_invalidation_that_is_done_is_fine)
{
	auto begun = space.begin_invalidation();

	space.invalidate(va, va + page);
	// Found again before the acknowledge: by a walk, so it is new.
	EXPECT_EQ(use(va).verdict, verdict::ok);
	space.acknowledge(va, va + page, begun);
	EXPECT_EQ(use(va).verdict, verdict::ok);
	EXPECT_TRUE(violations.said.empty()) << violations.said[0];
}

TEST_F(check, what_stays_in_the_tlb_is_found_at_the_acknowledge)
{
	space.acknowledge(va + page - 1, va + page, space.begin_invalidation());
	EXPECT_TRUE(violations.about("the TLB holds"));
}

TEST_F(check, a_table_pointer_too)
{
	auto begun = space.begin_invalidation();

	// The page goes, what leads to it stays.
	space.invalidate(va, va + page);
	use(va + page);
	space.acknowledge(va + 5 * page, va + 6 * page, begun);
	EXPECT_TRUE(violations.said.empty());
	begun = space.begin_invalidation();
	space.acknowledge(va + 5 * page, va + 6 * page, begun);
	EXPECT_TRUE(violations.about("the TLB holds"));
	use(va + 7 * page);
	EXPECT_TRUE(violations.about("a table of"));
}

TEST_F(check, what_is_used_afterwards_is_found)
{
	space.acknowledge(va, va + page, space.begin_invalidation());
	violations.said.clear();
	use(va);
	EXPECT_TRUE(violations.about("a translation of"));
}

TEST_F(check, neighbours_are_no_concern)
{
	// Outside of all that the tables on the way to the page cover.
	space.acknowledge(va + top_span, va + 2 * top_span, space.begin_invalidation());
	use(va);
	EXPECT_TRUE(violations.said.empty()) << violations.said[0];
}

TEST_F(check, what_an_engine_keeps_for_itself_is_found)
{
	translation kept = use(va).page;
	u64 before = space.acknowledged();
	auto begun = space.begin_invalidation();

	space.invalidate(va, va + page);
	space.acknowledge(va, va + page, begun);
	EXPECT_NE(space.acknowledged(), before);
	EXPECT_TRUE(violations.said.empty());
	space.check(kept);
	EXPECT_TRUE(violations.about("a translation of"));
}

// From end to end: a device that acknowledges what it did not do, as no driver can know.
TEST(check_device, false_acknowledge_is_the_end_of_it)
{
	std::atomic<bool> broken{ false };
	device_options o;

	o.evil = parse_evil("1:false-ack");
	o.broken = [&] { broken = true; };

	driver_rig rig(o);

	rig.set_up();
	rig.pages.map_fresh(va, page);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, page, 3 }).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_FALSE(broken);
	rig.invalidate(va + top_span, va + 2 * top_span);
	EXPECT_FALSE(broken) << "nothing was there to be dropped";
	rig.invalidate(va, va + page);
	EXPECT_TRUE(broken);
}

} // namespace
