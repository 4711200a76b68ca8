// SPDX-License-Identifier: GPL-2.0-only
/* Threads that work for the process of a vm, and threads that are told to give up. */
#include "tests/unit/machine.hpp"

#include "mm/vm.hpp"

namespace svm_test
{

class session_test : public machine
{
protected:
	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(svm_bind(vm, BASE, BASE + 4 * MiB, 0), 0);
		ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + 2 * MiB, .managed = true, .object = {}}), 0);
		map(BASE + 2 * MiB, 2 * MiB);
	}

	/* A worker that serves one fault after the other in one session. */
	template <typename Fn>
	std::thread worker(Fn fn)
	{
		return std::thread([this, fn] {
			ASSERT_EQ(svm_session_begin(vm, &session), 0);
			fn();
			svm_session_end(&session);
		});
	}

	bool waits()
	{
		return eventually([&] { return proc->waiting == 1; });
	}

	svm_session session;
};

TEST_F(session_test, cancelled_while_it_waits_for_a_manager)
{
	int err = 1, next = 1;
	std::thread t = worker([&] {
		err = fault(BASE, SVM_WRITE);
		next = fault(BASE + PAGE, SVM_WRITE);
	});

	ASSERT_TRUE(waits());
	svm_session_cancel(&session);
	t.join();
	EXPECT_EQ(err, -EINTR);
	EXPECT_EQ(next, -EINTR); /* all that follows in this session */
	EXPECT_EQ(proc->waiting, 0u);
}

TEST_F(session_test, the_next_session_is_not_cancelled)
{
	int err = 1;
	std::thread t([&] {
		ASSERT_EQ(svm_session_begin(vm, &session), 0);
		svm_session_cancel(&session);
		EXPECT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), -EINTR);
		svm_session_end(&session);
		ASSERT_EQ(svm_session_begin(vm, &session), 0);
		err = fault(BASE + 2 * MiB, SVM_WRITE);
		svm_session_end(&session);
	});

	t.join();
	EXPECT_EQ(err, 0);
}

TEST_F(session_test, a_fault_in_a_session_goes_on_in_it)
{
	svm_session_begin(vm, &session);
	EXPECT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(current().session, vm->domain());
	svm_session_end(&session);
	EXPECT_EQ(current().session, nullptr);
	EXPECT_EQ(fault(BASE + 3 * MiB, SVM_WRITE), 0);
	EXPECT_EQ(current().session, nullptr);
}

TEST_F(session_test, memory_of_a_process_that_exits_stays_until_its_end)
{
	ASSERT_EQ(svm_session_begin(vm, &session), 0);
	EXPECT_EQ(fault(BASE + 2 * MiB, SVM_WRITE), 0);
	proc->exit();
	running = false;
	EXPECT_EQ(fault(BASE + 2 * MiB + PAGE, SVM_WRITE), 0);
	EXPECT_NE(mem->dma_live(), 0u);
	svm_session_end(&session);
	EXPECT_TRUE(eventually([&] { return mem->dma_live() == 0; }));
	EXPECT_EQ(svm_session_begin(vm, &session), -EFAULT);
}

} // namespace svm_test
