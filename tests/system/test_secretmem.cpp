// SPDX-License-Identifier: GPL-2.0-only
/* Row 22: memory that not even the kernel has mapped is refused to the device. */
#include <cerrno>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

SVM_TEST(Row22Secretmem, RefusedAmidOtherMemory)
{
	int fd = static_cast<int>(syscall(SYS_memfd_secret, 0));
	ASSERT_GE(fd, 0) << strerrorname_np(errno) << ": kernels before 6.5 want secretmem.enable=1";
	ASSERT_EQ(ftruncate(fd, 8 * page), 0);
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	hammer before(gpu.vm, memory.bytes(0, 100), true), after(gpu.vm, memory.bytes(108, 404), false);
	before.wait_for(1);
	// where the device had other pages a moment ago; the CPU has it present, so a snapshot finds it
	ASSERT_EQ(mmap(&memory.at(100), 8 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), &memory.at(100));
	close(fd);
	std::memset(&memory.at(100), 0x77, 8 * page);
	for (std::size_t i : {100, 107}) {
		EXPECT_EQ(device_read(gpu.queue, &memory.at(i)).error, EFAULT);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(i), std::byte{1}), EFAULT);
	}
	// its neighbours come with faults beside it, it never does
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(99), 0x5a);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(108), 0x5a);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(103)).error, EFAULT);
	EXPECT_LT(gpu.vm.prefetch(memory.bytes(96, 16), false), 9u);
	EXPECT_EQ(memory.at(103), std::byte{0x77});
	hammer::report left = before.stop(), right = after.stop();
	EXPECT_EQ(left.ok, left.jobs) << "first other status " << left.first_other;
	EXPECT_EQ(right.ok, right.jobs) << "first other status " << right.first_other;
}
