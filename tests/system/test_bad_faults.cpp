// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device that reports nonsense. The driver's inject_fault stands for its fault
 * ring: what is written there is checked and served as an entry of the ring is.
 */
#include <cerrno>

#include "harness.hpp"

using namespace harness;

namespace {

// "context queue va access" as the device would report it.
bool inject(std::uint64_t context, std::uint64_t queue, const std::string &va, std::uint64_t access)
{
	return write_driver_file("inject_fault", std::to_string(context) + " " + std::to_string(queue) + " " + va +
							 " " + std::to_string(access));
}

std::uint64_t fault_count(const std::string &what)
{
	std::optional<numbers> counts = driver_file("svm_faults");
	return counts ? (*counts)[what] : ~0ull;
}

struct entry {
	std::uint64_t context, queue;
	const char *va;
	std::uint64_t access;
};

} // namespace

SVM_TEST(BadFaults, IdsOutOfRangeAreCountedAndNobodyIsHurt)
{
	gpu gpu;
	mapping memory(2 * mib);
	hammer busy(gpu.vm, memory.bytes(), true);
	std::uint64_t before = fault_count("garbage"), answered = 0;
	ASSERT_NE(before, ~0ull) << "no svm_faults under /sys/kernel/debug/dri";
	// contexts and queues beyond all, and ones that nobody owns
	for (const entry &one : {entry{4294967295, 0, "0x1000", 0}, {65535, 0, "0x1000", 1}, {1000000, 1000000, "0", 2},
				 {4294967295, 4294967295, "-1", 4294967295}}) {
		ASSERT_TRUE(inject(one.context, one.queue, one.va, one.access));
		answered++;
	}
	EXPECT_TRUE(eventually([&] { return fault_count("garbage") == before + answered; }, 10s))
		<< fault_count("garbage") - before << " of " << answered;
	EXPECT_TRUE(gpu.vm.fault_log().empty()) << "garbage of nobody is in somebody's log";
	busy.wait_for(2);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(BadFaults, GarbageOfAContextIsInItsLog)
{
	gpu gpu;
	mapping memory(page);
	// the first vm of the machine has the first context
	ASSERT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
	std::uint64_t before = fault_count("garbage");
	for (const entry &one : {entry{0, 0, "0x7000", 77}, {0, 60000, "0x8000", 0}})
		ASSERT_TRUE(inject(one.context, one.queue, one.va, one.access));
	EXPECT_TRUE(eventually([&] { return fault_count("garbage") == before + 2; }, 10s));
	std::vector<svmirror::fault_record> log = gpu.vm.fault_log();
	ASSERT_EQ(log.size(), 2u);
	EXPECT_EQ(log[0].va, 0x7000u);
	EXPECT_EQ(log[0].error, -EINVAL);
	EXPECT_EQ(log[1].va, 0x8000u);
	EXPECT_EQ(log[1].error, -EINVAL);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
}

SVM_TEST(BadFaults, WildAddressesAreFaultsLikeOthers)
{
	gpu gpu;
	mapping memory(page);
	ASSERT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
	// no job runs: the device has made these up; kernel addresses, beyond the format, the end of all
	const std::vector<const char *> addresses = {"0", "0xffffffff81000000", "0x1000000000000", "-1", "-4096"};
	for (const char *va : addresses)
		for (std::uint64_t access : {0, 1, 2})
			ASSERT_TRUE(inject(0, 0, va, access));
	std::size_t logged = 0;
	EXPECT_TRUE(eventually(
		[&] {
			for (const svmirror::fault_record &record : gpu.vm.fault_log()) {
				EXPECT_EQ(record.error, -EFAULT) << std::hex << record.va;
				logged++;
			}
			return logged == 3 * addresses.size();
		},
		10s))
		<< logged << " records";
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{2}), 0);
	EXPECT_EQ(memory.at(0), std::byte{2});
}

// An honest device reports a fault while its queue ends: such an entry is stale, and no sign of a lie.
SVM_TEST(BadFaults, FaultsOfQueuesThatEndAreStale)
{
	constexpr std::uint64_t enough = 5;
	gpu gpu({.interval_lg2 = 0, .granule_lg2 = 12, .flags = 0});
	mapping memory(8 * mib);
	memory.no_huge_pages();
	std::uint64_t garbage = fault_count("garbage"), stale = fault_count("stale");
	unsigned round = 0;
	EXPECT_TRUE(eventually(
		[&] {
			svmirror::queue queue(gpu.vm);
			svmirror::job job = queue.touch(memory.bytes(), page, true);
			// amid its faults, at another moment each time
			std::this_thread::sleep_for(std::chrono::microseconds(++round * 331 % 5000));
			EXPECT_EQ(queue.destroy(), 0);
			EXPECT_TRUE(job.done().wait(job_limit));
			EXPECT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
			return fault_count("stale") >= stale + enough;
		},
		60s))
		<< "only " << fault_count("stale") - stale << " faults met the end of their queue in " << round << " rounds";
	EXPECT_EQ(fault_count("garbage"), garbage);
	for (const svmirror::fault_record &record : gpu.vm.fault_log())
		EXPECT_NE(record.error, -EINVAL) << "logged as garbage: " << std::hex << record.va;
}

SVM_TEST(BadFaults, AFloodEnds)
{
	gpu gpu;
	mapping memory(2 * mib);
	memory.no_huge_pages();
	std::uint64_t taken = fault_count("taken"), refused = 0;
	constexpr std::uint64_t flood = 300; // more than the ring has entries
	hammer busy(gpu.vm, memory.bytes(), true);
	for (std::uint64_t i = 0; i < flood; i++)
		refused += !inject(i % 3 ? 0 : 60000 + i, 0, std::to_string(i * page), i % 5);
	EXPECT_TRUE(eventually([&] { return fault_count("taken") >= taken + flood - refused; }));
	busy.wait_for(2);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}
