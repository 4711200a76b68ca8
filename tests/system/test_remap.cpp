// SPDX-License-Identifier: GPL-2.0-only
/* mremap: data that changes its address. */
#include <cerrno>
#include <cstring>

#include "harness.hpp"

using namespace harness;

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace {

// Each page begins with its number, so that a page at the wrong place shows.
void number_pages(const mapping &memory)
{
	for (std::size_t i = 0; i < memory.pages(); i++)
		std::memcpy(&memory.at(i), &i, sizeof(i));
}

void expect_numbers(svmirror::queue &queue, const mapping &memory, std::size_t pages)
{
	std::vector<std::byte> copy(pages * page);
	ASSERT_EQ(finish(queue.copy(copy, memory.bytes(0, pages))).status, 0);
	for (std::size_t i = 0; i < pages; i++) {
		std::size_t number;
		std::memcpy(&number, &copy[i * page], sizeof(number));
		ASSERT_EQ(number, i) << "the device sees another page here";
	}
}

} // namespace

SVM_TEST(Row03Mremap, MoveTakesTheDataAlong)
{
	gpu gpu;
	mapping from(2 * mib), to(2 * mib);
	number_pages(from);
	hammer busy(gpu.vm, from.bytes(), true);
	busy.wait_for(1);
	ASSERT_EQ(mremap(from.data(), from.size(), to.size(), MREMAP_MAYMOVE | MREMAP_FIXED, to.data()), to.data());
	expect_numbers(gpu.queue, to, to.pages());
	EXPECT_EQ(device_read(gpu.queue, &from.at(0)).error, EFAULT);
	EXPECT_EQ(device_write(gpu.queue, &from.at(511), std::byte{1}), EFAULT);
	busy.wait_for(1);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok + report.fault, report.jobs) << "first other status " << report.first_other;
	EXPECT_GE(report.fault, 1u);
}

SVM_TEST(Row03Mremap, MoveOfAPartThatIsNotAligned)
{
	gpu gpu;
	mapping from(2 * mib), to(2 * mib);
	from.no_huge_pages();
	to.no_huge_pages();
	number_pages(from);
	expect_numbers(gpu.queue, from, from.pages());
	// 37 pages to where they have another place in their table
	ASSERT_EQ(mremap(&from.at(100), 37 * page, 37 * page, MREMAP_MAYMOVE | MREMAP_FIXED, &to.at(301)), &to.at(301));
	std::vector<std::byte> copy(37 * page);
	ASSERT_EQ(finish(gpu.queue.copy(copy, to.bytes(301, 37))).status, 0);
	for (std::size_t i = 0; i < 37; i++) {
		std::size_t number;
		std::memcpy(&number, &copy[i * page], sizeof(number));
		ASSERT_EQ(number, 100 + i);
	}
	EXPECT_EQ(device_read(gpu.queue, &from.at(100)).error, EFAULT);
	EXPECT_EQ(device_read(gpu.queue, &from.at(136)).error, EFAULT);
	EXPECT_EQ(device_read(gpu.queue, &from.at(137)).error, 0);
	EXPECT_EQ(device_read(gpu.queue, &from.at(99)).error, 0);
}

SVM_TEST(Row03Mremap, DontUnmapLeavesZeros)
{
	gpu gpu;
	mapping from(2 * mib), to(2 * mib);
	number_pages(from);
	hammer busy(gpu.vm, from.bytes(), false);
	expect_numbers(gpu.queue, from, from.pages());
	ASSERT_EQ(mremap(from.data(), from.size(), to.size(),
			 MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to.data()),
		  to.data());
	expect_numbers(gpu.queue, to, to.pages());
	alignas(64) std::uint64_t sum = ~0ull;
	std::span<const std::uint64_t> words(reinterpret_cast<std::uint64_t *>(from.data()), from.size() / 8);
	ASSERT_EQ(finish(gpu.queue.sum(words, sum)).status, 0);
	EXPECT_EQ(sum, 0u) << "the old place still shows the data";
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row03Mremap, GrowAndShrink)
{
	gpu gpu;
	mapping memory(2 * mib);
	number_pages(memory);
	expect_numbers(gpu.queue, memory, memory.pages());
	ASSERT_EQ(mremap(memory.data(), memory.size(), mib, 0), memory.data());
	EXPECT_EQ(device_read(gpu.queue, &memory.at(256)).error, EFAULT);
	expect_numbers(gpu.queue, memory, 256);
	// the reservation behind it must make room first
	ASSERT_EQ(munmap(&memory.at(256), mib), 0);
	ASSERT_EQ(mremap(memory.data(), mib, 2 * mib, 0), memory.data());
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(256), 0);
	expect_numbers(gpu.queue, memory, 256);
}

SVM_TEST(Row03Mremap, ReadOnlyToggleUnderWrites)
{
	gpu gpu;
	mapping memory(2 * mib);
	hammer writer(gpu.vm, memory.bytes(), true);
	hammer reader(gpu.vm, memory.bytes(), false);
	for (unsigned round = 0; round < 6; round++) {
		ASSERT_EQ(mprotect(memory.data(), memory.size(), PROT_READ), 0);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(round), std::byte{1}), EPERM);
		EXPECT_EQ(device_read(gpu.queue, &memory.at(round)).error, 0);
		ASSERT_EQ(mprotect(memory.data(), memory.size(), PROT_READ | PROT_WRITE), 0);
		EXPECT_EQ(device_write(gpu.queue, &memory.at(round), std::byte{2}), 0);
		EXPECT_EQ(memory.at(round), std::byte{2});
	}
	writer.wait_for(1);
	hammer::report wrote = writer.stop(), read = reader.stop();
	EXPECT_EQ(wrote.ok + wrote.denied, wrote.jobs) << "first other status " << wrote.first_other;
	EXPECT_GE(wrote.ok, 1u);
	EXPECT_EQ(read.ok, read.jobs) << "first other status " << read.first_other;
}
