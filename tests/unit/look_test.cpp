// SPDX-License-Identifier: GPL-2.0-only
/* How much of a table a fault looks at: all of it, or the surroundings of its granule where the last look found little. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class look_test : public bound_machine
{
protected:
	void SetUp() override
	{
		bound_machine::SetUp();
		map(BASE, 2 * MiB);
		hook.fault_entry = [this](const auto &f) {
			looked = (f.end - f.start) / PAGE;
			for_block = f.block_lg2;
		};
	}

	/* A write fault; how many pages it looked at. */
	u64 look(u64 page)
	{
		EXPECT_EQ(fault(BASE + page * PAGE, SVM_WRITE), 0);
		return looked;
	}

	u64 looked = 0, for_block = 0;
};

TEST_F(look_test, a_sparse_table_is_looked_at_around_the_granule)
{
	EXPECT_EQ(look(33), 512u);
	EXPECT_EQ(look(100), 32u);
	EXPECT_EQ(look(200), 32u);
	EXPECT_EQ(count().present, 3 * 16u);
}

TEST_F(look_test, pages_of_the_process_make_it_look_at_all_again)
{
	EXPECT_EQ(look(33), 512u);
	touch(BASE + 256 * PAGE, 256 * PAGE);
	EXPECT_EQ(look(260), 32u); /* [256, 288) */
	EXPECT_EQ(count().present, 16u + 32u);
	EXPECT_EQ(look(100), 512u);
	EXPECT_EQ(count().present, 16u + 256u + 16u);
	EXPECT_EQ(look(200), 512u); /* the one before found those that are left of the process's */
	EXPECT_EQ(look(230), 32u);
}

/* A block is looked for only while the table has no leaf: the leaf would be gone if a block had come. */
TEST_F(look_test, for_a_block_while_there_is_no_leaf)
{
	look(33);
	EXPECT_EQ(for_block, 21u);
	EXPECT_EQ(fault(BASE + 40 * PAGE, SVM_WRITE), 0); /* there already */
	look(50); /* the same 32 pages */
	EXPECT_EQ(for_block, 0u);
}

} // namespace svm_test
