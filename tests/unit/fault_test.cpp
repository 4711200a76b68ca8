// SPDX-License-Identifier: GPL-2.0-only
/* svm_fault(): what it maps, what it leaves out, what it answers. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

using fault_test = bound_machine;

TEST_F(fault_test, device_and_cpu_see_each_other)
{
	map(BASE, 1 * MiB);
	touch(BASE, 64 * KiB, 100);

	u64 v;

	ASSERT_EQ(device_read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 103u);
	ASSERT_EQ(device_write(BASE + 3 * PAGE, 77), 0);
	ASSERT_EQ(proc->read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 77u);
}

TEST_F(fault_test, duplicates_are_counted)
{
	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE + 2 * MiB + 5 * PAGE + 123, SVM_READ), 0);
	EXPECT_EQ(count().duplicates, 0u);
	ASSERT_EQ(fault(BASE + 2 * MiB + 5 * PAGE, SVM_READ), 0);
	EXPECT_EQ(count().duplicates, 1u);
	/* A permission that is missing is no duplicate. */
	ASSERT_EQ(fault(BASE + 2 * MiB + 5 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().duplicates, 1u);
	EXPECT_EQ(count().faults, 3u);
}

TEST_F(fault_test, nothing_there)
{
	map(BASE + MiB, MiB, PROT_N);
	ASSERT_EQ(proc->mmap({.start = BASE + 2 * MiB, .end = BASE + 3 * MiB, .kind = backing::pfnmap, .object = {}}),
		  0);
	EXPECT_EQ(fault(BASE), -EFAULT); /* hole */
	EXPECT_EQ(fault(BASE + MiB), -EFAULT); /* PROT_NONE */
	EXPECT_EQ(fault(BASE + MiB, SVM_WRITE), -EFAULT);
	EXPECT_EQ(fault(BASE + 2 * MiB), -EFAULT); /* PFN map */
	EXPECT_EQ(fault(USER_END), -EFAULT); /* no window */
	EXPECT_EQ(fault(1ull << 48), -EFAULT); /* outside the format */
	EXPECT_EQ(fault(~0ull), -EFAULT);
	EXPECT_EQ(count().failed, 7u);
	EXPECT_EQ(count().present, 0u);
}

/* There could be any number of them, and nobody to take back what was made for them. */
TEST_F(fault_test, wild_addresses_make_nothing)
{
	u64 heap = live.heap, tables = gpus->tables;

	map(BASE, MiB);
	for (u64 i = 1; i < 200; i++)
		EXPECT_EQ(fault(i * 0x9e3779b97f4a7000ull % USER_END & ~(GiB - 1), SVM_WRITE), -EFAULT);
	EXPECT_EQ(live.heap, heap);
	EXPECT_EQ(gpus->tables, tables);
	EXPECT_EQ(count().tables_made, 0u);
	EXPECT_EQ(count().intervals, 0u);
	EXPECT_EQ(count().directories, 1u);
}

TEST_F(fault_test, read_only_memory)
{
	u64 v;

	map(BASE, MiB, PROT_R);
	EXPECT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EPERM);
	EXPECT_EQ(fault(BASE, SVM_ATOMIC), -EPERM);
	EXPECT_EQ(device_read(BASE, &v), 0);
}

TEST_F(fault_test, killed)
{
	map(BASE, MiB);
	current().killed = true;
	EXPECT_EQ(fault(BASE), -EINTR);
	current().killed = false;
	EXPECT_EQ(fault(BASE), 0);
}

TEST_F(fault_test, process_gone)
{
	map(BASE, MiB);
	touch(BASE, 16 * PAGE);
	ASSERT_EQ(fault(BASE), 0);
	proc->exit();
	running = false;
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE), -EFAULT);
	EXPECT_EQ(fault(BASE + 2 * MiB), -EFAULT); /* where a table would have to be made */
	EXPECT_EQ(fault(BASE + 2 * GiB), -EFAULT); /* and an interval */
}

TEST_F(fault_test, memory_out)
{
	destroy();
	proc->exit();
	proc.reset();
	gpus.reset();
	mem = std::make_unique<memory>(512, 0); /* 511 frames to have */
	proc = std::make_unique<mm_struct>(*mem);
	gpus = std::make_unique<backend>(*mem);
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 4 * MiB);

	int err = 0;
	u64 done = 0;

	for (; done < 1024 && !err; done++)
		err = device_write(BASE + done * PAGE, done);
	EXPECT_EQ(err, -ENOMEM);
	EXPECT_GE(done, 511u);
}

/* The CPU's side changes between each attempt's look and its write: bounded, then the device is told to come again. */
TEST_F(fault_test, cpu_keeps_moving)
{
	map(BASE, MiB);
	hook.fault_exit = [&](const auto &) { proc->dontneed(BASE, BASE + PAGE); };
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EAGAIN);
	EXPECT_EQ(count().failed, 1u);
	EXPECT_GT(count().retries, 1u);
	hook.fault_exit = nullptr;
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
}

TEST_F(fault_test, killed_while_the_cpu_keeps_moving)
{
	unsigned attempts = 0;

	map(BASE, MiB);
	hook.fault_exit = [&](const auto &) {
		proc->dontneed(BASE, BASE + PAGE);
		if (++attempts == 3)
			kill(current());
	};
	u64 before = spent().faults;

	EXPECT_EQ(fault(BASE, SVM_WRITE), -EINTR);
	EXPECT_EQ(attempts, 3u);
	EXPECT_EQ(spent().faults, before + 3); /* it did not even ask again */
}

/* ---- reads ask for read only ---- */

TEST_F(fault_test, read_of_untouched_memory_shares_the_zero_page)
{
	map(BASE, MiB);

	u64 before = mem->frames_used();
	u64 v = 1;

	ASSERT_EQ(device_read(BASE + PAGE, &v), 0);
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(mem->frames_used(), before);
	ASSERT_EQ(device_write(BASE + PAGE, 5), 0);
	ASSERT_EQ(proc->read(BASE + PAGE, &v), 0);
	EXPECT_EQ(v, 5u);
}

TEST_F(fault_test, read_does_not_break_copy_on_write)
{
	map(BASE, MiB);
	touch(BASE, 16 * PAGE, 10);

	auto child = proc->fork();
	u64 before = mem->frames_used();
	u64 v;

	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(v, 10u);
	EXPECT_EQ(mem->frames_used(), before);
}

TEST_F(fault_test, write_breaks_copy_on_write_for_the_child)
{
	map(BASE, MiB);
	touch(BASE, 16 * PAGE, 10);
	ASSERT_EQ(device_write(BASE, 11), 0); /* the device holds it writable */

	auto child = proc->fork();

	EXPECT_EQ(device().write(BASE, 12).what, gpu::status::fault); /* fork took that away */
	ASSERT_EQ(device_write(BASE, 12), 0);
	EXPECT_EQ(child->read(BASE), 11u);

	u64 v;

	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 12u);
}

/* ---- a fault fails only for its own page ---- */

TEST_F(fault_test, neighbours_never_fail_a_fault)
{
	map(BASE, 8 * PAGE);
	map(BASE + 8 * PAGE, PAGE, PROT_N); /* guard */
	map(BASE + 9 * PAGE, PAGE, PROT_R);
	ASSERT_EQ(
		proc->mmap({.start = BASE + 10 * PAGE, .end = BASE + 11 * PAGE, .kind = backing::pfnmap, .object = {}}),
		0);
	map(BASE + 12 * PAGE, 4 * PAGE); /* page 11 is a hole */

	EXPECT_EQ(fault(BASE + 7 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(fault(BASE + 8 * PAGE, SVM_WRITE), -EFAULT);
	EXPECT_EQ(fault(BASE + 9 * PAGE, SVM_WRITE), -EPERM);
	EXPECT_EQ(fault(BASE + 9 * PAGE), 0);
	EXPECT_EQ(fault(BASE + 10 * PAGE), -EFAULT);
	EXPECT_EQ(fault(BASE + 11 * PAGE), -EFAULT);
	EXPECT_EQ(fault(BASE + 12 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().retries, 0u);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok); /* came along with the first */
	EXPECT_EQ(device().read(BASE + 8 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 11 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().write(BASE + 15 * PAGE, 1).what, gpu::status::ok);
}

TEST_F(fault_test, neighbours_that_are_present_come_along_wherever_they_are)
{
	map(BASE, 2 * MiB);
	touch(BASE + 300 * PAGE, 20 * PAGE, 1);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_EQ(device().read(BASE + 310 * PAGE).value, 11u);
	EXPECT_EQ(device().read(BASE + 299 * PAGE).what, gpu::status::fault);
}

/* A neighbour that only reading is allowed to comes along for reading, with a write fault too. */
TEST_F(fault_test, neighbour_under_copy_on_write_stays_so)
{
	map(BASE, 2 * MiB);
	touch(BASE + 100 * PAGE, PAGE, 9);

	auto child = proc->fork();

	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).value, 9u);
	EXPECT_EQ(device().write(BASE + 100 * PAGE, 1).what, gpu::status::fault);
}

/* ---- granule ---- */

class granule_test : public machine, public ::testing::WithParamInterface<u32>
{
};

TEST_P(granule_test, one_fault_makes_so_much_present)
{
	u32 lg2 = GetParam();

	destroy();
	ASSERT_EQ(create(0, lg2), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	map(BASE, 4 * MiB);
	ASSERT_EQ(fault(BASE + 2 * MiB + 17 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().present, (1ull << lg2) / PAGE);
	EXPECT_EQ(count().ptes_written, (1ull << lg2) / PAGE);
	EXPECT_EQ(mem->frames_used(), (1ull << lg2) / PAGE);
}

INSTANTIATE_TEST_SUITE_P(sizes, granule_test, ::testing::Range(12u, 22u));

} // namespace svm_test
