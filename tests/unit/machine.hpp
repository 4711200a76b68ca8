/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One simulated machine per test. At the end everything must be gone and nobody must have complained.
 */
#ifndef SVM_TESTS_UNIT_MACHINE_HPP
#define SVM_TESTS_UNIT_MACHINE_HPP

#include "tests/host/machine.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <thread>

namespace svm_test
{

using namespace svm_host;

class machine : public ::testing::Test, protected svm_host::machine
{
protected:
	void SetUp() override
	{
		current().killed = false;
		create();
	}

	void TearDown() override
	{
		close();
		hook = {};
		for (const auto &what : take_complaints())
			ADD_FAILURE() << what;
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

	/* What one thread's calls took of the port, from here on. */
	struct costs {
		u64 table_locks, domain_locks, mmap_locks, allocs, faults, syncs;
		bool operator==(const costs &) const = default;
	};
	static costs spent()
	{
		const task &t = current();

		return {t.lock_count,  t.domain_lock_count, t.mmap_lock_count,
			t.alloc_count, t.fault_count,	    t.sync_count};
	}

	/* Everything a vm can hold is gone, but for the directories; tables go after a grace period. */
	void expect_empty();
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
