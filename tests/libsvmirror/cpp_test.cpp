// SPDX-License-Identifier: GPL-2.0-only
/* libsvmirror's C++ interface: owners end what they own, errors are exceptions that say what was tried, jobs have arguments. */
#include "fake_drm.hpp"

#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <svmirror.hpp>
#include <sys/mman.h>
#include <unistd.h>

class cpp_test : public ::testing::Test
{
protected:
	void SetUp() override
	{
		fake::reset();
		fake::on<drm_svm_vm_create>(DRM_IOCTL_SVM_VM_CREATE, [this](auto &a) { return make(vms, a.vm_id); });
		fake::on<drm_svm_vm_destroy>(DRM_IOCTL_SVM_VM_DESTROY, [this](auto &a) { return end(vms, a.vm_id); });
		fake::on<drm_svgpu_queue_create>(DRM_IOCTL_SVGPU_QUEUE_CREATE, [this](auto &a) { return make(queues, a.queue_id); });
		fake::on<drm_svgpu_queue_destroy>(DRM_IOCTL_SVGPU_QUEUE_DESTROY,
						  [this](auto &a) { return end(queues, a.queue_id); });
		fake::on<drm_svgpu_bo_create>(DRM_IOCTL_SVGPU_BO_CREATE, [this](auto &a) {
			sizes[next + 1] = {a.size, a.where};
			return make(buffers, a.handle);
		});
		fake::on<drm_gem_close>(DRM_IOCTL_GEM_CLOSE, [this](auto &a) { return end(buffers, a.handle); });
		fake::on<drm_svgpu_bo_info>(DRM_IOCTL_SVGPU_BO_INFO, [this](auto &a) {
			if (!buffers.count(a.handle))
				return ENOENT;
			a.size = sizes[a.handle].first;
			a.where = sizes[a.handle].second;
			a.mmap_offset = 4096;
			return 0;
		});
		fake::on<drm_syncobj_create>(DRM_IOCTL_SYNCOBJ_CREATE, [this](auto &a) { return make(syncobjs, a.handle); });
		fake::on<drm_syncobj_destroy>(DRM_IOCTL_SYNCOBJ_DESTROY, [this](auto &a) { return end(syncobjs, a.handle); });
		fake::on<drm_syncobj_wait>(DRM_IOCTL_SYNCOBJ_WAIT, [this](auto &) { return wait_error; });
		fake::on<drm_svgpu_submit>(DRM_IOCTL_SVGPU_SUBMIT, [this](auto &a) {
			last = a;
			return submit_error;
		});
		fake::on<drm_svgpu_info>(DRM_IOCTL_SVGPU_INFO, [this](auto &a) {
			EXPECT_EQ(a.token, last.result);
			reinterpret_cast<drm_svgpu_job_result *>(a.data)->status = status;
			return 0;
		});
	}
	void TearDown() override
	{
		EXPECT_TRUE(vms.empty());
		EXPECT_TRUE(queues.empty());
		EXPECT_TRUE(syncobjs.empty());
		EXPECT_TRUE(buffers.empty());
		EXPECT_EQ(fake::open_count(), 0u);
	}

	template <typename Id>
	int make(std::set<uint32_t> &of, Id &id)
	{
		id = ++next;
		of.insert(id);
		return 0;
	}
	int end(std::set<uint32_t> &of, uint32_t id)
	{
		return of.erase(id) ? 0 : ENOENT;
	}

	/* The errno that fn() throws, and its text. */
	template <typename Fn>
	static int thrown(Fn fn, const std::string &says)
	{
		try {
			fn();
		} catch (const std::system_error &error) {
			EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
			return error.code().value();
		}
		return 0;
	}

	uint32_t next = 0;
	std::set<uint32_t> vms, queues, syncobjs, buffers;
	std::map<uint32_t, std::pair<uint64_t, uint32_t>> sizes; /* of buffers: size and place */
	drm_svgpu_submit last{};
	int submit_error = 0, wait_error = 0, status = 0;
};

TEST_F(cpp_test, owners_end_what_they_own)
{
	svmirror::device gpu;
	svmirror::vm a(gpu), b(gpu);
	{
		svmirror::queue q(a), moved(std::move(q));

		EXPECT_EQ(queues.size(), 1u);
		moved = svmirror::queue(a);
		EXPECT_EQ(queues.size(), 1u);
	}
	EXPECT_TRUE(queues.empty());
	b = std::move(a);
	EXPECT_EQ(b.destroy(), 0);
	EXPECT_EQ(b.destroy(), 0); /* it is gone already */
}

TEST_F(cpp_test, devices_move)
{
	svmirror::device a, b(std::move(a));

	EXPECT_EQ(fake::open_count(), 1u);
	a = std::move(b);
	EXPECT_GE(a.fd(), 0);
}

TEST_F(cpp_test, errors_say_what_was_tried)
{
	EXPECT_EQ(thrown([] { svmirror::device none("/dev/dri/renderD7"); }, "/dev/dri/renderD7"), ENOENT);

	svmirror::device gpu;

	fake::nodes() = {};
	EXPECT_EQ(thrown([] { svmirror::device none; }, "no render node of driver svgpu"), ENODEV);
	EXPECT_EQ(thrown([&] { gpu.info(); }, "query device"), ENOTTY);
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &) { return ENOMEM; });

	svmirror::vm space(gpu);

	EXPECT_EQ(thrown([&] { space.bind_all(); }, "bind all"), ENOMEM);
	EXPECT_EQ(thrown([&] { space.unbind(0, 0); }, "unbind"), ENOMEM);
	EXPECT_EQ(thrown([&] { space.bind_null(0, 4096); }, "bind null"), ENOMEM);
	EXPECT_EQ(thrown([&] { space.bind_many({}); }, "bind"), ENOMEM);
	EXPECT_EQ(thrown([&] { space.bind_later({}); }, "bind later"), ENOMEM);
	EXPECT_EQ(thrown([&] { space.bindings(); }, "query bindings"), ENOTTY);
	EXPECT_EQ(thrown([&] { space.counters(); }, "query counters"), ENOTTY);
	EXPECT_EQ(thrown([&] { space.fault_log(); }, "query fault log"), ENOTTY);
	EXPECT_EQ(thrown([&] { space.prefetch(std::string("x"), true); }, "prefetch"), ENOTTY);
	fake::on<drm_svm_vm_create>(DRM_IOCTL_SVM_VM_CREATE, [](auto &) { return ENOSPC; });
	EXPECT_EQ(thrown([&] { svmirror::vm more(gpu); }, "create vm"), ENOSPC);
	fake::on<drm_svgpu_queue_create>(DRM_IOCTL_SVGPU_QUEUE_CREATE, [](auto &) { return EIO; });
	EXPECT_EQ(thrown([&] { svmirror::queue more(space); }, "create queue"), EIO);

	svmirror::buffer one(gpu, 8192, svmirror::place::system);

	EXPECT_EQ(thrown([&] { space.bind(0, one); }, "bind buffer"), ENOMEM);
	EXPECT_EQ(thrown([&] { one.share(); }, "export buffer"), ENOTTY);
	EXPECT_EQ(thrown([&] { svmirror::buffer(gpu, svmirror::dma_buf(-1)); }, "import buffer"), ENOTTY);
	EXPECT_EQ(one.close(), 0);
	EXPECT_EQ(thrown([&] { one.info(); }, "query buffer"), ENOENT);
	EXPECT_EQ(thrown([&] { one.map(); }, "map buffer"), ENOENT);
	fake::on<drm_svgpu_bo_create>(DRM_IOCTL_SVGPU_BO_CREATE, [](auto &) { return E2BIG; });
	EXPECT_EQ(thrown([&] { svmirror::buffer more(gpu, 8192, svmirror::place::vram); }, "create buffer"), E2BIG);
}

TEST_F(cpp_test, buffers)
{
	svmirror::device gpu;
	svmirror::buffer a(gpu, 8192, svmirror::place::vram), b(gpu, 4096, svmirror::place::system);

	EXPECT_EQ(a.size(), 8192u);
	EXPECT_EQ(a.where(), svmirror::place::vram);
	EXPECT_EQ(b.where(), svmirror::place::system);
	b = std::move(a);
	EXPECT_EQ(b.size(), 8192u);
	ASSERT_EQ(ftruncate(gpu.fd(), 16384), 0);

	svmirror::buffer_view view = b.map(), moved(std::move(view));

	EXPECT_EQ(b.close(), 0);
	EXPECT_EQ(b.close(), 0); /* it is gone already */
	EXPECT_TRUE(view.bytes().empty());
	ASSERT_EQ(moved.bytes().size(), 8192u);
	moved.bytes()[8191] = std::byte{1}; /* it outlives the handle */
	view = std::move(moved);
	EXPECT_EQ(view.bytes()[8191], std::byte{1});
}

TEST_F(cpp_test, a_view_ends_with_its_owner)
{
	svmirror::device gpu;
	svmirror::buffer one(gpu, 4096, svmirror::place::system);
	void *at;

	ASSERT_EQ(ftruncate(gpu.fd(), 8192), 0);
	at = one.map().bytes().data();
	EXPECT_EQ(msync(at, 4096, MS_ASYNC), -1);
	EXPECT_EQ(errno, ENOMEM);
}

TEST_F(cpp_test, buffers_are_bound_and_shared)
{
	svmirror::device gpu, other;
	svmirror::vm space(gpu);
	svmirror::buffer one(gpu, 8 * 4096, svmirror::place::system);
	drm_svm_bind_op seen{};
	int exported = dup(gpu.fd());

	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [&](auto &a) {
		seen = *reinterpret_cast<const drm_svm_bind_op *>(a.ops);
		return 0;
	});
	space.bind(0x200000, one, DRM_SVM_BIND_ON_DEMAND);
	EXPECT_EQ(seen.start, 0x200000u);
	EXPECT_EQ(seen.length, 8u * 4096);
	EXPECT_EQ(seen.offset, 0);
	EXPECT_EQ(seen.kind, unsigned(DRM_SVM_BIND_OBJECT));
	EXPECT_EQ(seen.flags, unsigned(DRM_SVM_BIND_ON_DEMAND));
	EXPECT_EQ(seen.handle, one.id());
	space.bind(0x200000, 4096, one, 3 * 4096);
	EXPECT_EQ(seen.length, 4096u);
	EXPECT_EQ(seen.offset, 3 * 4096);
	EXPECT_EQ(seen.flags, 0u);
	fake::on<drm_prime_handle>(DRM_IOCTL_PRIME_HANDLE_TO_FD, [&](auto &a) {
		a.fd = exported;
		return 0;
	});
	fake::on<drm_prime_handle>(DRM_IOCTL_PRIME_FD_TO_HANDLE, [&](auto &a) {
		EXPECT_EQ(a.fd, exported);
		return make(buffers, a.handle);
	});
	{
		svmirror::dma_buf way = one.share(), moved(std::move(way));
		svmirror::buffer same(other, moved);

		EXPECT_NE(same.id(), one.id());
		EXPECT_EQ(buffers.size(), 2u);
	}
	EXPECT_EQ(buffers.size(), 1u);
	EXPECT_EQ(fcntl(exported, F_GETFD), -1) << "the descriptor stays open";
}

/* Objects are widened to the pages that hold them, for each call in the same way. */
TEST_F(cpp_test, objects_mean_their_pages)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	alignas(4096) static std::array<uint32_t, 4 * 1024> four_pages;
	uint64_t base = svmirror::address(four_pages.data());
	std::set<std::pair<uint64_t, uint64_t>> bound;
	std::pair<uint64_t, uint64_t> prefetched;
	unsigned flags = 99;

	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [&](auto &a) {
		const auto &op = *reinterpret_cast<const drm_svm_bind_op *>(a.ops);

		EXPECT_EQ(op.offset, 0);
		if (op.kind == DRM_SVM_BIND_MIRROR)
			return bound.insert({op.start - base, op.length}).second ? 0 : EINVAL;
		return bound.erase({op.start - base, op.length}) ? 0 : EINVAL;
	});
	fake::on<drm_svm_prefetch>(DRM_IOCTL_SVM_PREFETCH, [&](auto &a) {
		prefetched = {a.start - base, a.length};
		flags = a.flags;
		a.pages = a.length / 4096;
		return 0;
	});

	struct {
		size_t first, count;	/* elements of four bytes */
		uint64_t start, length; /* bytes */
	} cases[] = {
		{0, 4096, 0, 16384},	 /* whole pages stay as they are */
		{0, 1, 0, 4096},	 /* the first element */
		{1023, 1, 0, 4096},	 /* the last of a page */
		{1024, 1, 4096, 4096},	 /* the first of a page */
		{1023, 2, 0, 8192},	 /* across a boundary */
		{1, 3072, 0, 16384},	 /* three pages' worth that lie in four */
		{1024, 2048, 4096, 8192}, /* two whole pages inside */
	};

	for (const auto &c : cases) {
		std::span objects(four_pages.data() + c.first, c.count);
		std::pair want(c.start, c.length);

		space.bind(objects);
		EXPECT_EQ(bound, std::set{want}) << c.first << " " << c.count;
		space.unbind(objects);
		EXPECT_TRUE(bound.empty());
		EXPECT_EQ(space.prefetch(objects, true), c.length / 4096);
		EXPECT_EQ(prefetched, want);
		EXPECT_EQ(flags, unsigned(DRM_SVM_PREFETCH_WRITE));
	}
	/* What a user has: a vector of structs, const or not, and no cast. */
	struct particle {
		double at[3];
	};
	const std::vector<particle> particles(1000);
	uint64_t first = svmirror::address(particles.data());

	EXPECT_EQ(space.prefetch(particles, false), (first + 24000 + 4095) / 4096 - first / 4096);
	EXPECT_EQ(flags, 0u);
}

/* No objects, no pages. Above all they are not 0 and 0, which is all of the address space. */
TEST_F(cpp_test, no_objects)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	std::vector<int> none;

	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &) { return ADD_FAILURE(), 0; });
	EXPECT_EQ(thrown([&] { space.bind(none); }, "bind"), EINVAL);
	EXPECT_EQ(thrown([&] { space.unbind(none); }, "unbind"), EINVAL);
	EXPECT_EQ(space.prefetch(none, true), 0u);
}

TEST_F(cpp_test, jobs_end_or_fail)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	svmirror::queue q(space);
	uint64_t counter = 0;

	EXPECT_EQ(q.cas_add(counter, 5).wait().status, 0);
	EXPECT_EQ(last.queue_id, q.id());
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_CAS_ADD));
	EXPECT_EQ(last.args[0], svmirror::address(&counter));
	EXPECT_EQ(last.args[1], 5u);
	status = -EFAULT;
	EXPECT_EQ(q.cas_add(counter, 5).result().status, -EFAULT);
	EXPECT_EQ(thrown([&] { q.cas_add(counter, 5).wait(); }, "job"), EFAULT);
	wait_error = ETIME;
	EXPECT_EQ(thrown([&] { q.cas_add(counter, 5).wait(std::chrono::seconds(1)); }, "wait for job"), ETIME);
	EXPECT_FALSE(q.cas_add(counter, 5).done().wait(std::chrono::seconds(1)));
	wait_error = EINVAL;
	EXPECT_EQ(thrown([&] { q.cas_add(counter, 5).wait(); }, "wait for syncobj"), EINVAL);
	submit_error = EBUSY;
	EXPECT_EQ(thrown([&] { q.cas_add(counter, 5); }, "submit"), EBUSY);
}

/* Each kernel's arguments, as svmirror_kernels.h says them. */
TEST_F(cpp_test, arguments)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	svmirror::queue q(space);
	std::vector<std::byte> from(100), to(60);
	std::vector<float> x(8), y(6);
	std::array<uint64_t, 256> bins{};
	uint32_t after[] = {21, 22};

	q.copy(to, from);
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_COPY));
	EXPECT_EQ(last.args[0], svmirror::address(to.data()));
	EXPECT_EQ(last.args[1], svmirror::address(from.data()));
	EXPECT_EQ(last.args[2], 60u);
	q.fill(to, std::byte{0xab});
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_FILL));
	EXPECT_EQ(last.args[2], 0xabu);
	q.histogram(from, bins);
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_HISTOGRAM));
	EXPECT_EQ(last.args[1], 100u);
	EXPECT_EQ(last.args[2], svmirror::address(bins.data()));
	q.saxpy(2.0f, x, y);
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_SAXPY));
	EXPECT_EQ(last.args[2], 6u);
	EXPECT_EQ(last.args[3], 0x40000000u);
	q.touch(from, 4096, true);
	EXPECT_EQ(last.kernel, unsigned(SVMIRROR_TOUCH));
	EXPECT_EQ(last.args[3], 1u);
	q.submit(SVMIRROR_SUM, {1, 2, 3}, after);
	EXPECT_EQ(last.in_count, 2u);
	EXPECT_EQ(reinterpret_cast<uint32_t *>(last.in_syncobjs), after);
	EXPECT_EQ(last.args[3], 0u);
}

/* The log is asked until it has no more than fits at once. */
TEST_F(cpp_test, fault_log_comes_whole)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	uint64_t left = 150, taken = 0;

	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [&](auto &a) {
		uint64_t n = std::min<uint64_t>(left, a.size / sizeof(svmirror::fault_record));
		auto *out = reinterpret_cast<svmirror::fault_record *>(a.data);

		for (uint64_t i = 0; i < n; i++)
			out[i].va = taken++;
		left -= n;
		a.size = n * sizeof(svmirror::fault_record);
		return 0;
	});

	auto log = space.fault_log();

	ASSERT_EQ(log.size(), 150u);
	EXPECT_EQ(log[149].va, 149u);
}

/* Places and manners by the uAPI's numbers, objects by their pages; the list is asked for until all of it fits. */
TEST_F(cpp_test, advice)
{
	svmirror::device gpu;
	svmirror::vm space(gpu);
	alignas(4096) static std::array<std::byte, 3 * 4096> three_pages;
	uint64_t base = svmirror::address(three_pages.data());
	drm_svm_advise_op last{};
	unsigned calls = 0;

	fake::on<drm_svm_advise>(DRM_IOCTL_SVM_ADVISE, [&](auto &a) {
		last = *reinterpret_cast<const drm_svm_advise_op *>(a.ops);
		calls++;
		return 0;
	});
	space.advise(std::span(three_pages).subspan(100, 5000), svmirror::place::vram);
	EXPECT_EQ(last.start, base);
	EXPECT_EQ(last.length, 2 * 4096u);
	EXPECT_EQ(last.preferred, unsigned(DRM_SVM_PREFER_DEVICE));
	EXPECT_EQ(last.on_fault, unsigned(DRM_SVM_ON_FAULT_MOVE));
	space.advise(three_pages, svmirror::place::system, false);
	EXPECT_EQ(last.length, 3 * 4096u);
	EXPECT_EQ(last.preferred, unsigned(DRM_SVM_PREFER_SYSTEM));
	EXPECT_EQ(last.on_fault, unsigned(DRM_SVM_ON_FAULT_STAY));
	space.advise(three_pages, svmirror::place::nowhere);
	EXPECT_EQ(last.preferred, unsigned(DRM_SVM_PREFER_NONE));
	space.advise(std::span<int>(), svmirror::place::vram);
	EXPECT_EQ(calls, 3u);
	space.forget_advice();
	EXPECT_EQ(last.start | last.length | last.preferred | last.on_fault, 0u);
	EXPECT_EQ(calls, 4u);

	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [](auto &a) {
		uint64_t n = std::min<uint64_t>(100, a.size / sizeof(drm_svm_span));
		auto *out = reinterpret_cast<drm_svm_span *>(a.data);

		for (uint64_t i = 0; i < n; i++)
			out[i].start = i;
		a.size = n * sizeof(drm_svm_span);
		return 0;
	});
	ASSERT_EQ(space.spans().size(), 100u);
	EXPECT_EQ(space.spans()[99].start, 99u);
}
