// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/: binds and faults that meet, and a process that is killed while it waits for a bind. */
#include "tests/unit/bind_machine.hpp"

namespace svm_test
{

using bind_meeting_test = bind_machine;

/* A fault that comes while its binding is replaced waits for the new one, and is served by it. */
TEST_F(bind_meeting_test, a_fault_waits_for_the_bind)
{
	std::atomic<bool> flushing{false}, go{false}, served{false};
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(svm_unbind(vm, BASE + 5 * PAGE, BASE + 6 * PAGE), 0); /* two bindings in the table from now on */
	ASSERT_EQ(fault(BASE), 0);
	gpus->on_flush = [&](u64, u64) {
		flushing = true;
		eventually([&] { return go.load(); });
	};

	std::thread binding([&] { EXPECT_EQ(bind({null(BASE, BASE + TABLE)}), 0); });

	ASSERT_TRUE(eventually([&] { return flushing.load(); }));

	std::thread faulting([&] {
		EXPECT_EQ(read(BASE + 7 * PAGE, v), 0);
		served = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(served);
	go = true;
	binding.join();
	gpus->on_flush = nullptr;
	faulting.join();
	EXPECT_EQ(v, 0u);
}

/* What a fault brought for the old binding is not written when the new one stands. */
TEST_F(bind_meeting_test, replaced_in_the_midst_of_a_fault)
{
	std::thread binding;
	bool once = false;
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	hook.fault_exit = [&](const auto &) {
		if (std::exchange(once, true))
			return;
		binding = std::thread([&] { EXPECT_EQ(bind({null(BASE, BASE + MiB)}), 0); });
		EXPECT_TRUE(eventually([&] { return bindings().size() == 2 && !vm->changing.load_acquire(); }));
	};
	EXPECT_EQ(read(BASE + 3 * PAGE, v), 0);
	hook.fault_exit = nullptr;
	binding.join();
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
}

TEST_F(bind_meeting_test, killed_while_waiting_for_a_bind)
{
	std::atomic<bool> inside{false}, go{false};
	int err[2] = {1, 1};

	ASSERT_EQ(svm_bind(vm, 0, GiB, 0), 0);
	hook.alloc = [&] {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread holder([&] { EXPECT_EQ(svm_bind(vm, 2 * GiB, 3 * GiB, 0), 0); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread binder([&] {
		kill(current());
		err[0] = svm_bind(vm, BASE, BASE + MiB, 0);
		err[1] = svm_unbind(vm, 0, GiB);
	});

	binder.join();
	go = true;
	holder.join();
	EXPECT_EQ(err[0], -EINTR);
	EXPECT_EQ(err[1], -EINTR);
	EXPECT_EQ(svm_unbind(vm, 0, GiB), 0); /* it had not begun */
}

/* A fault is in the fault path: unbind waits for it, and what it maps goes too. */
TEST_F(bind_meeting_test, unbind_waits_for_faults)
{
	std::atomic<bool> inside{false}, go{false}, unbound{false};
	int err = 1;

	map(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	hook.fault_exit = [&](const auto &) {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread faulting([&] { fault(BASE, SVM_WRITE); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread unbinding([&] {
		err = svm_unbind(vm, BASE, BASE + 2 * MiB);
		unbound = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_FALSE(unbound);
	EXPECT_EQ(fault(BASE + PAGE), -EFAULT); /* no new one gets in, and none waits */
	go = true;
	faulting.join();
	unbinding.join();
	EXPECT_EQ(err, 0);
	expect_empty();
}

} // namespace svm_test
