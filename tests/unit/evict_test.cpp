// SPDX-License-Identifier: GPL-2.0-only
/* mm/room.cpp: who takes tables where memory for them ran out, of which vms, and no more than needed. */
#include "tests/unit/room_machine.hpp"

namespace svm_test
{

class evict_test : public room_machine
{
protected:
	void TearDown() override
	{
		free_wait_steps = 1000;
		room_machine::TearDown();
	}

	/* Memory is used up, and what is taken does not come back before let_go(). An eighth of the memory is 8 tables. */
	void fill_and_hold()
	{
		map(BASE, 200 * TABLE);
		gpus->limit = 67; /* root, two directories, 64 tables */
		use(BASE, 64);
		cookie = port_read_enter(vm->domain());
	}
	void let_go()
	{
		port_read_exit(vm->domain(), cookie);
	}

	/* Faults that find no memory, each on a thread of its own. */
	void begin(unsigned n)
	{
		for (unsigned i = 0; i < n; i++)
			threads.emplace_back([=, this] {
				failed += fault(BASE + (100 + started++) * TABLE, SVM_WRITE) != 0;
			});
	}
	void end()
	{
		for (std::thread &t : threads)
			t.join();
		EXPECT_EQ(failed, 0u);
	}
	static void forever()
	{
		free_wait_steps = 1 << 30;
	}

	static constexpr u64 batch = 8;
	int cookie = 0;
	std::vector<std::thread> threads;
	std::atomic<unsigned> failed{0}, started{0};
};

TEST_F(evict_test, all_wait_for_what_one_took)
{
	forever();
	fill_and_hold();
	begin(1);
	EXPECT_TRUE(eventually([&] { return free_waiters == 1; }));
	begin(7);
	EXPECT_TRUE(eventually([&] { return free_waiters == 8; }));
	EXPECT_EQ(on_their_way(), batch);
	let_go();
	end();
}

/* The others do not even begin to look for tables. */
TEST_F(evict_test, one_takes_at_a_time)
{
	forever();
	fill_and_hold();

	svm::table &oldest = *vm->pt.find(BASE);

	oldest.lock.acquire();
	begin(2);
	EXPECT_TRUE(eventually([&] { return free_waiters == 1; })) << "both take, or none";
	EXPECT_EQ(on_their_way(), 0u);
	oldest.lock.release();
	EXPECT_TRUE(eventually([&] { return free_waiters == 2; }));
	EXPECT_EQ(on_their_way(), batch);
	let_go();
	end();
}

/* A reader that sleeps long keeps what was taken. */
TEST_F(evict_test, more_goes_when_none_comes_back_in_time)
{
	free_wait_steps = 10;
	fill_and_hold();
	begin(1);
	EXPECT_TRUE(eventually([&] { return on_their_way() >= 2 * batch; }));
	let_go();
	end();
}

TEST_F(evict_test, more_goes_when_others_get_what_comes_back)
{
	unsigned came = 0;

	forever();
	fill_and_hold();
	begin(1);
	EXPECT_TRUE(eventually([&] { return free_waiters == 1; }));
	EXPECT_TRUE(eventually([&] {
		if (on_their_way() >= 2 * batch)
			return true;
		dev.frees++;
		came++;
		return false;
	}));
	EXPECT_GE(came, 4u) << "and not at once";
	let_go();
	end();
}

TEST_F(evict_test, another_devices_memory_is_not_waited_for)
{
	::device second;
	backend seconds(*mem);
	svm_vm_params p = params();
	svm_vm *other = nullptr;

	p.dma_device = &second;
	p.backend = &seconds;
	ASSERT_EQ(svm_vm_create(&p, &other), 0);
	forever();
	fill_and_hold();
	begin(1);
	EXPECT_TRUE(eventually([&] { return free_waiters == 1; }));
	std::thread([&] { /* this one is in a reader section */
		for (u64 i = 0; i < 20; i++) {
			u64 before = second.frees;

			ASSERT_EQ(svm_bind_all(other), 0);
			ASSERT_EQ(svm_fault(other, BASE, SVM_WRITE), 0);
			ASSERT_EQ(svm_unbind(other, 0, USER_END), 0);
			EXPECT_TRUE(eventually([&] { return second.frees > before; }));
		}
	}).join();
	EXPECT_EQ(on_their_way(), batch);
	EXPECT_EQ(free_waiters, 1u);
	let_go();
	end();
	svm_vm_destroy(other);
}

/* A node that no fault came to since its vm got memory is too young to be taken at once. It is no reason to give up. */
TEST_F(evict_test, idle_nodes_that_were_just_used_go)
{
	svm_vm *other = make_other();

	map(BASE, TABLE);
	ASSERT_EQ(svm_bind_all(other), 0);
	ASSERT_EQ(svm_fault(other, BASE, SVM_WRITE), 0);
	ASSERT_EQ(svm_fault(other, BASE + MiB, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + TABLE);
	gpus->limit = gpus->tables.load();
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(counted(other).tables, 0u);
	svm_vm_destroy(other);
}

/* The vm that runs out loses tables before its neighbours do. */
TEST_F(evict_test, a_neighbour_with_few_tables_keeps_them)
{
	svm_vm *other = make_other();

	map(BASE, 400 * TABLE);
	ASSERT_EQ(svm_bind_all(other), 0);
	for (u64 i = 0; i < 24; i++) /* so many that the first ones are not young */
		ASSERT_EQ(svm_fault(other, BASE + i * TABLE, SVM_WRITE), 0);
	gpus->limit = 96;
	use(BASE, 400);
	EXPECT_EQ(counted(other).tables, 24u);
	EXPECT_EQ(counted(other).tables_made, 24u);
	svm_vm_destroy(other);
}

/* A limit of the process's own, or no memory for a record of the backend's: no other vm's tables would help. */
TEST_F(evict_test, what_is_not_a_full_device_evicts_nothing)
{
	svm_vm *other = make_other();
	unsigned steps = 0;
	int failed;

	map(BASE, 100 * TABLE);
	ASSERT_EQ(svm_bind_all(other), 0);
	for (u64 i = 0; i < 40; i++)
		ASSERT_EQ(svm_fault(other, BASE + i * TABLE, SVM_WRITE), 0);
	use(BASE, 40);

	u64 held = gpus->tables;

	do { /* each step of the fault fails once; the last time, none */
		inject.arm(++steps);
		failed = fault(BASE + 50 * TABLE, SVM_WRITE);
		EXPECT_EQ(failed, inject.armed() ? 0 : -ENOMEM) << steps;
	} while (failed);
	EXPECT_FALSE(HasFailure());
	inject.arm(0);
	EXPECT_EQ(gpus->tables, held + 1);
	EXPECT_EQ(counted(other).tables_freed + count().tables_freed, 0u);
	/* Nor for a new vm. */
	held = gpus->tables;
	for (unsigned n = 1; n <= 3; n++) {
		svm_vm_params p = params();
		svm_vm *none = nullptr;

		inject.arm(n);
		EXPECT_EQ(svm_vm_create(&p, &none), -ENOMEM) << n;
	}
	inject.arm(0);
	EXPECT_EQ(gpus->tables, held);
	EXPECT_EQ(counted(other).tables_freed + count().tables_freed, 0u);
	svm_vm_destroy(other);
}

/* Tables under huge leaves have no memory, so a vm does not hold much because of them. */
TEST_F(evict_test, huge_leaves_are_no_share_of_the_memory)
{
	svm_vm *other = make_other();

	map(BASE, 60 * TABLE, PROT_RW, true);
	map(BASE + 60 * TABLE, 600 * TABLE);
	ASSERT_EQ(svm_bind_all(other), 0);
	for (u64 i = 0; i < 84; i++)
		ASSERT_EQ(svm_fault(other, BASE + i * TABLE, SVM_WRITE), 0);
	EXPECT_EQ(counted(other).huge_leaves, 60u);
	gpus->limit = 72;
	use(BASE + 100 * TABLE, 400);
	EXPECT_EQ(counted(other).tables, 84u);
	EXPECT_EQ(counted(other).tables_made, 84u);
	svm_vm_destroy(other);
}

/* A table under a huge leaf has no memory to give: it stays while tables with memory are there, though they are younger. */
TEST_F(evict_test, huge_leaves_stay_where_tables_with_memory_go)
{
	map(BASE, 60 * TABLE, PROT_RW, true);
	map(BASE + 60 * TABLE, 600 * TABLE);
	use(BASE, 60);
	gpus->limit = 67;
	use(BASE + 100 * TABLE, 300);
	EXPECT_EQ(count().huge_leaves, 60u);
	for (u64 i = 0; i < 60; i++)
		EXPECT_EQ(device().read(BASE + i * TABLE).what, gpu::status::ok) << i;
}

/* What a bind and an unbind free is no memory for tables. */
TEST_F(evict_test, maps_of_windows_are_no_room)
{
	svm_vm *other = make_other();
	u64 before = port_frees(&dev);

	for (unsigned i = 0; i < 10; i++) {
		ASSERT_EQ(svm_bind(other, BASE, BASE + TABLE, 0), 0);
		ASSERT_EQ(svm_bind(other, BASE + TABLE, BASE + 2 * TABLE, 0), 0);
		ASSERT_EQ(svm_unbind(other, BASE, BASE + TABLE), 0);
		ASSERT_EQ(svm_unbind(other, BASE + TABLE, BASE + 2 * TABLE), 0);
	}
	svm_vm_destroy(other); /* all that was deferred is freed */
	EXPECT_EQ(port_frees(&dev), before);
}

/* One idle table among hundreds in use does not make each fault go through all of them. */
TEST_F(evict_test, a_fault_looks_at_few_tables)
{
	constexpr u64 faults = 300;

	map(BASE, 1000 * TABLE);
	gpus->limit = 512;
	use(BASE, 512);

	u64 locks = current().lock_count;

	for (u64 i = 512; i < 512 + faults; i++) {
		if (gpus->tables >= gpus->limit) /* the one idle table, and not a young one */
			proc->dontneed(BASE + (i - 100) * TABLE, BASE + (i - 99) * TABLE);
		ASSERT_EQ(fault(BASE + i * TABLE, SVM_WRITE), 0);
	}
	EXPECT_LT((current().lock_count - locks) / faults, 60u);
}

} // namespace svm_test
