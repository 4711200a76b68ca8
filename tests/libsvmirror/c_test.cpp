// SPDX-License-Identifier: GPL-2.0-only
/* libsvmirror's C interface: what reaches the kernel, what comes back, and every error as a negative errno. */
#include "fake_drm.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <svmirror.h>
#include <unistd.h>

class c_test : public ::testing::Test
{
protected:
	void SetUp() override
	{
		fake::reset();
		ASSERT_EQ(svmirror_open(nullptr, &fd), 0);
	}
	void TearDown() override
	{
		if (fd >= 0)
			svmirror_close(fd);
		EXPECT_EQ(fake::open_count(), 0u);
	}

	int fd = -1;
};

/* ---- opening ---- */

TEST_F(c_test, open_takes_the_first_node_of_the_driver)
{
	int other = -1;

	fake::nodes() = {{"renderD128", {.driver = "i915"}}, {"renderD129", {.driver = "svgpu"}}};
	EXPECT_EQ(svmirror_open(nullptr, &other), 0);
	EXPECT_EQ(fake::open_count(), 2u); /* the other driver's is closed again */
	svmirror_close(other);
}

TEST_F(c_test, open_of_a_path)
{
	int other = -1;

	fake::nodes()["renderD129"] = {.driver = "i915"};
	EXPECT_EQ(svmirror_open("/dev/dri/renderD128", &other), 0);
	svmirror_close(other);
	EXPECT_EQ(svmirror_open("/dev/dri/renderD129", &other), -ENODEV);
	EXPECT_EQ(svmirror_open("/dev/dri/renderD130", &other), -ENOENT);
	EXPECT_EQ(fake::open_count(), 1u);
	/* A name that begins like the driver's is another driver. */
	fake::nodes()["renderD129"].driver = "svgpu2";
	EXPECT_EQ(svmirror_open("/dev/dri/renderD129", &other), -ENODEV);
}

TEST_F(c_test, open_where_there_is_none)
{
	int other = -1;

	fake::nodes() = {};
	EXPECT_EQ(svmirror_open(nullptr, &other), -ENODEV);
	fake::without_folder(true);
	EXPECT_EQ(svmirror_open(nullptr, &other), -ENODEV);
	fake::without_folder(false);
	fake::nodes() = {{"renderD128", {.driver = "svgpu", .open_error = EACCES}}, {"renderD129", {.driver = "i915"}}};
	EXPECT_EQ(svmirror_open(nullptr, &other), -EACCES); /* it says more than -ENODEV */
	fake::nodes()["renderD130"] = {.driver = "svgpu"};
	EXPECT_EQ(svmirror_open(nullptr, &other), 0); /* and one that can be had is better */
	svmirror_close(other);
}

/* ---- vms ---- */

TEST_F(c_test, vm_create)
{
	svmirror_vm_options options = {.interval_lg2 = 30, .granule_lg2 = 14, .flags = DRM_SVM_VM_NO_FAULT};
	uint32_t vm = 0;

	fake::on<drm_svm_vm_create>(DRM_IOCTL_SVM_VM_CREATE, [](auto &a) {
		EXPECT_EQ(a.flags, unsigned{DRM_SVM_VM_NO_FAULT});
		EXPECT_EQ(a.interval_lg2, 30u);
		EXPECT_EQ(a.granule_lg2, 14u);
		a.vm_id = 7;
		return 0;
	});
	EXPECT_EQ(svmirror_vm_create(fd, &options, &vm), 0);
	EXPECT_EQ(vm, 7u);
	fake::on<drm_svm_vm_create>(DRM_IOCTL_SVM_VM_CREATE, [](auto &a) {
		EXPECT_EQ(a.flags, 0u);
		EXPECT_EQ(a.interval_lg2, 0u);
		EXPECT_EQ(a.granule_lg2, 0u);
		a.vm_id = 8;
		return ENOSPC;
	});
	EXPECT_EQ(svmirror_vm_create(fd, nullptr, &vm), -ENOSPC);
	EXPECT_EQ(vm, 7u); /* untouched on an error */
}

TEST_F(c_test, vm_destroy)
{
	fake::on<drm_svm_vm_destroy>(DRM_IOCTL_SVM_VM_DESTROY, [](auto &a) { return a.vm_id == 7 && !a.pad ? 0 : EBUSY; });
	EXPECT_EQ(svmirror_vm_destroy(fd, 7), 0);
	EXPECT_EQ(svmirror_vm_destroy(fd, 8), -EBUSY);
}

/* The one operation that a call is to carry. */
static void expect_op(const drm_svm_bind &a, uint64_t start, uint64_t length, int64_t offset, uint32_t kind)
{
	EXPECT_EQ(a.vm_id, 7u);
	EXPECT_EQ(a.flags, 0u);
	ASSERT_EQ(a.count, 1u);
	EXPECT_EQ(a.stride, sizeof(drm_svm_bind_op));

	const auto &op = *reinterpret_cast<const drm_svm_bind_op *>(a.ops);

	EXPECT_EQ(op.start, start);
	EXPECT_EQ(op.length, length);
	EXPECT_EQ(op.offset, offset);
	EXPECT_EQ(op.kind, kind);
	EXPECT_EQ(op.flags, 0u);
	EXPECT_EQ(op.handle, 0u);
	EXPECT_EQ(op.pad, 0u);
}

TEST_F(c_test, bindings)
{
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &a) {
		expect_op(a, 0x200000, 0x400000, -0x200000, DRM_SVM_BIND_MIRROR);
		return EINVAL;
	});
	EXPECT_EQ(svmirror_bind(fd, 7, 0x200000, 0x400000, -0x200000), -EINVAL);
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &a) { return expect_op(a, 0, 0, 0, DRM_SVM_BIND_MIRROR), 0; });
	EXPECT_EQ(svmirror_bind_all(fd, 7), 0);
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &a) { return expect_op(a, 1, 2, 0, DRM_SVM_BIND_NOTHING), 0; });
	EXPECT_EQ(svmirror_unbind(fd, 7, 1, 2), 0);
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &a) { return expect_op(a, 1, 2, 0, DRM_SVM_BIND_NULL), EOPNOTSUPP; });
	EXPECT_EQ(svmirror_bind_null(fd, 7, 1, 2), -EOPNOTSUPP);

	drm_svm_bind_op two[2] = {};

	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [&](auto &a) {
		return a.count == 2 && a.ops == reinterpret_cast<uintptr_t>(two) && a.stride == sizeof(two[0]) ? 0 : EINVAL;
	});
	EXPECT_EQ(svmirror_bind_many(fd, 7, two, 2), 0);
}

TEST_F(c_test, binds_are_done_later)
{
	drm_svm_bind_op two[2] = {};
	const uint32_t after[3] = {4, 5, 6};

	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [&](auto &a) {
		EXPECT_EQ(a.vm_id, 7u);
		EXPECT_EQ(a.flags, unsigned(DRM_SVM_BIND_ASYNC));
		EXPECT_EQ(a.count, 2u);
		EXPECT_EQ(a.stride, sizeof(two[0]));
		EXPECT_EQ(a.ops, reinterpret_cast<uintptr_t>(two));
		EXPECT_EQ(a.in_syncobjs, reinterpret_cast<uintptr_t>(after));
		EXPECT_EQ(a.in_count, 3u);
		return a.out_syncobj == 8 ? 0 : EBUSY;
	});
	EXPECT_EQ(svmirror_bind_later(fd, 7, two, 2, after, 3, 8), 0);
	EXPECT_EQ(svmirror_bind_later(fd, 7, two, 2, after, 3, 9), -EBUSY);
}

TEST_F(c_test, buffers_are_bound)
{
	fake::on<drm_svm_bind>(DRM_IOCTL_SVM_BIND, [](auto &a) {
		const auto &op = *reinterpret_cast<const drm_svm_bind_op *>(a.ops);

		EXPECT_EQ(a.vm_id, 7u);
		EXPECT_EQ(a.count, 1u);
		EXPECT_EQ(op.start, 0x200000u);
		EXPECT_EQ(op.length, 0x3000u);
		EXPECT_EQ(op.offset, 0x1000);
		EXPECT_EQ(op.kind, unsigned(DRM_SVM_BIND_OBJECT));
		EXPECT_EQ(op.flags, unsigned(DRM_SVM_BIND_READ_ONLY | DRM_SVM_BIND_UNCACHED));
		EXPECT_EQ(op.pad, 0u);
		return op.handle == 5 ? 0 : ENOENT;
	});
	EXPECT_EQ(svmirror_bind_buffer(fd, 7, 0x200000, 0x3000, 5, 0x1000, DRM_SVM_BIND_READ_ONLY | DRM_SVM_BIND_UNCACHED), 0);
	EXPECT_EQ(svmirror_bind_buffer(fd, 7, 0x200000, 0x3000, 6, 0x1000, DRM_SVM_BIND_READ_ONLY | DRM_SVM_BIND_UNCACHED), -ENOENT);
}

/* `list` asks for that many records, says how many came, and refuses a buffer that has no room. */
template <typename T>
static void expect_list(int fd, unsigned query, int (*list)(int, uint32_t, T *, size_t, size_t *))
{
	T records[3] = {};
	size_t count = 99;

	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [&](auto &a) {
		EXPECT_EQ(a.query, query);
		EXPECT_EQ(a.size, sizeof(records));
		EXPECT_EQ(a.stride, sizeof(records[0]));
		EXPECT_EQ(a.data, reinterpret_cast<uintptr_t>(records));
		a.size = 2 * sizeof(records[0]);
		return 0;
	});
	EXPECT_EQ(list(fd, 7, records, 3, &count), 0);
	EXPECT_EQ(count, 2u);
	EXPECT_EQ(list(fd, 7, records, 0, &count), -EINVAL);
	EXPECT_EQ(count, 0u);
}

TEST_F(c_test, list_of_bindings)
{
	expect_list(fd, DRM_SVM_QUERY_BINDINGS, svmirror_bindings);
}

TEST_F(c_test, prefetch)
{
	uint64_t pages = 99;

	fake::on<drm_svm_prefetch>(DRM_IOCTL_SVM_PREFETCH, [](auto &a) {
		EXPECT_EQ(a.start, 0x1000u);
		EXPECT_EQ(a.length, 0x3000u);
		a.pages = 3;
		return a.flags == DRM_SVM_PREFETCH_WRITE ? 0 : EIO;
	});
	EXPECT_EQ(svmirror_prefetch(fd, 7, 0x1000, 0x3000, 0, &pages), -EIO);
	EXPECT_EQ(pages, 99u);
	EXPECT_EQ(svmirror_prefetch(fd, 7, 0x1000, 0x3000, DRM_SVM_PREFETCH_WRITE, &pages), 0);
	EXPECT_EQ(pages, 3u);
	EXPECT_EQ(svmirror_prefetch(fd, 7, 0x1000, 0x3000, DRM_SVM_PREFETCH_WRITE, nullptr), 0);
}

TEST_F(c_test, advise)
{
	fake::on<drm_svm_advise>(DRM_IOCTL_SVM_ADVISE, [](auto &a) {
		const auto &op = *reinterpret_cast<const drm_svm_advise_op *>(a.ops);

		EXPECT_EQ(a.vm_id, 7u);
		EXPECT_EQ(a.flags, 0u);
		EXPECT_EQ(a.count, 1u);
		EXPECT_EQ(a.stride, sizeof(op));
		EXPECT_EQ(a.reserved, 0u);
		EXPECT_EQ(op.start, 0x200000u);
		EXPECT_EQ(op.length, 0x3000u);
		EXPECT_EQ(op.on_fault, unsigned(DRM_SVM_ON_FAULT_STAY));
		EXPECT_EQ(op.flags | op.pad, 0u);
		return op.preferred == DRM_SVM_PREFER_DEVICE ? EOPNOTSUPP : 0;
	});
	EXPECT_EQ(svmirror_advise(fd, 7, 0x200000, 0x3000, DRM_SVM_PREFER_SYSTEM, DRM_SVM_ON_FAULT_STAY), 0);
	EXPECT_EQ(svmirror_advise(fd, 7, 0x200000, 0x3000, DRM_SVM_PREFER_DEVICE, DRM_SVM_ON_FAULT_STAY), -EOPNOTSUPP);
}

TEST_F(c_test, list_of_spans)
{
	expect_list(fd, DRM_SVM_QUERY_SPANS, svmirror_spans);
}

/* ---- buffers ---- */

TEST_F(c_test, buffer_create_and_close)
{
	uint32_t buffer = 0;

	fake::on<drm_svgpu_bo_create>(DRM_IOCTL_SVGPU_BO_CREATE, [](auto &a) {
		EXPECT_EQ(a.size, 0x5000u);
		EXPECT_EQ(a.flags, 0u);
		EXPECT_EQ(a.pad, 0u);
		a.handle = 5;
		return a.where == DRM_SVGPU_BO_VRAM ? 0 : E2BIG;
	});
	EXPECT_EQ(svmirror_buffer_create(fd, 0x5000, DRM_SVGPU_BO_SYSTEM, &buffer), -E2BIG);
	EXPECT_EQ(buffer, 0u); /* untouched on an error */
	EXPECT_EQ(svmirror_buffer_create(fd, 0x5000, DRM_SVGPU_BO_VRAM, &buffer), 0);
	EXPECT_EQ(buffer, 5u);
	fake::on<drm_gem_close>(DRM_IOCTL_GEM_CLOSE, [](auto &a) { return a.handle == 5 && !a.pad ? 0 : EINVAL; });
	EXPECT_EQ(svmirror_buffer_close(fd, 5), 0);
	EXPECT_EQ(svmirror_buffer_close(fd, 6), -EINVAL);
}

TEST_F(c_test, buffer_info)
{
	drm_svgpu_bo_info info = {};

	fake::on<drm_svgpu_bo_info>(DRM_IOCTL_SVGPU_BO_INFO, [](auto &a) {
		EXPECT_EQ(a.where, 0u);
		EXPECT_EQ(a.size, 0u);
		a.where = DRM_SVGPU_BO_VRAM;
		a.size = 0x5000;
		a.mmap_offset = 0x100000000;
		a.moves = 3;
		return a.handle == 5 ? 0 : ENOENT;
	});
	EXPECT_EQ(svmirror_buffer_info(fd, 6, &info), -ENOENT);
	EXPECT_EQ(info.size, 0u);
	EXPECT_EQ(svmirror_buffer_info(fd, 5, &info), 0);
	EXPECT_EQ(info.handle, 5u);
	EXPECT_EQ(info.where, unsigned(DRM_SVGPU_BO_VRAM));
	EXPECT_EQ(info.size, 0x5000u);
	EXPECT_EQ(info.mmap_offset, 0x100000000u);
	EXPECT_EQ(info.moves, 3u);
}

/* All of the buffer is mapped, where the driver says that it is in the node's file. */
TEST_F(c_test, buffer_map)
{
	void *at = nullptr;
	size_t size = 0;
	uint64_t offset = 0x10000;
	char byte = 0;

	ASSERT_EQ(ftruncate(fd, 0x20000), 0);
	fake::on<drm_svgpu_bo_info>(DRM_IOCTL_SVGPU_BO_INFO, [&](auto &a) {
		a.size = 0x3000;
		a.mmap_offset = offset;
		return a.handle == 5 ? 0 : ENOENT;
	});
	EXPECT_EQ(svmirror_buffer_map(fd, 6, &at, &size), -ENOENT);
	offset = 0;
	EXPECT_EQ(svmirror_buffer_map(fd, 5, &at, &size), -EOPNOTSUPP);
	offset = 1; /* what mmap() refuses */
	EXPECT_EQ(svmirror_buffer_map(fd, 5, &at, &size), -EINVAL);
	EXPECT_EQ(at, nullptr);
	EXPECT_EQ(size, 0u);
	offset = 0x10000;
	ASSERT_EQ(svmirror_buffer_map(fd, 5, &at, &size), 0);
	ASSERT_EQ(size, 0x3000u);
	static_cast<char *>(at)[0x2fff] = 42; /* shared: it reaches the file */
	EXPECT_EQ(pread(fd, &byte, 1, 0x12fff), 1);
	EXPECT_EQ(byte, 42);
	EXPECT_EQ(svmirror_buffer_unmap(at, size), 0);
	EXPECT_EQ(svmirror_buffer_unmap(static_cast<char *>(at) + 1, size), -EINVAL);
}

TEST_F(c_test, buffers_go_to_other_files)
{
	int dma_buf = -1;
	uint32_t buffer = 0;

	fake::on<drm_prime_handle>(DRM_IOCTL_PRIME_HANDLE_TO_FD, [](auto &a) {
		EXPECT_EQ(a.flags, unsigned(DRM_CLOEXEC | DRM_RDWR));
		a.fd = 77;
		return a.handle == 5 ? 0 : ENOENT;
	});
	EXPECT_EQ(svmirror_buffer_export(fd, 6, &dma_buf), -ENOENT);
	EXPECT_EQ(dma_buf, -1);
	EXPECT_EQ(svmirror_buffer_export(fd, 5, &dma_buf), 0);
	EXPECT_EQ(dma_buf, 77);
	fake::on<drm_prime_handle>(DRM_IOCTL_PRIME_FD_TO_HANDLE, [](auto &a) {
		EXPECT_EQ(a.flags, 0u);
		a.handle = 9;
		return a.fd == 77 ? 0 : EINVAL;
	});
	EXPECT_EQ(svmirror_buffer_import(fd, 78, &buffer), -EINVAL);
	EXPECT_EQ(buffer, 0u);
	EXPECT_EQ(svmirror_buffer_import(fd, 77, &buffer), 0);
	EXPECT_EQ(buffer, 9u);
}

/* ---- questions ---- */

/* An older kernel writes the front of a struct only: the rest is zero and not what was there before. */
TEST_F(c_test, questions_begin_with_zeros)
{
	drm_svm_device_info info;
	drm_svm_counters counters;
	drm_svgpu_device gpu;

	std::memset(&info, 0xff, sizeof(info));
	std::memset(&counters, 0xff, sizeof(counters));
	std::memset(&gpu, 0xff, sizeof(gpu));
	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [&](auto &a) {
		uint64_t first = 5;

		EXPECT_EQ(a.size, a.query == DRM_SVM_QUERY_DEVICE ? sizeof(info) : sizeof(counters));
		EXPECT_EQ(a.vm_id, a.query == DRM_SVM_QUERY_DEVICE ? 0u : 7u);
		std::memcpy(reinterpret_cast<void *>(a.data), &first, sizeof(first));
		return 0;
	});
	fake::on<drm_svgpu_info>(DRM_IOCTL_SVGPU_INFO, [](auto &a) {
		EXPECT_EQ(a.info, unsigned(DRM_SVGPU_INFO_DEVICE));
		EXPECT_EQ(a.size, sizeof(drm_svgpu_device));
		reinterpret_cast<drm_svgpu_device *>(a.data)->engines = 4;
		return 0;
	});
	EXPECT_EQ(svmirror_device_info(fd, &info), 0);
	EXPECT_EQ(info.capabilities, 5u);
	EXPECT_EQ(info.va_bits, 0u);
	EXPECT_EQ(svmirror_counters(fd, 7, &counters), 0);
	EXPECT_EQ(counters.faults, 5u);
	EXPECT_EQ(counters.present, 0u);
	EXPECT_EQ(svmirror_gpu_info(fd, &gpu), 0);
	EXPECT_EQ(gpu.engines, 4u);
	EXPECT_EQ(gpu.vram_bytes, 0u);
}

TEST_F(c_test, fault_log)
{
	drm_svm_fault_record records[4] = {};
	size_t count = 99;

	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [](auto &a) {
		EXPECT_EQ(a.query, unsigned(DRM_SVM_QUERY_FAULT_LOG));
		EXPECT_EQ(a.size, 4 * sizeof(drm_svm_fault_record));
		auto *out = reinterpret_cast<drm_svm_fault_record *>(a.data);

		out[0].va = 0x1000;
		out[1].va = 0x2000;
		a.size = 2 * sizeof(drm_svm_fault_record);
		return 0;
	});
	EXPECT_EQ(svmirror_fault_log(fd, 7, records, 4, &count), 0);
	EXPECT_EQ(count, 2u);
	EXPECT_EQ(records[1].va, 0x2000u);
	EXPECT_EQ(svmirror_fault_log(fd, 7, records, 0, &count), -EINVAL); /* the kernel is not asked */
	EXPECT_EQ(count, 0u);
	fake::on<drm_svm_query>(DRM_IOCTL_SVM_QUERY, [](auto &) { return EPERM; });
	count = 99;
	EXPECT_EQ(svmirror_fault_log(fd, 7, records, 4, &count), -EPERM);
	EXPECT_EQ(count, 0u);
}

/* ---- queues and jobs ---- */

TEST_F(c_test, queues)
{
	uint32_t queue = 0;

	fake::on<drm_svgpu_queue_create>(DRM_IOCTL_SVGPU_QUEUE_CREATE, [](auto &a) {
		a.queue_id = 3;
		return a.vm_id == 7 ? 0 : ENOENT;
	});
	EXPECT_EQ(svmirror_queue_create(fd, 8, &queue), -ENOENT);
	EXPECT_EQ(queue, 0u);
	EXPECT_EQ(svmirror_queue_create(fd, 7, &queue), 0);
	EXPECT_EQ(queue, 3u);
	fake::on<drm_svgpu_queue_destroy>(DRM_IOCTL_SVGPU_QUEUE_DESTROY, [](auto &a) { return a.queue_id == 3 ? 0 : ENOENT; });
	EXPECT_EQ(svmirror_queue_destroy(fd, 3), 0);
	EXPECT_EQ(svmirror_queue_destroy(fd, 4), -ENOENT);
}

TEST_F(c_test, submit)
{
	const uint32_t after[] = {11, 12};
	svmirror_job job = {};
	drm_svgpu_submit seen = {};

	job.queue = 3;
	job.kernel = SVMIRROR_SUM;
	job.in_syncobjs = after;
	job.in_count = 2;
	job.out_syncobj = 13;
	job.token = 99;
	for (unsigned i = 0; i < DRM_SVGPU_ARGS; i++)
		job.args[i] = 100 + i;
	fake::on<drm_svgpu_submit>(DRM_IOCTL_SVGPU_SUBMIT, [&](auto &a) {
		seen = a;
		return 0;
	});
	EXPECT_EQ(svmirror_submit(fd, &job), 0);
	EXPECT_EQ(seen.queue_id, 3u);
	EXPECT_EQ(seen.kernel, unsigned(SVMIRROR_SUM));
	EXPECT_EQ(seen.flags, 0u);
	EXPECT_EQ(seen.in_count, 2u);
	EXPECT_EQ(reinterpret_cast<const uint32_t *>(seen.in_syncobjs), after);
	EXPECT_EQ(seen.out_syncobj, 13u);
	EXPECT_EQ(seen.result, 99u);
	EXPECT_EQ(seen.args[DRM_SVGPU_ARGS - 1], 100u + DRM_SVGPU_ARGS - 1);
}

/* An interrupted call goes on; an answer that is an error does not. */
TEST_F(c_test, only_interruptions_are_tried_again)
{
	svmirror_job job = {};

	for (int error : {EAGAIN, EBUSY, EINVAL, EIO}) {
		unsigned calls = 0;

		fake::on<drm_svgpu_submit>(DRM_IOCTL_SVGPU_SUBMIT, [&](auto &) {
			calls++;
			return error;
		});
		fake::interrupt(3);
		EXPECT_EQ(svmirror_submit(fd, &job), -error);
		EXPECT_EQ(calls, 1u);
	}
}

TEST_F(c_test, wait)
{
	int64_t until = 0;
	int result = 0;

	fake::on<drm_syncobj_wait>(DRM_IOCTL_SYNCOBJ_WAIT, [&](auto &a) {
		EXPECT_EQ(a.count_handles, 1u);
		EXPECT_EQ(*reinterpret_cast<uint32_t *>(a.handles), 13u);
		EXPECT_TRUE(a.flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT);
		until = a.timeout_nsec;
		return result;
	});
	EXPECT_EQ(svmirror_wait(fd, 13, SVMIRROR_FOREVER), 0);
	EXPECT_EQ(until, INT64_MAX);
	EXPECT_EQ(svmirror_wait(fd, 13, INT64_MAX - 1), 0); /* it must not wrap */
	EXPECT_EQ(until, INT64_MAX);

	timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	result = ETIME;
	EXPECT_EQ(svmirror_wait(fd, 13, 5'000'000'000), -ETIME);
	EXPECT_GE(until, now.tv_sec * 1'000'000'000 + now.tv_nsec + 5'000'000'000);
	EXPECT_LE(until, now.tv_sec * 1'000'000'000 + now.tv_nsec + 100'000'000'000);
	result = EINVAL;
	EXPECT_EQ(svmirror_wait(fd, 13, 0), -EINVAL);
}

TEST_F(c_test, syncobjs)
{
	uint32_t handle = 0;

	fake::on<drm_syncobj_create>(DRM_IOCTL_SYNCOBJ_CREATE, [](auto &a) {
		a.handle = 13;
		return 0;
	});
	EXPECT_EQ(svmirror_syncobj_create(fd, &handle), 0);
	EXPECT_EQ(handle, 13u);
	fake::on<drm_syncobj_create>(DRM_IOCTL_SYNCOBJ_CREATE, [](auto &) { return ENOMEM; });
	EXPECT_EQ(svmirror_syncobj_create(fd, &handle), -ENOMEM);
	fake::on<drm_syncobj_destroy>(DRM_IOCTL_SYNCOBJ_DESTROY, [](auto &a) { return a.handle == 13 ? 0 : EINVAL; });
	EXPECT_EQ(svmirror_syncobj_destroy(fd, 13), 0);
	EXPECT_EQ(svmirror_syncobj_destroy(fd, 14), -EINVAL);
}

/* ---- svmirror_run() ---- */

class run_test : public c_test
{
protected:
	void SetUp() override
	{
		c_test::SetUp();
		fake::on<drm_syncobj_create>(DRM_IOCTL_SYNCOBJ_CREATE, [this](auto &a) {
			a.handle = 13;
			syncobjs++;
			return 0;
		});
		fake::on<drm_syncobj_destroy>(DRM_IOCTL_SYNCOBJ_DESTROY, [this](auto &a) {
			EXPECT_EQ(a.handle, 13u);
			syncobjs--;
			return 0;
		});
		fake::on<drm_svgpu_submit>(DRM_IOCTL_SVGPU_SUBMIT, [this](auto &a) {
			EXPECT_EQ(a.out_syncobj, 13u);
			tokens.push_back(a.result);
			return submit_error;
		});
		fake::on<drm_syncobj_wait>(DRM_IOCTL_SYNCOBJ_WAIT, [this](auto &) { return wait_error; });
		fake::on<drm_svgpu_info>(DRM_IOCTL_SVGPU_INFO, [this](auto &a) {
			EXPECT_EQ(a.info, unsigned(DRM_SVGPU_INFO_JOB));
			EXPECT_EQ(a.queue_id, 3u);
			EXPECT_EQ(a.token, tokens.back());
			reinterpret_cast<drm_svgpu_job_result *>(a.data)->bytes = 64;
			return 0;
		});
	}

	int syncobjs = 0, submit_error = 0, wait_error = 0;
	std::vector<uint64_t> tokens;
};

TEST_F(run_test, runs)
{
	svmirror_job job = {};
	drm_svgpu_job_result result = {};

	job.queue = 3;
	EXPECT_EQ(svmirror_run(fd, &job, 1000, &result), 0);
	EXPECT_EQ(result.bytes, 64u);
	EXPECT_EQ(svmirror_run(fd, &job, 1000, &result), 0);
	EXPECT_NE(tokens[0], tokens[1]);
	EXPECT_GE(tokens[0], 1ull << 63); /* far from a caller's own */
	EXPECT_EQ(syncobjs, 0);
}

TEST_F(run_test, gives_the_syncobj_back_on_each_error)
{
	svmirror_job job = {};
	drm_svgpu_job_result result = {};

	job.queue = 3;
	submit_error = EBUSY;
	EXPECT_EQ(svmirror_run(fd, &job, 1000, &result), -EBUSY);
	submit_error = 0;
	wait_error = ETIME;
	EXPECT_EQ(svmirror_run(fd, &job, 1000, &result), -ETIME);
	EXPECT_EQ(syncobjs, 0);
	EXPECT_EQ(result.bytes, 0u);
	fake::on<drm_syncobj_create>(DRM_IOCTL_SYNCOBJ_CREATE, [](auto &) { return ENOMEM; });
	EXPECT_EQ(svmirror_run(fd, &job, 1000, &result), -ENOMEM);
	EXPECT_EQ(tokens.size(), 2u);
}
