// SPDX-License-Identifier: GPL-2.0-only
/* Rows 14 and 15: memory that is somewhere else when the device wants it, and memory that is limited. */
#include <cerrno>

#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

// The device adds to all of it while it is swapped out again and again, until so many pages were seen to be out.
void expect_sums(const mapping &memory, std::size_t wanted, const std::function<bool(const void *)> &out)
{
	gpu gpu;
	std::size_t gone = 0, rounds = 0;
	adder adds(gpu.vm, memory.bytes(), 2000);
	adds.wait_for(memory.pages());
	EXPECT_TRUE(eventually([&] {
		page_out(memory.bytes());
		for (std::size_t i = 0; i < memory.pages(); i++)
			gone += out(&memory.at(i));
		adds.wait_for(1);
		return ++rounds >= 15 && gone >= wanted;
	}, 60s)) << "only " << gone << " pages were swapped out in " << rounds << " rounds";
	EXPECT_TRUE(adds.exact()) << "additions were lost in swap";
}

} // namespace

SVM_TEST(Row14Swap, DeviceFaultSwapsIn)
{
	swap space(64 * mib);
	gpu gpu;
	mapping memory(16 * page), other(64 * page);
	memory.no_huge_pages();
	hammer busy(gpu.vm, other.bytes(), true);
	for (std::size_t i = 0; i < memory.pages(); i++)
		ASSERT_EQ(device_write(gpu.queue, &memory.at(i), std::byte(i)), 0);
	for (unsigned round = 0; round < 3; round++) {
		// out, in by a read, written, out again: the CPU is to find what the device wrote last
		ASSERT_TRUE(eventually([&] {
			page_out(memory.bytes());
			return swapped_out(&memory.at(7)) && swapped_out(&memory.at(8));
		})) << "never swapped out";
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(7), 7 + round);
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(8), 8);
		ASSERT_EQ(device_write(gpu.queue, &memory.at(7), std::byte(8 + round)), 0);
		ASSERT_TRUE(eventually([&] {
			page_out(memory.bytes());
			return swapped_out(&memory.at(7));
		})) << "never swapped out after the device's write";
		EXPECT_EQ(memory.at(7), std::byte(8 + round)) << "what the device wrote is lost in swap";
	}
	for (std::size_t i = 8; i < memory.pages(); i++)
		ASSERT_EQ(memory.at(i), std::byte(i)) << "page " << i;
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST_WITHIN(Row14Swap, AdditionsSurvive, 150)
{
	swap space(64 * mib);
	mapping memory(16 * page);
	memory.no_huge_pages();
	expect_sums(memory, memory.pages(), swapped_out);
}

SVM_TEST_WITHIN(Row14Swap, AdditionsToSharedMemorySurvive, 150)
{
	swap space(64 * mib);
	mapping memory(16 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	// where the swap cache keeps them, few are seen to be out
	expect_sums(memory, 1, [](const void *at) { return !in_memory(at); });
}

namespace {

// In a group of its own: what @body returns is the child's status.
int in_group(const memory_group &group, const std::function<int()> &body)
{
	group.join();
	return body();
}

} // namespace

SVM_TEST(Row15Memcg, DevicePagesAreChargedAndGivenBack)
{
	memory_group group("charged");
	child user([&] {
		return in_group(group, [&] {
			gpu gpu;
			mapping memory(8 * mib);
			std::uint64_t before = group.charged();
			if (device_fill(gpu.queue, memory.bytes(), std::byte{1}))
				return 1;
			// each CPU may have had some charged in advance
			if (group.charged() + mib < before + 8 * mib)
				return 2;
			if (munmap(memory.data(), memory.size()))
				return 3;
			// the mirror holds no page: with munmap they are free
			return eventually([&] { return group.charged() < before + 4 * mib; }) ? 0 : 4;
		});
	});
	EXPECT_TRUE(user.succeeded());
}

SVM_TEST_WITHIN(Row15Memcg, LimitIsMetBySwapping, 150)
{
	constexpr std::size_t limit = 3 * mib, size = 4 * mib;
	swap space(64 * mib);
	memory_group group("limited", limit, true);
	child user([&] {
		return in_group(group, [&] {
			gpu gpu;
			mapping memory(size);
			memory.no_huge_pages();
			if (device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}))
				return 1;
			// by and by all of it comes in again, and something else goes
			for (std::size_t i = 0; i < memory.pages(); i += 4)
				if (memory.at(i) != std::byte{0x5a})
					return 2;
			return group.charged() <= limit ? 0 : 3;
		});
	});
	EXPECT_TRUE(user.succeeded(120s));
	EXPECT_GT(group.events("max"), 0u) << "the limit was never met";
	EXPECT_EQ(group.events("oom_kill"), 0u);
}
