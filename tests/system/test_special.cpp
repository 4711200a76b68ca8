// SPDX-License-Identifier: GPL-2.0-only
/* Mappings that are not plain memory, and pages that the CPU shares until somebody writes. */
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <thread>
#include <unistd.h>
#include <vector>

#include "machine.hpp"

using namespace harness;

namespace {

// The kernel's own data pages in this process; empty if there are none.
std::span<std::byte> vvar()
{
	std::ifstream maps("/proc/self/maps");
	std::string line;
	unsigned long long start, end;
	while (std::getline(maps, line))
		if (line.ends_with("[vvar]") && std::sscanf(line.c_str(), "%llx-%llx ", &start, &end) == 2)
			return {reinterpret_cast<std::byte *>(start), end - start};
	return {};
}

// Does the CPU read there? A pipe reads for it, since an access of its own might end in a signal.
bool cpu_reads(const std::byte *at)
{
	int ends[2];
	if (pipe(ends))
		throw std::system_error(errno, std::generic_category(), "pipe");
	bool reads = write(ends[1], at, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	return reads;
}

// The device reads what the CPU reads in this page, but for bytes that the kernel changes meanwhile.
void expect_same_page(libsvm::queue &queue, const std::byte *at)
{
	std::vector<std::vector<std::byte>> of_cpu;
	std::vector<std::byte> of_device(page, std::byte{0xff});
	auto look = [&] {
		for (int n = 0; n < 4; n++) {
			of_cpu.emplace_back(at, at + page);
			std::this_thread::sleep_for(10ms);
		}
	};
	look();
	ASSERT_EQ(finish(queue.copy(of_device, {at, page})).status, 0);
	look();
	std::size_t same = 0;
	for (std::size_t i = 0; i < page; i++)
		if (std::ranges::all_of(of_cpu, [&](const auto &bytes) { return bytes[i] == of_cpu[0][i]; })) {
			ASSERT_EQ(of_device[i], of_cpu[0][i]) << "byte " << i;
			same++;
		}
	EXPECT_GT(same, page / 2);
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
	std::memcpy(&code, reinterpret_cast<const void *>(&pci_resource), 1);
	EXPECT_DEVICE_READS(gpu.queue, reinterpret_cast<const void *>(&pci_resource), code);
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<void *>(&pci_resource), code), EPERM);
}

// Before 7.3 the kernel's data pages are VM_IO. Since then they are memory, which the kernel maps on the process's own access
// only: the device reads what the CPU has read before.
SVM_TEST(Row11Special, KernelDataPagesAreReadWhereTheyAreMemory)
{
	gpu gpu;
	std::span<std::byte> pages = vvar();
	ASSERT_FALSE(pages.empty()) << "no [vvar] in /proc/self/maps";
	std::string flags = machine::smaps(pages.data(), "VmFlags") + " ";
	ASSERT_NE(flags.find(" rd "), std::string::npos) << flags;
	bool memory = flags.find(" io ") == std::string::npos && flags.find(" pf ") == std::string::npos;
	for (std::byte *at = pages.data(); at < pages.data() + pages.size(); at += page) {
		SCOPED_TRACE("page " + std::to_string((at - pages.data()) / page));
		bool mapped = state_of(at).present;
		EXPECT_EQ(device_read(gpu.queue, at).error, memory && mapped ? 0 : EFAULT);
		EXPECT_EQ(device_write(gpu.queue, at, std::byte{0}), memory ? EPERM : EFAULT);
		if (memory && cpu_reads(at))
			expect_same_page(gpu.queue, at);
	}
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
