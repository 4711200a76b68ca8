// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/table.hpp */
#include "mm/pt/table.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

/* The promise: beyond PTEs and directories, at most 128 bytes for each touched table. */
static_assert(sizeof(svm::table) <= 128);

using table_test = machine;

TEST_F(table_test, a_new_table_maps_nothing)
{
	svm::table t;
	svm::table_guard lock(t.lock);

	EXPECT_EQ(t.live, 0u);
	EXPECT_EQ(t.retired, 0u);
	EXPECT_EQ(t.top, svm::table_top::none);
	EXPECT_EQ(t.state.load_relaxed(), svm::table_state::fresh);
	EXPECT_EQ(t.entries.load_relaxed(), nullptr);
	EXPECT_EQ(t.mem.cpu, nullptr);
	EXPECT_TRUE(t.used.load_relaxed()); /* the fault that makes it is on its way */
}

/* The counts of leaves hold a full table's. */
TEST_F(table_test, counts_are_wide_enough)
{
	svm::table t;
	svm::table_guard lock(t.lock);

	t.live = 512;
	t.retired = 512;
	EXPECT_EQ(t.live, 512u);
	EXPECT_EQ(t.retired, 512u);
}

} // namespace svm_test
