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

/* A single thread's: helpers' calls are not counted here. */
class prefetch_cost_test : public prefetch_test
{
protected:
	void SetUp() override
	{
		prefetch_test::SetUp();
		ASSERT_EQ(fault(BASE), -EFAULT); /* nothing is there, nor made */
	}

	/* Of one table: taken by one thread, whichever it is. */
	u64 passes = 0, locks = 0;

	void prefetch_table(u64 start, u64 end, svm_access how)
	{
		hook.fault_entry = [&](const auto &) { passes++; };
		u64 before = spent().mmap_locks;
		ASSERT_EQ(prefetch(start, end, how), 0);
		locks = spent().mmap_locks - before;
		hook.fault_entry = nullptr;
	}
};

/* 256 mappings of a page with holes between them: the table is one pass, not one for each mapping. */
TEST_F(prefetch_cost_test, mappings_of_a_table_are_one_pass)
{
	for (u64 i = 0; i < 512; i += 2)
		map(BASE + i * PAGE, PAGE);
	prefetch_table(BASE, BASE + 2 * MiB, SVM_WRITE);
	EXPECT_EQ(pages, 256u);
	EXPECT_EQ(passes, 1u);
	EXPECT_LE(locks, 4u); /* the pass; is there a mapping, for the table and behind it; is it a wild address */
	for (u64 i = 0; i < 512; i++)
		EXPECT_EQ(device().write(BASE + i * PAGE, i).what, i % 2 ? gpu::status::fault : gpu::status::ok) << i;
}

TEST_F(prefetch_cost_test, what_is_there_is_not_asked_for)
{
	map(BASE, 2 * MiB);
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(prefetch(BASE, BASE + 4 * MiB, SVM_WRITE), 0);
	ASSERT_EQ(count().huge_leaves, 1u);
	prefetch_table(BASE, BASE + 4 * MiB, SVM_READ);
	EXPECT_EQ(pages, 1024u);
	EXPECT_EQ(passes, 0u);
}

/* Of a table that lacks some, these alone are mapped. */
TEST_F(prefetch_cost_test, only_what_is_missing_is_mapped)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(prefetch(BASE + 100 * PAGE, BASE + 200 * PAGE, SVM_WRITE), 0);
	u64 written = count().ptes_written;
	prefetch_table(BASE, BASE + 2 * MiB, SVM_WRITE);
	EXPECT_EQ(pages, 512u);
	EXPECT_EQ(passes, 1u);
	EXPECT_EQ(count().ptes_written, written + 412);
}

/* What the CPU has beside the span is not taken, unlike by a fault. */
TEST_F(prefetch_cost_test, nothing_beside_the_span_is_mapped)
{
	map(BASE, 2 * MiB);
	touch(BASE, 2 * MiB);
	prefetch_table(BASE + 100 * PAGE, BASE + 200 * PAGE, SVM_READ);
	EXPECT_EQ(count().present, 100u);
}

/* Nothing to be had: no memory for a table is taken. */
TEST_F(prefetch_cost_test, nothing_there_takes_no_table_memory)
{
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * MiB, .managed = true, .object = {}}), 0);
	u64 tables = gpus->tables, directories = count().directories;

	prefetch_table(BASE, BASE + 2 * MiB, SVM_READ);
	EXPECT_EQ(pages, 0u);
	EXPECT_EQ(passes, 1u);
	EXPECT_EQ(gpus->tables - tables, count().directories - directories);
	EXPECT_EQ(count().device_bytes, gpus->bytes);
}

/* Pages that have to be waited for come one after the other, and each is waited for once. */
TEST_F(prefetch_test, slow_pages)
{
	map(BASE, 10 * PAGE);
	ASSERT_EQ(proc->mmap({.start = BASE + 10 * PAGE, .end = BASE + 30 * PAGE, .slow = true, .object = {}}), 0);
	map(BASE + 31 * PAGE, PAGE);
	ASSERT_EQ(prefetch(BASE, BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(pages, 31u);
	EXPECT_EQ(device().write(BASE + 29 * PAGE, 1).what, gpu::status::ok);
}

/* A page that goes as soon as it was waited for is left out. */
TEST_F(prefetch_test, slow_page_that_goes_again)
{
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 4 * PAGE, .slow = true, .object = {}}), 0);
	unsigned gone = 0;
	hook.fault_entry = [&](const auto &) {
		if (gone < 20 && proc->peek(BASE + PAGE) && ++gone)
			proc->dontneed(BASE + PAGE, BASE + 2 * PAGE);
	};
	ASSERT_EQ(prefetch(BASE, BASE + 2 * MiB, SVM_WRITE), 0);
	hook.fault_entry = nullptr;
	EXPECT_EQ(pages, 3u);
	EXPECT_EQ(gone, 1u);
}

/* The device goes while a long prefetch runs: each thread ends at its next table, with the backend's answer. */
TEST_F(prefetch_test, ends_when_the_device_goes)
{
	constexpr u64 size = 512 * MiB;

	map(BASE, size);
	hook.fault_entry = [&](const auto &) { gpus->why_gone = -ENODEV; };
	EXPECT_EQ(prefetch(BASE, BASE + size, SVM_READ), -ENODEV);
	hook.fault_entry = nullptr;
	EXPECT_LE(count().tables, 8u); /* one for each thread */
	gpus->why_gone = -EIO;
	EXPECT_EQ(prefetch(BASE, BASE + size, SVM_READ), -EIO);
	EXPECT_EQ(prefetch(BASE, BASE + PAGE, SVM_READ), -EIO); /* also where nothing is left to do */
	gpus->why_gone = 0;
	EXPECT_EQ(prefetch(BASE, BASE + PAGE, SVM_READ), 0);
}

/* Likewise between two waits for pages of one table. */
TEST_F(prefetch_test, ends_when_the_device_goes_while_it_waits)
{
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * MiB, .slow = true, .object = {}}), 0);
	unsigned passes = 0;
	hook.fault_exit = [&](const auto &) {
		if (++passes == 3)
			gpus->why_gone = -ENODEV;
	};
	EXPECT_EQ(prefetch(BASE, BASE + 2 * MiB, SVM_READ), -ENODEV);
	hook.fault_exit = nullptr;
	EXPECT_EQ(passes, 3u);
	gpus->why_gone = 0;
}

/* Likewise amid a wait for storage that does not answer. */
TEST_F(prefetch_test, waits_end_when_the_device_goes)
{
	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 8 * MiB, .slow = true, .object = {}}), 0);
	proc->storage_silent = true;
	std::atomic<bool> ended{false};
	bool in_time = false;
	thread unplugger([&] {
		eventually([&] { return proc->waiting > 0; });
		gpus->why_gone = -ENODEV;
		in_time = eventually([&] { return ended.load(); });
		proc->storage_silent = false;
	});
	EXPECT_EQ(prefetch(BASE, BASE + 8 * MiB, SVM_READ), -ENODEV);
	ended = true;
	unplugger.join();
	EXPECT_TRUE(in_time) << "storage had to answer first";
	EXPECT_EQ(proc->waiting, 0u);
	gpus->why_gone = 0;
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

/* svm_map_present(): what the process has is mapped as it is, and nothing comes that was not there. */
class map_present_test : public prefetch_test
{
protected:
	int map_present(u64 start, u64 end)
	{
		pages = 99;
		return svm_map_present(vm, start, end, &pages);
	}
};

TEST_F(map_present_test, brings_nothing)
{
	map(BASE, 8 * PAGE);
	ASSERT_EQ(proc->mmap({.start = BASE + 8 * PAGE, .end = BASE + 16 * PAGE, .slow = true, .object = {}}), 0);
	map(BASE + 2 * MiB, 2 * MiB, PROT_RW, true);
	map(BASE + 4 * MiB, 2 * MiB, PROT_RW, true);
	touch(BASE + 2 * PAGE, 3 * PAGE);
	ASSERT_EQ(proc->write(BASE + 4 * MiB, 7), 0); /* a huge page */
	ASSERT_EQ(map_present(BASE, BASE + 8 * MiB), 0);
	EXPECT_EQ(pages, 3 + 512u);
	EXPECT_EQ(count().huge_leaves, 1u);
	for (u64 i = 0; i < 16; i++)
		EXPECT_EQ(proc->peek(BASE + i * PAGE).has_value(), i >= 2 && i < 5) << i;
	EXPECT_FALSE(proc->peek(BASE + 2 * MiB));
	EXPECT_EQ(device().write(BASE + 2 * PAGE, 1).what, gpu::status::ok) << "with the right to write, if the CPU has it";
	EXPECT_EQ(device().read(BASE + PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 4 * MiB).value, 7u);
}

/* Also where the page that comes first, or all of the table, may be one huge page of the CPU's. */
TEST_F(map_present_test, a_hole_where_a_huge_page_may_be)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(map_present(BASE, BASE + 2 * MiB), 0);
	EXPECT_EQ(pages, 0u);
	EXPECT_FALSE(proc->peek(BASE));
	EXPECT_EQ(proc->waiting, 0u);
}

TEST_F(map_present_test, takes_pages_in_device_memory_as_they_are)
{
	u64 moved = 0;

	map(BASE, 8 * PAGE);
	touch(BASE, 6 * PAGE);
	ASSERT_EQ(svm_migrate(vm, BASE, BASE + 4 * PAGE, SVM_VRAM, &moved), 0);
	ASSERT_EQ(moved, 4u);
	ASSERT_EQ(map_present(BASE, BASE + 8 * PAGE), 0);
	EXPECT_EQ(pages, 6u);
	EXPECT_TRUE(device().look(BASE + PAGE).vram);
	EXPECT_FALSE(device().look(BASE + 5 * PAGE).vram);
}

TEST_F(map_present_test, refuses_what_a_prefetch_does)
{
	map(BASE, MiB);
	EXPECT_EQ(map_present(BASE + 1, BASE + PAGE), -EINVAL);
	EXPECT_EQ(map_present(BASE, BASE), -EINVAL);
	EXPECT_EQ(map_present(USER_END - PAGE, USER_END + PAGE), -EINVAL);
	EXPECT_EQ(pages, 0u);
}

} // namespace svm_test
