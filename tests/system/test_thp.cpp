// SPDX-License-Identifier: GPL-2.0-only
/* Row 9: huge pages that are split, cut and put together again under the device. */
#include <cerrno>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace {

// Memory that the CPU has in one huge page.
struct huge_memory {
	huge_memory() : memory(2 * mib)
	{
		write_file("/proc/sys/vm/compact_memory", "1");
		madvise(memory.data(), memory.size(), MADV_HUGEPAGE);
		memory.at(0) = std::byte{0};
	}
	mapping memory;
};

// The kernel's own tool: splits the huge pages of this process that lie there.
bool split(const mapping &memory)
{
	char text[96];
	std::snprintf(text, sizeof(text), "%d,0x%llx,0x%llx", getpid(),
		      static_cast<unsigned long long>(svmirror::address(memory.data())),
		      static_cast<unsigned long long>(svmirror::address(memory.data()) + memory.size()));
	return write_file("/sys/kernel/debug/split_huge_pages", text);
}

} // namespace

SVM_TEST(Row09Thp, SplitUnderTheDevice)
{
	huge_memory huge;
	mapping &memory = huge.memory;
	window gpu(memory);
	ASSERT_EQ(huge_kib(memory.data()), 2048u) << "the CPU has got no huge page";
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0}), 0);
	EXPECT_GE(gpu.vm.counters().huge_leaves, 1u);
	adder adds(gpu.vm, memory.bytes(), 20);
	adds.wait_for(20);
	ASSERT_TRUE(eventually([&] { return split(memory) && !huge_kib(memory.data()); }))
		<< "the kernel does not split it";
	adds.wait_for(100);
	EXPECT_TRUE(adds.exact());
}

SVM_TEST(Row09Thp, CollapseMakesItHugeAgain)
{
	mapping memory(2 * mib);
	window gpu(memory);
	memory.no_huge_pages();
	for (std::size_t i = 0; i < memory.pages(); i++)
		memory.at(i) = std::byte{0};
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(), page, true)).status, 0);
	EXPECT_EQ(gpu.vm.counters().huge_leaves, 0u);
	ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_HUGEPAGE), 0);
	adder adds(gpu.vm, memory.bytes(), 20);
	adds.wait_for(20);
	// the kernel may meet a page that is just being looked at: -EAGAIN, again
	ASSERT_TRUE(eventually([&] { return !madvise(memory.data(), memory.size(), MADV_COLLAPSE); }))
		<< strerrorname_np(errno);
	EXPECT_EQ(huge_kib(memory.data()), 2048u);
	adds.wait_for(20);
	EXPECT_TRUE(adds.exact()) << "additions were lost when the pages were put together";
	EXPECT_GE(gpu.vm.counters().huge_leaves, 1u) << "the device's mapping did not become huge";
}

SVM_TEST(Row09Thp, CutAndMovedInParts)
{
	gpu gpu;
	huge_memory huge;
	mapping &memory = huge.memory, to(2 * mib);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	hammer busy(gpu.vm, memory.bytes(0, 100), true);
	busy.wait_for(1);
	ASSERT_EQ(munmap(&memory.at(200), 8 * page), 0);
	ASSERT_EQ(mremap(&memory.at(300), 8 * page, 8 * page, MREMAP_MAYMOVE | MREMAP_FIXED, &to.at(5)), &to.at(5));
	ASSERT_EQ(mprotect(&memory.at(400), 8 * page, PROT_READ), 0);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(203)).error, EFAULT);
	EXPECT_EQ(device_read(gpu.queue, &memory.at(303)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(403), std::byte{1}), EPERM);
	EXPECT_DEVICE_READS(gpu.queue, &to.at(12), 0x5a);
	for (std::size_t i : {0, 199, 208, 299, 308, 403, 511})
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(i), 0x5a);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(511), std::byte{1}), 0);
	EXPECT_EQ(memory.at(511), std::byte{1});
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row09Thp, NoHugePageToBeHad)
{
	// without the permission for huge pages a fault has to do with small ones, and with the same data
	setting never("/sys/kernel/mm/transparent_hugepage/enabled", "never");
	mapping memory(4 * mib);
	window gpu(memory);
	hammer busy(gpu.vm, memory.bytes(), true);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes().subspan(1, 2 * mib), std::byte{0x5a}), 0);
	EXPECT_EQ(gpu.vm.counters().huge_leaves, 0u);
	EXPECT_EQ((&memory.at(511))[8], std::byte{0x5a});
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}
