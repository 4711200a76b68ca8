// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row 10, files whose pages a process brings. A fault of the device waits for it as the CPU's does: without mmap_lock,
 * and until it is killed.
 */
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse_server.hpp"
#include "lifetime.hpp"

using namespace harness;
using namespace lifetime;

namespace {

// A read that is held up until the test lets it go.
struct gate {
	std::atomic<bool> reached{false}, open{false};

	void pass()
	{
		reached = true;
		eventually([&] { return open.load(); }, 60s);
	}
	bool is_reached() const
	{
		return eventually([&] { return reached.load(); });
	}
};

// Needs mmap_lock for writing.
bool maps_and_unmaps()
{
	void *at = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at != MAP_FAILED && munmap(at, page) == 0;
}

// The file in two tables, so that a prefetch has a helper where there are two CPUs, and both wait for the server.
struct twice {
	explicit twice(int fd)
	{
		for (std::size_t at : {std::size_t(0), table_span})
			EXPECT_NE(mmap(memory.data() + at, fuse_server::file_bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), MAP_FAILED);
	}

	mapping memory{2 * table_span, PROT_NONE};
};

// Long enough for both threads of a prefetch to be where the server's silence holds them up.
constexpr std::chrono::milliseconds settled(300);

} // namespace

SVM_TEST(Row10Fuse, SlowServerHoldsUpNoOtherThread)
{
	gate read;
	fuse_server server([&] { read.pass(); });
	int fd = server.open_file();
	ASSERT_GE(fd, 0);
	gpu gpu;
	mapping file(fuse_server::file_bytes, PROT_READ, MAP_SHARED, fd);
	svmirror::job job = gpu.queue.touch(file.bytes(3, 1), page, false);
	ASSERT_TRUE(read.is_reached());
	std::atomic<unsigned> rounds{0};
	std::thread other([&] {
		for (unsigned i = 0; i < 20; i++)
			rounds += maps_and_unmaps();
	});
	EXPECT_TRUE(eventually([&] { return rounds == 20; }, 5s)) << rounds << " of 20 while the server is silent";
	EXPECT_FALSE(job.done().wait(0ns)) << "the server has not answered";
	read.open = true;
	other.join();
	EXPECT_EQ(finish(job).status, 0);
	EXPECT_DEVICE_READS(gpu.queue, &file.at(3), 0x46);
	close(fd);
}

SVM_TEST(Row10Fuse, ServerMayMapMemoryOfTheSameProcess)
{
	std::atomic<unsigned> mapped{0};
	fuse_server server([&] { mapped += maps_and_unmaps(); });
	int fd = server.open_file();
	ASSERT_GE(fd, 0);
	gpu gpu;
	mapping file(fuse_server::file_bytes, PROT_READ, MAP_SHARED, fd);
	EXPECT_EQ(finish(gpu.queue.touch(file.bytes(), page, false)).status, 0);
	EXPECT_GT(mapped, 0u);
	EXPECT_DEVICE_READS(gpu.queue, &file.at(255), 0x46);
	close(fd);
}

SVM_TEST(Row10Fuse, KilledWhileTheServerIsSilent)
{
	gate read;
	fuse_server server([&] { read.pass(); });
	child user([&] {
		int fd = server.open_file();
		gpu gpu;
		mapping file(fuse_server::file_bytes, PROT_READ, MAP_SHARED, fd);
		close(fd); // waits for the server, also when killed
		finish(gpu.queue.touch(file.bytes(3, 1), page, false));
		return 1;
	});
	ASSERT_TRUE(read.is_reached());
	user.kill();
	EXPECT_TRUE(user.wait(10s).has_value()) << "it waits for the server";
	EXPECT_TRUE(nothing_held());
	read.open = true;
}

SVM_TEST(Row10Fuse, PrefetchIsKilledWhileTheServerIsSilent)
{
	gate read;
	fuse_server server([&] { read.pass(); });
	child user([&] {
		int fd = server.open_file();
		gpu gpu;
		twice file(fd);
		close(fd);
		std::uint64_t pages;
		svmirror_prefetch(gpu.device.fd(), gpu.vm.id(), svmirror::address(file.memory.data()), file.memory.size(), 0, &pages);
		return 1;
	});
	ASSERT_TRUE(read.is_reached());
	std::this_thread::sleep_for(settled);
	user.kill();
	EXPECT_TRUE(user.wait(10s).has_value()) << "it waits for the server";
	EXPECT_TRUE(nothing_held());
	read.open = true;
}

// The removal of the device waits for ioctls. This one does not wait for the server then.
SVM_TEST_WITHIN(Row24Unbind, WhileAPrefetchWaitsForAServer, 120)
{
	std::string device = bound_device();
	ASSERT_FALSE(device.empty()) << "no device in " << driver;
	rebound afterwards(device);
	gate read;
	fuse_server server([&] { read.pass(); });
	int fd = server.open_file();
	ASSERT_GE(fd, 0);
	gpu gpu;
	twice file(fd);
	auto prefetch = std::async(std::launch::async, [&] {
		std::uint64_t pages;
		return svmirror_prefetch(gpu.device.fd(), gpu.vm.id(), svmirror::address(file.memory.data()), file.memory.size(), 0,
					 &pages);
	});
	ASSERT_TRUE(read.is_reached());
	std::this_thread::sleep_for(settled);
	auto begin = std::chrono::steady_clock::now();
	ASSERT_TRUE(write_file(std::string(driver) + "unbind", device));
	EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
	EXPECT_EQ(prefetch.get(), -ENODEV);
	read.open = true;
	close(fd);
}
