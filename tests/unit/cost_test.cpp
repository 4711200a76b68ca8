// SPDX-License-Identifier: GPL-2.0-only
/* What a fault may cost, and that faults do not wait for each other. */
#include "mm/pt/table.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

using cost_test = bound_machine;

TEST_F(cost_test, duplicate_takes_no_lock)
{
	map(BASE, MiB);
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	ASSERT_EQ(count().huge_leaves, 1u);

	costs before = spent();

	for (svm_access how : {SVM_READ, SVM_WRITE, SVM_ATOMIC}) {
		EXPECT_EQ(fault(BASE + 3 * PAGE, how), 0);
		EXPECT_EQ(fault(BASE + 3 * MiB, how), 0);
	}
	EXPECT_EQ(spent(), before);
	EXPECT_EQ(count().duplicates, 6u);
}

TEST_F(cost_test, fault_in_a_table_that_is_there_allocates_nothing)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE), 0);

	u64 allocs = spent().allocs, tables = gpus->allocs;

	ASSERT_EQ(fault(BASE + 100 * PAGE), 0);
	ASSERT_EQ(fault(BASE + 200 * PAGE, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0); /* upgrade */
	EXPECT_EQ(spent().allocs, allocs);
	EXPECT_EQ(gpus->allocs, tables);
	EXPECT_EQ(count().duplicates, 0u);
}

TEST_F(cost_test, one_mmap_lock_a_fault)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE), 0);

	costs before = spent();

	ASSERT_EQ(fault(BASE + 100 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(spent().mmap_locks, before.mmap_locks + 1);
	EXPECT_EQ(spent().faults, before.faults + 1);
	EXPECT_EQ(spent().table_locks, before.table_locks + 1);
	EXPECT_EQ(spent().domain_locks, before.domain_locks);
	EXPECT_EQ(spent().syncs, before.syncs);
}

/* Each waits in the fault path until the other is there too. */
TEST_F(cost_test, faults_in_different_tables_at_the_same_time)
{
	std::atomic<unsigned> inside{0};
	std::atomic<bool> met{true};
	int err[2];

	map(BASE, 4 * MiB);
	hook.fault_entry = [&](const auto &) {
		inside++;
		if (!eventually([&] { return inside >= 2; }))
			met = false;
	};

	std::thread other([&] { err[1] = fault(BASE + 2 * MiB); });

	err[0] = fault(BASE);
	other.join();
	EXPECT_TRUE(met);
	EXPECT_EQ(err[0], 0);
	EXPECT_EQ(err[1], 0);
	EXPECT_EQ(count().intervals, 1u);
}

/* More at a time than the vm keeps room for: the last ones get by with little, and are right. */
TEST_F(cost_test, many_faults_at_the_same_time)
{
	constexpr unsigned n = 20;
	std::atomic<unsigned> inside{0};
	std::atomic<unsigned> failed{0};
	std::vector<std::thread> threads;

	map(BASE, n * 2 * MiB);
	hook.fault_entry = [&](const auto &) {
		inside++;
		if (!eventually([&] { return inside >= n; }))
			failed++;
	};
	for (unsigned i = 0; i < n; i++)
		threads.emplace_back([&, i] {
			if (fault(BASE + i * 2 * MiB + 40 * PAGE, SVM_WRITE))
				failed++;
		});
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(failed, 0u);
	EXPECT_EQ(count().tables, n);
	for (unsigned i = 0; i < n; i++)
		EXPECT_EQ(device().write(BASE + i * 2 * MiB + 40 * PAGE, i).what, gpu::status::ok);
	EXPECT_EQ(count().present, n * 16u);
}

/* Beyond PTEs and directories, a touched 2 MiB costs one table node. */
TEST_F(cost_test, bookkeeping_of_a_touched_table)
{
	constexpr unsigned n = 64;

	map(BASE, (n + 1) * 2 * MiB);
	ASSERT_EQ(fault(BASE), 0);

	svm_counters first = count();
	u64 heap = live.heap;

	for (unsigned i = 1; i <= n; i++)
		ASSERT_EQ(fault(BASE + i * 2 * MiB, SVM_WRITE), 0);

	svm_counters c = count();

	EXPECT_EQ(c.tables, first.tables + n);
	EXPECT_EQ(c.directories, first.directories);
	EXPECT_EQ(live.heap, heap + n);
	EXPECT_EQ(c.host_bytes - first.host_bytes, n * sizeof(svm::table));
	EXPECT_LE((c.host_bytes - first.host_bytes) / n, 128u);
	EXPECT_EQ(c.device_bytes - first.device_bytes, n * 4096u);
	EXPECT_EQ(c.device_bytes, gpus->bytes);
}

/* A table that one huge leaf serves has no device memory. */
TEST_F(cost_test, huge_leaf_needs_no_table_memory)
{
	map(BASE, 4 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);

	u64 tables = gpus->tables;

	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(gpus->tables, tables);
	EXPECT_EQ(count().huge_leaves, 2u);
	EXPECT_EQ(count().present, 1024u);
}

} // namespace svm_test
