// SPDX-License-Identifier: GPL-2.0-only
/* Row 24: the driver is taken off its device and put back, through sysfs, while processes use it. */
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <future>
#include <tuple>

#include "lifetime.hpp"
#include "machine.hpp"
#include "device_memory.hpp"
#include "objects.hpp"

using namespace harness;
using namespace lifetime;
using namespace machine;

namespace {

// Threads that sleep and cannot be woken by a signal, by name and number.
std::vector<std::string> uninterruptible()
{
	std::vector<std::string> found;
	std::error_code error;
	for (const auto &process : std::filesystem::directory_iterator("/proc", error))
		for (const auto &thread : std::filesystem::directory_iterator(process.path() / "task", error)) {
			std::string line = read_line(thread.path() / "stat");
			std::size_t end = line.rfind(')');
			if (end != std::string::npos && line.compare(end, 3, ") D") == 0)
				found.push_back(line.substr(0, end + 1));
		}
	return found;
}

// What somebody gets who waits for the job: its status, or the errno of the call.
int ended(const svmirror::job &job)
{
	try {
		return finish(job).status;
	} catch (const std::system_error &error) {
		return -error.code().value();
	}
}

} // namespace

SVM_TEST_WITHIN(Row24Unbind, UnderLoad, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	{
		gpu gpu;
		svmirror::queue second(gpu.vm);
		mapping memory(4 * mib), added(page);
		memory.no_huge_pages();
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}), 0);
		auto &word = *reinterpret_cast<std::uint64_t *>(added.data());
		std::vector<svmirror::job> jobs;
		jobs.push_back(gpu.queue.cas_add(word, 1ull << 40));
		jobs.push_back(second.touch(memory.bytes(), page, true));
		for (unsigned i = 0; i < 4; i++)
			jobs.push_back(gpu.queue.touch(memory.bytes(), page, false));
		ASSERT_TRUE(eventually([&] { return std::atomic_ref(word).load() > 0; }));

		std::vector<std::future<int>> waiters;
		for (const svmirror::job &job : jobs)
			waiters.push_back(std::async(std::launch::async, [&job] { return ended(job); }));
		ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
		std::uint64_t left = std::atomic_ref(word).load();
		EXPECT_TRUE(bound_device().empty());
		// the endless one is lost, and those behind it; the one of the other queue may have been through
		EXPECT_EQ(waiters[0].get(), -ENODEV);
		int beside = waiters[1].get();
		EXPECT_TRUE(!beside || beside == -ENODEV) << "status " << beside;
		for (std::size_t i = 2; i < waiters.size(); i++)
			EXPECT_EQ(waiters[i].get(), -ENODEV) << "job " << i;

		// memory is the process's own again, with all that the device wrote, and may go
		EXPECT_GT(left, 0u);
		EXPECT_EQ(std::atomic_ref(word).load(), left) << "the device writes after the driver let go of it";
		for (std::size_t i = 0; i < memory.pages(); i++)
			ASSERT_EQ(memory.at(i), std::byte{0x5a}) << "page " << i;
		ASSERT_EQ(madvise(memory.data(), mib, MADV_DONTNEED), 0);
		EXPECT_EQ(memory.at(0), std::byte{0});
		ASSERT_EQ(munmap(memory.data(), memory.size()), 0);
		std::uint32_t id;
		EXPECT_EQ(svmirror_vm_create(gpu.device.fd(), nullptr, &id), -ENODEV);
		EXPECT_EQ(svmirror_queue_create(gpu.device.fd(), gpu.vm.id(), &id), -ENODEV);
		EXPECT_TRUE(eventually([] { return uninterruptible().empty(); }))
			<< uninterruptible().front() << " hangs";
		// bound again while the old file is still open
		ASSERT_TRUE(write_file(std::string(driver) + "bind", device));
		child user([] {
			expect_working();
			return testing::Test::HasFailure();
		});
		EXPECT_TRUE(user.succeeded());
		EXPECT_EQ(svmirror_queue_create(gpu.device.fd(), gpu.vm.id(), &id), -ENODEV) << "the old file has a device";
	}
	EXPECT_TRUE(nothing_held());
}

SVM_TEST_WITHIN(Row24Unbind, WaitersGetNoDevice, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	signal_pipe running;
	mapping shared(page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
	child worker([&] {
		gpu gpu;
		mapping memory(4 * mib);
		memory.no_huge_pages();
		auto &word = *reinterpret_cast<std::uint64_t *>(shared.data());
		// somebody sleeps for this one while the driver goes
		svmirror::job job = gpu.queue.cas_add(word, 1ull << 40);
		if (!eventually([&] { return std::atomic_ref(word).load() > 0; }))
			return 1;
		hammer busy(gpu.vm, memory.bytes(), true);
		running.send();
		if (ended(job) != -ENODEV)
			return 2;
		// the second of these began when the device was gone
		busy.wait_for(2);
		hammer::report report = busy.stop();
		return report.other && report.first_other == -ENODEV ? 0 : 3;
	});
	ASSERT_TRUE(running.wait());
	ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
	std::uint64_t left = *reinterpret_cast<std::uint64_t *>(shared.data());
	EXPECT_TRUE(worker.succeeded(60s));
	EXPECT_EQ(*reinterpret_cast<std::uint64_t *>(shared.data()), left);
}

// The driver goes, and pages that the device had come home before it.
SVM_TEST_WITHIN(Row24Unbind, PagesComeHome, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	gpu gpu;
	NEEDS_DEVICE_MEMORY(gpu);
	mapping memory(300 * page);
	memory.no_huge_pages();
	number(memory);
	ASSERT_EQ(send_there(gpu.vm, memory.bytes()), memory.pages());
	ASSERT_EQ(device_write(gpu.queue, &memory.at(7), std::byte{8}), 0);
	ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
	EXPECT_TRUE(numbered(memory));
}

// Buffers that are mapped, bound and imported lose their memory with the device, and the driver keeps nothing of them.
SVM_TEST_WITHIN(Row24Unbind, BuffersAreLost, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	{
		gpu gpu, other;
		shared_object fast(gpu, 256 * page, place::vram), slow(gpu, 256 * page, place::system);
		ASSERT_EQ(device_fill(gpu.queue, fast.bytes(), std::byte{1}), 0);
		ASSERT_EQ(device_fill(gpu.queue, slow.bytes(), std::byte{2}), 0);
		svmirror::dma_buf way = slow.buffer.share();
		svmirror::buffer theirs(other.device, way);
		mapping at(256 * page);
		other.vm.bind(svmirror::address(at.data()), theirs);
		// another driver has it attached while the device goes, where there is one
		card vgem("vgem");
		std::uint32_t attached = 0;
		if (vgem.there()) {
			EXPECT_EQ(drmPrimeFDToHandle(vgem.fd(), way.fd(), &attached), 0);
		}
		ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
		for (std::byte *where : {&fast.at(0), &slow.at(7)}) {
			child toucher([&] {
				std::signal(SIGBUS, [](int) { _exit(0); });
				(void)*static_cast<volatile std::byte *>(where);
				return 1;
			});
			EXPECT_TRUE(toucher.succeeded()) << "it can still be read";
		}
		drm_svgpu_bo_info info{};
		EXPECT_EQ(svmirror_buffer_info(gpu.device.fd(), slow.buffer.id(), &info), -ENODEV);
		std::uint32_t handle = 0;
		EXPECT_EQ(svmirror_buffer_import(other.device.fd(), way.fd(), &handle), -ENODEV);
		if (attached) {
			EXPECT_EQ(drmCloseBufferHandle(vgem.fd(), attached), 0);
		}
		ASSERT_TRUE(write_file(std::string(driver) + "bind", device));
		child user([] {
			harness::gpu fresh;
			shared_object whole(fresh, 256 * page, place::vram);
			return device_fill(fresh.queue, whole.bytes(), std::byte{3}) || !holds(whole.bytes(), std::byte{3});
		});
		EXPECT_TRUE(user.succeeded());
	}
	EXPECT_TRUE(nothing_held());
}

// A prefetch that would take minutes ends at its next table.
SVM_TEST_WITHIN(Row24Unbind, DuringALongPrefetch, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	gpu gpu;
	mapping memory(std::size_t(8) << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
	memory.no_huge_pages();
	auto prefetch = std::async(std::launch::async, [&] {
		std::uint64_t pages = 0;
		int error = svmirror_prefetch(gpu.device.fd(), gpu.vm.id(), svmirror::address(memory.data()), memory.size(), 0, &pages);
		return std::tuple(error, pages, std::chrono::steady_clock::now());
	});
	ASSERT_TRUE(eventually([&] { return gpu.vm.counters().present > 0; }));
	auto begin = std::chrono::steady_clock::now();
	ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
	auto [error, pages, ended] = prefetch.get();
	EXPECT_EQ(error, -ENODEV);
	EXPECT_LT(pages, memory.pages() / 2) << "it was over before the device went";
	EXPECT_LT(ended - begin, 1s);
}
