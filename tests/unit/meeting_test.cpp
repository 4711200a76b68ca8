// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads meet at one step of the fault path, or at a lock of the vm, and one of them loses.
 * Who loses is not left to chance where the port's hooks can decide it: the hook runs the winner
 * to its end in the midst of the loser.
 */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class meeting_test : public machine
{
protected:
	/* What a fault finds at va. */
	bool bound(u64 va)
	{
		svm::reader section(vm->domain());

		return vm->bindings.at(va);
	}

	/* Runs fn in the next allocation, once. */
	void in_next_alloc(std::function<void()> fn)
	{
		hook.alloc = [this, fn] {
			if (!std::exchange(met, true))
				fn();
		};
	}

	bool met = false;
};

/* Two faults make the same table: the second to publish it drops its own. */
TEST_F(meeting_test, two_make_one_table)
{
	map(BASE, 4 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE), 0); /* interval and directories */
	proc->dontneed(BASE, BASE + PAGE);

	u64 heap = live.heap, idle = shrinkable();

	in_next_alloc([&] { EXPECT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0); });
	EXPECT_EQ(fault(BASE + 2 * MiB + 64 * PAGE, SVM_WRITE), 0);
	EXPECT_TRUE(met);
	EXPECT_EQ(count().tables_made, 2u);
	EXPECT_EQ(count().tables, 2u);
	EXPECT_EQ(live.heap, heap + 1);
	EXPECT_EQ(shrinkable(), idle); /* the one that was dropped is not counted as free any more */
	EXPECT_EQ(device().write(BASE + 2 * MiB, 1).what, gpu::status::ok);
	EXPECT_EQ(device().write(BASE + 2 * MiB + 64 * PAGE, 1).what, gpu::status::ok);
}

/* The same for a directory: the device is led to the one that was published, and to no other. */
TEST_F(meeting_test, two_make_one_directory)
{
	recreate(40, 12); /* one interval for all of it, so that the directory is what is allocated first */
	map(BASE, 2 * GiB);
	ASSERT_EQ(fault(BASE), 0);

	u64 directories = count().directories;

	in_next_alloc([&] { EXPECT_EQ(fault(BASE + GiB + 2 * MiB, SVM_WRITE), 0); });
	EXPECT_EQ(fault(BASE + GiB, SVM_WRITE), 0);
	EXPECT_TRUE(met);
	EXPECT_EQ(count().directories, directories + 1);
	EXPECT_EQ(gpus->tables, count().directories + count().tables);
	EXPECT_EQ(gpus->bytes, count().device_bytes);
	EXPECT_EQ(device().write(BASE + GiB, 1).what, gpu::status::ok);
	EXPECT_EQ(device().write(BASE + GiB + 2 * MiB, 1).what, gpu::status::ok);
}

/* Two faults bring memory for the same table: one of it is used, the other given back. */
TEST_F(meeting_test, two_bring_memory_for_one_table)
{
	map(BASE, PAGE, PROT_R);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), -EPERM); /* makes a table, but no memory for it */
	ASSERT_EQ(gpus->tables, count().directories);
	in_next_alloc([&] { EXPECT_EQ(fault(BASE), 0); });
	EXPECT_EQ(fault(BASE), 0);
	EXPECT_TRUE(met);
	EXPECT_EQ(gpus->tables, count().directories + 1);
	EXPECT_EQ(gpus->bytes, count().device_bytes);
	EXPECT_EQ(count().present, 1u);
	EXPECT_EQ(mem->dma_live(), 1u); /* the loser's mapping is undone */
	EXPECT_EQ(device().read(BASE).what, gpu::status::ok);
}

/* The window goes while the fault is told that it must wait for the memory's manager: it waits for nobody. */
TEST_F(meeting_test, unbound_before_it_waits)
{
	std::atomic<task *> waiter{nullptr};
	std::atomic<bool> done{false};
	std::thread unbinding;
	int err = 1;

	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * MiB, .managed = true, .object = {}}), 0);
	/* Where a fault would wait that had lost its address. */
	ASSERT_EQ(proc->mmap({.start = 0, .end = PAGE, .managed = true, .object = {}}), 0);
	hook.fault_exit = [&](const auto &) {
		unbinding = std::thread([&] { EXPECT_EQ(svm_unbind(vm, BASE, BASE + 2 * MiB), 0); });
		EXPECT_TRUE(eventually([&] { return !bound(BASE); }));
	};

	std::thread faulting([&] {
		waiter = &current();
		err = fault(BASE);
		done = true;
		current().killed = false;
	});

	EXPECT_TRUE(eventually([&] { return done.load(); }));
	if (!done)
		kill(*waiter);
	faulting.join();
	unbinding.join();
	hook.fault_exit = nullptr;
	EXPECT_EQ(err, -EFAULT);
	EXPECT_EQ(proc->waiting, 0u);
	expect_empty();
}

/* The binding goes while the fault looks for the memory behind it. */
TEST_F(meeting_test, unbound_before_its_first_interval)
{
	int faulted = 1, unbound = 1;

	map(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	proc->mmap_lock().lock(); /* the fault looks for a mapping under it */

	std::thread faulting([&] { faulted = fault(BASE); });

	std::this_thread::sleep_for(std::chrono::milliseconds(100));

	std::thread unbinding([&] { unbound = svm_unbind(vm, BASE, BASE + 2 * MiB); });

	EXPECT_TRUE(eventually([&] { return !bound(BASE); }));
	proc->mmap_lock().unlock();
	faulting.join();
	unbinding.join();
	EXPECT_EQ(faulted, -EFAULT);
	EXPECT_EQ(unbound, 0);
	expect_empty();
	EXPECT_EQ(count().tables_made, 0u);
}

/* A fault waits for the interval lock to make its interval, and is killed. */
TEST_F(meeting_test, fault_killed_while_waiting_for_the_interval_lock)
{
	std::atomic<bool> inside{false}, go{false};
	int held = 1, killed = 1;

	map(BASE, MiB);
	map(BASE + GiB, MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	hook.alloc = [&] {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread holder([&] { held = fault(BASE); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread waiter([&] {
		kill(current());
		killed = fault(BASE + GiB);
	});

	waiter.join();
	go = true;
	holder.join();
	EXPECT_EQ(killed, -EINTR);
	EXPECT_EQ(held, 0);
	EXPECT_EQ(count().intervals, 1u);
}

/* Before the prefetch waits for a page the CPU brings it. */
TEST_F(meeting_test, page_brought_before_a_prefetch_waits)
{
	u64 pages = 0;
	bool once = true;

	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * PAGE, .slow = true, .object = {}}), 0);
	hook.fault_exit = [&](const auto &) {
		if (std::exchange(once, false)) {
			EXPECT_EQ(proc->write(BASE, 8), 0);
		}
	};
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 2 * PAGE, SVM_READ, &pages), 0);
	EXPECT_EQ(pages, 2u);
	EXPECT_EQ(device().read(BASE).value, 8u);
}

/* Prefetch's threads all look for the next mapping at once, and each table is taken by one of them. */
TEST_F(meeting_test, prefetch_threads_want_the_same_table)
{
	u64 pages = 0;
	int err = 1;
	std::atomic<unsigned> calls{0};

	map(BASE, 8 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	hook.fault_entry = [&](const auto &) { calls++; };
	proc->mmap_lock().lock();

	std::thread asking([&] { err = svm_prefetch(vm, BASE, BASE + 8 * MiB, SVM_WRITE, &pages); });

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	proc->mmap_lock().unlock();
	asking.join();
	hook.fault_entry = nullptr;
	EXPECT_EQ(err, 0);
	EXPECT_EQ(pages, 2048u);
	EXPECT_EQ(calls, 4u); /* one fault fills a table; none is filled twice */
	EXPECT_EQ(count().ptes_written, 2048u);
}

/* The device goes between the zap and the end of its flush: what it had is not to be read from what lies there now. */
class lost_in_between_test : public meeting_test, public ::testing::WithParamInterface<bool>
{
};

TEST_P(lost_in_between_test, nothing_is_read_back)
{
	bool huge = GetParam();

	map(BASE, 2 * MiB, PROT_RW, huge);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(count().huge_leaves, huge ? 1u : 0u);
	ASSERT_EQ(mem->dma_live(), huge ? 1u : 512u);
	gpus->on_flush = [&](u64, u64) { gpus->lose(); };
	EXPECT_EQ(proc->munmap(BASE, BASE + 2 * MiB), 0);
	gpus->on_flush = nullptr;
	EXPECT_EQ(count().present, 0u);
	EXPECT_EQ(mem->dma_live(), 0u); /* given up, not given back: nothing that lies there now is an address */
	EXPECT_EQ(mem->frames_used(), 0u);
	EXPECT_EQ(count().dirtied, 0u);
	EXPECT_EQ(shrinkable(), 1u);
}

INSTANTIATE_TEST_SUITE_P(small_and_huge, lost_in_between_test, ::testing::Bool());

} // namespace svm_test
