// SPDX-License-Identifier: GPL-2.0-only
/* What one fault and one invalidation may cost and touch, as the counters of a real run say. */
#include <cerrno>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

SVM_TEST(Granularity, OnePageDiscardedZapsOnePte)
{
	mapping memory(4 * mib);
	memory.no_huge_pages();
	window gpu(memory);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{1}), 0);
	svmirror::counters before = gpu.vm.counters();
	EXPECT_EQ(before.present, 1024u);
	ASSERT_EQ(madvise(&memory.at(300), page, MADV_DONTNEED), 0);
	svmirror::counters after = gpu.vm.counters(), delta = after - before;
	EXPECT_EQ(delta.ptes_zapped, 1u);
	EXPECT_EQ(delta.huge_zapped, 0u);
	EXPECT_EQ(delta.invalidations, 1u);
	EXPECT_EQ(after.present, 1023u);
	// neighbours need no fault; the page itself needs one and reads zero
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(0, 300), page, true)).status, 0);
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(301, 723), page, true)).status, 0);
	EXPECT_EQ((gpu.vm.counters() - after).faults, 0u);
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(300, 1), page, true)).status, 0);
	EXPECT_GE((gpu.vm.counters() - after).faults, 1u);
	EXPECT_EQ(memory.at(300), std::byte{0});
}

SVM_TEST(Granularity, CopyOnWriteZapsOnePte)
{
	mapping memory(2 * mib);
	memory.no_huge_pages();
	window gpu(memory);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{1}), 0);
	signal_pipe done;
	child sharer([&] { return done.wait() ? 0 : 1; });
	// the device reads the pages that parent and child share
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(), page, false)).status, 0);
	svmirror::counters before = gpu.vm.counters();
	memory.at(77) = std::byte{5};
	svmirror::counters delta = gpu.vm.counters() - before;
	EXPECT_EQ(delta.ptes_zapped, 1u);
	done.send();
	EXPECT_TRUE(sharer.succeeded());
}

SVM_TEST(Granularity, InvalidationElsewhereRestartsNoFault)
{
	mapping memory(6 * mib);
	memory.no_huge_pages();
	window gpu(memory, {.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0});
	// one table is faulted in all the time while the two around it, in the same interval, are discarded
	std::atomic<bool> stop{false};
	std::thread noise([&] {
		while (!stop.load(std::memory_order_relaxed)) {
			for (std::size_t i : {0, 100, 511, 1024, 1500})
				memory.at(i) = std::byte{1};
			madvise(&memory.at(0), 512 * page, MADV_DONTNEED);
			madvise(&memory.at(1024), 512 * page, MADV_DONTNEED);
		}
	});
	// the first fault makes the interval by which the noise is counted
	EXPECT_EQ(finish(gpu.queue.touch(memory.bytes(512, 1), page, true)).status, 0);
	EXPECT_TRUE(eventually([&] { return gpu.vm.counters().invalidations > 10; }));
	svmirror::counters before = gpu.vm.counters();
	EXPECT_EQ(finish(gpu.queue.touch(memory.bytes(513, 255), page, true)).status, 0);
	svmirror::counters delta = gpu.vm.counters() - before;
	stop.store(true, std::memory_order_relaxed);
	noise.join();
	EXPECT_GE(delta.faults, 255u);
	EXPECT_GT(delta.invalidations, 3u) << "the noise was not there";
	EXPECT_EQ(delta.retries, 0u);
}

SVM_TEST(Granularity, HugePageIsOneLeaf)
{
	mapping memory(4 * mib);
	if (madvise(memory.data(), memory.size(), MADV_HUGEPAGE))
		GTEST_SKIP() << "this kernel has no transparent huge pages";
	write_file("/proc/sys/vm/compact_memory", "1");
	memory.at(0) = memory.at(512) = std::byte{1};
	ASSERT_EQ(huge_kib(memory.data()), 4096u) << "the CPU has got no huge pages";
	window gpu(memory);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{7}), 0);
	svmirror::counters counters = gpu.vm.counters();
	// where the format has no such leaf, each of its pages has one of its own
	bool leaf = svmirror::device().info().leaf_sizes >> 21 & 1;
	EXPECT_EQ(counters.huge_leaves, leaf ? 2u : 0u);
	EXPECT_EQ(counters.ptes_written, leaf ? 0u : 1024u);
	EXPECT_EQ(counters.present, 1024u);
	EXPECT_EQ(memory.at(1023), std::byte{7});

	// the CPU splits one of them: right data before and after, and the other stays whole
	ASSERT_EQ(madvise(&memory.at(600), page, MADV_DONTNEED), 0);
	EXPECT_EQ((gpu.vm.counters() - counters).huge_zapped, leaf ? 1u : 0u);
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(), page, true)).status, 0);
	EXPECT_EQ(memory.at(600), std::byte{0});
	EXPECT_EQ(memory.at(599), std::byte{7});
	EXPECT_EQ(memory.at(601), std::byte{7});
}

SVM_TEST(Granularity, GranuleDecidesHowManyPagesAFaultBrings)
{
	for (std::uint32_t granule : {12u, 16u, 21u}) {
		mapping memory(2 * mib);
		memory.no_huge_pages();
		window gpu(memory, {.interval_lg2 = 0, .granule_lg2 = granule, .flags = 0});
		ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(0, 1), page, true)).status, 0);
		svmirror::counters counters = gpu.vm.counters();
		EXPECT_EQ(counters.faults, 1u) << "granule " << granule;
		EXPECT_EQ(counters.present, 1ull << (granule - 12)) << "granule " << granule;
	}
}

SVM_TEST(Granularity, PresentNeighboursComeAlong)
{
	mapping memory(2 * mib);
	memory.no_huge_pages();
	for (std::size_t i = 0; i < memory.pages(); i++)
		memory.at(i) = std::byte{1};
	window gpu(memory, {.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0});
	ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(), page, true)).status, 0);
	svmirror::counters counters = gpu.vm.counters();
	EXPECT_EQ(counters.faults, 1u) << "what the CPU has present costs no further fault";
	EXPECT_EQ(counters.present, 512u);
}

SVM_TEST(Granularity, DuplicateFaultsAreCounted)
{
	mapping memory(2 * mib);
	memory.no_huge_pages();
	window gpu(memory, {.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0});
	std::vector<svmirror::queue> queues;
	for (unsigned i = 0; i < 4; i++)
		queues.emplace_back(gpu.vm);
	// several engines meet the same missing page: one of them is served first
	for (unsigned round = 0; round < 10 && !gpu.vm.counters().duplicates; round++) {
		ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
		std::vector<svmirror::job> jobs;
		for (svmirror::queue &queue : queues)
			jobs.push_back(queue.touch(memory.bytes(), page, true));
		for (const svmirror::job &job : jobs)
			ASSERT_EQ(finish(job).status, 0);
	}
	svmirror::counters counters = gpu.vm.counters();
	EXPECT_GE(counters.duplicates, 1u);
	EXPECT_GE(counters.faults, counters.duplicates);
	EXPECT_EQ(counters.failed, 0u);
}

SVM_TEST(Granularity, BookkeepingPerTable)
{
	// lockdep makes spinlocks larger; the exact check there is a unit test's
	if (!access("/proc/lockdep", F_OK))
		GTEST_SKIP() << "lockdep is on: its locks are larger than the ones that are promised";
	constexpr std::size_t tables = 8;
	mapping memory(tables * table_span);
	memory.no_huge_pages();
	window gpu(memory);
	svmirror::counters last{};
	for (std::size_t i = 0; i < tables; i++) {
		ASSERT_EQ(finish(gpu.queue.touch(memory.bytes(i * 512, 1), page, true)).status, 0);
		svmirror::counters now = gpu.vm.counters(), delta = now - last;
		last = now;
		if (delta.directories || delta.intervals)
			continue; // those are beside what is promised
		EXPECT_EQ(delta.tables, 1u);
		EXPECT_LE(delta.host_bytes, 128u);
	}
	EXPECT_EQ(last.tables, tables);
}
