// SPDX-License-Identifier: GPL-2.0-only
/* Prefetch: what it makes present, what it leaves out, under churn and when killed. */
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

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

namespace {

constexpr std::size_t gib = std::size_t(1) << 30;

std::chrono::duration<double> time_of(const std::function<void()> &call)
{
	auto begin = std::chrono::steady_clock::now();
	call();
	return std::chrono::steady_clock::now() - begin;
}

// Empties memory for the CPU and for the prefetch, a few times, and compares the best of each: what prefetch takes
// must be of the order of what the CPU's own touching takes, though it writes the device's tables as well. The mappings are
// made once: with all checks a kernel takes 13 ms for one of them.
void expect_as_cheap_as_touching(svmirror::vm &vm, std::size_t size, std::size_t step, const std::function<void(std::byte *)> &build)
{
	auto touching = std::chrono::duration<double>::max(), prefetching = touching;
	mapping memory(size, PROT_NONE);
	build(memory.data());
	// the machine may do something else meanwhile, so a bad round has others after it
	for (unsigned rounds = 0; rounds < 2 || (rounds < 20 && prefetching >= 2 * touching); rounds++) {
		ASSERT_EQ(madvise(memory.data(), size, MADV_DONTNEED), 0);
		touching = std::min(touching, time_of([&] {
			for (std::size_t at = 0; at < size; at += step)
				memory.data()[at] = std::byte{1};
		}));
		ASSERT_EQ(madvise(memory.data(), size, MADV_DONTNEED), 0);
		prefetching = std::min(prefetching, time_of([&] { EXPECT_EQ(vm.prefetch(memory.bytes(), true), size / step); }));
	}
	std::printf("%zu pages: the CPU's touching %.2f ms, prefetch %.2f ms\n", size / step, touching.count() * 1e3,
		    prefetching.count() * 1e3);
	std::fflush(stdout); // the body's process ends without
	if (std::filesystem::exists("/sys/kernel/debug/kcsan"))
		GTEST_SKIP() << "KCSAN delays the module's accesses and leaves the CPU's own faults alone: the times say nothing";
	EXPECT_LT(prefetching, 2 * touching);
}

// Every step-th page a mapping of its own, the others holes.
std::function<void(std::byte *)> pages_apart(std::size_t size, std::size_t step)
{
	return [=](std::byte *at) {
		for (std::size_t i = 0; i < size; i += step)
			ASSERT_NE(mmap(at + i, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	};
}

} // namespace

SVM_TEST(Prefetch, DenseMemoryIsAsCheapAsTouching)
{
	gpu gpu;
	expect_as_cheap_as_touching(gpu.vm, 8 * mib, page, [](std::byte *at) {
		ASSERT_EQ(mprotect(at, 8 * mib, PROT_READ | PROT_WRITE), 0);
		ASSERT_EQ(madvise(at, 8 * mib, MADV_NOHUGEPAGE), 0);
	});
}

SVM_TEST(Prefetch, EveryOtherPageAHoleIsAsCheapAsTouching)
{
	gpu gpu;
	expect_as_cheap_as_touching(gpu.vm, 2 * mib, 2 * page, pages_apart(2 * mib, 2 * page));
}

SVM_TEST(Prefetch, ManySmallMappingsAreAsCheapAsTouching)
{
	gpu gpu;
	expect_as_cheap_as_touching(gpu.vm, 8 * mib, 8 * page, pages_apart(8 * mib, 8 * page));
}

// 16 GiB of a file of eight pages.
SVM_TEST(Prefetch, PastAFilesEndCostsNothing)
{
	gpu gpu;
	int fd = memfd_create("short", MFD_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(ftruncate(fd, 8 * page - 100), 0);
	mapping shared(16 * gib, PROT_READ | PROT_WRITE, MAP_SHARED, fd), own(16 * gib, PROT_READ, MAP_PRIVATE, fd);
	svmirror::counters before = gpu.vm.counters();
	EXPECT_LT(time_of([&] {
		EXPECT_EQ(gpu.vm.prefetch(shared.bytes(), true), 8u);
		EXPECT_EQ(gpu.vm.prefetch(own.bytes(), false), 8u);
		// and where no page of the file is in the span
		EXPECT_EQ(gpu.vm.prefetch(shared.bytes(8, shared.pages() - 8), false), 0u);
	}), 1s);
	EXPECT_EQ((gpu.vm.counters() - before).tables, 2u);
	// the file grows: what is there now is brought
	ASSERT_EQ(ftruncate(fd, 600 * page), 0);
	EXPECT_EQ(gpu.vm.prefetch(shared.bytes(), true), 600u);
	close(fd);
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
