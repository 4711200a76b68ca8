// SPDX-License-Identifier: GPL-2.0-only
/* A fork calls back for one mapping after the other: the first call in a table takes all of the table. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class fork_test : public bound_machine
{
protected:
	static constexpr u64 tables = 4;

	/* Every other page of some tables a mapping of its own, all of them writable by the device. */
	void map_many()
	{
		u64 n;

		for (u64 i = 0; i < tables * 512; i += 2)
			map(BASE + i * PAGE, PAGE);
		ASSERT_EQ(svm_prefetch(vm, BASE, BASE + tables * 2 * MiB, SVM_WRITE, &n), 0);
		ASSERT_EQ(n, tables * 256);
	}
};

TEST_F(fork_test, one_flush_for_a_tables_mappings)
{
	map_many();

	u64 flushes = count().flushes, zapped = count().ptes_zapped;
	auto child = proc->fork();

	EXPECT_EQ(count().flushes, flushes + tables);
	EXPECT_EQ(count().ptes_zapped, zapped + tables * 256);
	/* What the device writes from now on the child does not see. */
	ASSERT_EQ(fault(BASE + 2 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(device().write(BASE + 2 * PAGE, 7).what, gpu::status::ok);
	EXPECT_EQ(child->read(BASE + 2 * PAGE), 0u);
}

/* Other changes take their own span, and no more. */
TEST_F(fork_test, a_change_of_one_mapping_takes_that)
{
	map_many();

	u64 zapped = count().ptes_zapped;

	ASSERT_EQ(proc->dontneed(BASE + 2 * PAGE, BASE + 3 * PAGE), 0);
	EXPECT_EQ(count().ptes_zapped, zapped + 1);
}

/* Of a table that reaches beyond its window, the part in the window. */
TEST_F(fork_test, table_at_a_windows_edge)
{
	destroy();
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind(vm, BASE + 10 * PAGE, BASE + MiB, 0), 0);
	map(BASE, 20 * PAGE);
	map(BASE + MiB, PAGE);
	for (u64 i = 10; i < 20; i++)
		ASSERT_EQ(fault(BASE + i * PAGE, SVM_WRITE), 0);
	auto child = proc->fork();

	EXPECT_EQ(count().present, 0u);
	ASSERT_EQ(fault(BASE + 10 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(device().write(BASE + 10 * PAGE, 7).what, gpu::status::ok);
}

} // namespace svm_test
