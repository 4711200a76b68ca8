/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One simulated machine per test: memory, a process, a backend with its device, and a vm.
 * At the end everything must be gone and nobody must have complained.
 */
#ifndef SVM_TESTS_UNIT_MACHINE_HPP
#define SVM_TESTS_UNIT_MACHINE_HPP

#include "tests/host/backend.hpp"
#include "tests/host/check.hpp"
#include "tests/host/domain.hpp"

#include <gtest/gtest.h>
#include <svm/svm.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace svm_test
{

using namespace svm_host;

constexpr u64 KiB = 1024, MiB = 1024 * KiB, GiB = 1024 * MiB;
/* Where the tests' memory lies: amid a table, a directory and an interval of its own. */
constexpr u64 BASE = 0x7f0000000000ull;

class machine : public ::testing::Test
{
protected:
	void SetUp() override
	{
		current().killed = false;
		create();
	}

	void TearDown() override
	{
		hook = {};
		inject.arm(0);
		destroy();
		gpus.reset();
		if (proc && running)
			proc->exit();
		proc.reset();
		mem.reset();
		EXPECT_EQ(live.heap, 0u);
		EXPECT_EQ(live.domains, 0u);
		EXPECT_EQ(live.intervals, 0u);
		EXPECT_EQ(live.mms, 0u);
		for (const auto &what : take_complaints())
			ADD_FAILURE() << what;
		live.heap = 0;
		live.domains = live.intervals = live.mms = 0;
	}

	/* The vm alone can be made anew with other parameters. */
	int create(u32 interval_lg2 = 0, u32 granule_lg2 = 0)
	{
		svm_vm_params p = {
			.ops = &backend::ops,
			.backend = gpus.get(),
			.format = svm_format_find("xe2"),
			.mm = proc.get(),
			.dma_device = &dev,
			.interval_lg2 = interval_lg2,
			.granule_lg2 = granule_lg2,
		};
		int err = svm_vm_create(&p, &vm);

		if (!err)
			gpus->device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
		return err;
	}

	void destroy()
	{
		if (vm)
			svm_vm_destroy(vm);
		vm = nullptr;
		if (gpus)
			gpus->device().invalidate(0, ~0ull);
	}

	void recreate(u32 interval_lg2, u32 granule_lg2)
	{
		destroy();
		ASSERT_EQ(create(interval_lg2, granule_lg2), 0);
		ASSERT_EQ(svm_bind_all(vm), 0);
	}

	void map(u64 start, u64 size, unsigned prot = PROT_RW, bool thp = false)
	{
		ASSERT_EQ(proc->mmap({.start = start, .end = start + size, .prot = prot, .thp = thp, .object = {}}), 0);
	}

	/* Writes each page from the CPU: page n of the span gets first + n. */
	void touch(u64 start, u64 size, u64 first = 1)
	{
		for (u64 i = 0; i < size / PAGE; i++)
			ASSERT_EQ(proc->write(start + i * PAGE, first + i), 0);
	}

	int fault(u64 va, svm_access how = SVM_READ)
	{
		return svm_fault(vm, va, how, nullptr);
	}

	gpu &device()
	{
		return gpus->device();
	}

	svm_counters count()
	{
		svm_counters c;

		svm_vm_counters(vm, &c);
		return c;
	}

	/* What one thread's calls took of the port, from here on. */
	struct costs {
		u64 table_locks, window_locks, mmap_locks, allocs, faults, syncs;
		bool operator==(const costs &) const = default;
	};
	static costs spent()
	{
		const task &t = current();

		return {t.lock_count,  t.window_lock_count, t.mmap_lock_count,
			t.alloc_count, t.fault_count,	    t.sync_count};
	}

	/* Everything a vm can hold is gone, but for the directories; tables go after a grace period. */
	void expect_empty();

	/* Device reads and writes as a driver's queue does them: on a fault, serve it and go on. 0 or the fault's error. */
	int device_read(u64 va, u64 *value)
	{
		for (int turn = 0; turn < 1000; turn++) {
			gpu::answer a = device().read(va);

			*value = a.value;
			if (a.what != gpu::status::fault)
				return a.what == gpu::status::ok ? 0 : -EIO;
			if (int err = fault(va); err && err != -EAGAIN)
				return err;
		}
		return -EAGAIN;
	}
	int device_write(u64 va, u64 value)
	{
		for (int turn = 0; turn < 1000; turn++) {
			gpu::answer a = device().write(va, value);

			if (a.what != gpu::status::fault)
				return a.what == gpu::status::ok ? 0 : -EIO;
			if (int err = fault(va, SVM_WRITE); err && err != -EAGAIN)
				return err;
		}
		return -EAGAIN;
	}

	std::unique_ptr<memory> mem = std::make_unique<memory>();
	std::unique_ptr<mm_struct> proc = std::make_unique<mm_struct>(*mem);
	std::unique_ptr<backend> gpus = std::make_unique<backend>(*mem);
	::device dev;
	svm_vm *vm = nullptr;
	bool running = true; /* the process has not exited */
};

/* With the whole address space bound. */
class bound_machine : public machine
{
protected:
	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(svm_bind_all(vm), 0);
	}
};

/* Waits until cond() or some seconds have passed; what it came to. */
template <typename Cond>
bool eventually(Cond cond)
{
	auto stop = std::chrono::steady_clock::now() + std::chrono::seconds(20);

	while (!cond()) {
		if (std::chrono::steady_clock::now() > stop)
			return false;
		std::this_thread::sleep_for(std::chrono::microseconds(200));
	}
	return true;
}

inline void machine::expect_empty()
{
	EXPECT_TRUE(eventually([&] { return count().tables_freed == count().tables_made; }));

	svm_counters c = count();

	EXPECT_EQ(c.present, 0u);
	EXPECT_EQ(c.tables, 0u);
	EXPECT_EQ(c.intervals, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(live.intervals, 0u);
	EXPECT_EQ(gpus->tables, c.directories);
	EXPECT_EQ(gpus->bytes, c.device_bytes);
}

} // namespace svm_test

#endif
