// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/rebind.hpp: a bind that replaces, held in the midst, and what faults, callbacks and prefetches do meanwhile. */
#include "mm/vm.hpp"
#include "tests/unit/bind_ops.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class rebind_test : public machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	void SetUp() override
	{
		machine::SetUp();
		device().set_rule([](u64, u64) { return true; }); /* two offsets at a time */
	}

	/* Starts a bind to null at BASE, and returns when it only waits for readers any more. */
	void bind_until_tables_are_empty(svm_bind_op op)
	{
		svm_bind_op now{};

		binding = std::thread([this, op] { EXPECT_EQ(svm_bind_many(vm, &op, 1), 0); });
		EXPECT_TRUE(eventually([&] {
			return svm_bindings(vm, BASE, &now, 1) == 1 && now.kind == SVM_BIND_NULL && !vm->changing.load_acquire();
		}));
	}

	/* Starts a bind, which then waits in its first flush. */
	void hold(svm_bind_op op)
	{
		gpus->on_flush = [&](u64, u64) {
			if (!flushing.exchange(true))
				eventually([&] { return go.load(); });
		};
		binding = std::thread([this, op] { EXPECT_EQ(svm_bind_many(vm, &op, 1), 0); });
		ASSERT_TRUE(eventually([&] { return flushing.load(); }));
	}

	void let_go()
	{
		go = true;
		binding.join();
		gpus->on_flush = nullptr;
	}

	/*
	 * Two tables: one mirrors, the other half mirrors and half is a hole. A bind replaces half of the one and all of the other, and
	 * is held in the first, amid its flush: the map says the new, and the other table still maps by the old.
	 */
	static constexpr u64 KEPT = BASE + TABLE + 3 * PAGE; /* maps by the old */
	static constexpr u64 HOLE = BASE + 2 * TABLE - PAGE; /* was not bound */

	void hold_between_two_tables()
	{
		map(BASE, 2 * TABLE);
		map(BASE - GiB, 2 * TABLE);
		touch(BASE, 2 * TABLE);
		touch(BASE - GiB, 2 * TABLE, 5000);
		ASSERT_EQ(svm_bind(vm, BASE, BASE + 3 * MiB, 0), 0);
		ASSERT_EQ(fault(BASE + MiB), 0);
		ASSERT_EQ(fault(KEPT), 0);
		hold(mirror(BASE + MiB, BASE + 2 * TABLE, s64(GiB)));
	}

	std::thread binding;
	std::atomic<bool> flushing{false}, go{false};
};

/* The CPU takes a page away to which a table still leads by the old binding: the callback finds it. */
TEST_F(rebind_test, a_callback_takes_what_is_being_replaced)
{
	hold_between_two_tables();
	EXPECT_EQ(device().read(KEPT).what, gpu::status::ok);
	proc->dontneed(KEPT, KEPT + PAGE);
	EXPECT_EQ(device().read(KEPT).what, gpu::status::fault);
	let_go();
	EXPECT_EQ(device().read(KEPT).what, gpu::status::fault);
}

/* No fault maps by the new binding beside what is left of the old: it would hide that from its callbacks. */
TEST_F(rebind_test, a_fault_waits_until_its_table_is_empty)
{
	std::atomic<bool> served{false};
	int err = 1;

	hold_between_two_tables();

	std::thread faulting([&] {
		err = fault(HOLE);
		served = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(served);
	proc->dontneed(KEPT, KEPT + PAGE);
	EXPECT_EQ(device().read(KEPT).what, gpu::status::fault);
	let_go();
	faulting.join();
	EXPECT_EQ(err, 0); /* it has not given up */
	EXPECT_EQ(device().read(HOLE).value, 5000u + 1023);
}

/* A prefetch sleeps so long, and does not look again and again. */
TEST_F(rebind_test, a_prefetch_waits_until_its_table_is_empty)
{
	u64 pages = 0, locks = 0;
	int err = 1;

	hold_between_two_tables();

	std::thread prefetching([&] {
		u64 before = current().lock_count;

		err = svm_prefetch(vm, BASE + TABLE, BASE + 2 * TABLE, SVM_READ, &pages);
		locks = current().lock_count - before;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	let_go();
	prefetching.join();
	EXPECT_EQ(err, 0);
	EXPECT_EQ(pages, 512u);
	EXPECT_LT(locks, 50u);
}

/* What a fault brought for a part of a table is not written when something else stands there. */
TEST_F(rebind_test, a_part_is_replaced_in_the_midst_of_a_fault)
{
	svm_bind_op op = null(BASE, BASE + MiB);
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + MiB, 0), 0);
	hook.fault_exit = [&](const auto &) {
		if (binding.joinable())
			return;
		bind_until_tables_are_empty(op);
	};
	EXPECT_EQ(device_read(BASE + 3 * PAGE, &v), 0);
	hook.fault_exit = nullptr;
	binding.join();
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
}

/* The interval on which a fault stands is there until the fault has left. */
TEST_F(rebind_test, an_interval_outlives_the_faults_on_it)
{
	map(BASE, TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	hook.fault_exit = [&](const auto &) {
		if (binding.joinable())
			return;
		binding = std::thread([&] { EXPECT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0); });

		svm_bind_op now;

		EXPECT_TRUE(eventually([&] { return !svm_bindings(vm, 0, &now, 1) && !vm->changing.load_acquire(); }));
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
		EXPECT_EQ(live.intervals, 1u);
	};
	EXPECT_EQ(fault(BASE), -EFAULT);
	hook.fault_exit = nullptr;
	binding.join();
	EXPECT_EQ(live.intervals, 0u);
}

/* A fault that would wait for a userfaultfd's manager does not, where the page is bound no more. */
TEST_F(rebind_test, no_wait_for_a_page_that_was_replaced)
{
	std::atomic<bool> served{false};
	std::atomic<task *> waiter{nullptr};
	svm_bind_op op = null(BASE, BASE + TABLE);
	int err = 1;

	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + TABLE, .managed = true, .object = {}}), 0);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	hook.fault_exit = [&](const auto &) {
		if (binding.joinable())
			return;
		bind_until_tables_are_empty(op);
	};

	std::thread faulting([&] {
		waiter = &current();
		err = fault(BASE + PAGE);
		served = true;
		eventually([&] { return !waiter.load(); });
	});

	EXPECT_TRUE(eventually([&] { return served.load(); }));
	kill(*waiter);
	waiter = nullptr;
	faulting.join();
	hook.fault_exit = nullptr;
	binding.join();
	EXPECT_EQ(err, 0);
}

/* A fault asks whether memory is mapped, which sleeps. What was unbound meanwhile gets no table. */
TEST_F(rebind_test, no_table_for_what_was_unbound_meanwhile)
{
	std::atomic<bool> inside{false};
	int err = 1;

	map(BASE, TABLE);
	map(GiB, PAGE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	hook.announced = [&](u64, u64) { /* under mmap_lock */
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread unmapping([&] { proc->munmap(GiB, GiB + PAGE); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread faulting([&] { err = fault(BASE); });

	std::this_thread::sleep_for(std::chrono::milliseconds(50)); /* it waits for mmap_lock */
	binding = std::thread([&] { EXPECT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0); });

	svm_bind_op now;

	EXPECT_TRUE(eventually([&] { return !svm_bindings(vm, 0, &now, 1); }));
	go = true;
	unmapping.join();
	faulting.join();
	binding.join();
	hook.announced = nullptr;
	EXPECT_EQ(err, -EFAULT);
	EXPECT_EQ(count().tables_made, 0u);
}

/* Two bindings in one block of intervals: each callback leaves the other's tables alone. */
TEST_F(rebind_test, a_callback_passes_by_the_tables_of_others)
{
	map(BASE, 2 * TABLE);
	map(BASE - GiB, 2 * TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	ASSERT_EQ(svm_bind(vm, BASE + TABLE, BASE + 2 * TABLE, s64(GiB)), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(fault(BASE + TABLE, SVM_WRITE), 0);

	u64 present = count().present;

	proc->dontneed(BASE + TABLE, BASE + 2 * TABLE); /* mirrored nowhere */
	EXPECT_EQ(count().present, present);
	EXPECT_EQ(device().read(BASE + TABLE).what, gpu::status::ok);
	proc->dontneed(BASE - GiB + TABLE, BASE - GiB + 2 * TABLE);
	EXPECT_EQ(device().read(BASE + TABLE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE).what, gpu::status::ok);
}

/* A table ceases to be its interval's alone while a callback flushes: what that has retired is given back by the rebind. */
TEST_F(rebind_test, what_a_callback_retired_is_given_back)
{
	map(BASE, TABLE);
	touch(BASE, 16 * PAGE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(mem->dma_live(), 16u);
	gpus->on_flush = [&](u64, u64) {
		if (!flushing.exchange(true))
			eventually([&] { return go.load(); });
	};

	std::thread discarding([&] { proc->dontneed(BASE, BASE + PAGE); });

	ASSERT_TRUE(eventually([&] { return flushing.load(); }));
	binding = std::thread([&] { EXPECT_EQ(svm_unbind(vm, BASE + 100 * PAGE, BASE + 101 * PAGE), 0); }); /* nothing is mapped there */
	EXPECT_TRUE(eventually([&] { return mem->dma_live() == 15; }));
	go = true;
	binding.join();
	discarding.join();
	gpus->on_flush = nullptr;
	EXPECT_EQ(mem->dma_live(), 15u);
}

/* A callback over two tables, with one of another binding between them: what is retired there waits for its own flush. */
TEST_F(rebind_test, a_callback_gives_back_in_its_own_tables)
{
	std::atomic<unsigned> flushes{0};
	std::atomic<bool> first{false}, second{false};

	map(BASE, 3 * TABLE);
	map(BASE - GiB, 3 * TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 3 * TABLE, 0), 0);
	ASSERT_EQ(svm_bind(vm, BASE + TABLE, BASE + 2 * TABLE, s64(GiB)), 0);
	for (u64 va = BASE; va < BASE + 3 * TABLE; va += TABLE)
		ASSERT_EQ(fault(va), 0);
	ASSERT_EQ(mem->dma_live(), 48u);
	gpus->on_flush = [&](u64, u64) {
		unsigned n = flushes.fetch_add(1);

		eventually([&] { return n == 0 ? first.load() : second.load(); });
	};

	std::thread outer([&] { proc->dontneed(BASE, BASE + 3 * TABLE); });

	ASSERT_TRUE(eventually([&] { return flushes == 1; }));

	std::thread inner([&] { proc->dontneed(BASE + TABLE - GiB, BASE + TABLE - GiB + PAGE); });

	ASSERT_TRUE(eventually([&] { return flushes == 2; }));
	first = true;
	outer.join();
	EXPECT_EQ(mem->dma_live(), 16u);
	second = true;
	inner.join();
	gpus->on_flush = nullptr;
	EXPECT_EQ(mem->dma_live(), 15u);
}

/* At both ends of the user's addresses an interval is cut off: the machine complains of one that is not. */
TEST_F(rebind_test, intervals_end_where_the_users_addresses_do)
{
	const u64 low = GiB + 256 * MiB, high = 2 * GiB + 256 * MiB, last = USER_END - 64 * PAGE;

	map(16 * PAGE, 16 * PAGE);
	map(last, 16 * PAGE);
	ASSERT_EQ(svm_bind(vm, low, low + 32 * PAGE, s64(low)), 0);
	ASSERT_EQ(svm_bind(vm, high, high + 64 * PAGE, s64(high) - s64(last)), 0);
	ASSERT_EQ(fault(low + 16 * PAGE, SVM_WRITE), 0);
	ASSERT_EQ(fault(high, SVM_WRITE), 0);
	EXPECT_EQ(count().intervals, 2u);
	proc->dontneed(16 * PAGE, 32 * PAGE);
	proc->dontneed(last, last + 16 * PAGE);
	EXPECT_EQ(device().read(low + 16 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(high).what, gpu::status::fault);
}

} // namespace svm_test
