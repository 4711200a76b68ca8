// SPDX-License-Identifier: GPL-2.0-only
/* Processes that end while the device works for them: nothing may stay behind. */
#include <cerrno>
#include <csignal>
#include <memory>
#include <sys/wait.h>
#include <unistd.h>

#include "manager.hpp"

using namespace harness;

namespace {

// Faults without end: fresh memory, touched by two queues, thrown away, touched again.
[[noreturn]] void fault_for_ever(signal_pipe &running)
{
	gpu gpu;
	svmirror::queue second(gpu.vm);
	mapping memory(4 * mib);
	memory.no_huge_pages();
	for (unsigned round = 0;; round++) {
		svmirror::job one = gpu.queue.touch(memory.bytes(0, 600), page, true);
		svmirror::job two = second.touch(memory.bytes(400, 624), page, false);
		if (round == 1)
			running.send();
		one.result(job_limit);
		two.result(job_limit);
		madvise(memory.data(), memory.size(), MADV_DONTNEED);
	}
}

} // namespace

SVM_TEST_WITHIN(Row17Exit, KilledAmidFaults, 90)
{
	for (unsigned round = 0; round < 3; round++) {
		signal_pipe running;
		child worker([&]() -> int { fault_for_ever(running); });
		ASSERT_TRUE(running.wait());
		// at another moment of a job each time
		std::this_thread::sleep_for(std::chrono::milliseconds(round * 7));
		worker.kill();
		std::optional<int> status = worker.wait(20s);
		ASSERT_TRUE(status.has_value()) << "a killed process does not end";
		EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL) << "status " << *status;
	}
	EXPECT_TRUE(nothing_held());
}

// Faults of each of its files wait for a manager that never answers, and that others keep after the process was killed.
SVM_TEST(Row17Exit, KilledWithManyFilesThatWaitForAManager)
{
	constexpr unsigned files = 3; // fewer than engines
	signal_pipe waiting, over;
	child worker([&] {
		mapping memory(files * table_span);
		manager manager(memory.bytes());
		pid_t holder = fork();
		if (!holder) {
			over.wait(60s);
			_exit(0);
		}
		std::vector<std::unique_ptr<gpu>> gpus;
		std::vector<svmirror::job> jobs;
		for (unsigned i = 0; i < files; i++) {
			gpus.push_back(std::make_unique<gpu>());
			jobs.push_back(gpus.back()->queue.touch(memory.bytes(i * 512, 1), page, true));
			if (!manager.asked())
				return 1;
		}
		waiting.send();
		for (;;)
			pause();
	});
	ASSERT_TRUE(waiting.wait());
	worker.kill();
	EXPECT_TRUE(worker.wait(9s).has_value()) << "the end of each file is waited for";
	over.send();
	EXPECT_TRUE(nothing_held());
}

SVM_TEST(Row17Exit, ExitWithJobsUnderWay)
{
	for (unsigned round = 0; round < 3; round++) {
		child worker([&] {
			gpu gpu;
			mapping memory(4 * mib);
			memory.no_huge_pages();
			std::vector<svmirror::job> jobs;
			for (unsigned i = 0; i < 8; i++)
				jobs.push_back(gpu.queue.touch(memory.bytes(), page, true));
			_exit(0);
			return 1;
		});
		EXPECT_TRUE(worker.succeeded(20s));
	}
	EXPECT_TRUE(nothing_held());
}

SVM_TEST(Row17Exit, ExecWithJobsUnderWay)
{
	child worker([&] {
		gpu gpu;
		mapping memory(4 * mib);
		memory.no_huge_pages();
		std::vector<svmirror::job> jobs;
		for (unsigned i = 0; i < 8; i++)
			jobs.push_back(gpu.queue.touch(memory.bytes(), page, true));
		// what comes next has other memory, and the device must have none of it
		execl("/bin/true", "true", nullptr);
		execl("/bin/busybox", "busybox", "true", nullptr);
		return 1;
	});
	EXPECT_TRUE(worker.succeeded(20s));
	EXPECT_TRUE(nothing_held());
}

SVM_TEST(Row17Exit, QueueDestroyedUnderAJob)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	for (unsigned round = 0; round < 4; round++) {
		svmirror::queue queue(gpu.vm);
		svmirror::job first = queue.touch(memory.bytes(), page, true);
		svmirror::job second = queue.touch(memory.bytes(), page, true);
		ASSERT_EQ(queue.destroy(), 0);
		EXPECT_TRUE(first.done().wait(job_limit)) << "nobody was told that the job is over";
		EXPECT_TRUE(second.done().wait(job_limit));
		ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
	}
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
}

SVM_TEST(Row17Exit, CloseReleasesEverything)
{
	{
		gpu gpu;
		svmirror::vm second(gpu.device);
		second.bind_all();
		svmirror::queue queue(second);
		mapping memory(4 * mib);
		ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{1}), 0);
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{2}), 0);
		std::optional<numbers> held = driver_file("svm_leaks");
		ASSERT_TRUE(held.has_value()) << "no svm_leaks under /sys/kernel/debug/dri";
		EXPECT_EQ((*held)["vms"], 2u);
		EXPECT_EQ((*held)["queues"], 2u);
		EXPECT_GE((*held)["tables"], 4u);
		// without destroying anything: the descriptor alone
		close(gpu.device.fd());
		EXPECT_TRUE(nothing_held());
	}
}

SVM_TEST(Row17Exit, UnbindTakesAllAway)
{
	gpu gpu;
	mapping memory(2 * mib);
	svmirror::vm part(gpu.device);
	part.bind(memory.bytes());
	svmirror::queue queue(part);
	ASSERT_EQ(device_fill(queue, memory.bytes(), std::byte{1}), 0);
	part.unbind(svmirror::address(memory.data()), memory.size());
	EXPECT_EQ(device_fill(queue, memory.bytes(0, 1), std::byte{2}), EFAULT);
	EXPECT_EQ(memory.at(0), std::byte{1});
	svmirror::counters counters = part.counters();
	EXPECT_EQ(counters.present, 0u);
	EXPECT_EQ(counters.intervals, 0u);
	// and it can be bound again
	part.bind(memory.bytes());
	EXPECT_EQ(device_fill(queue, memory.bytes(), std::byte{3}), 0);
	EXPECT_EQ(memory.at(511), std::byte{3});
}
