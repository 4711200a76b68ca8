// SPDX-License-Identifier: GPL-2.0-only
/* Queues whose next job waits for a sync object: they cost nothing meanwhile, start when it signals, and end at once. */
#include <cstdio>
#include <memory>

#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "objects.hpp"

using namespace harness;
using std::chrono::steady_clock;

namespace {

std::uint32_t new_syncobj(const gpu &gpu)
{
	std::uint32_t handle = 0;
	EXPECT_EQ(svmirror_syncobj_create(gpu.device.fd(), &handle), 0);
	return handle;
}

// A file with queues, a job on each, which all wait for one sync object.
class parked_file {
public:
	explicit parked_file(unsigned queues) : gate_(new_syncobj(gpu_))
	{
		std::uint32_t after[] = {gate_};
		for (unsigned i = 0; i < queues; i++)
			jobs_.push_back(queues_.emplace_back(gpu_.vm).submit(SVMIRROR_NOP, {}, after));
	}
	void open_gate() { EXPECT_EQ(drmSyncobjSignal(gpu_.device.fd(), &gate_, 1), 0); }
	std::size_t run() const
	{
		std::size_t ok = 0;
		for (const svmirror::job &job : jobs_)
			ok += finish(job).status == 0;
		return ok;
	}

private:
	gpu gpu_;
	std::uint32_t gate_;
	std::vector<svmirror::queue> queues_;
	std::vector<svmirror::job> jobs_;
};

constexpr unsigned files = 4, queues_each = 60; // less than a process's share

std::vector<std::unique_ptr<parked_file>> park_many()
{
	std::vector<std::unique_ptr<parked_file>> parked;
	for (unsigned i = 0; i < files; i++)
		parked.push_back(std::make_unique<parked_file>(queues_each));
	return parked;
}

// The shortest of some rounds of jobs, one after the other: of 5, or of as many more as it takes to be below @limit, for a host
// that does something else now and then.
steady_clock::duration rounds_of_jobs(svmirror::queue &queue, steady_clock::duration limit = steady_clock::duration::max())
{
	auto shortest = steady_clock::duration::max();
	for (unsigned round = 0; round < 5 || (round < 200 && shortest >= limit); round++) {
		auto begin = steady_clock::now();
		for (unsigned i = 0; i < 60; i++)
			EXPECT_EQ(finish(queue.submit(SVMIRROR_NOP, {})).status, 0);
		shortest = std::min(shortest, steady_clock::now() - begin);
	}
	return shortest;
}

double milliseconds(steady_clock::duration time)
{
	return std::chrono::duration<double, std::milli>(time).count();
}

} // namespace

SVM_TEST(Parked, OthersJobsTakeNoLonger)
{
	gpu busy;
	auto alone = rounds_of_jobs(busy.queue);
	auto parked = park_many();
	auto beside = rounds_of_jobs(busy.queue, 2 * alone);
	std::printf("%.0f ms became %.0f ms\n", milliseconds(alone), milliseconds(beside));
	EXPECT_LT(beside, 2 * alone) << milliseconds(alone) << " ms became " << milliseconds(beside) << " ms";
	for (auto &file : parked)
		file->open_gate();
	for (auto &file : parked)
		EXPECT_EQ(file->run(), queues_each);
}

SVM_TEST(Parked, AKilledProcessIsGoneAtOnce)
{
	signal_pipe ready;
	auto begin = steady_clock::now();
	child worker([&]() -> int {
		auto parked = park_many();
		ready.send();
		for (;;)
			pause();
	});
	ASSERT_TRUE(ready.wait(60s));
	auto made = steady_clock::now() - begin;
	begin = steady_clock::now();
	worker.kill();
	ASSERT_TRUE(worker.wait(60s).has_value());
	auto gone = steady_clock::now() - begin;
	// Each was waited for when it was made, so to wait for the end of each alone would take far longer than this, on a busy
	// machine too.
	EXPECT_LT(gone, 3 * made) << milliseconds(made) << " ms to make them, " << milliseconds(gone) << " ms to end them";
	EXPECT_TRUE(nothing_held());
	std::printf("%.0f ms to make them, %.0f ms to end them\n", milliseconds(made), milliseconds(gone));
}

// Each queue waits for the job of the one before it, and has done so for a while: the end of a job wakes the next at once.
SVM_TEST(Parked, ChainOfJobsOfManyFiles)
{
	constexpr unsigned links = 60;
	gpu first, second;
	std::vector<svmirror::queue> queues;
	std::vector<svmirror::job> jobs;
	std::uint32_t gate = new_syncobj(first), before = gate;
	for (unsigned i = 0; i < links; i++) {
		const gpu &from = i % 2 ? second : first, &to = i % 2 ? first : second;
		std::uint32_t after[] = {before};
		jobs.push_back(queues.emplace_back(from.vm).submit(SVMIRROR_NOP, {}, after));
		int fd = -1;
		ASSERT_EQ(drmSyncobjHandleToFD(from.device.fd(), jobs.back().done().id(), &fd), 0);
		ASSERT_EQ(drmSyncobjFDToHandle(to.device.fd(), fd, &before), 0);
		close(fd);
	}
	// by now nobody looks more often than every 100 ms
	std::this_thread::sleep_for(500ms);
	EXPECT_FALSE(jobs.front().done().wait(0ns));
	auto begin = steady_clock::now();
	ASSERT_EQ(drmSyncobjSignal(first.device.fd(), &gate, 1), 0);
	EXPECT_EQ(finish(jobs.back()).status, 0);
	double took = milliseconds(steady_clock::now() - begin);
	EXPECT_LT(took, links * 100 / 2) << "each job was only noticed by looking around";
	for (unsigned i = 0; i < links - 1; i++)
		EXPECT_EQ(finish(jobs[i]).status, 0);
}

namespace {

// A fence that signals when it is told to: vgem's, which is the kernel's driver for tests of such fences.
class fence_source {
public:
	bool there() const { return card_.there(); }
	// A sync object of @gpu's that has the fence: from a buffer that it is attached to.
	std::uint32_t syncobj(const gpu &gpu)
	{
		drm_mode_create_dumb buffer{};
		buffer.height = buffer.width = 64;
		buffer.bpp = 32;
		EXPECT_EQ(drmIoctl(card_.fd(), DRM_IOCTL_MODE_CREATE_DUMB, &buffer), 0);
		fence_attach attach{.handle = buffer.handle, .write = 1, .fence = 0, .pad = 0};
		EXPECT_EQ(drmIoctl(card_.fd(), DRM_IOWR(DRM_COMMAND_BASE + 1, fence_attach), &attach), 0);
		fence_ = attach.fence;
		int shared = -1;
		EXPECT_EQ(drmPrimeHandleToFD(card_.fd(), buffer.handle, O_CLOEXEC, &shared), 0);
		dma_buf_export_sync_file file{.flags = DMA_BUF_SYNC_READ, .fd = -1};
		EXPECT_EQ(ioctl(shared, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &file), 0);
		std::uint32_t handle = new_syncobj(gpu);
		EXPECT_EQ(drmSyncobjImportSyncFile(gpu.device.fd(), handle, file.fd), 0);
		close(file.fd);
		close(shared);
		return handle;
	}
	void signal() const
	{
		fence_signal signal{.fence = fence_, .flags = 0};
		EXPECT_EQ(drmIoctl(card_.fd(), DRM_IOW(DRM_COMMAND_BASE + 2, fence_signal), &signal), 0);
	}

private:
	// As in the kernel's vgem_drm.h, which is not installed everywhere.
	struct fence_attach {
		std::uint32_t handle, write, fence, pad;
	};
	struct fence_signal {
		std::uint32_t fence, flags;
	};
	card card_{"vgem"};
	std::uint32_t fence_ = 0;
};

} // namespace

TEST(Parked, FencesOfOthers)
{
	if (!fence_source().there())
		GTEST_SKIP() << "this kernel has no vgem to make fences with";
	isolated(
		[] {
			fence_source source;
			gpu gpu;
			std::uint32_t after[] = {source.syncobj(gpu)};
			svmirror::queue ended(gpu.vm), other(gpu.vm);
			svmirror::job runs = gpu.queue.submit(SVMIRROR_NOP, {}, after);
			svmirror::job second = other.submit(SVMIRROR_NOP, {}, after);
			svmirror::job never = ended.submit(SVMIRROR_NOP, {}, after);
			EXPECT_FALSE(runs.done().wait(200ms)) << "it does not wait for the fence";
			EXPECT_EQ(ended.destroy(), 0);
			EXPECT_TRUE(never.done().wait(job_limit)) << "the end of its queue has to wait for the fence";
			source.signal();
			EXPECT_EQ(finish(runs).status, 0);
			EXPECT_EQ(finish(second).status, 0);
			// one that has signalled long ago
			EXPECT_EQ(finish(other.submit(SVMIRROR_NOP, {}, after)).status, 0);
		},
		std::chrono::seconds(60));
}
