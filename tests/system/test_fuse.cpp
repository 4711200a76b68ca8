// SPDX-License-Identifier: GPL-2.0-only
/*
 * Row 10, files whose pages a process brings. A fault of the device waits for it as the CPU's does: without mmap_lock,
 * and until it is killed.
 */
#include <atomic>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse_server.hpp"

using namespace harness;

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
