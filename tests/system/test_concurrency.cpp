// SPDX-License-Identifier: GPL-2.0-only
/* Several at once: processes, vms, queues, CPU and device on one word. */
#include <atomic>
#include <cerrno>
#include <memory>

#include <xf86drm.h>

#include "harness.hpp"

using namespace harness;

SVM_TEST(Concurrency, ProcessesWithVmsOfTheirOwn)
{
	std::vector<std::unique_ptr<child>> workers;
	for (unsigned i = 0; i < 3; i++)
		workers.push_back(std::make_unique<child>([i] {
			gpu gpu;
			// the same addresses in all of them, for they are forks: other data
			mapping memory(2 * mib);
			for (unsigned round = 0; round < 2; round++) {
				auto value = static_cast<std::byte>(16 * i + round + 1);
				if (device_fill(gpu.queue, memory.bytes(), value))
					return 1;
				for (std::size_t at = 0; at < memory.size(); at += 512)
					if (memory.data()[at] != value)
						return 2;
				if (madvise(memory.data(), memory.size(), MADV_DONTNEED))
					return 3;
				if (device_read(gpu.queue, &memory.at(round)).value != std::byte{0})
					return 4;
			}
			return 0;
		}));
	for (auto &worker : workers)
		EXPECT_TRUE(worker->succeeded());
	EXPECT_TRUE(nothing_held());
}

SVM_TEST(Concurrency, TwoVmsOfOneProcess)
{
	gpu one, two;
	mapping memory(2 * mib);
	ASSERT_EQ(device_fill(one.queue, memory.bytes(), std::byte{1}), 0);
	EXPECT_DEVICE_READS(two.queue, &memory.at(7), 1);
	ASSERT_EQ(device_fill(two.queue, memory.bytes(), std::byte{2}), 0);
	EXPECT_DEVICE_READS(one.queue, &memory.at(7), 2);
	ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
	EXPECT_DEVICE_READS(one.queue, &memory.at(7), 0);
	EXPECT_DEVICE_READS(two.queue, &memory.at(7), 0);
}

SVM_TEST(Concurrency, QueuesOfOneVm)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	std::vector<svmirror::queue> queues;
	for (unsigned i = 0; i < 4; i++)
		queues.emplace_back(gpu.vm);
	for (unsigned round = 0; round < 2; round++) {
		// pages of all queues interleaved in each table
		std::vector<svmirror::job> jobs;
		for (std::size_t i = 0; i < memory.pages(); i += 32)
			jobs.push_back(queues[i / 32 % 4].fill(memory.bytes(i, 32), std::byte(i / 32 + round)));
		for (const svmirror::job &job : jobs)
			ASSERT_EQ(finish(job).status, 0);
		for (std::size_t i = 0; i < memory.pages(); i++)
			ASSERT_EQ(memory.at(i), std::byte(i / 32 + round)) << "page " << i;
		ASSERT_EQ(madvise(memory.data(), memory.size(), MADV_DONTNEED), 0);
	}
	EXPECT_EQ(gpu.vm.counters().failed, 0u);
}

SVM_TEST(Row23Hammer, CpuAndDeviceAddToOneWord)
{
	gpu gpu;
	svmirror::queue second(gpu.vm);
	mapping memory(page);
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	constexpr std::uint64_t device_times = 100000, cpu_times = 200000;
	svmirror::job one = gpu.queue.cas_add(word, device_times);
	svmirror::job two = second.cas_add(word, device_times);
	auto add = [&] {
		for (std::uint64_t i = 0; i < cpu_times; i++)
			__atomic_fetch_add(&word, 1, __ATOMIC_RELAXED);
	};
	std::jthread beside(add);
	add();
	beside.join();
	EXPECT_EQ(finish(one).status, 0);
	EXPECT_EQ(finish(two).status, 0);
	EXPECT_EQ(__atomic_load_n(&word, __ATOMIC_SEQ_CST), 2 * device_times + 2 * cpu_times);
}

SVM_TEST(Row23Hammer, BothGetOnWhereThePageKeepsGoing)
{
	gpu gpu;
	mapping memory(page);
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	constexpr std::uint64_t device_times = 20000, cpu_times = 2000;
	hammer reader(gpu.vm, memory.bytes(), false);
	std::atomic<std::uint64_t> by_device = 0;
	int status = 0;
	std::jthread device([&](const std::stop_token &enough) {
		while (!status && !enough.stop_requested()) {
			try {
				status = finish(gpu.queue.cas_add(word, device_times)).status;
			} catch (const std::system_error &error) {
				status = -error.code().value();
			}
			by_device += device_times;
		}
	});
	// each fork takes the page away from all of them, and each has to come back while the child still shares it
	for (unsigned round = 0; round < 8; round++) {
		signal_pipe over;
		child forked([&] { return over.wait() ? 0 : 1; });
		std::this_thread::sleep_for(20ms);
		std::uint64_t before = by_device;
		for (std::uint64_t i = 0; i < cpu_times; i++)
			__atomic_fetch_add(&word, 1, __ATOMIC_RELAXED);
		reader.wait_for(2);
		EXPECT_TRUE(eventually([&] { return by_device > before; })) << "the device does not get on";
		over.send();
		EXPECT_TRUE(forked.succeeded());
	}
	device.request_stop();
	device.join();
	EXPECT_EQ(status, 0);
	EXPECT_EQ(__atomic_load_n(&word, __ATOMIC_SEQ_CST), by_device + 8 * cpu_times);
	hammer::report report = reader.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row23Hammer, AdditionsSurviveProtectionChanges)
{
	gpu gpu;
	mapping memory(page);
	auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
	std::uint64_t total = 0;
	for (unsigned round = 0; round < 10; round++) {
		svmirror::job job = gpu.queue.cas_add(word, 20000);
		ASSERT_EQ(mprotect(memory.data(), page, PROT_READ), 0);
		std::uint64_t frozen = __atomic_load_n(&word, __ATOMIC_SEQ_CST);
		std::this_thread::sleep_for(2ms);
		EXPECT_EQ(__atomic_load_n(&word, __ATOMIC_SEQ_CST), frozen) << "the device writes to what is read-only";
		ASSERT_EQ(mprotect(memory.data(), page, PROT_READ | PROT_WRITE), 0);
		svmirror::job_result result = finish(job);
		// it either met the read-only moment or it did not
		EXPECT_TRUE(result.status == 0 || result.status == -EPERM) << "status " << result.status;
		std::uint64_t now = word;
		EXPECT_LE(now - total, 20000u);
		EXPECT_EQ(now - total == 20000, result.status == 0);
		total = now;
	}
}

SVM_TEST(Concurrency, JobsWaitForEachOther)
{
	gpu gpu;
	svmirror::queue second(gpu.vm);
	mapping memory(2 * mib), copy(2 * mib);
	std::uint32_t gate;
	ASSERT_EQ(svmirror_syncobj_create(gpu.device.fd(), &gate), 0);
	std::uint32_t after_gate[] = {gate};
	svmirror::job fill = gpu.queue.submit(
		SVMIRROR_FILL, {svmirror::address(memory.data()), memory.size(), 0x3c}, after_gate);
	std::uint32_t after_fill[] = {fill.done().id()};
	svmirror::job copied = second.submit(
		SVMIRROR_COPY, {svmirror::address(copy.data()), svmirror::address(memory.data()), memory.size()}, after_fill);
	EXPECT_FALSE(copied.done().wait(50ms)) << "nothing may start before the gate";
	EXPECT_EQ(copy.at(0), std::byte{0});
	ASSERT_EQ(drmSyncobjSignal(gpu.device.fd(), &gate, 1), 0);
	EXPECT_EQ(finish(copied).status, 0);
	EXPECT_EQ(finish(fill).status, 0);
	EXPECT_EQ(copy.at(511), std::byte{0x3c});
}
