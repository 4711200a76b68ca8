// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes away under the device, and what comes in its place. */
#include <cerrno>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

SVM_TEST(Row01Munmap, WholeMappingFaultsAndOthersGoOn)
{
	gpu gpu;
	svmirror::queue other(gpu.vm);
	mapping memory(4 * mib), neighbour(2 * mib);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	ASSERT_EQ(device_fill(other, neighbour.bytes(), std::byte{0x33}), 0);
	EXPECT_EQ(memory.at(1023), std::byte{0x5a});

	hammer busy(gpu.vm, neighbour.bytes(), true);
	busy.wait_for(2);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	svmirror::job_result result = finish(gpu.queue.fill(memory.bytes(5, 1), std::byte{1}));
	EXPECT_EQ(result.status, -EFAULT);
	EXPECT_EQ(result.va, svmirror::address(&memory.at(5)));
	EXPECT_EQ(result.access, std::uint32_t{DRM_SVM_ACCESS_WRITE});
	EXPECT_EQ(device_read(gpu.queue, &memory.at(700)).error, EFAULT);

	// this queue and the other go on
	EXPECT_DEVICE_READS(gpu.queue, &neighbour.at(0), 0x33);
	EXPECT_DEVICE_READS(other, &neighbour.at(511), 0x33);
	busy.wait_for(2);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row01Munmap, MiddleLeavesBothSides)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	// across the border of two tables
	ASSERT_EQ(munmap(&memory.at(500), 24 * page), 0);
	for (std::size_t i : {500, 511, 512, 523})
		EXPECT_EQ(device_read(gpu.queue, &memory.at(i)).error, EFAULT) << "page " << i;
	for (std::size_t i : {0, 499, 524, 1023})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 0x5a);
	// a job that runs into the hole says where
	svmirror::job_result result = finish(gpu.queue.touch(memory.bytes(), page, false));
	EXPECT_EQ(result.status, -EFAULT);
	EXPECT_EQ(result.va, svmirror::address(&memory.at(500)));
}

SVM_TEST(Row01Munmap, HugePageLosesItsMiddle)
{
	gpu gpu;
	mapping memory(2 * mib);
	madvise(memory.data(), memory.size(), MADV_HUGEPAGE);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	ASSERT_EQ(munmap(&memory.at(100), page), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(100)).error, EFAULT);
	for (std::size_t i : {0, 99, 101, 511})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 0x5a);
}

SVM_TEST(Row01Munmap, RacingWithTheDevice)
{
	gpu gpu;
	mapping neighbour(2 * mib);
	hammer other(gpu.vm, neighbour.bytes(), true);
	std::uint64_t faults = 0;
	for (unsigned round = 0; round < 4; round++) {
		mapping memory(2 * mib);
		hammer busy(gpu.vm, memory.bytes(), round % 2);
		busy.wait_for(1);
		ASSERT_EQ(munmap(&memory.at(256), 256 * page), 0);
		// from here on nothing reaches it, whatever was under way
		EXPECT_EQ(device_read(gpu.queue, &memory.at(256)).error, EFAULT);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(511), std::byte{1}), EFAULT);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(255), std::byte{1}), 0);
		busy.wait_for(2);
		hammer::report report = busy.stop();
		EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
		faults += report.fault;
	}
	EXPECT_GE(faults, 4u) << "jobs that began after munmap cannot have ended well";
	hammer::report report = other.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row01Munmap, NothingIsWrittenAfterItReturned)
{
	gpu gpu;
	int fd = memfd_create("svm", MFD_CLOEXEC);
	ASSERT_EQ(ftruncate(fd, page), 0);
	// the same page at two addresses: the device adds at one, the CPU watches at the other
	mapping watched(page, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	auto watch = [&] { return std::atomic_ref(*reinterpret_cast<std::uint64_t *>(watched.data())).load(); };
	for (unsigned round = 0; round < 8; round++) {
		mapping memory(page, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
		std::uint64_t begun = watch();
		svmirror::job endless = gpu.queue.cas_add(*reinterpret_cast<std::uint64_t *>(memory.data()), 1ull << 40);
		ASSERT_TRUE(eventually([&] { return watch() > begun; }));
		ASSERT_EQ(munmap(memory.data(), page), 0);
		std::uint64_t at_return = watch();
		svmirror::job_result result = finish(endless);
		EXPECT_EQ(watch(), at_return) << "munmap returned before the device had let go of the page";
		EXPECT_EQ(result.status, -EFAULT);
		EXPECT_EQ(result.va, svmirror::address(memory.data()));
	}
	close(fd);
}

SVM_TEST(Row01Munmap, PagesAreFreed)
{
	gpu gpu;
	mapping memory(8 * mib), neighbour(mib);
	memory.no_huge_pages();
	hammer busy(gpu.vm, neighbour.bytes(), true);
	memory_group group("munmap");
	group.join();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	std::uint64_t filled = group.charged();
	EXPECT_GE(filled, 8 * mib) << "what the device touches is charged to its process";
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	EXPECT_TRUE(eventually([&] { return group.charged() + 7 * mib < filled; })) << "the device's pages are held";
	group.leave();
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row02MapFixed, ZerosAndNeverOldData)
{
	gpu gpu;
	mapping memory(2 * mib);
	alignas(64) std::uint64_t sum = 0;
	std::span<const std::uint64_t> words(reinterpret_cast<std::uint64_t *>(memory.data()),
					     memory.size() / sizeof(std::uint64_t));
	hammer busy(gpu.vm, memory.bytes(), false);
	for (unsigned round = 0; round < 8; round++) {
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0xab}), 0);
		// every other round there is a moment without any mapping
		if (round % 2) {
			ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
		}
		ASSERT_EQ(mmap(memory.data(), memory.size(), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			  memory.data());
		sum = ~0ull;
		ASSERT_EQ(finish(gpu.queue.sum(words, sum)).status, 0);
		EXPECT_EQ(sum, 0u) << "the device sees what was there before, round " << round;
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row02MapFixed, PartOfATable)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0xab}), 0);
	ASSERT_NE(mmap(&memory.at(64), 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		  MAP_FAILED);
	for (std::size_t i = 62; i < 74; i++)
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), i >= 64 && i < 72 ? 0 : 0xab);
	// and its writes land in the new pages
	ASSERT_EQ(device_write(gpu.queue, &memory.at(70), std::byte{7}), 0);
	EXPECT_EQ(memory.at(70), std::byte{7});
}

SVM_TEST(Row02MapFixed, FaultsInFlightNeverBringBackOldPages)
{
	// the window between what a fault learns of a page and the entry that it writes: many faults, many changes
	gpu gpu({.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0});
	mapping memory(16 * page), copy(16 * page);
	memory.no_huge_pages();
	// the writer rewrites another byte of each page than the one that is looked at
	hammer one(gpu.vm, memory.bytes(), false), two(gpu.vm, memory.bytes().subspan(64), true);
	hammer three(gpu.vm, memory.bytes(), false);
	std::size_t stale = 0;
	for (unsigned round = 1; round <= 150; round++) {
		ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
		for (std::size_t i = 0; i < memory.pages(); i++)
			std::atomic_ref(memory.at(i)).store(std::byte(round));
		ASSERT_EQ(finish(gpu.queue.copy(copy.bytes(), memory.bytes())).status, 0);
		for (std::size_t i = 0; i < copy.pages(); i++)
			stale += copy.at(i) != std::byte(round);
	}
	EXPECT_EQ(stale, 0u) << "the device reads pages that the CPU has given away";
	for (hammer *each : {&one, &two, &three}) {
		hammer::report report = each->stop();
		EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
	}
}
