// SPDX-License-Identifier: GPL-2.0-only
/* Binds that are done later: after jobs and other syncobjs, in order, and what becomes of those that cannot be done. */
#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include <xf86drm.h>

#include "objects.hpp"

using namespace harness;
using namespace std::chrono_literals;
using std::chrono::steady_clock;

namespace {

constexpr std::chrono::seconds patience_of_jobs{60};
constexpr std::uint64_t where = 1ull << 40; // device addresses that no memory of the process has

// A syncobj that the test signals when it likes.
class gate {
public:
	explicit gate(const gpu &gpu) : fd_(gpu.device.fd()), syncobj_(fd_), handle_{syncobj_.id()} {}
	void open() const { ASSERT_EQ(drmSyncobjSignal(fd_, handle_.data(), 1), 0); }
	std::span<const std::uint32_t> handles() const { return handle_; }

private:
	int fd_;
	svmirror::syncobj syncobj_;
	std::array<std::uint32_t, 1> handle_;
};

std::array<drm_svm_bind_op, 1> to_memory(const mapping &memory)
{
	drm_svm_bind_op op{};
	op.start = where;
	op.length = memory.size();
	op.kind = DRM_SVM_BIND_MIRROR;
	op.offset = static_cast<std::int64_t>(where - svmirror::address(memory.data()));
	return {op};
}

// Where the where leads; nothing where it leads nowhere.
std::optional<std::int64_t> where_offset(const gpu &gpu)
{
	for (const drm_svm_bind_op &op : gpu.vm.bindings())
		if (op.start <= where && where < op.start + op.length)
			return op.offset;
	return {};
}

bool leads_to(const gpu &gpu, const mapping &memory)
{
	std::optional<std::int64_t> now = where_offset(gpu);
	return now && *now == to_memory(memory)[0].offset;
}

bool done(const svmirror::syncobj &what) { return what.wait(patience_of_jobs) && what.status() == 0; }

} // namespace

SVM_TEST(BindLater, BetweenTwoJobs)
{
	gpu gpu;
	mapping before(page), then(page);
	gate start(gpu);
	gpu.vm.bind_many(to_memory(before));
	svmirror::job first = gpu.queue.submit(SVMIRROR_FILL, {where, page, 1}, start.handles());
	std::array after_first{first.done().id()};
	svmirror::syncobj bound = gpu.vm.bind_later(to_memory(then), after_first);
	std::array after_bound{bound.id()};
	svmirror::job second = gpu.queue.submit(SVMIRROR_FILL, {where, page, 2}, after_bound);
	EXPECT_FALSE(bound.wait(50ms)) << "the job before it has not run";
	EXPECT_EQ(bound.status(), -EAGAIN);
	EXPECT_TRUE(leads_to(gpu, before));
	start.open();
	EXPECT_EQ(finish(first).status, 0);
	EXPECT_EQ(finish(second).status, 0);
	EXPECT_EQ(bound.status(), 0);
	EXPECT_EQ(before.at(0), std::byte{1});
	EXPECT_EQ(then.at(0), std::byte{2});
}

SVM_TEST(BindLater, InTheOrderOfTheCalls)
{
	gpu gpu;
	mapping one(page), two(page);
	gate start(gpu);
	svmirror::syncobj first = gpu.vm.bind_later(to_memory(one), start.handles());
	svmirror::syncobj second = gpu.vm.bind_later(to_memory(two));
	EXPECT_FALSE(second.wait(50ms)) << "it overtook the first";
	// one that is done at once does not wait for them
	mapping now(page);
	gpu.vm.bind_many(to_memory(now));
	EXPECT_TRUE(leads_to(gpu, now));
	start.open();
	EXPECT_TRUE(done(second));
	EXPECT_EQ(first.status(), 0);
	EXPECT_TRUE(leads_to(gpu, two));
}

SVM_TEST(BindLater, FailsWithWhatItWaitsFor)
{
	gpu gpu;
	mapping memory(page);
	svmirror::job failing = gpu.queue.submit(SVMIRROR_FILL, {where + mib, page, 1});
	std::array after{failing.done().id()};
	svmirror::syncobj bound = gpu.vm.bind_later(to_memory(memory), after);
	ASSERT_TRUE(bound.wait(patience_of_jobs));
	EXPECT_EQ(bound.status(), -EFAULT);
	EXPECT_FALSE(leads_to(gpu, memory));
	// those behind it are none the worse
	EXPECT_TRUE(done(gpu.vm.bind_later(to_memory(memory))));
	EXPECT_TRUE(leads_to(gpu, memory));
}

SVM_TEST(BindLater, TellsWhyItCouldNotBeDone)
{
	gpu gpu;
	mapping memory(2 * page);
	std::array op = to_memory(memory);
	std::vector<drm_svm_bind_op> meet{op[0], op[0]};
	svmirror::syncobj bound = gpu.vm.bind_later(meet);
	ASSERT_TRUE(bound.wait(patience_of_jobs));
	EXPECT_EQ(bound.status(), -EINVAL);
	EXPECT_FALSE(leads_to(gpu, memory));
}

SVM_TEST(BindLater, ABufferStaysUntilItIsBound)
{
	gpu gpu;
	gate start(gpu);
	std::optional<svmirror::buffer> buffer(std::in_place, gpu.device, 4 * page, place::vram);
	svmirror::buffer_view view = buffer->map();
	drm_svm_bind_op op{};
	op.start = where;
	op.length = 4 * page;
	op.kind = DRM_SVM_BIND_OBJECT;
	op.handle = buffer->id();
	svmirror::syncobj bound = gpu.vm.bind_later(std::span(&op, 1), start.handles());
	buffer.reset();
	start.open();
	ASSERT_TRUE(done(bound));
	svmirror::job_result filled = finish(gpu.queue.submit(SVMIRROR_FILL, {where, 4 * page, 0x5a}));
	EXPECT_EQ(filled.status, 0);
	EXPECT_EQ(filled.faults, 0u);
	EXPECT_EQ(view.bytes()[3 * page], std::byte{0x5a});
}

SVM_TEST(BindLater, EndsWithItsVm)
{
	gpu gpu;
	mapping memory(page);
	gate never(gpu);
	std::vector<svmirror::syncobj> waiting;
	for (unsigned i = 0; i < 256; i++)
		waiting.push_back(gpu.vm.bind_later(to_memory(memory), never.handles()));
	svmirror::syncobj out(gpu.device.fd());
	EXPECT_EQ(svmirror_bind_later(gpu.device.fd(), gpu.vm.id(), to_memory(memory).data(), 1, nullptr, 0, out.id()), -EBUSY);
	EXPECT_EQ(out.status(), -EAGAIN) << "what was refused is not told of";
	auto begin = steady_clock::now();
	ASSERT_EQ(gpu.queue.destroy(), 0);
	ASSERT_EQ(gpu.vm.destroy(), 0);
	for (const svmirror::syncobj &one : waiting) {
		ASSERT_TRUE(one.wait(patience_of_jobs));
		ASSERT_EQ(one.status(), -ECANCELED);
	}
	EXPECT_LT(steady_clock::now() - begin, 20s); // it was 8 s in an emulated machine on a busy host
}

SVM_TEST(BindLater, ManyBesideJobs)
{
	gpu gpu;
	mapping one(2 * mib), two(2 * mib);
	gpu.vm.bind_many(to_memory(one));
	std::vector<svmirror::syncobj> bound;
	std::vector<svmirror::job> jobs;
	for (unsigned i = 0; i < 60; i++) {
		bound.push_back(gpu.vm.bind_later(to_memory(i % 2 ? one : two)));
		jobs.push_back(gpu.queue.submit(SVMIRROR_FILL, {where, 2 * mib, i + 1}));
	}
	for (const svmirror::syncobj &each : bound)
		ASSERT_TRUE(done(each));
	for (const svmirror::job &job : jobs)
		ASSERT_EQ(finish(job).status, 0);
	EXPECT_TRUE(leads_to(gpu, one));
}
