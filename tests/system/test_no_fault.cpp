// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vms whose jobs cannot wait for a fault: what is bound is there, stays there while the process's memory
 * moves, and the jobs go on with the right data. What is not bound is the error of the job that touches it.
 */
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <numeric>

#include "manager.hpp"
#include "objects.hpp"

using namespace harness;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr svmirror_vm_options no_fault{.interval_lg2 = 0, .granule_lg2 = 0, .flags = DRM_SVM_VM_NO_FAULT};
constexpr std::uint64_t elsewhere = 1ull << 40; // a device address

// A process that changes memory over and over, from a thread of its own.
class storm {
public:
	explicit storm(std::function<void()> change)
		: thread_([this, change = std::move(change)] {
			while (!stopping_.load(std::memory_order_relaxed)) {
				change();
				changes_.fetch_add(1, std::memory_order_relaxed);
			}
		})
	{
	}
	storm(const storm &) = delete;
	storm &operator=(const storm &) = delete;
	~storm() { stop(); }
	std::uint64_t stop()
	{
		stopping_.store(true, std::memory_order_relaxed);
		if (thread_.joinable())
			thread_.join();
		return changes_.load(std::memory_order_relaxed);
	}

private:
	// relaxed, both: a request and a count; joining the thread orders the rest
	std::atomic<bool> stopping_{false};
	std::atomic<std::uint64_t> changes_{0};
	std::thread thread_;
};

void number(const mapping &memory)
{
	for (std::size_t i = 0; i < memory.pages(); i++)
		std::memcpy(&memory.at(i), &i, sizeof(i));
}

std::uint64_t sum(const mapping &memory)
{
	std::vector<std::uint64_t> words(memory.size() / sizeof(std::uint64_t));
	std::memcpy(words.data(), memory.data(), memory.size());
	return std::accumulate(words.begin(), words.end(), std::uint64_t{0});
}

std::span<const std::uint64_t> words_at(std::uint64_t where, std::size_t bytes)
{
	return {reinterpret_cast<const std::uint64_t *>(where), bytes / sizeof(std::uint64_t)};
}

std::uint64_t &result_in(const mapping &memory) { return *reinterpret_cast<std::uint64_t *>(memory.data()); }

} // namespace

SVM_TEST(NoFault, JobsRunOverUserMemoryWithoutAFault)
{
	mapping memory(4 * mib), results(page);
	memory.no_huge_pages();
	number(memory);
	svmirror::device device;
	EXPECT_TRUE(device.info().capabilities & DRM_SVM_CAPABILITY_NO_FAULT);
	svmirror::vm vm(device, no_fault);
	vm.bind(elsewhere + 3 * page, memory.size(), static_cast<std::int64_t>(elsewhere + 3 * page - svmirror::address(memory.data())));
	vm.bind(results.bytes());
	EXPECT_EQ(vm.counters().present, memory.pages() + 1) << "all of it is there when the bind returns";
	svmirror::queue queue(vm);
	svmirror::job_result done = finish(queue.sum(words_at(elsewhere + 3 * page, memory.size()), result_in(results)));
	EXPECT_EQ(done.status, 0);
	EXPECT_EQ(done.faults, 0u);
	EXPECT_EQ(result_in(results), sum(memory));
	// and it is ready for writing
	EXPECT_EQ(finish(queue.fill({reinterpret_cast<std::byte *>(elsewhere + 3 * page), memory.size()}, std::byte{7})).status, 0);
	EXPECT_EQ(memory.at(1023), std::byte{7});
	EXPECT_EQ(vm.counters().faults, 0u);
	EXPECT_TRUE(vm.fault_log().empty());
}

SVM_TEST(NoFault, AnAccessThatFailsIsItsJobsError)
{
	mapping memory(table_span), small(4 * page);
	memory.no_huge_pages();
	svmirror::device device;
	svmirror::vm vm(device, no_fault);
	ASSERT_EQ(mprotect(small.data(), page, PROT_READ), 0);
	vm.bind(memory.bytes());
	vm.bind(small.bytes());
	svmirror::queue good(vm), bad(vm);
	adder busy(vm, memory.bytes(8, 32));

	svmirror::job_result hole = finish(bad.touch({reinterpret_cast<const std::byte *>(elsewhere), page}, page, false));
	EXPECT_EQ(hole.status, -EFAULT);
	EXPECT_EQ(hole.va, elsewhere);
	EXPECT_EQ(hole.access, unsigned{DRM_SVM_ACCESS_READ});
	svmirror::job_result denied = finish(bad.fill(small.bytes(0, 1), std::byte{1}));
	EXPECT_EQ(denied.status, -EPERM);
	EXPECT_EQ(denied.va, svmirror::address(small.data()));
	// neither the queue nor another one suffers from it
	EXPECT_EQ(finish(bad.fill(small.bytes(1, 1), std::byte{1})).status, 0);
	EXPECT_EQ(finish(good.fill(memory.bytes(0, 8), std::byte{1})).status, 0);
	EXPECT_TRUE(busy.exact());
	std::vector<svmirror::fault_record> log = vm.fault_log();
	ASSERT_EQ(log.size(), 2u);
	EXPECT_EQ(log[0].error, -EFAULT);
	EXPECT_EQ(log[0].queue_id, bad.id());
	EXPECT_EQ(log[1].error, -EPERM);
	EXPECT_EQ(log[1].va, svmirror::address(small.data()));
	// what the process unmaps is left out, and what it maps there is there after the next bind
	ASSERT_EQ(munmap(&small.at(2), page), 0);
	EXPECT_EQ(finish(bad.touch(small.bytes(2, 1), page, false)).status, -EFAULT);
	EXPECT_EQ(finish(bad.touch(small.bytes(3, 1), page, false)).status, 0);
	ASSERT_NE(mmap(&small.at(2), page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
	vm.bind(small.bytes());
	EXPECT_EQ(finish(bad.touch(small.bytes(2, 1), page, true)).status, 0);
}

SVM_TEST(NoFault, BadInput)
{
	mapping memory(table_span);
	svmirror::device device;
	std::uint32_t id;
	svmirror_vm_options unknown{.interval_lg2 = 0, .granule_lg2 = 0, .flags = DRM_SVM_VM_NO_FAULT << 1};
	EXPECT_EQ(svmirror_vm_create(device.fd(), &unknown, &id), -EINVAL);

	svmirror::vm vm(device, no_fault);
	std::uint64_t at = svmirror::address(memory.data()), pages;
	auto bind = [&](std::uint64_t start, std::uint64_t length) { return svmirror_bind(device.fd(), vm.id(), start, length, 0); };
	EXPECT_EQ(svmirror_bind_all(device.fd(), vm.id()), -ENOMEM) << "more than there is memory";
	EXPECT_EQ(bind(at, memory.size() + page), -EFAULT) << "behind it nothing is mapped";
	ASSERT_EQ(mprotect(&memory.at(7), page, PROT_NONE), 0);
	EXPECT_EQ(bind(at, memory.size()), -EFAULT);
	ASSERT_EQ(mprotect(&memory.at(7), page, PROT_READ | PROT_WRITE), 0);
	EXPECT_TRUE(vm.bindings().empty());

	// more than there is memory, though it can be mapped
	std::uint64_t much = 1ull << 40;
	void *reserve = mmap(nullptr, much, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(reserve, MAP_FAILED);
	EXPECT_EQ(bind(svmirror::address(reserve), much), -ENOMEM);
	munmap(reserve, much);

	svmirror::buffer buffer(device, page, place::system);
	drm_svm_bind_op op{};
	op.start = elsewhere;
	op.length = page;
	op.kind = DRM_SVM_BIND_OBJECT;
	op.handle = buffer.id();
	op.flags = DRM_SVM_BIND_ON_DEMAND;
	EXPECT_EQ(svmirror_bind_many(device.fd(), vm.id(), &op, 1), -EINVAL);
	EXPECT_TRUE(vm.bindings().empty());
	op.flags = 0;
	EXPECT_EQ(svmirror_bind_many(device.fd(), vm.id(), &op, 1), 0);
	vm.bind(memory.bytes());
	EXPECT_EQ(svmirror_prefetch(device.fd(), vm.id(), at, memory.size(), 0, &pages), -EINVAL);
	svmirror::queue queue(vm);
	EXPECT_EQ(finish(queue.fill(memory.bytes(), std::byte{1})).status, 0);
}

// Memory that is thrown away comes back as zeroes, and what lies beside it is as it was.
SVM_TEST(NoFault, MemoryIsThrownAwayUnderJobs)
{
	mapping memory(2 * table_span);
	memory.no_huge_pages();
	window gpu(memory, no_fault);
	adder busy(gpu.vm, memory.bytes(512, 64));
	hammer writes(gpu.vm, memory.bytes(0, 256), true);
	for (unsigned round = 0; round < 30; round++) {
		ASSERT_EQ(madvise(memory.data(), 256 * page, MADV_DONTNEED), 0);
		writes.wait_for(1);
		busy.wait_for(1);
	}
	hammer::report report = writes.stop();
	EXPECT_EQ(report.ok, report.jobs) << "a job failed, first other " << report.first_other;
	EXPECT_TRUE(busy.exact());
	EXPECT_EQ(device_fill(gpu.queue, memory.bytes(0, 256), std::byte{9}), 0);
	EXPECT_EQ(memory.at(255), std::byte{9});
	svmirror::counters now = gpu.vm.counters();
	EXPECT_GE(now.stops, 30u);
	EXPECT_EQ(now.faults, 0u);
	EXPECT_TRUE(gpu.vm.fault_log().empty());
}

// A permission that goes for a moment costs no addition, nor does a fork, whose copies must not show.
SVM_TEST(NoFault, ProtectionsAndForksUnderJobs)
{
	mapping memory(table_span);
	memory.no_huge_pages();
	window gpu(memory, no_fault);
	adder busy(gpu.vm, memory.bytes(0, 128)), other(gpu.vm, memory.bytes(128, 8));
	for (unsigned round = 0; round < 10; round++) {
		child reader([&] { return 0; });
		EXPECT_TRUE(reader.succeeded());
		busy.wait_for(2);
		ASSERT_EQ(mprotect(&memory.at(300), 64 * page, PROT_READ), 0);
		busy.wait_for(1);
		EXPECT_EQ(device_fill(gpu.queue, memory.bytes(300, 1), std::byte{1}), EPERM);
		ASSERT_EQ(mprotect(&memory.at(300), 64 * page, PROT_READ | PROT_WRITE), 0);
		other.wait_for(1);
		EXPECT_EQ(device_fill(gpu.queue, memory.bytes(300, 1), std::byte{1}), 0);
	}
	EXPECT_TRUE(busy.exact());
	EXPECT_TRUE(other.exact());
}

// The kernel swaps pages out, and the device's must come back with what they held.
SVM_TEST(NoFault, PagesAreMovedAndReclaimedUnderJobs)
{
	mapping memory(table_span);
	memory.no_huge_pages();
	window gpu(memory, no_fault);
	adder busy(gpu.vm, memory.bytes());
	for (unsigned round = 0; round < 10; round++) {
		madvise(memory.data(), memory.size(), MADV_PAGEOUT);
		write_file("/proc/sys/vm/compact_memory", "1");
		busy.wait_for(3);
	}
	EXPECT_TRUE(busy.exact());
	EXPECT_EQ(gpu.vm.counters().faults, 0u);
}

// Changes without end: jobs get on, none fails, and the vm is stopped no more often than it is bound to be.
SVM_TEST_WITHIN(NoFault, AStormIsBounded, 180)
{
	mapping memory(4 * table_span);
	memory.no_huge_pages();
	window gpu(memory, no_fault);
	adder busy(gpu.vm, memory.bytes(1024, 16));
	busy.wait_for(2);
	std::uint64_t before = gpu.vm.counters().stops;
	steady_clock::time_point begun = steady_clock::now();
	std::uint64_t changes;
	{
		storm throws([&] { madvise(&memory.at(3), 4 * page, MADV_DONTNEED); });
		storm protects([&] {
			mprotect(&memory.at(600), 8 * page, PROT_READ);
			mprotect(&memory.at(600), 8 * page, PROT_READ | PROT_WRITE);
		});
		std::this_thread::sleep_for(1s);
		busy.wait_for(8);
		changes = throws.stop() + protects.stop();
	}
	auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begun).count();
	std::uint64_t stops = gpu.vm.counters().stops - before;
	std::printf("%llu changes stopped the jobs %llu times in %lld ms\n", static_cast<unsigned long long>(changes),
		    static_cast<unsigned long long>(stops), static_cast<long long>(took));
	std::fflush(stdout); // the test body ends without it
	// two milliseconds of running before each stop
	EXPECT_LE(stops, static_cast<std::uint64_t>(took) / 2 + 2);
	EXPECT_GE(stops, 1u);
	EXPECT_TRUE(busy.exact());
}

// A bind replaces memory under jobs: each access goes by the old binding or the new one, and none fails.
SVM_TEST(NoFault, BindsUnderJobs)
{
	mapping one(table_span), two(table_span);
	one.no_huge_pages();
	two.no_huge_pages();
	svmirror::device device;
	svmirror::vm vm(device, no_fault);
	auto lead_to = [&](const mapping &m) {
		vm.bind(elsewhere, m.size(), static_cast<std::int64_t>(elsewhere - svmirror::address(m.data())));
	};
	lead_to(one);
	hammer busy(vm, {reinterpret_cast<std::byte *>(elsewhere), table_span}, true);
	for (unsigned round = 0; round < 10; round++) {
		lead_to(round % 2 ? one : two);
		busy.wait_for(1);
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << report.first_other;
}

// Buffers that are sent out of VRAM stop the jobs, and the jobs go on where the buffers are then.
SVM_TEST(NoFault, BuffersMove)
{
	svmirror::device device;
	svmirror::vm vm(device, no_fault);
	svmirror::buffer buffer(device, 64 * page, place::vram);
	vm.bind(elsewhere, buffer);
	svmirror::queue queue(vm);
	std::span<std::byte> there{reinterpret_cast<std::byte *>(elsewhere), 64 * page};
	for (unsigned round = 1; round < 4; round++) {
		svmirror::job_result done = finish(queue.fill(there, std::byte(round)));
		EXPECT_EQ(done.status, 0);
		EXPECT_EQ(done.faults, 0u);
		EXPECT_EQ(buffer.map().bytes()[63 * page], std::byte(round));
	}
}

// The process is killed while its jobs are stopped, or just before, or after; nothing stays behind.
SVM_TEST_WITHIN(NoFault, KilledAmidStops, 120)
{
	for (unsigned round = 0; round < 6; round++) {
		signal_pipe running;
		child worker([&] {
			mapping memory(2 * table_span);
			memory.no_huge_pages();
			window gpu(memory, no_fault);
			hammer busy(gpu.vm, memory.bytes(), true);
			busy.wait_for(1);
			running.send();
			for (;;)
				madvise(memory.data(), memory.size(), MADV_DONTNEED);
			return 1;
		});
		ASSERT_TRUE(running.wait());
		std::this_thread::sleep_for(std::chrono::milliseconds(round * 5));
		worker.kill();
		EXPECT_TRUE(worker.wait(20s).has_value()) << "a killed process does not end";
	}
	EXPECT_TRUE(nothing_held());
}

// A queue, and a vm, end while their jobs are stopped and cannot go on: a manager keeps the memory.
SVM_TEST(NoFault, EndsAmidAStop)
{
	mapping memory(table_span);
	memory.no_huge_pages();
	svmirror::device device;
	for (unsigned round = 0; round < 20; round++) {
		svmirror::vm vm(device, no_fault);
		vm.bind(memory.bytes());
		svmirror::queue queue(vm);
		svmirror::job job = queue.touch(memory.bytes(), 64, true);
		madvise(memory.data(), memory.size(), MADV_DONTNEED);
		EXPECT_EQ(queue.destroy(), 0);
		EXPECT_EQ(vm.destroy(), 0);
	}
	EXPECT_TRUE(nothing_held());
}

// Memory that a manager has to bring: a bind says so, and no job waits for ever.
SVM_TEST(NoFault, AManagerIsNotWaitedFor)
{
	mapping memory(8 * page), other(page);
	svmirror::device device;
	svmirror::vm vm(device, no_fault);
	manager manager(memory.bytes());
	EXPECT_EQ(svmirror_bind(device.fd(), vm.id(), svmirror::address(memory.data()), memory.size(), 0), -EFAULT);
	vm.bind(other.bytes());
	svmirror::queue queue(vm);
	EXPECT_EQ(finish(queue.fill(other.bytes(), std::byte{3})).status, 0);
	EXPECT_EQ(finish(queue.touch(memory.bytes(0, 1), page, false)).status, -EFAULT);
}
