// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/rebind.hpp, (16) to (18): objects that move, held in the midst, and what binds, faults and callbacks do meanwhile. */
#include "mm/vm.hpp"
#include "tests/host/buffer.hpp"
#include "tests/unit/bind_ops.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class object_meeting_test : public machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	void SetUp() override
	{
		machine::SetUp();
		device().set_rule([](u64, u64) { return true; });
		for (u64 i = 0; i < memory.size() / PAGE; i++)
			memory.set(i, 1000 + i);
		ASSERT_EQ(memory.place(), 0);
	}

	void TearDown() override
	{
		gpus->on_flush = nullptr;
		memory.give_back();
		machine::TearDown();
	}

	int bind(std::vector<svm_bind_op> ops)
	{
		return svm_bind_many(vm, ops.data(), u32(ops.size()));
	}

	bool reads(u64 va)
	{
		return device().read(va).what == gpu::status::ok;
	}

	/* Starts something, which then waits in its first flush. */
	template <typename Fn>
	void hold(Fn fn)
	{
		gpus->on_flush = [&](u64, u64) {
			if (!flushing.exchange(true))
				eventually([&] { return go.load(); });
		};
		held = std::thread(fn);
		ASSERT_TRUE(eventually([&] { return flushing.load(); }));
	}

	void let_go()
	{
		go = true;
		held.join();
	}

	buffer memory{*mem, 1024};
	std::thread held;
	std::atomic<bool> flushing{false}, go{false};
};

/*
 * A bind that replaces what mirrors in one table, and half of the object in the next one, is held in the first: displacing takes what
 * the second has by the old binding, and does not wait for the bind.
 */
TEST_F(object_meeting_test, displaced_amid_a_bind)
{
	map(BASE, 2 * TABLE);
	touch(BASE, 2 * TABLE);
	ASSERT_EQ(bind({mirror(BASE, BASE + TABLE), object(BASE + TABLE, BASE + 2 * TABLE - PAGE, memory.object())}), 0);
	ASSERT_EQ(fault(BASE), 0);
	hold([this] { EXPECT_EQ(bind({null(BASE, BASE + PAGE), mirror(BASE + TABLE, BASE + TABLE + MiB)}), 0); });
	EXPECT_TRUE(reads(BASE + TABLE));
	memory.displace();
	EXPECT_FALSE(reads(BASE + TABLE));
	EXPECT_FALSE(reads(BASE + TABLE + MiB));
	ASSERT_EQ(memory.place(), 0);
	EXPECT_FALSE(reads(BASE + TABLE + MiB)); /* a bind is under way in the table */
	let_go();
	EXPECT_EQ(fault(BASE + TABLE), 0);
	EXPECT_EQ(device().read(BASE + TABLE).value, 513u);
	EXPECT_EQ(fault(BASE + TABLE + MiB), 0);
	EXPECT_EQ(device().read(BASE + TABLE + MiB).value, 1256u);
}

/* A callback of what is to stand in the object's place leaves what is lent: it is not the CPU's. */
TEST_F(object_meeting_test, a_callback_amid_a_bind)
{
	map(BASE, 2 * TABLE);
	touch(BASE, 2 * TABLE);
	ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE - 2 * PAGE, memory.object()), mirror(BASE + 2 * TABLE - PAGE, BASE + 2 * TABLE)}), 0);
	ASSERT_EQ(fault(BASE + 2 * TABLE - PAGE), 0); /* an interval is there */
	hold([this] { EXPECT_EQ(bind({mirror(BASE + MiB, BASE + 2 * TABLE - PAGE)}), 0); });
	proc->dontneed(BASE + TABLE, BASE + 2 * TABLE);
	EXPECT_TRUE(reads(BASE + TABLE)); /* until the bind comes to it */
	EXPECT_FALSE(reads(BASE + 2 * TABLE - PAGE));
	let_go();
	EXPECT_FALSE(reads(BASE + TABLE));
	EXPECT_EQ(mem->dma_live(), 0u);
}

/* The object goes while a fault, which has read where it is, fetches memory for the table: no leaf leads there any more. */
TEST_F(object_meeting_test, displaced_in_the_midst_of_a_fault)
{
	unsigned displaced = 0;

	memory.displace();
	ASSERT_EQ(bind({object(BASE, BASE + TABLE, memory.object(), 0, SVM_BIND_ON_DEMAND)}), 0);
	ASSERT_EQ(fault(BASE), -EAGAIN); /* makes the table, but no memory for it */
	ASSERT_EQ(memory.place(), 0);
	hook.alloc = [&] {
		if (!displaced++)
			memory.displace();
	};
	EXPECT_EQ(fault(BASE), -EAGAIN);
	hook.alloc = nullptr;
	EXPECT_EQ(displaced, 1u);
	EXPECT_FALSE(reads(BASE));
	ASSERT_EQ(memory.place(), 0);
	EXPECT_EQ(fault(BASE), 0);
	EXPECT_EQ(device().read(BASE).value, 1000u);
}

/* While displacing flushes, a bind takes a part of the table: what is written there stays. */
TEST_F(object_meeting_test, bound_over_amid_displacing)
{
	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(bind({object(BASE, BASE + TABLE, memory.object())}), 0);
	hold([this] { memory.displace(); });

	std::thread binding([this] { EXPECT_EQ(bind({null(BASE, BASE + PAGE), mirror(BASE + MiB, BASE + TABLE)}), 0); });
	svm_bind_op list[4];

	/* It has only to wait for readers any more. */
	EXPECT_TRUE(eventually([&] { return svm_bindings(vm, 0, list, 4) == 3 && !vm->changing.load_acquire(); }));
	EXPECT_EQ(fault(BASE + MiB), 0);
	EXPECT_EQ(fault(BASE), 0);
	EXPECT_EQ(fault(BASE + PAGE), -EAGAIN);
	let_go();
	binding.join();
	EXPECT_EQ(device().read(BASE + MiB).value, 257u);
	EXPECT_TRUE(reads(BASE));
	EXPECT_FALSE(reads(BASE + PAGE));
}

/* The table is being evicted, and waits for its flush: what displacing finds retired beside its own waits for that flush, too. */
TEST_F(object_meeting_test, displaced_amid_an_eviction)
{
	map(BASE, TABLE);
	map(BASE + GiB, TABLE);
	touch(BASE + MiB, 16 * PAGE);
	ASSERT_EQ(bind({object(BASE, BASE + TABLE, memory.object()), mirror(BASE + GiB, BASE + GiB + TABLE)}), 0);
	ASSERT_EQ(bind({mirror(BASE + MiB, BASE + MiB + 16 * PAGE)}), 0);
	ASSERT_EQ(fault(BASE + MiB), 0);
	ASSERT_EQ(mem->dma_live(), 16u);
	gpus->limit = gpus->tables.load();
	hold([this] { EXPECT_EQ(fault(BASE + GiB), 0); });
	EXPECT_FALSE(reads(BASE + PAGE)); /* not in the TLB */
	memory.displace();
	EXPECT_EQ(mem->dma_live(), 16u);
	let_go();
	gpus->limit = ~0ull;
	ASSERT_EQ(memory.place(), 0);
}

/* A second object beside it is not touched, and moves meanwhile. */
TEST_F(object_meeting_test, two_objects_move_in_one_table)
{
	buffer other(*mem, 512);

	ASSERT_EQ(other.place(), 0);
	ASSERT_EQ(bind({object(BASE, BASE + MiB, memory.object()), object(BASE + MiB, BASE + TABLE, other.object(), MiB)}), 0);
	hold([this] { memory.displace(); });
	EXPECT_TRUE(reads(BASE + MiB));
	other.displace(); /* flushes for itself */
	EXPECT_FALSE(reads(BASE + MiB));
	ASSERT_EQ(other.place(), 0);
	EXPECT_TRUE(reads(BASE + MiB));
	let_go();
	EXPECT_FALSE(reads(BASE));
	EXPECT_TRUE(reads(BASE + MiB));
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0);
}

/* The vm goes while displacing stands on its binding: both end. */
TEST_F(object_meeting_test, the_vm_ends_amid_displacing)
{
	std::atomic<bool> ended{false};

	ASSERT_EQ(bind({object(BASE, BASE + TABLE, memory.object())}), 0);
	hold([this] { memory.displace(); });

	std::thread ending([&] {
		svm_vm_destroy(vm);
		ended = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(ended);
	let_go();
	ending.join();
	vm = nullptr;
	device().invalidate(0, ~0ull);
	ASSERT_EQ(memory.place(), 0); /* nowhere bound */
}

/* Unbound while displacing stands on it: the binding stays until that has left. */
TEST_F(object_meeting_test, unbound_amid_displacing)
{
	std::atomic<bool> unbound{false};

	ASSERT_EQ(bind({object(BASE, BASE + TABLE, memory.object())}), 0);
	hold([this] { memory.displace(); });

	std::thread unbinding([&] {
		EXPECT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0);
		unbound = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(unbound);
	let_go();
	unbinding.join();
	ASSERT_EQ(memory.place(), 0);
	EXPECT_FALSE(reads(BASE));
}

} // namespace svm_test
