// SPDX-License-Identifier: GPL-2.0-only
/* svm_prefetch(): what it brings, in parallel, and how it stops. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class prefetch_test : public bound_machine
{
protected:
	int prefetch(u64 start, u64 end, svm_access how = SVM_READ)
	{
		pages = 99;
		return svm_prefetch(vm, start, end, how, &pages);
	}

	u64 pages = 0;
};

TEST_F(prefetch_test, bad_spans)
{
	map(BASE, MiB);
	EXPECT_EQ(prefetch(BASE + 1, BASE + PAGE), -EINVAL);
	EXPECT_EQ(prefetch(BASE, BASE + 1), -EINVAL);
	EXPECT_EQ(prefetch(BASE, BASE), -EINVAL);
	EXPECT_EQ(prefetch(BASE + PAGE, BASE), -EINVAL);
	EXPECT_EQ(prefetch(USER_END - PAGE, USER_END + PAGE), -EINVAL);
	EXPECT_EQ(prefetch(~0ull << 12, 0), -EINVAL);
	EXPECT_EQ(pages, 0u);
	EXPECT_EQ(count().prefetched, 0u);
}

TEST_F(prefetch_test, span_must_lie_in_windows)
{
	destroy();
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(svm_bind(vm, BASE + 2 * MiB, BASE + 4 * MiB, 0), 0);
	ASSERT_EQ(svm_bind(vm, BASE + 6 * MiB, BASE + 8 * MiB, 0), 0);
	map(BASE, 8 * MiB);
	EXPECT_EQ(prefetch(BASE + MiB, BASE + 3 * MiB, SVM_WRITE), 0); /* over a border */
	EXPECT_EQ(pages, 512u);
	EXPECT_EQ(prefetch(BASE + 3 * MiB, BASE + 7 * MiB), -EINVAL); /* over a gap */
	EXPECT_EQ(prefetch(BASE - PAGE, BASE + PAGE), -EINVAL);
	EXPECT_EQ(prefetch(BASE + 7 * MiB, BASE + 8 * MiB + PAGE), -EINVAL);
}

TEST_F(prefetch_test, brings_all_of_it)
{
	map(BASE, 20 * MiB);
	touch(BASE + 3 * MiB, MiB, 7);
	ASSERT_EQ(prefetch(BASE + MiB, BASE + 19 * MiB + 5 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(pages, 18 * 256u + 5);
	EXPECT_EQ(count().prefetched, pages);
	EXPECT_EQ(count().faults, 0u);
	EXPECT_EQ(device().write(BASE + MiB, 1).what, gpu::status::ok);
	EXPECT_EQ(device().write(BASE + 19 * MiB + 4 * PAGE, 1).what, gpu::status::ok);
	EXPECT_EQ(device().read(BASE + 19 * MiB + 5 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 3 * MiB + 9 * PAGE).value, 16u);
	/* Again: nothing to do. */
	u64 written = count().ptes_written;

	ASSERT_EQ(prefetch(BASE + MiB, BASE + 19 * MiB, SVM_READ), 0);
	EXPECT_EQ(pages, 18 * 256u);
	EXPECT_EQ(count().ptes_written, written);
}

TEST_F(prefetch_test, leaves_out_what_cannot_be_had)
{
	map(BASE, 4 * PAGE);
	map(BASE + 4 * PAGE, PAGE, PROT_N);
	map(BASE + 5 * PAGE, PAGE, PROT_R);
	ASSERT_EQ(proc->mmap({.start = BASE + 6 * PAGE, .end = BASE + 7 * PAGE, .kind = backing::pfnmap, .object = {}}),
		  0);
	map(BASE + 9 * PAGE, PAGE);
	ASSERT_EQ(prefetch(BASE, BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(pages, 5u);
	ASSERT_EQ(prefetch(BASE, BASE + 2 * MiB, SVM_READ), 0);
	EXPECT_EQ(pages, 6u);
}

/* 100 TiB with three mappings in it. */
TEST_F(prefetch_test, holes_cost_nothing)
{
	map(GiB, 2 * MiB, PROT_RW, true);
	map(BASE / 2, PAGE);
	map(BASE, 3 * PAGE);
	ASSERT_EQ(prefetch(0, USER_END, SVM_WRITE), 0);
	EXPECT_EQ(pages, 512 + 4u);
	EXPECT_EQ(count().tables, 3u);
}

/* Two threads are in the fault path at once, or this stalls. */
TEST_F(prefetch_test, tables_are_filled_in_parallel)
{
	std::atomic<unsigned> inside{0};
	std::atomic<bool> met{true};

	map(BASE, 8 * MiB);
	hook.fault_entry = [&](const auto &) {
		inside++;
		if (!eventually([&] { return inside >= 2; }))
			met = false;
	};
	ASSERT_EQ(prefetch(BASE, BASE + 8 * MiB, SVM_WRITE), 0);
	EXPECT_TRUE(met);
	EXPECT_EQ(pages, 2048u);
}

TEST_F(prefetch_test, killed)
{
	constexpr u64 size = 512 * MiB;
	task &self = current();

	map(BASE, size);
	hook.fault_entry = [&](const auto &) {
		if (&current() == &self) {
			kill(self);
			return;
		}
		/* The others take one table before it is killed, and are slow from then on. */
		eventually([&] { return self.killed.load(); });
		std::this_thread::sleep_for(std::chrono::milliseconds(10));
	};
	EXPECT_EQ(prefetch(BASE, BASE + size, SVM_READ), -EINTR);
	self.killed = false;
	hook.fault_entry = nullptr;
	EXPECT_LT(count().tables, 256u); /* it did not go on to the end */
}

/* Also where nothing is left to fault in. */
TEST_F(prefetch_test, killed_over_present_memory)
{
	map(BASE, 8 * MiB);
	ASSERT_EQ(prefetch(BASE, BASE + 8 * MiB, SVM_WRITE), 0);
	current().killed = true;
	EXPECT_EQ(prefetch(BASE, BASE + 8 * MiB, SVM_WRITE), -EINTR);
	current().killed = false;
}

TEST_F(prefetch_test, process_gone)
{
	map(BASE, 4 * MiB);
	proc->exit();
	running = false;
	EXPECT_EQ(prefetch(BASE, BASE + 4 * MiB), -EFAULT);
	EXPECT_EQ(pages, 0u);
}

} // namespace svm_test
