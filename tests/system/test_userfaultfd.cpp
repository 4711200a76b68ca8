// SPDX-License-Identifier: GPL-2.0-only
/* Row 12: memory that a process of its own choosing fills. Whoever waits for it holds up nobody else. */
#include <cerrno>

#include "manager.hpp"

using namespace harness;

SVM_TEST(Row12Userfaultfd, ManagerAnswersTheDevice)
{
	gpu gpu;
	mapping memory(2 * mib);
	manager manager(memory.bytes());
	std::jthread answers([&] {
		for (unsigned n = 0; n < 3; n++) {
			std::optional<std::uint64_t> where = manager.asked();
			ASSERT_TRUE(where);
			ASSERT_TRUE(manager.fill(*where, std::byte(0x31 + n)));
		}
	});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(7), 0x31);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(300), 0x32);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(301), std::byte{0x55}), 0);
	answers.join();
	EXPECT_EQ(memory.at(7), std::byte{0x31});
	EXPECT_EQ(memory.at(301), std::byte{0x55});
}

// What may fault in user mode only: the kernel's own accesses get nothing, the device's do, as the CPU's would.
SVM_TEST(Row12Userfaultfd, ManagerOfUserModeOnlyAnswersTheDevice)
{
	gpu gpu;
	mapping memory(2 * mib);
	manager manager(memory.bytes(), UFFD_USER_MODE_ONLY);
	std::jthread answers([&] {
		std::optional<std::uint64_t> where = manager.asked();
		ASSERT_TRUE(where);
		ASSERT_TRUE(manager.fill(*where, std::byte{0x31}));
	});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(7), 0x31);
	answers.join();
	// the kernel's access, by way of a system call
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	EXPECT_EQ(write(ends[1], &memory.at(8), 1), -1);
	EXPECT_EQ(errno, EFAULT);
	close(ends[0]);
	close(ends[1]);
}

SVM_TEST(Row12Userfaultfd, WhoWaitsHoldsUpNobodyElse)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	// the table beside it, in the same interval
	manager manager(memory.bytes(0, 512));
	libsvm::job waits = gpu.queue.touch(memory.bytes(5, 1), page, false);
	ASSERT_EQ(manager.asked(), libsvm::address(&memory.at(5)));
	hammer busy(gpu.vm, memory.bytes(512, 256), true);
	libsvm::queue other(gpu.vm);
	for (unsigned round = 1; round <= 4; round++) {
		ASSERT_EQ(madvise(&memory.at(800), 16 * page, MADV_DONTNEED), 0);
		ASSERT_EQ(device_fill(other, memory.bytes(800, 16), std::byte(round)), 0);
		EXPECT_EQ(memory.at(807), std::byte(round));
	}
	EXPECT_FALSE(waits.done().wait(0ns)) << "nobody has filled the page";
	ASSERT_TRUE(manager.fill(libsvm::address(&memory.at(5)), std::byte{0x31}));
	EXPECT_EQ(finish(waits).status, 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(5), 0x31);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

// The manager needs the device's work on the neighbours of the page that the device waits for.
SVM_TEST(Row12Userfaultfd, ManagerMayUseTheDeviceInTheSameTable)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	manager manager(memory.bytes(0, 8));
	libsvm::queue second(gpu.vm), third(gpu.vm);
	libsvm::job waits = gpu.queue.touch(memory.bytes(5, 1), page, false);
	ASSERT_EQ(manager.asked(), libsvm::address(&memory.at(5)));
	libsvm::job waits_too = second.touch(memory.bytes(6, 1), page, true);
	for (unsigned round = 1; round <= 4; round++) {
		ASSERT_EQ(madvise(&memory.at(100), 16 * page, MADV_DONTNEED), 0);
		ASSERT_EQ(device_fill(third, memory.bytes(100, 16), std::byte(round)), 0);
		EXPECT_EQ(memory.at(107), std::byte(round));
	}
	EXPECT_FALSE(waits.done().wait(0ns)) << "nobody has filled the page";
	ASSERT_EQ(manager.asked(), libsvm::address(&memory.at(6)));
	ASSERT_TRUE(manager.fill(libsvm::address(&memory.at(6)), memory.at(107)));
	EXPECT_EQ(finish(waits_too).status, 0);
	ASSERT_TRUE(manager.fill(libsvm::address(&memory.at(5)), std::byte{0x31}));
	EXPECT_EQ(finish(waits).status, 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(5), 0x31);
	EXPECT_EQ(gpu.vm.counters().failed, 0u);
}

// The kernel wakes nobody whose memory goes while he waits for a manager: that is for the manager to do, as it is for a CPU.
SVM_TEST(Row12Userfaultfd, MemoryGoesWhileTheDeviceWaitsForIt)
{
	gpu gpu;
	mapping memory(2 * mib);
	manager manager(memory.bytes());
	libsvm::queue second(gpu.vm);
	libsvm::job waits = gpu.queue.touch(memory.bytes(5, 1), page, false);
	std::uint64_t gone = libsvm::address(&memory.at(5)), back = libsvm::address(&memory.at(300));
	ASSERT_EQ(manager.asked(), gone);
	libsvm::job waits_too = second.touch(memory.bytes(300, 1), page, true);
	ASSERT_EQ(manager.asked(), back);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	EXPECT_FALSE(manager.fill(gone, std::byte{0x31}));
	EXPECT_EQ(errno, ENOENT);
	constexpr int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	ASSERT_NE(mmap(&memory.at(300), page, PROT_READ | PROT_WRITE, fixed, -1, 0), MAP_FAILED);
	EXPECT_FALSE(waits.done().wait(100ms));
	EXPECT_NE(kernel_stacks().find("handle_userfault"), std::string::npos) << kernel_stacks();
	ASSERT_TRUE(manager.wake(gone));
	ASSERT_TRUE(manager.wake(back));
	EXPECT_EQ(finish(waits).status, -EFAULT);
	EXPECT_EQ(finish(waits_too).status, 0);
}

// Memory that is there and that each access asks the manager for: the device loses what it had.
SVM_TEST(Row12Userfaultfd, AccessIsAskedForWhereTheManagerTracksIt)
{
	if (!(manager::features() & UFFD_FEATURE_RWP))
		GTEST_SKIP() << "this kernel's userfaultfd has no protection against reads (7.3 has)";
	gpu gpu;
	for (bool huge : {false, true}) {
		SCOPED_TRACE(huge ? "a huge page" : "pages");
		mapping memory(2 * mib);
		if (!huge)
			memory.no_huge_pages();
		std::memset(memory.data(), 0x31, memory.size());
		std::uint64_t tracked = libsvm::address(&memory.at(5));
		manager manager(memory.bytes(), 0, UFFDIO_REGISTER_MODE_RWP);
		libsvm::queue second(gpu.vm);
		for (bool write : {false, true}) {
			ASSERT_EQ(device_fill(gpu.queue, memory.bytes(5, 1), std::byte{0x32}), 0);
			ASSERT_TRUE(manager.protect(tracked, true));
			libsvm::job waits = gpu.queue.touch(memory.bytes(5, 1), page, write);
			ASSERT_EQ(manager.asked(), tracked);
			EXPECT_EQ(device_write(second, &memory.at(6), std::byte{0x33}), 0);
			EXPECT_FALSE(waits.done().wait(100ms)) << "the manager has not let the page go";
			ASSERT_TRUE(manager.protect(tracked, false));
			EXPECT_EQ(finish(waits).status, 0);
			EXPECT_DEVICE_READS(second, &memory.at(6), 0x33);
			EXPECT_EQ(memory.at(6), std::byte{0x33});
		}
	}
}

SVM_TEST(Row12Userfaultfd, UnbindDoesNotWaitForTheManager)
{
	libsvm::device device;
	libsvm::vm vm(device);
	mapping memory(2 * mib);
	vm.bind(memory.bytes());
	libsvm::queue queue(vm);
	manager manager(memory.bytes());
	libsvm::job job = queue.touch(memory.bytes(5, 1), page, false);
	ASSERT_TRUE(manager.asked()) << "the device's fault never reached the manager";
	auto began = std::chrono::steady_clock::now();
	vm.unbind(libsvm::address(memory.data()), memory.size());
	EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
	manager.close();
	EXPECT_EQ(finish(job).status, -EFAULT);
}

SVM_TEST(Row12Userfaultfd, PrefetchLeavesItOut)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	manager manager(memory.bytes(512, 512));
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), 512u);
	EXPECT_FALSE(manager.asked(0ms)) << "prefetch asked the manager";
}

SVM_TEST(Row12Userfaultfd, KilledWhileTheManagerSleeps)
{
	signal_pipe waiting;
	child victim([&] {
		gpu gpu;
		mapping memory(2 * mib);
		manager manager(memory.bytes());
		libsvm::job job = gpu.queue.touch(memory.bytes(5, 1), page, false);
		if (!manager.asked())
			return 1;
		waiting.send();
		pause();
		return 2;
	});
	ASSERT_TRUE(waiting.wait());
	victim.kill();
	ASSERT_TRUE(victim.wait()) << "it cannot be killed";
	EXPECT_TRUE(nothing_held());
}
