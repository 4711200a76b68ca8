// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the process that lie in the device's memory: they go there by a prefetch and come home when the CPU
 * touches them, one by one, while everything that memory can do goes on.
 */
#include <atomic>
#include <cerrno>
#include <cstring>
#include <sys/uio.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "device_memory.hpp"
#include "files.hpp"
#include "objects.hpp"

using namespace harness;
using namespace std::chrono_literals;

SVM_TEST(DeviceMemory, GoesAndComesBackByItself)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(many * page);
	memory.no_huge_pages();
	number(memory);
	svmirror::counters before = gpu.vm.counters();
	EXPECT_EQ(send_there(gpu.vm, memory.bytes()), many);
	svmirror::counters moved = gpu.vm.counters() - before;
	EXPECT_EQ(moved.moved_in, many);
	// All of it is mapped by now, so the device does not fault.
	svmirror::job_result result = finish(gpu.queue.fill(memory.bytes(100, 100), std::byte{0x77}));
	EXPECT_EQ(result.status, 0);
	EXPECT_EQ(result.faults, 0u);
	for (std::size_t i : {0ul, 99ul, 200ul, many - 1})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 1 + i);
	EXPECT_EQ(send_there(gpu.vm, memory.bytes()), 0u) << "they are there";
	for (std::size_t i = 0; i < many; i++)
		ASSERT_EQ(memory.at(i), i >= 100 && i < 200 ? std::byte{0x77} : std::byte(1 + i)) << "page " << i;
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), 0u) << "the CPU's touch has brought them";
	EXPECT_TRUE(gpu.vm.fault_log().empty());
}

// A CPU that touches one page gets that one; its neighbours stay.
SVM_TEST(DeviceMemory, ATouchBringsOnePage)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(many * page);
	memory.no_huge_pages();
	number(memory);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), many);
	EXPECT_EQ(memory.at(300), std::byte(301 & 255));
	memory.at(301) = std::byte{0x55};
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(301), 0x55);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(302), 303 & 255);
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), many - 2);
}

// Home is asked for with holes, files and pages that are there beside each other: only these are moved, and no other is made.
SVM_TEST(DeviceMemory, HolesStayHolesOnTheWayHome)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(2 * table_span);
	memory.no_huge_pages();
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), 0u) << "nothing was touched";
	memory.at(3) = std::byte{4};
	EXPECT_EQ(send_home(gpu.vm, memory.bytes(0, 512)), 0u);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes(2, 3)), 3u);
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), 3u);
	EXPECT_EQ(memory.at(3), std::byte{4});
	EXPECT_EQ(memory.at(700), std::byte{0});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(3), 4);
}

// A page goes while the CPU's touch is bringing it.
SVM_TEST(DeviceMemory, DroppedWhileItIsTouched)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(16 * page);
	memory.no_huge_pages();
	std::atomic<bool> stop{false};
	std::thread dropper([&] {
		while (!stop)
			madvise(memory.data(), memory.size(), MADV_DONTNEED);
	});
	for (unsigned round = 0; round < 30; round++) {
		std::memset(memory.data(), 1, memory.size());
		send_there(gpu.vm, memory.bytes());
		for (std::size_t i = 0; i < memory.pages(); i++)
			EXPECT_LE(memory.at(i), std::byte{1});
	}
	stop = true;
	dropper.join();
	EXPECT_EQ(device_write(gpu.queue, &memory.at(1), std::byte{2}), 0) << "the device works";
}

// What was never touched is made there, and reads zero for both.
SVM_TEST(DeviceMemory, UntouchedMemoryBeginsThereAsZero)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping other(many * page), memory(many * page);
	other.no_huge_pages();
	memory.no_huge_pages();
	// Pages of VRAM that another use has left full of ones.
	std::memset(other.data(), 0xff, other.size());
	ASSERT_EQ(send_there(gpu.vm, other.bytes()), many);
	ASSERT_EQ(munmap(other.data(), other.size()), 0);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), many);
	EXPECT_TRUE(device_holds(gpu.queue, memory.bytes(), std::byte{0}));
	ASSERT_EQ(device_write(gpu.queue, &memory.at(5), std::byte{5}), 0);
	for (std::size_t i = 0; i < memory.size(); i++)
		ASSERT_EQ(memory.data()[i], i == 5 * page ? std::byte{5} : std::byte{0}) << "byte " << i;
}

SVM_TEST(DeviceMemory, OnlyWhatCanMoveMoves)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(160 * page);
	memory.no_huge_pages();
	number(memory);
	// A file, shared; a hole; memory that may not be read; read-only memory.
	file file(16 * page, std::byte{0x16});
	ASSERT_EQ(mmap(&memory.at(16), 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd(), 0), &memory.at(16));
	(void)*static_cast<volatile std::byte *>(&memory.at(17));
	ASSERT_EQ(munmap(&memory.at(64), 16 * page), 0);
	ASSERT_EQ(mprotect(&memory.at(96), 16 * page, PROT_NONE), 0);
	ASSERT_EQ(mprotect(&memory.at(128), 16 * page, PROT_READ), 0);
	std::uint64_t moved = send_there(gpu.vm, memory.bytes());
	EXPECT_GE(moved, memory.pages() - 4 * 16) << "not the file, the hole, nor memory of either protection, at worst";
	EXPECT_LE(moved, memory.pages() - 2 * 16);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(17), 0x16);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(70)).error, EFAULT);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(100)).error, EFAULT);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(130), 131);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(130), std::byte{1}), EPERM);
	ASSERT_EQ(mprotect(&memory.at(96), 16 * page, PROT_READ | PROT_WRITE), 0);
	for (std::size_t i = 0; i < memory.pages(); i++)
		if (i < 64 || i >= 80) {
			ASSERT_EQ(memory.at(i), i >= 16 && i < 32 ? std::byte{0x16} : std::byte(1 + i)) << "page " << i;
		}
}

// A huge page goes, and its data with it, whole or in pieces.
SVM_TEST(DeviceMemory, HugePagesGoToo)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(2 * table_span);
	ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_HUGEPAGE), 0);
	number(memory);
	EXPECT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(513), 514 & 255);
	EXPECT_EQ(memory.at(700), std::byte(701 & 255));
	EXPECT_EQ(send_home(gpu.vm, memory.bytes()), memory.pages() - 1);
	EXPECT_TRUE(numbered(memory));
}

// Row 5: what the child has is the page as it was at the fork, wherever it lay.
SVM_TEST(DeviceMemory, ForkSharesPagesThere)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(64 * page);
	memory.no_huge_pages();
	number(memory);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
	signal_pipe written, forked;
	child process([&] {
		forked.send();
		if (!written.wait())
			return 1;
		if (!numbered(memory))
			return 2;
		std::memset(memory.data(), 0x11, memory.size());
		return 0;
	});
	ASSERT_TRUE(forked.wait());
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(8, 16), std::byte{0x99}), 0);
	written.send();
	EXPECT_TRUE(process.succeeded());
	for (std::size_t i = 0; i < memory.pages(); i++)
		ASSERT_EQ(memory.at(i), i >= 8 && i < 24 ? std::byte{0x99} : std::byte(1 + i)) << "page " << i;
}

// Rows 1, 3, 4 and 6 of pages there: they are unmapped, moved, protected and dropped in parts.
SVM_TEST(DeviceMemory, UnmappedMovedProtectedAndDropped)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(many * page), target(64 * page);
	memory.no_huge_pages();
	number(memory);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), many);
	ASSERT_EQ(munmap(&memory.at(10), 10 * page), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(12)).error, EFAULT);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(9), 10);
	ASSERT_EQ(madvise(&memory.at(30), 10 * page, MADV_DONTNEED), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(32), 0);
	ASSERT_EQ(mprotect(&memory.at(50), 10 * page, PROT_READ), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(52), 53);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(52), std::byte{1}), EPERM);
	ASSERT_EQ(mprotect(&memory.at(50), 10 * page, PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(52), std::byte{0x52}), 0);
	ASSERT_NE(mremap(&memory.at(100), 20 * page, 20 * page, MREMAP_MAYMOVE | MREMAP_FIXED, target.data()), MAP_FAILED);
	EXPECT_DEVICE_READS(gpu.queue, &target.at(3), 104);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(103)).error, EFAULT);
	for (std::size_t i = 0; i < many; i++) {
		if ((i >= 10 && i < 20) || (i >= 100 && i < 120))
			continue;
		std::byte want = i >= 30 && i < 40 ? std::byte{0} : i == 52 ? std::byte{0x52} : std::byte(1 + i);
		ASSERT_EQ(memory.at(i), want) << "page " << i;
	}
	for (std::size_t i = 0; i < 20; i++)
		ASSERT_EQ(target.at(i), std::byte(101 + i)) << "page " << i;
}

// Rows 18 and 19: others in the kernel that look at a page get it home, with its data.
SVM_TEST(DeviceMemory, OthersInTheKernelSeeTheData)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(64 * page), copy(64 * page);
	memory.no_huge_pages();
	number(memory);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
	ASSERT_EQ(device_write(gpu.queue, &memory.at(7), std::byte{0x70}), 0);
	iovec from{memory.data(), memory.size()}, to{copy.data(), copy.size()};
	ASSERT_EQ(process_vm_readv(getpid(), &to, 1, &from, 1, 0), ssize_t(memory.size()));
	for (std::size_t i = 0; i < copy.pages(); i++)
		ASSERT_EQ(copy.at(i), i == 7 ? std::byte{0x70} : std::byte(1 + i)) << "page " << i;
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(write(ends[1], &memory.at(9), 1), 1);
	std::byte got{};
	ASSERT_EQ(read(ends[0], &got, 1), 1);
	EXPECT_EQ(got, std::byte{10});
	close(ends[0]);
	close(ends[1]);
}

// Row 23: the device adds and the CPU touches, while the memory goes there and back all the time. No addition is lost.
SVM_TEST(DeviceMemory, MovesUnderRunningJobs)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(16 * page);
	memory.no_huge_pages();
	std::memset(memory.data(), 0, memory.size());
	{
		adder adds(gpu.vm, memory.bytes());
		std::uint64_t moved = 0;
		for (unsigned round = 0; round < 40; round++) {
			moved += send_there(gpu.vm, memory.bytes());
			if (round % 3 == 0)
				moved += send_home(gpu.vm, memory.bytes());
			else
				(void)*static_cast<volatile std::byte *>(&memory.at(round % 16));
			if (round % 8 == 0)
				adds.wait_for(1);
		}
		EXPECT_GT(moved, 40u);
		EXPECT_TRUE(adds.exact());
	}
}

// Several threads touch different pages there at a time, while others send them back.
SVM_TEST(DeviceMemory, ManyThreadsBringPagesHome)
{
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(256 * page);
	memory.no_huge_pages();
	number(memory);
	std::atomic<bool> wrong{false};
	for (unsigned round = 0; round < 4; round++) {
		send_there(gpu.vm, memory.bytes());
		std::vector<std::thread> threads;
		for (std::size_t t = 0; t < 4; t++)
			threads.emplace_back([&, t] {
				for (std::size_t i = 0; i < memory.pages(); i++) {
					std::size_t at = (i + t * 64) % memory.pages();
					if (memory.at(at) != std::byte(1 + at))
						wrong = true;
				}
			});
		threads.emplace_back([&] { send_there(gpu.vm, memory.bytes()); });
		for (std::thread &t : threads)
			t.join();
	}
	EXPECT_FALSE(wrong);
	EXPECT_TRUE(numbered(memory));
}

// A process that dies gives VRAM back, and so does one that was killed while it moves.
SVM_TEST(DeviceMemory, DeathFreesIt)
{
	gpu outer;
	NEEDS_DEVICE_MEMORY(outer);
	for (unsigned round = 0; round < 3; round++) {
		signal_pipe begun;
		child process([&] {
			gpu gpu;
			mapping memory(2 * table_span);
			memory.no_huge_pages();
			number(memory);
			for (;;) {
				send_there(gpu.vm, memory.bytes());
				begun.send();
				if (round == 0)
					return 0;
				send_home(gpu.vm, memory.bytes());
			}
		});
		ASSERT_TRUE(begun.wait());
		if (round)
			process.kill();
		ASSERT_TRUE(process.wait().has_value());
	}
	EXPECT_TRUE(eventually([] {
		std::optional<numbers> held = driver_file("svm_leaks");
		return held && (*held)["pages"] == 0;
	}));
}

// As before system sleep, also of a process that has no vm any more.
SVM_TEST(DeviceMemory, AllGoesHomeWhenVramIsToBeEmpty)
{
	mapping memory(256 * page);
	memory.no_huge_pages();
	number(memory);
	{
		gpu gpu;
		NEEDS_DEVICE_MEMORY(gpu);
		ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
		ASSERT_EQ(device_write(gpu.queue, &memory.at(6), std::byte{7}), 0);
	}
	gpu later;
	EXPECT_TRUE(write_driver_file("evict_vram", "1"));
	std::optional<numbers> held = driver_file("svm_leaks");
	ASSERT_TRUE(held.has_value());
	EXPECT_EQ((*held)["pages"], 0u);
	EXPECT_EQ(send_home(later.vm, memory.bytes()), 0u) << "it is there";
	EXPECT_TRUE(numbered(memory));
	EXPECT_EQ(send_there(later.vm, memory.bytes()), memory.pages()) << "VRAM can be used again";
}

SVM_TEST(DeviceMemory, BadInput)
{
	gpu gpu;
	mapping memory(4 * page);
	number(memory);
	std::uint64_t start = svmirror::address(memory.data()), moved = 1;
	int fd = gpu.device.fd();
	std::uint32_t vm = gpu.vm.id(), to = DRM_SVM_PREFETCH_TO_DEVICE, from = DRM_SVM_PREFETCH_TO_SYSTEM;
	EXPECT_EQ(svmirror_migrate(fd, vm, start, page, to | from, &moved), -EINVAL);
	EXPECT_EQ(svmirror_migrate(fd, vm, start + 1, page, to, &moved), -EINVAL);
	EXPECT_EQ(svmirror_migrate(fd, vm, start, page + 1, to, &moved), -EINVAL);
	EXPECT_EQ(svmirror_migrate(fd, vm, start, 0, to, &moved), -EINVAL);
	EXPECT_EQ(svmirror_migrate(fd, vm, ~0ull << 12, 2 * page, to, &moved), -EINVAL);
	EXPECT_EQ(svmirror_migrate(fd, vm + 1, start, page, to, &moved), -ENOENT);
	EXPECT_EQ(svmirror_migrate(fd, vm, start, page, 0, &moved), -EINVAL) << "neither there nor home";
	EXPECT_EQ(moved, 1u);
	EXPECT_EQ(svmirror_migrate(fd, vm, start, memory.size(), from, &moved), 0);
	EXPECT_EQ(moved, 0u) << "all is at home";
	EXPECT_EQ(svmirror_migrate(fd, vm, start, memory.size(), to, &moved), can_migrate(gpu.device) ? 0 : -EOPNOTSUPP);
	gpu.vm.unbind(start + page, page);
	EXPECT_EQ(svmirror_migrate(fd, vm, start, memory.size(), from, &moved), -EINVAL) << "a hole";
	EXPECT_TRUE(numbered(memory));
}
