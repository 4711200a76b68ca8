// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs that cannot be taken, and jobs that fail: the very errno, address and
 * access, in the job's result and in the fault log, and nobody else is hurt.
 */
#include <cerrno>
#include <memory>

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <xf86drm.h>

#include "harness.hpp"

using namespace harness;

namespace {

constexpr std::uint64_t user_end = 1ull << 47;

int submit(int fd, drm_svgpu_submit &args)
{
	return ioctl(fd, DRM_IOCTL_SVGPU_SUBMIT, &args) < 0 ? -errno : 0;
}

drm_svgpu_submit nop(const gpu &gpu)
{
	drm_svgpu_submit args{};
	args.queue_id = gpu.queue.id();
	return args;
}

} // namespace

SVM_TEST(BadInput, JobsThatCannotBe)
{
	gpu gpu;
	int fd = gpu.device.fd();
	const drm_svgpu_submit good = nop(gpu);
	drm_svgpu_submit bad = good;
	bad.kernel = 63;
	EXPECT_EQ(submit(fd, bad), -EINVAL);
	bad.kernel = ~0u;
	EXPECT_EQ(submit(fd, bad), -EINVAL);

	std::vector<std::uint32_t> handles(65, 0);
	bad = good;
	bad.in_count = 65;
	bad.in_syncobjs = svmirror::address(handles.data());
	EXPECT_EQ(submit(fd, bad), -EINVAL);
	bad.in_count = 1;
	handles[0] = 4711;
	EXPECT_EQ(submit(fd, bad), -ENOENT) << "no such in-syncobj";
	bad.in_syncobjs = 0x10;
	EXPECT_EQ(submit(fd, bad), -EFAULT);
	bad = good;
	bad.out_syncobj = 4711;
	EXPECT_EQ(submit(fd, bad), -ENOENT) << "no such out-syncobj";
}

SVM_TEST(BadInput, ArgumentsThatTheKernelRefuses)
{
	gpu gpu;
	mapping memory(page);
	// a compare-and-swap across the border of a word
	EXPECT_EQ(finish(gpu.queue.submit(SVMIRROR_CAS_ADD, {svmirror::address(memory.data()) + 4, 1})).status, -EINVAL);
	// a list that is longer than its limit
	struct node {
		node *next;
		std::uint64_t value;
	} ring{&ring, 0};
	std::array<std::uint64_t, 2> result{};
	EXPECT_EQ(finish(gpu.queue.list_walk(&ring, 0, 8, 1, 100, result)).status, -E2BIG);
	// and the queue goes on
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
}

SVM_TEST(BadInput, WildPointersFailTheirJobOnly)
{
	gpu gpu;
	svmirror::queue innocent(gpu.vm);
	mapping memory(2 * mib), read_only(page, PROT_READ);
	hammer busy(gpu.vm, memory.bytes(), true);
	struct wild {
		std::uint64_t va;
		bool write;
		int error;
	};
	for (const wild &one : {wild{0, false, EFAULT}, {8, true, EFAULT}, {user_end - page, true, EFAULT},
				{user_end + page, false, EFAULT}, {1ull << 50, false, EFAULT},
				{0xffffffff81000000ull, true, EFAULT}, {~0ull - 7, false, EFAULT},
				{svmirror::address(read_only.data()), true, EPERM}}) {
		gpu.vm.fault_log();
		svmirror::job_result result =
			finish(gpu.queue.submit(SVMIRROR_TOUCH, {one.va, 1, 1, std::uint64_t{one.write}}));
		EXPECT_EQ(result.status, -one.error) << "at " << std::hex << one.va;
		EXPECT_EQ(result.va, one.va);
		EXPECT_EQ(result.access, std::uint32_t{one.write});
		std::vector<svmirror::fault_record> log = gpu.vm.fault_log();
		ASSERT_EQ(log.size(), 1u) << "at " << std::hex << one.va;
		EXPECT_EQ(log[0].va, one.va);
		EXPECT_EQ(log[0].access, std::uint32_t{one.write});
		EXPECT_EQ(log[0].error, -one.error);
		EXPECT_EQ(log[0].queue_id, gpu.queue.id());
		EXPECT_NE(log[0].time_ns, 0u);
		EXPECT_TRUE(gpu.vm.fault_log().empty()) << "records are taken out";
		EXPECT_EQ(device_write(innocent, &memory.at(1), std::byte{1}), 0);
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(BadInput, WildPointerAmidGoodData)
{
	gpu gpu;
	struct node {
		node *next;
		std::uint64_t value;
	};
	node third{nullptr, 3}, second{&third, 2}, first{&second, 1};
	auto *wild = reinterpret_cast<node *>(0x123456789000);
	second.next = wild;
	std::array<std::uint64_t, 2> out{};
	svmirror::job_result result = finish(gpu.queue.list_walk(&first, 0, 8, 10, 100, out));
	EXPECT_EQ(result.status, -EFAULT);
	EXPECT_EQ(result.va & ~(page - 1), svmirror::address(wild));
	EXPECT_EQ(first.value, 11u) << "what came before it was done";
	EXPECT_EQ(third.value, 3u);
}

SVM_TEST(BadInput, FaultLogThatOverflowsSaysSo)
{
	gpu gpu;
	constexpr unsigned jobs = 150; // more than the log holds
	for (unsigned i = 0; i < jobs; i++)
		EXPECT_EQ(finish(gpu.queue.submit(SVMIRROR_TOUCH, {i * page, 1, 1, 0})).status, -EFAULT);
	std::uint64_t seen = 0, lost = 0;
	for (const svmirror::fault_record &record : gpu.vm.fault_log()) {
		seen++;
		lost += record.lost;
	}
	EXPECT_GE(seen, 1u);
	EXPECT_EQ(gpu.vm.counters().failed, jobs);
	// records that were dropped last are told with the next one
	EXPECT_EQ(finish(gpu.queue.submit(SVMIRROR_TOUCH, {0, 1, 1, 0})).status, -EFAULT);
	for (const svmirror::fault_record &record : gpu.vm.fault_log()) {
		seen++;
		lost += record.lost;
	}
	EXPECT_EQ(seen + lost, jobs + 1);
	EXPECT_GE(lost, 1u) << "the log did not overflow";
}

SVM_TEST(BadInput, FullQueueSaysBusy)
{
	gpu gpu;
	std::uint32_t never;
	ASSERT_EQ(svmirror_syncobj_create(gpu.device.fd(), &never), 0);
	std::uint32_t after[] = {never};
	unsigned taken = 0;
	int error = 0;
	while (taken < 2000 && !error) {
		try {
			gpu.queue.submit(SVMIRROR_NOP, {}, after);
			taken++;
		} catch (const std::system_error &failed) {
			error = failed.code().value();
		}
	}
	// not EAGAIN, on which libdrm's drmIoctl() would spin
	EXPECT_EQ(error, EBUSY) << taken << " jobs were taken";
	EXPECT_GE(taken, 256u);
	// once the gate opens, all of them run
	EXPECT_EQ(drmSyncobjSignal(gpu.device.fd(), &never, 1), 0);
	EXPECT_TRUE(eventually([&] {
		try {
			return finish(gpu.queue.submit(SVMIRROR_NOP, {})).status == 0;
		} catch (const std::system_error &) {
			return false;
		}
	}));
}

// What is taken out comes with the answer: an answer that cannot be written takes nothing.
SVM_TEST(BadInput, AnswersThatCannotBeWritten)
{
	gpu gpu;
	int fd = gpu.device.fd();
	svmirror::syncobj done(fd);
	svmirror_job wild{};
	wild.queue = gpu.queue.id();
	wild.kernel = SVMIRROR_TOUCH;
	wild.args[0] = 8;
	wild.args[1] = wild.args[2] = wild.args[3] = 1;
	wild.out_syncobj = done.id();
	wild.token = 7;
	ASSERT_EQ(svmirror_submit(fd, &wild), 0);
	ASSERT_TRUE(done.wait(job_limit));
	drm_svgpu_info ask{};
	ask.info = DRM_SVGPU_INFO_JOB;
	ask.queue_id = wild.queue;
	ask.token = wild.token;
	ask.size = sizeof(drm_svgpu_job_result);
	ask.data = 0x10;
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(ioctl(fd, DRM_IOCTL_SVGPU_INFO, &ask), -1);
		EXPECT_EQ(errno, EFAULT);
	}
	svmirror::job_result result;
	ASSERT_EQ(svmirror_job_result(fd, wild.queue, wild.token, &result), 0);
	EXPECT_EQ(result.status, -EFAULT);
	EXPECT_EQ(result.va, 8u);
	drm_svm_query query{};
	query.vm_id = gpu.vm.id();
	query.query = DRM_SVM_QUERY_FAULT_LOG;
	query.size = 128 * sizeof(drm_svm_fault_record);
	query.data = 0x10;
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(ioctl(fd, DRM_IOCTL_SVM_QUERY, &query), -1);
		EXPECT_EQ(errno, EFAULT);
	}
	EXPECT_EQ(device_write(gpu.queue, reinterpret_cast<void *>(16), std::byte{1}), EFAULT);
	std::vector<svmirror::fault_record> log = gpu.vm.fault_log();
	ASSERT_EQ(log.size(), 2u);
	EXPECT_EQ(log[0].va, 8u);
	EXPECT_EQ(log[0].lost, 0u);
	EXPECT_EQ(log[1].va, 16u);
}

// Endless jobs on many more queues than there are engines must leave the device able to end them, and to forget what
// the process unmaps meanwhile.
SVM_TEST(BadInput, EndlessJobsOnManyQueues)
{
	gpu other;
	{
		gpu gpu, second;
		mapping words(page), memory(2 * mib);
		std::vector<svmirror::queue> queues;
		std::vector<svmirror::job> jobs;
		for (int i = 0; i < 200; i++) {
			auto &word = *reinterpret_cast<std::uint64_t *>(words.data() + i * 8);
			svmirror::vm &vm = i % 2 ? second.vm : gpu.vm;
			jobs.push_back(queues.emplace_back(vm).cas_add(word, 1ull << 40));
		}
		svmirror::job last = queues.front().touch(memory.bytes(), page, true);
		ASSERT_EQ(madvise(words.data(), page, MADV_DONTNEED), 0);
		for (std::size_t i = 0; i < queues.size() - 1; i++)
			ASSERT_EQ(queues[i].destroy(), 0) << "queue " << i;
		for (std::size_t i = 0; i < jobs.size() - 1; i++)
			ASSERT_TRUE(jobs[i].done().wait(job_limit)) << "job " << i;
		EXPECT_TRUE(last.done().wait(job_limit));
		EXPECT_FALSE(other.device.gpu().wedged);
	}
	mapping memory(page);
	EXPECT_EQ(device_write(other.queue, memory.data(), std::byte{1}), 0);
}

namespace {

// Takes what there is; the errno of the one too many.
template <typename owner, typename maker>
int take_all(std::vector<owner> &made, const maker &of, unsigned limit)
{
	while (made.size() <= limit) {
		try {
			made.emplace_back(of);
		} catch (const std::system_error &failed) {
			return failed.code().value();
		}
	}
	return 0;
}

// A job of a process that comes now. 0, or what it could not have.
int newcomer()
{
	child process([] {
		try {
			gpu gpu;
			mapping memory(page);
			return device_write(gpu.queue, memory.data(), std::byte{1});
		} catch (const std::system_error &failed) {
			return failed.code().value();
		}
	});
	std::optional<int> status = process.wait();
	return status && WIFEXITED(*status) ? WEXITSTATUS(*status) : ETIME;
}

// A process's share, a quarter of what the device has, then -ENOSPC, by another file too; one that ends makes room for one;
// others have theirs.
template <typename owner, typename maker>
void run_out_of_share(const maker &of, const maker &of_another_file, unsigned all)
{
	std::vector<owner> made;
	EXPECT_EQ(take_all(made, of, all), ENOSPC);
	EXPECT_EQ(take_all(made, of_another_file, all), ENOSPC);
	EXPECT_EQ(made.size(), all / 4);
	EXPECT_EQ(newcomer(), 0);
	ASSERT_FALSE(made.empty());
	made.pop_back();
	EXPECT_NO_THROW(made.emplace_back(of));
	EXPECT_THROW(made.emplace_back(of), std::system_error);
}

} // namespace

SVM_TEST(BadInput, RunOutOfQueues)
{
	ASSERT_TRUE(nothing_held()) << "what tests before this one had counts too";
	svmirror::device device, other;
	svmirror::vm vm(device), of_other(other);
	run_out_of_share<svmirror::queue>(vm, of_other, device.gpu().queues);
}

SVM_TEST(BadInput, RunOutOfVms)
{
	ASSERT_TRUE(nothing_held()) << "what tests before this one had counts too";
	svmirror::device device, other;
	run_out_of_share<svmirror::vm>(device, other, device.gpu().contexts);
}
