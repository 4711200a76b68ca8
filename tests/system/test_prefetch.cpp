// SPDX-License-Identifier: GPL-2.0-only
/* Prefetch: what it makes present, what it leaves out, under churn and when killed. */
#include <cerrno>
#include <sys/wait.h>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Prefetch, MakesPresent)
{
	gpu gpu;
	mapping memory(8 * mib);
	memory.no_huge_pages();
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages());
	svmirror::counters before = gpu.vm.counters();
	EXPECT_GE(before.prefetched, memory.pages());
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(), page, true)).status, 0);
	EXPECT_EQ((gpu.vm.counters() - before).faults, 0u);
}

SVM_TEST(Prefetch, LeavesOutWhatIsNotThere)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(munmap(&memory.at(10), 5 * page), 0);
	ASSERT_EQ(mprotect(&memory.at(600), 3 * page, PROT_NONE), 0);
	ASSERT_EQ(mprotect(&memory.at(700), 7 * page, PROT_READ), 0);
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), false), memory.pages() - 5 - 3);
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages() - 5 - 3 - 7);
	EXPECT_TRUE(gpu.vm.fault_log().empty()) << "what prefetch leaves out is no fault";
}

SVM_TEST(Prefetch, UnderChurn)
{
	gpu gpu;
	mapping memory(8 * mib);
	memory.no_huge_pages();
	std::atomic<bool> stop{false};
	std::atomic<unsigned> errors{0};
	std::vector<std::jthread> threads;
	for (unsigned i = 0; i < 2; i++)
		threads.emplace_back([&, i] {
			while (!stop.load(std::memory_order_relaxed)) {
				std::uint64_t pages = 0;
				errors += svmirror_prefetch(gpu.device.fd(), gpu.vm.id(), svmirror::address(memory.data()),
							    memory.size(), i ? DRM_SVM_PREFETCH_WRITE : 0, &pages) != 0;
				errors += pages > memory.pages();
			}
		});
	hammer busy(gpu.vm, memory.bytes(512, 512), true);
	for (unsigned round = 0; round < 4; round++) {
		EXPECT_EQ(madvise(memory.data(), 3 * mib, MADV_DONTNEED), 0);
		EXPECT_EQ(mprotect(&memory.at(1024), mib, PROT_READ), 0);
		EXPECT_EQ(munmap(&memory.at(1500), 100 * page), 0);
		EXPECT_EQ(mprotect(&memory.at(1024), mib, PROT_READ | PROT_WRITE), 0);
		EXPECT_NE(mmap(&memory.at(1500), 100 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			  MAP_FAILED);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(1550), 0);
	}
	stop.store(true, std::memory_order_relaxed);
	threads.clear();
	EXPECT_EQ(errors.load(), 0u);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), memory.pages());
}

SVM_TEST(Prefetch, KilledInTheMiddle)
{
	signal_pipe ready;
	child worker([&]() -> int {
		gpu gpu;
		mapping memory(256 * mib);
		memory.no_huge_pages();
		ready.send();
		// more than can be done before the signal comes; given back each time so that memory lasts
		for (;;) {
			gpu.vm.prefetch(memory.bytes(), true);
			madvise(memory.data(), memory.size(), MADV_DONTNEED);
		}
	});
	ASSERT_TRUE(ready.wait());
	std::this_thread::sleep_for(50ms);
	auto begin = std::chrono::steady_clock::now();
	worker.kill();
	std::optional<int> status = worker.wait(20s);
	ASSERT_TRUE(status.has_value()) << "prefetch does not end when its process is killed";
	EXPECT_TRUE(WIFSIGNALED(*status));
	// the exit of a process of that size is part of it
	EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
	EXPECT_TRUE(nothing_held());
}
