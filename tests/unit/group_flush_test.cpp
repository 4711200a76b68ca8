// SPDX-License-Identifier: GPL-2.0-only
/*
 * The TLB may hold a group of 16 pages as one translation of 64 KiB. The simulated device drops such a translation when
 * any byte of it is flushed; hardware need not. So the span that is flushed is looked at: it takes the group whole.
 */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class group_flush_test : public bound_machine
{
protected:
	static constexpr u64 GROUP = 16 * PAGE;

	/* A group of pages of one file, contiguous, so that it gets the hint; the device may read it. */
	void map_group()
	{
		u32 f;

		do {
			f = mem->take(0);
			taken.push_back(f);
		} while ((f + 1) % 16);
		ASSERT_EQ(proc->mmap({.start = BASE,
				      .end = BASE + GROUP,
				      .kind = backing::shared,
				      .object = std::make_shared<file>(*mem)}),
			  0);
		map(BASE + MiB, PAGE);
		ASSERT_EQ(fault(BASE), 0);
		ASSERT_EQ(device().look(BASE).lg2, 16u);
		ASSERT_FALSE(device().look(BASE).write);
		gpus->on_flush = [this](u64 start, u64 end) { flushed.push_back({start, end}); };
	}

	void TearDown() override
	{
		gpus->on_flush = nullptr;
		for (u32 f : taken)
			mem->put(f);
		bound_machine::TearDown();
	}

	using spans = std::vector<std::pair<u64, u64>>;

	std::vector<u32> taken;
	spans flushed;
};

TEST_F(group_flush_test, one_page_is_zapped)
{
	map_group();
	proc->dontneed(BASE + 5 * PAGE, BASE + 6 * PAGE);
	EXPECT_EQ(flushed, (spans{{BASE, BASE + GROUP}}));
	EXPECT_EQ(device().look(BASE).lg2, 12u);
}

/* A fault that asks for one page only, since others were spoiled, grants the right for that page only. */
TEST_F(group_flush_test, one_page_is_granted_a_right)
{
	unsigned attempt = 0;

	map_group();
	hook.fault_exit = [&](const auto &) {
		if (attempt++ < 16) {
			proc->dontneed(BASE + MiB, BASE + MiB + PAGE);
			flushed.clear();
		}
	};
	ASSERT_EQ(fault(BASE + 5 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(attempt, 17u);
	EXPECT_EQ(flushed, (spans{{BASE, BASE + GROUP}}));
	EXPECT_EQ(device().look(BASE + 4 * PAGE).lg2, 12u);
	EXPECT_FALSE(device().look(BASE + 4 * PAGE).write);
	EXPECT_TRUE(device().look(BASE + 5 * PAGE).write);
}

} // namespace svm_test
