// SPDX-License-Identifier: GPL-2.0-only
/* hugetlbfs pages: the device works on them in place. */
#include <cerrno>
#include <cstring>
#include <optional>

#include "machine.hpp"

using namespace harness;

namespace {

constexpr const char *reserve_path = "/proc/sys/vm/nr_hugepages";

// Huge pages set aside for one test, and given back.
class reserve {
public:
	explicit reserve(unsigned count)
	{
		write_file("/proc/sys/vm/compact_memory", "1");
		pages_.emplace(reserve_path, std::to_string(count));
	}
	unsigned got() const { return static_cast<unsigned>(std::atoi(read_line(reserve_path).c_str())); }

private:
	std::optional<machine::setting> pages_;
};

} // namespace

SVM_TEST(Row08Hugetlb, AccessibleInPlace)
{
	reserve pages(3);
	ASSERT_GE(pages.got(), 2u) << "the kernel has no huge pages to spare";
	gpu gpu;
	mapping memory(4 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	std::memset(memory.data(), 0x42, memory.size());
	std::uint64_t frame = state_of(memory.data()).frame;
	svmirror::counters before = gpu.vm.counters();
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(700), 0x42);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x24}), 0);
	svmirror::counters delta = gpu.vm.counters() - before;
	for (std::size_t i = 0; i < memory.pages(); i++)
		ASSERT_EQ(memory.at(i), std::byte{0x24});
	EXPECT_EQ(state_of(memory.data()).frame, frame) << "the page was moved or copied";
	if (svmirror::device().info().leaf_sizes >> 21 & 1) {
		EXPECT_GE(delta.huge_leaves, 2u) << "a huge page of the CPU's is one leaf of the device's";
	}
}

SVM_TEST(Row08Hugetlb, FirstTouchByTheDevice)
{
	reserve pages(3);
	ASSERT_GE(pages.got(), 2u) << "the kernel has no huge pages to spare";
	gpu gpu;
	mapping memory(4 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x24}), 0);
	EXPECT_EQ(memory.at(1023), std::byte{0x24});
}

SVM_TEST(Row08Hugetlb, UnmapUnderTheDevice)
{
	reserve pages(3);
	ASSERT_GE(pages.got(), 2u) << "the kernel has no huge pages to spare";
	gpu gpu;
	// two mappings: to split one of hugetlb is beside the point, and 6.1 warns about its own locking there
	mapping memory(2 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	mapping other(2 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	hammer busy(gpu.vm, memory.bytes(), true), bystander(gpu.vm, other.bytes(), true);
	busy.wait_for(2);
	bystander.wait_for(2);
	ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(0)).error, EFAULT);
	EXPECT_EQ(device_read(gpu.queue, &other.at(511)).error, 0);
	busy.wait_for(2);
	hammer::report report = busy.stop(), beside = bystander.stop();
	EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
	EXPECT_GE(report.fault, 1u);
	EXPECT_EQ(beside.ok, beside.jobs) << "first other status " << beside.first_other;
}

SVM_TEST(Row08Hugetlb, ForkCopiesOnTheDevicesWrite)
{
	reserve pages(5);
	ASSERT_GE(pages.got(), 4u) << "the kernel has no huge pages to spare";
	gpu gpu;
	mapping memory(2 * mib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x11}), 0);
	signal_pipe written;
	child observer([&] {
		if (!written.wait())
			return 1;
		return memory.at(0) == std::byte{0x11} && memory.at(511) == std::byte{0x11} ? 0 : 2;
	});
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x77}), 0);
	written.send();
	EXPECT_TRUE(observer.succeeded());
	EXPECT_EQ(memory.at(511), std::byte{0x77});
}
