// SPDX-License-Identifier: GPL-2.0-only
/* Row 20: pages that may not leave (mlock), and pages that the kernel moves while the device writes to them. */
#include <cerrno>
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

// Moves each page to @node; how many are there then.
std::size_t move_to(const mapping &memory, int node)
{
	std::vector<void *> pages;
	std::vector<int> nodes(memory.pages(), node), status(memory.pages(), -1);
	for (std::size_t i = 0; i < memory.pages(); i++)
		pages.push_back(&memory.at(i));
	if (syscall(SYS_move_pages, 0, pages.size(), pages.data(), nodes.data(), status.data(), MPOL_MF_MOVE) < 0)
		throw std::system_error(errno, std::generic_category(), "move_pages");
	return static_cast<std::size_t>(std::count(status.begin(), status.end(), node));
}

bool two_nodes()
{
	return !access("/sys/devices/system/node/node1", F_OK);
}

// The @count neighbours in @plenty, untouched as yet, that lie lowest in one node's memory. Of the others, which lie
// above, a few stay: compaction moves what is low into holes that are higher, and not into blocks that are all free.
std::span<std::byte> below_holes(const mapping &plenty, std::size_t count)
{
	constexpr std::size_t hole = 16;
	unsigned long first_node = 1;
	if (syscall(SYS_mbind, plenty.data(), plenty.size(), MPOL_PREFERRED, &first_node, 64, 0))
		throw std::system_error(errno, std::generic_category(), "mbind");
	for (std::size_t i = 0; i < plenty.pages(); i++)
		plenty.at(i) = std::byte{0};
	std::vector<std::uint64_t> frames = frames_of(plenty.bytes());
	std::size_t best = 0;
	std::uint64_t low = ~0ull;
	for (std::size_t first = 0; first + count <= frames.size(); first += count)
		if (std::uint64_t highest = std::ranges::max(std::span(frames).subspan(first, count)); highest < low)
			best = first, low = highest;
	for (std::size_t first = 0; first + hole <= plenty.pages(); first += hole)
		if ((first < best || first >= best + count) && madvise(&plenty.at(first), (hole - 1) * page, MADV_DONTNEED))
			throw std::system_error(errno, std::generic_category(), "madvise");
	return plenty.bytes(best, count);
}

} // namespace

SVM_TEST(Row20Move, MlockedPagesStayForTheDevice)
{
	swap space(64 * mib);
	gpu gpu;
	mapping memory(64 * page), other(mib);
	memory.no_huge_pages();
	ASSERT_EQ(mlock(memory.data(), memory.size()), 0) << strerrorname_np(errno);
	adder adds(gpu.vm, memory.bytes());
	adds.wait_for(16);
	std::vector<std::uint64_t> frames = frames_of(memory.bytes());
	for (unsigned round = 0; round < 3; round++)
		// refused for locked memory: that is what it is to be
		EXPECT_EQ(madvise(memory.data(), memory.size(), MADV_PAGEOUT), -1);
	adds.wait_for(64);
	EXPECT_EQ(frames_of(memory.bytes()), frames) << "locked pages have gone";
	ASSERT_EQ(munlock(memory.data(), memory.size()), 0);
	for (unsigned round = 0; round < 5; round++) {
		page_out(memory.bytes());
		adds.wait_for(2);
	}
	EXPECT_TRUE(adds.exact());
	// what the device touches first in locked memory is there for both
	ASSERT_EQ(mlock2(other.data(), other.size(), MLOCK_ONFAULT), 0);
	ASSERT_EQ(device_fill(gpu.queue, other.bytes(), std::byte{0x5a}), 0);
	EXPECT_EQ(other.at(100), std::byte{0x5a});
}

SVM_TEST_WITHIN(Row20Move, CompactionUnderTheDevice, 400)
{
	gpu gpu;
	mapping plenty(96 * mib);
	plenty.no_huge_pages();
	std::span<std::byte> memory = below_holes(plenty, 256);
	ASSERT_EQ(finish(gpu.queue.touch(memory, page, true)).status, 0);
	std::vector<std::uint64_t> before = frames_of(memory.first(64 * page));
	adder adds(gpu.vm, memory.first(64 * page));
	hammer busy(gpu.vm, memory.subspan(64 * page), true);
	EXPECT_TRUE(eventually([&] {
		write_file("/proc/sys/vm/compact_memory", "1");
		std::vector<std::uint64_t> now = frames_of(memory.first(64 * page));
		// no frame: it is being moved, or not, after all
		return std::ranges::none_of(now, [](std::uint64_t frame) { return !frame; }) && now != before;
	})) << "compaction has moved nothing";
	adds.wait_for(64);
	EXPECT_TRUE(adds.exact()) << "additions were lost when pages moved";
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row20Move, BetweenNodes)
{
	ASSERT_TRUE(two_nodes()) << "this machine has one node: boot with numa=fake=2";
	gpu gpu;
	mapping memory(16 * page);
	memory.no_huge_pages();
	adder adds(gpu.vm, memory.bytes(), 2000);
	adds.wait_for(16);
	for (int round = 0; round < 10; round++) {
		int node = round % 2;
		// a page that is just being looked at stays where it is: again
		EXPECT_TRUE(eventually([&] { return move_to(memory, node) == memory.pages(); })) << "node " << node;
		adds.wait_for(2);
	}
	// by policy, all at once
	unsigned long zero = 1, one = 2;
	EXPECT_GE(syscall(SYS_migrate_pages, 0, 64, &one, &zero), 0) << strerrorname_np(errno);
	EXPECT_EQ(syscall(SYS_mbind, memory.data(), memory.size(), MPOL_BIND, &one, 64, MPOL_MF_MOVE), 0)
		<< strerrorname_np(errno);
	adds.wait_for(16);
	EXPECT_TRUE(adds.exact()) << "additions were lost when pages moved";
}

SVM_TEST_WITHIN(Row20Move, NumaBalancing, 120)
{
	ASSERT_TRUE(two_nodes()) << "this machine has one node: boot with numa=fake=2";
	setting on("/proc/sys/kernel/numa_balancing", "1");
	mapping memory(64 * page);
	window gpu(memory);
	memory.no_huge_pages();
	adder adds(gpu.vm, memory.bytes());
	adds.wait_for(64);
	svmirror::counters before = gpu.vm.counters();
	// the scanner works for threads that use the CPU, after a second of it
	EXPECT_TRUE(eventually([&] {
		auto end = std::chrono::steady_clock::now() + 20ms;
		while (std::chrono::steady_clock::now() < end)
			for (std::size_t i = 0; i < memory.pages(); i++)
				std::atomic_ref(memory.at(i)).load();
		return (gpu.vm.counters() - before).ptes_zapped > 64;
	})) << "the kernel never made the pages fault for it";
	adds.wait_for(64);
	EXPECT_TRUE(adds.exact());
	EXPECT_EQ(gpu.vm.counters().failed, 0u) << "a storm of invalidations has failed a fault";
}
