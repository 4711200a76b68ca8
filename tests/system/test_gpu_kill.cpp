// SPDX-License-Identifier: GPL-2.0-only
/* The virtual GPU dies under load: everybody is told in time, and nothing hangs. */
#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

#include "device_memory.hpp"
#include "lifetime.hpp"

using namespace harness;
using namespace lifetime;

namespace {

// Brings the GPU back whatever a test did to it.
class revival {
public:
	~revival()
	{
		restart_gpu();
		EXPECT_EQ(modules_.unload(), 0);
		EXPECT_EQ(modules_.load(), 0);
		expect_working();
	}

private:
	modules modules_;
};

constexpr std::chrono::seconds bounded{60}; // a loaded host has taken 25 s

// The device is dead: the driver need not wait as long for it as for one that others keep from its CPU.
void kill_gpu_for_good()
{
	kill_gpu();
	set_flush_timeout(1500);
}

// The memory's content is lost: who touches it gets SIGBUS.
bool is_lost(std::byte &at)
{
	child toucher([&] {
		std::signal(SIGBUS, [](int) { _exit(0); });
		(void)*static_cast<volatile std::byte *>(&at);
		return 1;
	});
	return toucher.succeeded();
}

// The core has no device's memory any more.
bool no_memory_left() { return read_line("/sys/kernel/debug/svmirror/memories") == "0"; }

} // namespace

SVM_TEST_WITHIN(Row24Kill, UnderLoad, 150)
{
	revival afterwards;
	{
		gpu gpu;
		svmirror::queue second(gpu.vm);
		mapping memory(4 * mib);
		memory.no_huge_pages();
		std::vector<svmirror::job> jobs;
		auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
		// one that would run for very long, one that faults, some that wait behind them
		jobs.push_back(gpu.queue.cas_add(word, 1ull << 40));
		jobs.push_back(second.touch(memory.bytes(), page, true));
		for (unsigned i = 0; i < 4; i++) {
			jobs.push_back(gpu.queue.touch(memory.bytes(), page, true));
			jobs.push_back(second.touch(memory.bytes(), page, false));
		}
		kill_gpu_for_good();
		auto begin = std::chrono::steady_clock::now();
		unsigned lost = 0;
		for (const svmirror::job &job : jobs) {
			ASSERT_TRUE(job.done().wait(bounded)) << "nobody was told that the job is lost";
			int status = job.result(bounded).status;
			// what had ended before is well; all else is lost with the device
			EXPECT_TRUE(status == 0 || status == -EIO) << "status " << status;
			lost += status == -EIO;
		}
		EXPECT_GE(lost, 5u);
		EXPECT_LT(std::chrono::steady_clock::now() - begin, bounded);

		// memory can be taken away, though nobody acknowledges any more
		ASSERT_EQ(madvise(memory.data(), mib, MADV_DONTNEED), 0);
		ASSERT_EQ(mprotect(memory.data(), mib, PROT_NONE), 0);
		ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
		EXPECT_EQ(gpu.device.gpu().wedged, 1u);
		std::uint32_t id;
		EXPECT_EQ(svmirror_queue_create(gpu.device.fd(), gpu.vm.id(), &id), -EIO);
	}
	EXPECT_TRUE(nothing_held());
}

SVM_TEST_WITHIN(Row24Kill, ProcessExitsAfterwards, 150)
{
	revival afterwards;
	signal_pipe running, killed;
	child worker([&] {
		gpu gpu;
		mapping memory(4 * mib);
		memory.no_huge_pages();
		auto &word = *reinterpret_cast<std::uint64_t *>(memory.data());
		svmirror::job job = gpu.queue.cas_add(word, 1ull << 40);
		if (!eventually([&] { return __atomic_load_n(&word, __ATOMIC_RELAXED) != 0; }))
			return 1;
		running.send();
		return killed.wait() ? 0 : 2;
	});
	ASSERT_TRUE(running.wait());
	kill_gpu_for_good();
	killed.send();
	// exit tears down a vm whose device will never acknowledge it
	EXPECT_TRUE(worker.succeeded(bounded));
	EXPECT_TRUE(nothing_held());
}

SVM_TEST_WITHIN(Row24Kill, UnmapRacesWithTheKill, 150)
{
	revival afterwards;
	signal_pipe running;
	child worker([&] {
		gpu gpu;
		mapping memory(2 * mib);
		memory.no_huge_pages();
		hammer busy(gpu.vm, memory.bytes(), true);
		busy.wait_for(1);
		running.send();
		for (unsigned round = 0; round < 200; round++) {
			if (madvise(memory.data(), memory.size(), MADV_DONTNEED))
				return 1;
			std::this_thread::sleep_for(5ms);
		}
		return 0;
	});
	ASSERT_TRUE(running.wait());
	kill_gpu_for_good();
	EXPECT_TRUE(worker.succeeded(60s)) << "an invalidation waits for a device that is gone";
	EXPECT_TRUE(nothing_held());
}

// The end of a file asks the device to clear all of its queues before it waits for the first of them: of a device that
// answers nothing any more, too. There is one deadline for all.
SVM_TEST_WITHIN(Row24Kill, QueuesOfAFileEndTogether, 150)
{
	constexpr unsigned queues = 100; // less than half of the ring's entries
	revival afterwards;
	set_flush_timeout(8000);
	signal_pipe ready, killed;
	child worker([&] {
		gpu gpu;
		mapping words(page);
		std::vector<svmirror::queue> all;
		std::vector<svmirror::job> jobs;
		for (unsigned i = 0; i < queues; i++)
			jobs.push_back(all.emplace_back(gpu.vm).cas_add(*reinterpret_cast<std::uint64_t *>(words.data()), ~0ull));
		ready.send();
		if (!killed.wait())
			return 1;
		close(gpu.device.fd());
		_exit(0);
	});
	ASSERT_TRUE(ready.wait());
	kill_gpu();
	std::uint64_t before = (*driver_file("svm_sync"))["asked"];
	auto begin = std::chrono::steady_clock::now();
	killed.send();
	EXPECT_TRUE(eventually([&] { return (*driver_file("svm_sync"))["asked"] >= before + queues; }, 7s))
		<< (*driver_file("svm_sync"))["asked"] - before << " queues were cleared before the first was waited for";
	EXPECT_TRUE(worker.succeeded(2 * bounded));
	EXPECT_LT(std::chrono::steady_clock::now() - begin, 2 * bounded);
	EXPECT_TRUE(nothing_held());
}

SVM_TEST_WITHIN(Row24Kill, LoadedWhileTheGpuIsDead, 150)
{
	revival afterwards;
	kill_gpu_for_good();
	modules modules; // load() gives the module that timeout, too
	ASSERT_EQ(modules.unload(), 0) << "rmmod must not need the device";
	// probing a dead device ends in time; whether it leaves a node is its own affair
	auto begin = std::chrono::steady_clock::now();
	int loaded = modules.load();
	EXPECT_LT(std::chrono::steady_clock::now() - begin, bounded);
	int fd;
	if (!loaded && !svmirror_open(nullptr, &fd)) {
		std::uint32_t vm, queue;
		if (!svmirror_vm_create(fd, nullptr, &vm)) {
			EXPECT_EQ(svmirror_queue_create(fd, vm, &queue), -EIO);
		}
		svmirror_close(fd);
	}
}

// Pages that the device had are lost with it, for as long as they are mapped, also where its driver is gone by then. All else of
// the process lives on.
SVM_TEST_WITHIN(Row24Kill, PagesAreLostWithTheDevice, 150)
{
	revival afterwards;
	{
		gpu gpu;
		NEEDS_DEVICE_MEMORY(gpu);
		std::string device = bound_device();
		mapping memory(64 * page), other(64 * page);
		memory.no_huge_pages();
		number(memory);
		number(other);
		ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
		kill_gpu_for_good();
		EXPECT_TRUE(is_lost(memory.at(5)));
		EXPECT_TRUE(numbered(other));
		ASSERT_EQ(madvise(memory.data(), 8 * page, MADV_DONTNEED), 0);
		EXPECT_EQ(memory.at(5), std::byte{0}) << "what is new is memory";
		ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
		EXPECT_TRUE(is_lost(memory.at(9)));
		EXPECT_FALSE(no_memory_left());
	}
	EXPECT_TRUE(eventually(no_memory_left));
}
