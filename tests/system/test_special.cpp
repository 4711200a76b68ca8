// SPDX-License-Identifier: GPL-2.0-only
/* Mappings that are not plain memory, and pages that the CPU shares until somebody writes. */
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

namespace {

// Start of the kernel's own data page in this process, a VM_PFNMAP mapping; 0 if there is none.
std::uint64_t vvar_address()
{
	std::ifstream maps("/proc/self/maps");
	std::string line;
	while (std::getline(maps, line))
		if (line.ends_with("[vvar]"))
			return std::stoull(line, nullptr, 16);
	return 0;
}

// A BAR of some PCI device as sysfs offers it: VM_IO | VM_PFNMAP.
std::string pci_resource()
{
	std::error_code error;
	for (const auto &device : std::filesystem::directory_iterator("/sys/bus/pci/devices", error))
		for (const char *name : {"resource2", "resource0", "resource1"}) {
			std::filesystem::path path = device.path() / name;
			if (std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) >= page)
				return path;
		}
	return {};
}

} // namespace

SVM_TEST(Row11Special, ReadOnlyMappingIsReadAndNotWritten)
{
	gpu gpu;
	mapping memory(mib, PROT_READ);
	hammer busy(gpu.vm, memory.bytes(), false);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(0), 0);
	libsvm::job_result result = finish(gpu.queue.fill(memory.bytes(2, 1), std::byte{1}));
	EXPECT_EQ(result.status, -EPERM);
	EXPECT_EQ(result.va, libsvm::address(&memory.at(2)));
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;

	// text of this very program
	std::byte code;
	std::memcpy(&code, reinterpret_cast<const void *>(&vvar_address), 1);
	EXPECT_DEVICE_READS(gpu.queue, reinterpret_cast<const void *>(&vvar_address), code);
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<void *>(&vvar_address), code), EPERM);
}

SVM_TEST(Row11Special, KernelDataPageIsRefused)
{
	gpu gpu;
	std::uint64_t vvar = vvar_address();
	ASSERT_NE(vvar, 0u) << "no [vvar] in /proc/self/maps";
	EXPECT_EQ(device_read(gpu.queue, reinterpret_cast<void *>(vvar)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<void *>(vvar), std::byte{0}), EFAULT);
}

SVM_TEST(Row11Special, DeviceRegistersAreRefused)
{
	std::string path = pci_resource();
	if (path.empty())
		GTEST_SKIP() << "no PCI device with a BAR of a page or more";
	int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0) << path;
	gpu gpu;
	mapping registers(page, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	close(fd);
	EXPECT_EQ(device_read(gpu.queue, registers.data()).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, registers.data(), std::byte{0}), EFAULT);
}

SVM_TEST(Row11Special, ZeroPageIsSharedOnRead)
{
	gpu gpu;
	mapping memory(mib);
	memory.no_huge_pages();
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(10), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(100), 0);
	page_state ten = state_of(&memory.at(10)), hundred = state_of(&memory.at(100));
	ASSERT_TRUE(ten.present && hundred.present);
	ASSERT_NE(ten.frame, 0u) << "frames are hidden: not root?";
	EXPECT_EQ(ten.frame, hundred.frame) << "a read by the device has allocated a page";

	// a write allocates, and nobody else sees it
	ASSERT_EQ(device_write(gpu.queue, &memory.at(10), std::byte{9}), 0);
	EXPECT_NE(state_of(&memory.at(10)).frame, hundred.frame);
	EXPECT_EQ(memory.at(10), std::byte{9});
	EXPECT_EQ(state_of(&memory.at(100)).frame, hundred.frame);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(100), 0);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(10), 9);
}

SVM_TEST(Row11Special, CpuWriteToAZeroPageIsSeen)
{
	gpu gpu;
	mapping memory(mib);
	memory.no_huge_pages();
	hammer busy(gpu.vm, memory.bytes(), false);
	busy.wait_for(1);
	for (std::size_t i = 0; i < memory.pages(); i += 32) {
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 0);
		memory.at(i) = std::byte{8};
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 8);
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row11Special, ReadDoesNotBreakCopyOnWrite)
{
	gpu gpu;
	mapping memory(mib);
	memory.no_huge_pages();
	std::memset(memory.data(), 0x31, memory.size());
	signal_pipe done;
	child sharer([&] { return done.wait() && memory.at(50) == std::byte{0x31} ? 0 : 1; });
	std::uint64_t frame = state_of(&memory.at(50)).frame;
	ASSERT_NE(frame, 0u);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(50), 0x31);
	EXPECT_EQ(state_of(&memory.at(50)).frame, frame) << "a read by the device has copied a shared page";
	EXPECT_EQ(state_of(&memory.at(51)).frame != 0, true);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(50), std::byte{0x32}), 0);
	EXPECT_NE(state_of(&memory.at(50)).frame, frame);
	done.send();
	EXPECT_TRUE(sharer.succeeded());
}

// What lies above a hole says nothing about the hole.
SVM_TEST(Row11Special, HoleBelowAReadOnlyMappingIsAHole)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(0, 16), std::byte{1}), 0);
	ASSERT_EQ(mprotect(&memory.at(8), 8 * page, PROT_READ), 0);
	ASSERT_EQ(munmap(&memory.at(4), 4 * page), 0);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(6), std::byte{2}), EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(9), std::byte{2}), EPERM);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(3), std::byte{2}), 0);
}
