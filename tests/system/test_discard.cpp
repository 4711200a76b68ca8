// SPDX-License-Identifier: GPL-2.0-only
/* Rows 6 and 7: pages that the process gives away and keeps the addresses of. */
#include <cerrno>

#include "machine.hpp"

using namespace harness;
using namespace machine;

SVM_TEST(Row06Dontneed, ZerosWhileTheDeviceReads)
{
	gpu gpu;
	alignas(64) std::uint64_t sum = 0;
	for (int advice : {MADV_NOHUGEPAGE, MADV_HUGEPAGE}) {
		mapping memory(2 * mib);
		ASSERT_EQ(madvise(memory.data(), memory.size(), advice), 0);
		std::span<const std::uint64_t> words(reinterpret_cast<std::uint64_t *>(memory.data()),
						     memory.size() / sizeof(std::uint64_t));
		hammer busy(gpu.vm, memory.bytes(), false);
		for (unsigned round = 0; round < 2; round++) {
			ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0xab}), 0);
			ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
			ASSERT_EQ(finish(gpu.queue.sum(words, sum)).status, 0);
			EXPECT_EQ(sum, 0u) << "the device still reads what was given away";
		}
		busy.wait_for(1);
		hammer::report report = busy.stop();
		EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
	}
}

SVM_TEST(Row06Dontneed, PartOfATable)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
	hammer busy(gpu.vm, memory.bytes(), true);
	busy.wait_for(1);
	// within one group of 64 KiB, and across two of them; the hammer writes back what it read, in any page
	for (std::size_t first : {35, 124}) {
		ASSERT_EQ(madvise(&memory.at(first), 8 * page, MADV_DONTNEED), 0);
		for (std::size_t i = first - 1; i <= first + 8; i++) {
			std::byte want{i < first || i == first + 8 ? std::byte{0x5a} : std::byte{0}};
			EXPECT_TRUE(device_reads(gpu.queue, &memory.at(i) + 64, want)) << "page " << i;
			EXPECT_EQ((&memory.at(i))[64], want) << "page " << i;
		}
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row06Dontneed, WritesGoOnInTheNewPage)
{
	gpu gpu;
	mapping memory(page);
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	std::optional<svmirror::queue> writer(gpu.vm);
	svmirror::job endless = writer->cas_add(word, 1ull << 40);
	for (unsigned round = 0; round < 20; round++) {
		ASSERT_EQ(madvise(memory.data(), page, MADV_DONTNEED), 0);
		// what the device adds from now on, the CPU sees
		ASSERT_TRUE(eventually([&] { return std::atomic_ref(word).load() > 0; }))
			<< "the device adds to a page that is not the CPU's, round " << round;
	}
	ASSERT_EQ(writer->destroy(), 0);
	EXPECT_TRUE(endless.done().wait(job_limit));
	std::uint64_t left = word;
	ASSERT_EQ(finish(gpu.queue.cas_add(word, 5)).status, 0);
	EXPECT_EQ(word, left + 5);
}

namespace {

// Drops what may be dropped of both. The mirror counts what the device could write as written, so what tells that
// reclaim had its chance is memory that the device has left alone since MADV_FREE.
bool drop(const mapping &memory, const mapping &alone)
{
	return eventually([&] {
		page_out(memory.bytes());
		page_out(alone.bytes());
		for (std::size_t i = 0; i < alone.pages(); i++)
			if (std::atomic_ref(alone.at(i)).load() == std::byte{0})
				return true;
		return false;
	});
}

} // namespace

SVM_TEST(Row07Free, OldDataOrZeros)
{
	gpu gpu;
	mapping memory(64 * page), copy(64 * page), other(64 * page);
	memory.no_huge_pages();
	hammer busy(gpu.vm, other.bytes(), true);
	for (unsigned round = 0; round < 3; round++) {
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
		ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_FREE), 0);
		ASSERT_TRUE(drop(memory, memory)) << "reclaim takes none of the pages";
		ASSERT_EQ(finish(gpu.queue.copy(copy.bytes(), memory.bytes())).status, 0);
		for (std::size_t i = 0; i < memory.pages(); i++) {
			ASSERT_TRUE(copy.at(i) == std::byte{0x5a} || copy.at(i) == std::byte{0}) << "page " << i;
			ASSERT_EQ(memory.at(i), copy.at(i)) << "CPU and device disagree on page " << i;
		}
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row07Free, LaterDeviceWriteSurvivesReclaim)
{
	gpu gpu;
	mapping memory(32 * page), alone(32 * page), other(64 * page);
	memory.no_huge_pages();
	alone.no_huge_pages();
	hammer busy(gpu.vm, other.bytes(), true);
	for (unsigned round = 1; round <= 3; round++) {
		for (const mapping *each : {&memory, &alone}) {
			ASSERT_EQ(device_fill(gpu.queue, each->bytes(), std::byte{0x5a}), 0);
			ASSERT_EQ(madvise(each->data(), each->size(), MADV_FREE), 0);
		}
		// the CPU's entries are clean now and allow writing: the device writes without telling the CPU
		for (std::size_t i = 1; i < memory.pages(); i += 2)
			ASSERT_EQ(device_write(gpu.queue, &memory.at(i), std::byte(round)), 0);
		ASSERT_TRUE(drop(memory, alone)) << "reclaim takes nothing";
		page_out(memory.bytes());
		for (std::size_t i = 1; i < memory.pages(); i += 2)
			ASSERT_EQ(memory.at(i), std::byte(round)) << "the device's write to page " << i << " is lost";
		EXPECT_DEVICE_READS(gpu.queue, &memory.at(17), round);
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}
