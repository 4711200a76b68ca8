// SPDX-License-Identifier: GPL-2.0-only
/* mm/window.hpp: bind, unbind, offsets, intervals. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

using window_test = machine;

TEST_F(window_test, bind_refuses)
{
	constexpr u64 table = 2 * MiB;
	constexpr u64 device_end = 1ull << 48;

	EXPECT_EQ(svm_bind(vm, BASE + 1, BASE + PAGE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE - 1, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE + PAGE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, ~0ull << 12, 0, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, USER_END - PAGE, USER_END + PAGE, 0), -EINVAL); /* beyond the user's space */
	EXPECT_EQ(svm_bind(vm, device_end - PAGE, device_end + table, s64(device_end - table)),
		  -EINVAL); /* the device's */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, PAGE), -EINVAL); /* no multiple of a table */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, s64(table / 2)), -EINVAL);
	EXPECT_EQ(svm_bind(vm, 0, PAGE, s64(table)), -EINVAL); /* CPU address below 0 */
	EXPECT_EQ(svm_bind(vm, 0, 2 * table, s64(table)), -EINVAL); /* wraps on the CPU's side */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, -s64(table) * 4096 * 1024),
		  -EINVAL); /* CPU address beyond the user's */
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + PAGE), -ENOENT);
}

TEST_F(window_test, windows_share_no_table)
{
	ASSERT_EQ(svm_bind(vm, BASE + PAGE, BASE + 2 * PAGE, 0), 0);
	EXPECT_EQ(svm_bind(vm, BASE + PAGE, BASE + 2 * PAGE, 0), -EEXIST);
	EXPECT_EQ(svm_bind(vm, BASE + 4 * PAGE, BASE + 5 * PAGE, 0), -EEXIST);
	EXPECT_EQ(svm_bind(vm, BASE - 4 * MiB, BASE + PAGE, 0), -EEXIST);
	EXPECT_EQ(svm_bind_all(vm), -EEXIST);
	EXPECT_EQ(svm_bind(vm, BASE + 2 * MiB, BASE + 4 * MiB, 0), 0);
	EXPECT_EQ(svm_bind(vm, BASE - 2 * MiB, BASE, 0), 0);
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + 2 * PAGE), -ENOENT);
	EXPECT_EQ(svm_unbind(vm, BASE + PAGE, BASE + 2 * PAGE), 0);
	EXPECT_EQ(svm_unbind(vm, BASE + PAGE, BASE + 2 * PAGE), -ENOENT);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
}

TEST_F(window_test, killed_while_waiting_for_the_window_lock)
{
	std::atomic<bool> inside{false}, go{false};
	int err[2] = {1, 1};

	ASSERT_EQ(svm_bind(vm, 0, GiB, 0), 0);
	map(MiB, MiB);
	/* A first fault makes an interval under the window lock, and allocates there. */
	hook.alloc = [&] {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread holder([&] { fault(MiB); });

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

class offset_test : public machine, public ::testing::WithParamInterface<s64>
{
};

TEST_P(offset_test, device_address_minus_offset)
{
	s64 offset = GetParam();
	u64 start = BASE + u64(offset), size = 8 * MiB, v;

	ASSERT_EQ(svm_bind(vm, start, start + size, offset), 0);
	device().set_offset(u64(offset));
	map(BASE, size);
	touch(BASE + 3 * MiB, MiB, 50);
	ASSERT_EQ(device_read(start + 3 * MiB + 2 * PAGE, &v), 0);
	EXPECT_EQ(v, 52u);
	ASSERT_EQ(device_write(start + 5 * MiB, 6), 0);
	ASSERT_EQ(proc->read(BASE + 5 * MiB, &v), 0);
	EXPECT_EQ(v, 6u);
	/* Invalidations come in CPU addresses. */
	EXPECT_EQ(device().read(start + 3 * MiB + 2 * PAGE).what, gpu::status::ok);
	u64 zapped = count().ptes_zapped;

	proc->dontneed(BASE + 3 * MiB + 2 * PAGE, BASE + 3 * MiB + 3 * PAGE);
	EXPECT_EQ(count().ptes_zapped, zapped + 1);
	EXPECT_EQ(device().read(start + 3 * MiB + 2 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(start + 3 * MiB + 3 * PAGE).what, gpu::status::ok);
	EXPECT_EQ(fault(start - PAGE), -EFAULT);
	EXPECT_EQ(fault(start + size), -EFAULT);
	ASSERT_EQ(svm_unbind(vm, start, start + size), 0);
	expect_empty();
}

INSTANTIATE_TEST_SUITE_P(offsets, offset_test,
			 ::testing::Values(0, s64(2 * MiB), -s64(2 * MiB), -s64(BASE), s64(1ull << 47),
					   s64(513 * MiB + MiB)));

/* The same memory through two windows: one invalidation reaches both. */
TEST_F(window_test, two_windows_on_one_memory)
{
	u64 v;

	map(BASE, 2 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(svm_bind(vm, GiB, GiB + 2 * MiB, s64(GiB) - s64(BASE)), 0);
	ASSERT_EQ(device_read(BASE, &v), 0);
	ASSERT_EQ(fault(GiB), 0);
	EXPECT_EQ(device().look(GiB).addr, device().look(BASE).addr);
	proc->dontneed(BASE, BASE + PAGE);
	EXPECT_EQ(device().look(BASE).what, translation::outcome::absent);
	EXPECT_EQ(device().look(GiB).what, translation::outcome::absent);
	EXPECT_EQ(count().ptes_zapped, 2u);
}

TEST_F(window_test, part_of_a_table)
{
	map(BASE, 2 * MiB);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE + 100 * PAGE, BASE + 200 * PAGE, 0), 0);
	ASSERT_EQ(fault(BASE + 150 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().present, 100u);
	EXPECT_EQ(device().read(BASE + 99 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).value, 101u);
	EXPECT_EQ(device().read(BASE + 199 * PAGE).value, 200u);
	EXPECT_EQ(device().read(BASE + 200 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE + 99 * PAGE), -EFAULT);
	EXPECT_EQ(fault(BASE + 200 * PAGE), -EFAULT);
}

TEST_F(window_test, unbind_leaves_nothing)
{
	map(BASE, 10 * MiB);
	map(BASE + 10 * MiB, 6 * MiB, PROT_RW, true);
	for (int round = 0; round < 3; round++) {
		u64 pages;

		ASSERT_EQ(svm_bind(vm, BASE, BASE + 16 * MiB, 0), 0);
		ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 16 * MiB, SVM_WRITE, &pages), 0);
		EXPECT_EQ(pages, 4096u);
		for (u64 va = BASE; va < BASE + 16 * MiB; va += 64 * PAGE)
			ASSERT_EQ(device().write(va, va).what, gpu::status::ok);
		EXPECT_EQ(count().huge_leaves, 3u * (round + 1));
		ASSERT_EQ(svm_unbind(vm, BASE, BASE + 16 * MiB), 0);
		for (u64 va = BASE; va < BASE + 16 * MiB; va += 64 * PAGE)
			ASSERT_EQ(device().read(va).what, gpu::status::fault);
		expect_empty();
		EXPECT_EQ(fault(BASE), -EFAULT);
	}
	EXPECT_EQ(count().directories, 3u);
	EXPECT_EQ(count().device_bytes, 3 * 4096u);
}

/* A table that maps nothing any more, but that the device has walked: it must forget the pointer, too. */
TEST_F(window_test, unbind_makes_the_device_forget_empty_tables)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(device_write(BASE, 1), 0);
	proc->dontneed(BASE, BASE + 2 * MiB);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault); /* walks it once more */
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + 2 * MiB), 0);
	expect_empty();
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault); /* a walk of the freed table would be a complaint */
}

/* A fault is in the fault path: unbind waits for it, and what it maps goes too. */
TEST_F(window_test, unbind_waits_for_faults)
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

/* Two unbinds of one window: one of them does it. */
TEST_F(window_test, unbind_twice_at_once)
{
	for (int round = 0; round < 20; round++) {
		int err[2];

		ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);

		std::thread other([&] { err[0] = svm_unbind(vm, BASE, BASE + 2 * MiB); });

		err[1] = svm_unbind(vm, BASE, BASE + 2 * MiB);
		other.join();
		EXPECT_EQ(std::min(err[0], err[1]), -ENOENT);
		EXPECT_EQ(std::max(err[0], err[1]), 0);
	}
}

/* ---- intervals ---- */

class interval_test : public machine, public ::testing::WithParamInterface<u32>
{
};

TEST_P(interval_test, one_for_each_aligned_piece_that_is_touched)
{
	u32 lg2 = GetParam();
	u64 span = 1ull << lg2, v;

	destroy();
	ASSERT_EQ(create(lg2), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	EXPECT_EQ(count().intervals, 0u);
	/* Three tables: the first of the address space, the next but one, and one far away. */
	const u64 at[] = {2 * MiB, 6 * MiB, BASE};
	u64 pieces = 1 + (at[1] / span != at[0] / span) + (at[2] / span != at[1] / span);

	for (u64 va : at) {
		map(va, 2 * MiB);
		touch(va, 16 * PAGE, va);
		ASSERT_EQ(device_read(va, &v), 0);
		EXPECT_EQ(v, va);
	}
	EXPECT_EQ(count().intervals, pieces);
	EXPECT_EQ(live.intervals, pieces);
	for (u64 va : at) {
		proc->dontneed(va, va + PAGE);
		EXPECT_EQ(device().read(va).what, gpu::status::fault);
	}
	EXPECT_EQ(count().ptes_zapped, 3u);
	proc->munmap(0, USER_END & ~(2 * MiB - 1));
	EXPECT_EQ(count().present, 0u);
	ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
	expect_empty();
}

INSTANTIATE_TEST_SUITE_P(sizes, interval_test, ::testing::Values(21u, 22u, 23u, 29u, 30u, 39u, 47u, 48u));

} // namespace svm_test
