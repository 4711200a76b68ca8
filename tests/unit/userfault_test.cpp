// SPDX-License-Identifier: GPL-2.0-only
/* Memory whose missing pages another process supplies, or does not: the device's fault waits, and nobody with it. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class userfault_test : public machine
{
protected:
	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(svm_bind(vm, BASE, BASE + 4 * MiB, 0), 0);
		ASSERT_EQ(svm_bind(vm, BASE + 4 * MiB, BASE + 8 * MiB, 0), 0);
		ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * MiB, .managed = true, .object = {}}), 0);
		map(BASE + 4 * MiB, 2 * MiB);
	}

	bool somebody_waits()
	{
		return eventually([&] { return proc->waiting == 1; });
	}
};

TEST_F(userfault_test, fault_waits_for_the_page)
{
	int err = 1;
	std::thread t([&] { err = fault(BASE + PAGE, SVM_WRITE); });

	EXPECT_TRUE(somebody_waits());
	EXPECT_EQ(fault(BASE + 4 * MiB, SVM_WRITE), 0); /* others go on */
	EXPECT_EQ(proc->supply(BASE + PAGE, 77), 0);
	t.join();
	EXPECT_EQ(err, 0);
	EXPECT_EQ(device().read(BASE + PAGE).value, 77u);
	EXPECT_EQ(device().read(BASE + 2 * PAGE).what, gpu::status::fault);
}

TEST_F(userfault_test, pages_that_are_there_need_nobody)
{
	ASSERT_EQ(proc->supply(BASE, 5), 0);
	ASSERT_EQ(proc->supply(BASE + 9 * PAGE, 6), 0);
	EXPECT_EQ(fault(BASE), 0);
	EXPECT_EQ(device().read(BASE).value, 5u);
	EXPECT_EQ(device().read(BASE + 9 * PAGE).value, 6u);
	EXPECT_EQ(count().present, 2u);
}

TEST_F(userfault_test, killed_while_it_waits)
{
	std::atomic<task *> waiter{nullptr};
	int err = 1;
	std::thread t([&] {
		waiter = &current();
		err = fault(BASE);
		current().killed = false;
	});

	EXPECT_TRUE(somebody_waits());
	kill(*waiter);
	t.join();
	EXPECT_EQ(err, -EINTR);
}

/* Neither another window's unbind nor its own waits for a manager that never answers. */
TEST_F(userfault_test, unbind_goes_on)
{
	int err = 1;
	std::thread t([&] { err = fault(BASE); });

	EXPECT_TRUE(somebody_waits());
	EXPECT_EQ(svm_unbind(vm, BASE + 4 * MiB, BASE + 8 * MiB), 0);
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + 4 * MiB), 0);
	expect_empty();
	EXPECT_EQ(proc->supply(BASE, 1), 0);
	t.join();
	EXPECT_EQ(err, -EFAULT); /* there is no window any more */
	EXPECT_EQ(count().present, 0u);
}

TEST_F(userfault_test, unmapped_while_it_waits)
{
	int err = 1;
	std::thread t([&] { err = fault(BASE); });

	EXPECT_TRUE(somebody_waits());
	EXPECT_EQ(proc->munmap(BASE, BASE + 2 * MiB), 0);
	t.join();
	EXPECT_EQ(err, -EFAULT);
}

/* A manager that takes each page away again before it is mapped: bounded. */
TEST_F(userfault_test, page_supplied_and_taken_away)
{
	std::atomic<bool> stop{false};

	hook.fault_entry = [&](const auto &) { proc->dontneed(BASE, BASE + PAGE); };

	std::thread manager([&] {
		while (!stop)
			proc->supply(BASE, 1);
	});

	int err = fault(BASE);

	stop = true;
	manager.join();
	hook.fault_entry = nullptr;
	EXPECT_TRUE(err == -EAGAIN || err == 0) << err;
}

TEST_F(userfault_test, prefetch_leaves_them_out)
{
	u64 pages;

	ASSERT_EQ(proc->supply(BASE + 3 * PAGE, 1), 0);
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 8 * MiB, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 513u);
	EXPECT_EQ(proc->waiting, 0u);
}

} // namespace svm_test
