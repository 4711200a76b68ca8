// SPDX-License-Identifier: GPL-2.0-only
/* Shared memory and files, mapped shared and private, written, shrunk, with holes. */
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "files.hpp"

using namespace harness;

SVM_TEST(Row10Files, SharedMemoryIsOneForAll)
{
	gpu gpu;
	file memory(2 * mib, std::byte{0x10});
	mapping one(2 * mib, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd());
	mapping two(2 * mib, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd());
	hammer busy(gpu.vm, two.bytes(), false);
	EXPECT_DEVICE_READS(gpu.queue, &one.at(100), 0x10);
	ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{0x20}), 0);
	EXPECT_EQ(memory.byte_at(300 * page), std::byte{0x20});
	EXPECT_DEVICE_READS(gpu.queue, &two.at(300), 0x20);
	two.at(300) = std::byte{0x30};
	EXPECT_DEVICE_READS(gpu.queue, &one.at(300), 0x30);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row10Files, SharedAnonymousWithAChild)
{
	gpu gpu;
	mapping memory(mib, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x11}), 0);
	signal_pipe written;
	child observer([&] {
		if (!written.wait() || memory.at(9) != std::byte{0x77})
			return 1;
		memory.at(10) = std::byte{0x55};
		return 0;
	});
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x77}), 0);
	written.send();
	ASSERT_TRUE(observer.succeeded());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(10), 0x55);
}

SVM_TEST(Row10Files, SharedFileGetsTheWrites)
{
	std::string folder = disk_folder();
	if (folder.empty())
		GTEST_SKIP() << "no ext4 that can be written";
	gpu gpu;
	file data(folder, mib, std::byte{0x10});
	mapping memory(mib, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(255), 0x10);
	for (unsigned value : {0x21u, 0x23u}) {
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte(value)), 0);
		EXPECT_EQ(data.byte_at(200 * page), std::byte(value));
		// write-back makes the pages read-only and clean; what the device writes next must be seen to
		ASSERT_EQ(fsync(data.fd()), 0);
	}
	ASSERT_EQ(device_write(gpu.queue, &memory.at(7), std::byte{0x99}), 0);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	ASSERT_EQ(fsync(data.fd()), 0);
	// out of the page cache: what comes back is what reached the disk
	ASSERT_EQ(posix_fadvise(data.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
	EXPECT_EQ(data.byte_at(7 * page), std::byte{0x99});
	EXPECT_EQ(data.byte_at(255 * page), std::byte{0x23});
}

SVM_TEST(Row10Files, WriteBackUnderTheDevice)
{
	std::string folder = disk_folder();
	if (folder.empty())
		GTEST_SKIP() << "no ext4 that can be written";
	gpu gpu;
	file data(folder, mib, std::byte{0});
	mapping memory(mib, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd());
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	hammer busy(gpu.vm, memory.bytes(), true);
	svmirror::job adds = gpu.queue.cas_add(word, 100000);
	for (unsigned round = 0; round < 5; round++)
		ASSERT_EQ(fsync(data.fd()), 0);
	ASSERT_EQ(finish(adds).status, 0);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
	EXPECT_EQ(word, 100000u);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	ASSERT_EQ(fsync(data.fd()), 0);
	ASSERT_EQ(posix_fadvise(data.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
	std::uint64_t stored = 0;
	ASSERT_EQ(pread(data.fd(), &stored, sizeof(stored), 0), ssize_t(sizeof(stored)));
	EXPECT_EQ(stored, 100000u) << "additions of the device were lost in write-back";
}

SVM_TEST(Row10Files, PrivateFileKeepsTheWrites)
{
	gpu gpu;
	file data(2 * mib, std::byte{0x10});
	mapping memory(2 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE, data.fd());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(5), 0x10);
	// a read shares the file's page; what changes there is seen
	std::byte changed{0x15};
	ASSERT_EQ(pwrite(data.fd(), &changed, 1, 5 * page), 1);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(5), 0x15);
	EXPECT_TRUE(state_of(&memory.at(5)).of_file) << "a read by the device has copied the page";

	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(5, 1), std::byte{0x44}), 0);
	EXPECT_EQ(memory.at(5), std::byte{0x44});
	EXPECT_EQ(data.byte_at(5 * page), std::byte{0x15}) << "a private write has reached the file";
	EXPECT_FALSE(state_of(&memory.at(5)).of_file);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(6), 0x10);
}

SVM_TEST(Row10Files, TruncateFaultsBeyond)
{
	gpu gpu;
	file data(2 * mib, std::byte{0x10});
	mapping memory(2 * mib, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd());
	hammer busy(gpu.vm, memory.bytes(256, 256), true);
	busy.wait_for(1);
	ASSERT_EQ(ftruncate(data.fd(), mib), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(256)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(511), std::byte{1}), EFAULT);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(255), 0x10);
	busy.wait_for(2);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
	EXPECT_GE(report.fault, 1u);
	// longer again: the old contents do not come back
	ASSERT_EQ(ftruncate(data.fd(), 2 * mib), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(300), 0);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(300), std::byte{3}), 0);
	EXPECT_EQ(data.byte_at(300 * page), std::byte{3});
}

SVM_TEST(Row10Files, HolesReadZeros)
{
	gpu gpu;
	file data(2 * mib, std::byte{0x10});
	mapping memory(2 * mib, PROT_READ | PROT_WRITE, MAP_SHARED, data.fd());
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x20}), 0);
	ASSERT_EQ(fallocate(data.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 64 * page, 64 * page), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(64), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(127), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(63), 0x20);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(128), 0x20);
}

SVM_TEST(Row10Files, ReadOnlySharedFileIsNotWritten)
{
	gpu gpu;
	file data(mib, std::byte{0x10});
	mapping memory(mib, PROT_READ, MAP_SHARED, data.fd());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(3), 0x10);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(3), std::byte{1}), EPERM);
	EXPECT_EQ(data.byte_at(3 * page), std::byte{0x10});
}
