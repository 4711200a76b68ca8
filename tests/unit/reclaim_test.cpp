// SPDX-License-Identifier: GPL-2.0-only
/* mm/reclaim.hpp: idle tables and empty directories leave by the shrinker, and nothing else does. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class reclaim_test : public bound_machine
{
protected:
	/* What was used since the last time is passed over once. The tables that went. */
	u64 shrink_all()
	{
		u64 had = count().tables;

		for (int i = 0; i < 3; i++)
			shrink(~0ull);
		return had - count().tables;
	}

	/* Runs fn once, where the next fault has its pages in its hands. */
	void in_next_fault(std::function<void()> fn)
	{
		hook.fault_exit = [fn, once = true](const auto &) mutable {
			if (std::exchange(once, false))
				fn();
		};
	}
};

TEST_F(reclaim_test, idle_tables_go_and_their_memory_with_them)
{
	map(BASE, 16 * MiB);
	for (u64 i = 0; i < 8; i++)
		ASSERT_EQ(fault(BASE + i * 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(shrinkable(), 0u);
	EXPECT_EQ(shrink_all(), 0u);

	u64 tables = gpus->tables, heap = live.heap;

	proc->munmap(BASE, BASE + 6 * MiB);
	EXPECT_EQ(shrinkable(), 3u);
	EXPECT_EQ(shrink_all(), 3u);
	EXPECT_EQ(shrinkable(), 0u);
	EXPECT_TRUE(eventually([&] { return count().tables_freed == 3; }));
	EXPECT_EQ(count().tables, 5u);
	EXPECT_EQ(gpus->tables, tables - 3);
	EXPECT_EQ(live.heap, heap - 3);
	EXPECT_EQ(count().device_bytes, gpus->bytes);
	for (u64 i = 3; i < 8; i++)
		EXPECT_EQ(device().write(BASE + i * 2 * MiB, i).what, gpu::status::ok);
}

TEST_F(reclaim_test, no_more_than_asked_for)
{
	map(BASE, 16 * MiB);
	for (u64 i = 0; i < 8; i++)
		ASSERT_EQ(fault(BASE + i * 2 * MiB, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + 16 * MiB);
	EXPECT_EQ(shrink(0), 0u);
	for (int i = 0; i < 12; i++) { /* used ones are passed over once, and a call looks at a part only */
		u64 had = gpus->tables, freed = shrink(3);

		EXPECT_LE(freed, 3u);
		EXPECT_TRUE(eventually([&] { return gpus->tables == had - freed; }));
	}
	EXPECT_EQ(count().tables, 0u);
	EXPECT_EQ(count().directories, 1u); /* the root */
}

/* The device holds a pointer to the table from earlier walks; it is flushed before the memory goes. */
TEST_F(reclaim_test, device_forgets_the_table)
{
	u64 v;

	map(BASE, 2 * MiB);
	ASSERT_EQ(device_write(BASE, 1), 0);
	proc->dontneed(BASE, BASE + 2 * MiB);

	u64 flushes = count().flushes;

	EXPECT_EQ(shrink(~0ull), 0u); /* used */
	EXPECT_EQ(shrink(~0ull), 1u);
	EXPECT_EQ(count().flushes, flushes + 1);
	EXPECT_TRUE(eventually([&] { return count().tables_freed == 1; }));
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault); /* a walk of the freed table would be a complaint */
	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(count().tables_made, 2u);
}

/* And not before the acknowledge. */
TEST_F(reclaim_test, memory_stays_until_the_acknowledge)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(device_write(BASE, 1), 0);
	proc->dontneed(BASE, BASE + 2 * MiB);
	gpus->hold();

	u64 tables = gpus->tables;
	std::thread t([&] { shrink_all(); });

	EXPECT_TRUE(eventually([&] { return gpus->waiting() == 1; }));
	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_EQ(gpus->tables, tables);
	gpus->release();
	t.join();
	EXPECT_TRUE(eventually([&] { return count().tables_freed == 1; }));
	EXPECT_LT(gpus->tables, tables);
}

/* A fault stands on the table, with pages in its hands, when the table goes. */
TEST_F(reclaim_test, fault_walks_again_when_its_table_went)
{
	map(BASE, 2 * MiB);
	touch(BASE, MiB);
	in_next_fault([this] { EXPECT_EQ(shrink_all(), 1u); });
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().retries, 1u);
	EXPECT_EQ(count().tables_made, 2u);
	EXPECT_EQ(count().tables, 1u);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
	EXPECT_EQ(mem->dma_live(), 256u);
}

/* It was to write one leaf for the whole table. */
TEST_F(reclaim_test, fault_with_a_huge_page_walks_again_when_its_table_went)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + 2 * MiB);
	in_next_fault([this] { EXPECT_EQ(shrink_all(), 1u); });
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().retries, 1u);
	EXPECT_EQ(count().tables_made, 2u);
	EXPECT_EQ(count().tables, 1u);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
	proc->dontneed(BASE, BASE + 2 * MiB);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::fault);
	EXPECT_EQ(mem->dma_live(), 0u);
}

/* An invalidation that comes between a table's end and its successor's birth is not missed. */
TEST_F(reclaim_test, invalidation_after_the_table_went)
{
	u64 v;

	map(BASE, 2 * MiB);
	touch(BASE, PAGE, 9);
	in_next_fault([this] {
		EXPECT_EQ(shrink_all(), 1u);
		proc->dontneed(BASE, BASE + PAGE);
	});
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(v, 0u);
}

TEST_F(reclaim_test, huge_tables_go_too)
{
	map(BASE, 4 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(shrink_all(), 0u);
	proc->munmap(BASE, BASE + 2 * MiB);
	EXPECT_EQ(shrink_all(), 1u);
	EXPECT_EQ(device().write(BASE + 2 * MiB, 1).what, gpu::status::ok);
}

/* Allocation may enter reclaim wherever the core allocates: window lock held, reader section open. */
TEST_F(reclaim_test, inside_the_cores_own_allocations)
{
	map(BASE, 16 * MiB);
	for (u64 i = 0; i < 4; i++)
		ASSERT_EQ(fault(BASE + i * 2 * MiB, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + 8 * MiB);
	reclaim_on_alloc(true);
	for (u64 i = 0; i < 8; i++)
		ASSERT_EQ(fault(BASE + i * 2 * MiB, SVM_WRITE), 0);
	ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 16 * MiB, 0), 0);
	u64 pages;

	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 16 * MiB, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 4096u);
}

/* Reclaim also calls back: pages of the very table that the fault works on go while it allocates. */
TEST_F(reclaim_test, allocation_that_reclaims_mapped_pages)
{
	map(BASE, 4 * MiB);
	touch(BASE, 64 * PAGE, 1);
	hook.alloc = [&] {
		for (u64 i = 0; i < 4; i++)
			proc->swap_out(BASE + i * 7 * PAGE);
	};
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	hook.alloc = nullptr;

	u64 v;

	for (u64 i = 0; i < 64; i++) {
		ASSERT_EQ(device_read(BASE + i * PAGE, &v), 0);
		ASSERT_EQ(v, i + 1);
	}
}

} // namespace svm_test
