// SPDX-License-Identifier: GPL-2.0-only
/* mm/mirror.hpp: what happens when a fault and an invalidation meet, step by step. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

using mirror_test = bound_machine;

TEST_F(mirror_test, one_page_zaps_one_entry)
{
	map(BASE, 2 * MiB);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);

	svm_counters before = count();
	u64 v;

	ASSERT_EQ(before.present, 512u);
	for (u64 i = 0; i < 512; i++)
		ASSERT_EQ(device().read(BASE + i * PAGE).value, i + 1); /* all in the TLB */
	proc->dontneed(BASE + 7 * PAGE, BASE + 8 * PAGE);

	svm_counters after = count();

	EXPECT_EQ(after.ptes_zapped, before.ptes_zapped + 1);
	EXPECT_EQ(after.flushes, before.flushes + 1);
	EXPECT_EQ(after.present, 511u);
	EXPECT_EQ(after.dirtied, before.dirtied + 1);
	EXPECT_EQ(mem->dma_live(), 511u);
	EXPECT_EQ(device().read(BASE + 7 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 6 * PAGE).value, 7u);
	EXPECT_EQ(device().read(BASE + 8 * PAGE).value, 9u);
	ASSERT_EQ(device_read(BASE + 7 * PAGE, &v), 0);
	EXPECT_EQ(v, 0u);
}

TEST_F(mirror_test, many_tables_go_with_one_flush)
{
	map(BASE, 16 * MiB);
	for (u64 va = BASE; va < BASE + 16 * MiB; va += 2 * MiB)
		ASSERT_EQ(fault(va + 3 * PAGE, SVM_WRITE), 0);

	svm_counters before = count();

	proc->munmap(BASE, BASE + 16 * MiB);
	EXPECT_EQ(count().flushes, before.flushes + 1);
	EXPECT_EQ(count().present, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(mem->frames_used(), 0u);
}

TEST_F(mirror_test, nothing_mapped_costs_no_flush)
{
	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE), 0);

	svm_counters before = count();

	proc->dontneed(BASE + 2 * MiB, BASE + 2 * MiB + PAGE); /* no table */
	proc->dontneed(BASE + 100 * PAGE, BASE + 101 * PAGE); /* no entry */
	EXPECT_EQ(count().invalidations, before.invalidations + 2);
	EXPECT_EQ(count().flushes, before.flushes);
	EXPECT_EQ(count().ptes_zapped, before.ptes_zapped);
}

/* The device has the page in its TLB, and the address is taken over by other memory. */
TEST_F(mirror_test, unmap_and_map_again)
{
	u64 v;

	map(BASE, MiB);
	touch(BASE, MiB, 1000);
	ASSERT_EQ(device_read(BASE, &v), 0);
	proc->munmap(BASE, BASE + MiB);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE), -EFAULT);
	map(BASE, MiB);
	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(v, 0u);
}

TEST_F(mirror_test, protection_follows)
{
	u64 v;

	map(BASE, MiB);
	ASSERT_EQ(device_write(BASE, 3), 0);
	proc->mprotect(BASE, BASE + MiB, PROT_R);
	EXPECT_EQ(device().write(BASE, 4).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EPERM);
	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(v, 3u);
	proc->mprotect(BASE, BASE + MiB, PROT_N);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE), -EFAULT);
	proc->mprotect(BASE, BASE + MiB, PROT_RW);
	ASSERT_EQ(device_write(BASE, 5), 0);
}

/* A leaf that allowed reading gets write as well: the device has the old one in its TLB, and must not keep it. */
TEST_F(mirror_test, permission_upgrade_flushes)
{
	u64 v;

	map(BASE, MiB);
	touch(BASE, 16 * PAGE, 1);

	auto child = proc->fork(); /* makes the pages read-only for now */

	ASSERT_EQ(device_read(BASE, &v), 0);
	child.reset(); /* sole user again: the write fault reuses the page, and nobody is notified */
	EXPECT_EQ(device().write(BASE, 9).what, gpu::status::fault); /* the TLB says so */

	svm_counters before = count();
	u64 mappings = mem->dma_live();

	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().flushes, before.flushes + 1);
	EXPECT_EQ(count().invalidations, before.invalidations);
	EXPECT_EQ(mem->dma_live(), mappings);
	EXPECT_EQ(device().write(BASE, 9).what, gpu::status::ok);
	EXPECT_EQ(device().add(BASE, 1).what, gpu::status::ok);
}

/* ---- the sequences ---- */

/* The page goes after the fault looked and before it writes: it must look again. */
TEST_F(mirror_test, invalidation_in_the_same_table_restarts_the_fault)
{
	bool once = true;
	u64 v;

	map(BASE, MiB);
	touch(BASE, PAGE, 42);
	hook.fault_exit = [&](const auto &) {
		if (std::exchange(once, false))
			proc->dontneed(BASE, BASE + PAGE);
	};
	ASSERT_EQ(fault(BASE), 0);
	hook.fault_exit = nullptr;
	EXPECT_EQ(count().retries, 1u);
	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(v, 0u);
}

/* The same for a table that has been there for long and maps nothing: it gets the sequence too. */
TEST_F(mirror_test, invalidation_of_an_empty_table_restarts_the_fault)
{
	bool once = true;

	map(BASE, MiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + MiB);
	ASSERT_EQ(count().present, 0u);
	hook.fault_exit = [&](const auto &) {
		if (std::exchange(once, false))
			proc->dontneed(BASE, BASE + PAGE);
	};
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	hook.fault_exit = nullptr;
	EXPECT_EQ(count().retries, 1u);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
}

TEST_F(mirror_test, invalidation_in_another_table_of_the_interval_does_not)
{
	map(BASE, 6 * MiB);
	touch(BASE, 6 * MiB);
	ASSERT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE + 4 * MiB, SVM_WRITE), 0);
	hook.fault_exit = [&](const auto &) {
		proc->dontneed(BASE + 2 * MiB, BASE + 3 * MiB);
		proc->dontneed(BASE + 4 * MiB + 5 * PAGE, BASE + 4 * MiB + 6 * PAGE);
	};
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(count().retries, 0u);
	EXPECT_EQ(count().intervals, 1u);
}

/* Neither does it make it wait: here the invalidation next door does not end before the fault. */
TEST_F(mirror_test, fault_does_not_wait_for_an_invalidation_in_another_table)
{
	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(fault(BASE + 2 * MiB), 0);
	proc->notifiers().start({BASE, BASE + PAGE});
	EXPECT_EQ(fault(BASE + 2 * MiB + 100 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().retries, 0u);
	proc->notifiers().end();
}

/* An invalidation is under way: its callback is done, the CPU's entries have not changed yet. The fault must wait. */
TEST_F(mirror_test, fault_waits_for_an_invalidation_under_way)
{
	std::atomic<bool> done{false};
	int err = -1;

	map(BASE, MiB);
	ASSERT_EQ(fault(BASE), 0);
	proc->notifiers().start({BASE, BASE + PAGE});

	std::thread t([&] {
		err = fault(BASE + 100 * PAGE, SVM_WRITE);
		done = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_FALSE(done);
	proc->notifiers().end();
	t.join();
	EXPECT_EQ(err, 0);
}

/* Likewise where the callback could not find the table, since it was made later: the sequence comes from the interval. */
TEST_F(mirror_test, fault_in_a_new_table_waits_for_an_invalidation_under_way)
{
	std::atomic<unsigned> done{0};
	std::vector<std::thread> threads;
	std::atomic<int> err{0};

	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE), 0); /* makes the interval */
	proc->notifiers().start({BASE + 2 * MiB, BASE + 4 * MiB});
	for (u64 i = 0; i < 4; i++) /* whoever of them makes it, all wait */
		threads.emplace_back([&, i] {
			if (int e = fault(BASE + 2 * MiB + i * 32 * PAGE, SVM_WRITE))
				err = e;
			done++;
		});
	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_EQ(done, 0u);
	proc->notifiers().end();
	for (auto &t : threads)
		t.join();
	EXPECT_EQ(err, 0);
	EXPECT_EQ(count().tables, 2u);
}

/* And where even the interval is new: the kernel gives it the current sequence. */
TEST_F(mirror_test, fault_in_a_new_interval_waits_for_an_invalidation_under_way)
{
	std::atomic<bool> done{false};
	int err = -1;

	destroy();
	ASSERT_EQ(create(21), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE), 0);
	proc->notifiers().start({BASE, BASE + 4 * MiB});

	std::thread t([&] {
		err = fault(BASE + 2 * MiB, SVM_WRITE);
		done = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_FALSE(done);
	proc->notifiers().end();
	t.join();
	EXPECT_EQ(err, 0);
}

} // namespace svm_test
