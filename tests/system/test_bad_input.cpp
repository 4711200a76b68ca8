// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each call that the uAPI rejects, one test each: the very errno, and the same
 * call without the fault is taken. Bad jobs are in test_bad_jobs.cpp.
 */
#include <cerrno>
#include <cstring>
#include <functional>

#include <sys/ioctl.h>

#include "harness.hpp"

using namespace harness;

namespace {

int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

// A good call of each kind, for tests to spoil.
struct calls {
	explicit calls(const gpu &gpu, const mapping &memory)
	{
		bind.vm_id = prefetch.vm_id = query.vm_id = queue.vm_id = gpu.vm.id();
		op.start = prefetch.start = svmirror::address(memory.data());
		op.length = prefetch.length = memory.size();
		op.kind = DRM_SVM_BIND_MIRROR;
		bind.count = 1;
		bind.stride = sizeof(op);
		bind.ops = svmirror::address(&op);
		submit.queue_id = gpu.queue.id();
		query.query = DRM_SVM_QUERY_COUNTERS;
		query.size = sizeof(counters);
		query.data = svmirror::address(&counters);
	}
	drm_svm_vm_create create{};
	drm_svm_bind_op op{};
	drm_svm_bind bind{};
	drm_svm_prefetch prefetch{};
	drm_svm_query query{};
	drm_svgpu_queue_create queue{};
	drm_svgpu_submit submit{};
	drm_svm_counters counters{};
};

constexpr std::uint64_t user_end = 1ull << 47;

// A vm in which nothing is bound.
struct bare {
	svmirror::device device;
	svmirror::vm vm{device};
	int bind(std::uint64_t start, std::uint64_t length, std::int64_t offset = 0) const
	{
		return svmirror_bind(device.fd(), vm.id(), start, length, offset);
	}
};

} // namespace

SVM_TEST(BadInput, UnknownFlags)
{
	gpu gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	calls good(gpu, memory);
	for (std::uint32_t bit = 0; bit < 32; bit += 31) {
		calls bad = good;
		bad.queue.flags = bad.submit.flags = 1u << bit;
		bad.create.flags = bad.bind.flags = bit ? 1u << bit : 2u;
		bad.prefetch.flags = bit ? 1u << bit : 8u;
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_VM_CREATE, &bad.create), -EINVAL);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_BIND, &bad.bind), -EINVAL);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_PREFETCH, &bad.prefetch), -EINVAL);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_QUEUE_CREATE, &bad.queue), -EINVAL);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_SUBMIT, &bad.submit), -EINVAL);
	}
	// what was refused would have been good without the flag
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_PREFETCH, &good.prefetch), 0);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_SUBMIT, &good.submit), 0);
}

SVM_TEST(BadInput, NonZeroPadding)
{
	gpu gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	calls good(gpu, memory);
	for (unsigned i = 0; i < 2; i++) {
		calls bad = good;
		bad.create.reserved[i] = 1;
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_VM_CREATE, &bad.create), -EINVAL);
	}
	calls bad = good;
	bad.prefetch.moved = 1ull << 63;
	bad.query.reserved = 1;
	bad.queue.pad = 1;
	bad.submit.pad = 1;
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_PREFETCH, &bad.prefetch), -EINVAL);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &bad.query), -EINVAL);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_QUEUE_CREATE, &bad.queue), -EINVAL);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_SUBMIT, &bad.submit), -EINVAL);
	drm_svm_vm_destroy no_vm{gpu.vm.id(), 1};
	drm_svgpu_queue_destroy no_queue{gpu.queue.id(), 1};
	EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_QUEUE_DESTROY, &no_queue), -EINVAL);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_VM_DESTROY, &no_vm), -EINVAL);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &good.query), 0);
}

// What is out need not be cleared between two calls with the same struct.
SVM_TEST(BadInput, OutFieldsAreIgnoredOnInput)
{
	gpu gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	calls good(gpu, memory);
	for (unsigned round = 0; round < 2; round++) {
		std::uint32_t last = good.create.vm_id;
		ASSERT_EQ(call(fd, DRM_IOCTL_SVM_VM_CREATE, &good.create), 0) << round;
		EXPECT_NE(good.create.vm_id, last);
		last = good.queue.queue_id;
		ASSERT_EQ(call(fd, DRM_IOCTL_SVGPU_QUEUE_CREATE, &good.queue), 0) << round;
		EXPECT_NE(good.queue.queue_id, last);
		good.prefetch.pages = 77 * round;
		ASSERT_EQ(call(fd, DRM_IOCTL_SVM_PREFETCH, &good.prefetch), 0) << round;
		EXPECT_EQ(good.prefetch.pages, 1u);
	}
}

// A caller's record may be longer than the kernel's, and has its own distance to the next.
SVM_TEST(BadInput, StridesOfFaultRecords)
{
	gpu gpu;
	mapping memory(page);
	calls some(gpu, memory);
	int fd = gpu.device.fd();
	struct longer {
		drm_svm_fault_record record;
		std::uint64_t later[2];
	} log[3];
	drm_svm_query query = some.query;
	query.stride = sizeof(drm_svm_fault_record);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &query), -EINVAL) << "counters have none";
	query.query = DRM_SVM_QUERY_FAULT_LOG;
	for (std::uint32_t stride : {8u, 24u, 36u, 4104u, ~7u}) {
		query.stride = stride;
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &query), -EINVAL) << stride;
	}
	for (std::uint64_t va : {8, 16, 24})
		ASSERT_EQ(device_write(gpu.queue, reinterpret_cast<void *>(va), std::byte{1}), EFAULT);
	query.stride = sizeof(longer);
	query.size = 0;
	ASSERT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &query), 0);
	EXPECT_EQ(query.size, 3 * sizeof(longer));
	std::memset(log, 0xee, sizeof(log));
	query.size = 2 * sizeof(longer) + sizeof(drm_svm_fault_record); // two and a piece
	query.data = svmirror::address(log);
	ASSERT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &query), 0);
	EXPECT_EQ(query.size, 2 * sizeof(longer));
	for (unsigned i = 0; i < 2; i++) {
		EXPECT_EQ(log[i].record.va, 8 * (i + 1));
		EXPECT_EQ(log[i].record.error, -EFAULT);
		EXPECT_EQ(log[i].later[0], 0u) << "what the kernel does not know is 0";
		EXPECT_EQ(log[i].later[1], 0u);
	}
	EXPECT_EQ(log[2].record.va, 0xeeeeeeeeeeeeeeeeull) << "written beyond the buffer";
	query.stride = 0; // the first version's
	query.size = sizeof(log);
	ASSERT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &query), 0);
	EXPECT_EQ(query.size, std::uint64_t{DRM_SVM_FAULT_RECORD_SIZE_1});
	EXPECT_EQ(log[0].record.va, 24u);
}

SVM_TEST(BadInput, UnalignedSpans)
{
	bare gpu;
	mapping memory(4 * page);
	int fd = gpu.device.fd();
	std::uint64_t start = svmirror::address(memory.data());
	for (std::uint64_t off : {1ull, 8ull, 4095ull}) {
		EXPECT_EQ(gpu.bind(start + off, page), -EINVAL);
		EXPECT_EQ(gpu.bind(start, page + off), -EINVAL);
		EXPECT_EQ(svmirror_unbind(fd, gpu.vm.id(), start + off, page), -EINVAL);
		EXPECT_EQ(svmirror_unbind(fd, gpu.vm.id(), start, page + off), -EINVAL);
	}
	ASSERT_EQ(gpu.bind(start, 4 * page), 0);
	for (std::uint64_t off : {1ull, 8ull, 4095ull}) {
		EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start + off, page, 0, nullptr), -EINVAL);
		EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start, off, 0, nullptr), -EINVAL);
	}
}

SVM_TEST(BadInput, EmptySpans)
{
	bare gpu;
	mapping memory(page);
	std::uint64_t start = svmirror::address(memory.data());
	EXPECT_EQ(gpu.bind(start, 0), -EINVAL);
	ASSERT_EQ(gpu.bind(start, page), 0);
	EXPECT_EQ(svmirror_prefetch(gpu.device.fd(), gpu.vm.id(), start, 0, 0, nullptr), -EINVAL);
}

SVM_TEST(BadInput, WrappingSpans)
{
	bare gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	std::uint64_t start = svmirror::address(memory.data()), wraps = 0 - start + page;
	EXPECT_EQ(gpu.bind(start, wraps), -EINVAL);
	EXPECT_EQ(gpu.bind(-page, 2 * page), -EINVAL);
	EXPECT_EQ(svmirror_unbind(fd, gpu.vm.id(), start, wraps), -EINVAL);
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start, wraps, 0, nullptr), -EINVAL);
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), -page, page, 0, nullptr), -EINVAL);
}

namespace {

// @spoil makes a good array of two operations bad: it is @error, and nothing of it is done.
void expect_refused(int error, const std::function<void(drm_svm_bind &, drm_svm_bind_op (&)[2])> &spoil)
{
	bare gpu;
	mapping memory(4 * page);
	std::uint64_t start = svmirror::address(memory.data());
	drm_svm_bind_op ops[2]{};
	ops[0].start = start;
	ops[1].start = start + 2 * page;
	ops[0].length = ops[1].length = page;
	ops[0].kind = DRM_SVM_BIND_MIRROR;
	ops[1].kind = DRM_SVM_BIND_NULL;
	drm_svm_bind bind{}, bad;
	bind.vm_id = gpu.vm.id();
	bind.count = 2;
	bind.stride = sizeof(ops[0]);
	bind.ops = svmirror::address(&ops);
	bad = bind;
	drm_svm_bind_op good[2] = {ops[0], ops[1]};
	spoil(bad, ops);
	EXPECT_EQ(call(gpu.device.fd(), DRM_IOCTL_SVM_BIND, &bad), error);
	EXPECT_TRUE(gpu.vm.bindings().empty());
	bind.ops = svmirror::address(&good);
	EXPECT_EQ(call(gpu.device.fd(), DRM_IOCTL_SVM_BIND, &bind), 0);
	EXPECT_EQ(gpu.vm.bindings().size(), 2u);
}

} // namespace

SVM_TEST(BadInput, BindsThatMeet)
{
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = ops[0].start; });
	expect_refused(-EINVAL, [](auto &, auto &ops) {
		ops[1].start = ops[0].start - page;
		ops[1].length = 2 * page;
	});
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[0].length = 3 * page; });
}

SVM_TEST(BadInput, BindsOfUnknownKindsAndFlags)
{
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].kind = 4; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].kind = ~0u; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].flags = 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].pad = 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].offset = page; });
	expect_refused(-EINVAL, [](auto &, auto &ops) {
		ops[1].kind = DRM_SVM_BIND_NOTHING;
		ops[1].offset = page;
	});
}

SVM_TEST(BadInput, BindsThatWrapOrAreEmpty)
{
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].length = 0 - ops[1].start + page; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].length = 0; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].length = page + 1; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = 1ull << 57; });
	expect_refused(-EINVAL, [](auto &, auto &ops) { ops[1].start = (1ull << 48) - page; ops[1].length = 2 * page; });
}

SVM_TEST(BadInput, ArraysOfBindsThatAreNone)
{
	expect_refused(-EFAULT, [](auto &bind, auto &) { bind.ops = 0x1000; });
	expect_refused(-EFAULT, [](auto &bind, auto &) { bind.ops = ~0ull - 7; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.stride = 0; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.stride = DRM_SVM_BIND_OP_SIZE_1 - 8; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.stride = DRM_SVM_BIND_OP_SIZE_1 + 4; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.stride = 8192; });
	expect_refused(-E2BIG, [](auto &bind, auto &) { bind.count = DRM_SVM_BIND_MAX + 1; });
	// syncobjs are for binds that are done later
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.in_count = 1; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.in_syncobjs = 0x1000; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.out_syncobj = 1; });
	expect_refused(-EINVAL, [](auto &bind, auto &) { bind.flags = DRM_SVM_BIND_ASYNC << 1; });
	// and none may be missing
	expect_refused(-EINVAL, [](auto &bind, auto &) {
		bind.flags = DRM_SVM_BIND_ASYNC;
		bind.in_count = DRM_SVM_BIND_IN_MAX + 1;
	});
	expect_refused(-EFAULT, [](auto &bind, auto &) {
		bind.flags = DRM_SVM_BIND_ASYNC;
		bind.in_count = 1;
		bind.in_syncobjs = 0x1000;
	});
	expect_refused(-ENOENT, [](auto &bind, auto &) {
		bind.flags = DRM_SVM_BIND_ASYNC;
		bind.out_syncobj = 12345;
	});
	// a later version's operations: what this kernel does not know must be 0
	struct {
		drm_svm_bind_op op;
		std::uint64_t more;
	} long_ops[2]{};
	expect_refused(-E2BIG, [&](auto &bind, auto &ops) {
		long_ops[0].op = ops[0];
		long_ops[1].op = ops[1];
		long_ops[1].more = 1;
		bind.stride = sizeof(long_ops[0]);
		bind.ops = svmirror::address(&long_ops);
	});
}

SVM_TEST(BadInput, MirrorsOutsideTheUserAddressSpace)
{
	bare gpu;
	EXPECT_EQ(gpu.bind(user_end, 2 * mib), -EINVAL);
	EXPECT_EQ(gpu.bind(user_end - mib, 2 * mib), -EINVAL);
	EXPECT_EQ(gpu.bind(0xffff800000000000ull, 2 * mib), -EINVAL) << "kernel addresses";
	EXPECT_EQ(gpu.bind(1ull << 57, 2 * mib), -EINVAL) << "beyond the device's";
	// inside the device's address space, but the CPU's side is not
	EXPECT_EQ(gpu.bind(4 * mib, 2 * mib, 8 * mib), -EINVAL) << "its CPU address would be negative";
	EXPECT_EQ(gpu.bind(4 * mib, 2 * mib, -std::int64_t(user_end)), -EINVAL);
}

SVM_TEST(BadInput, OffsetsThatAreNoPages)
{
	bare gpu;
	mapping memory(2 * mib);
	std::uint64_t start = svmirror::address(memory.data());
	for (std::int64_t offset : {std::int64_t(1), std::int64_t(page - 1), std::int64_t(page / 2), -std::int64_t(1)})
		EXPECT_EQ(gpu.bind(start, page, offset), -EINVAL);
	EXPECT_EQ(gpu.bind(start + page, page, page), 0);
}

SVM_TEST(BadInput, PrefetchOfAHole)
{
	bare gpu;
	mapping memory(4 * mib);
	int fd = gpu.device.fd();
	std::uint64_t start = svmirror::address(memory.data());
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start, page, 0, nullptr), -EINVAL);
	ASSERT_EQ(gpu.bind(start, 2 * mib), 0);
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start + 2 * mib, page, 0, nullptr), -EINVAL);
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start + mib, 2 * mib, 0, nullptr), -EINVAL) << "half of it is inside";
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start - page, 2 * page, 0, nullptr), -EINVAL);
	EXPECT_EQ(svmirror_prefetch(fd, gpu.vm.id(), start, 2 * mib, 0, nullptr), 0);
}

SVM_TEST(BadInput, VmFromAnotherProcess)
{
	gpu gpu;
	// the rest of what a child may not do is in Row05Fork
	child other([&] {
		svmirror::counters counters;
		return svmirror_counters(gpu.device.fd(), gpu.vm.id(), &counters) == -EPERM ? 0 : 1;
	});
	EXPECT_TRUE(other.succeeded());
}

SVM_TEST(BadInput, VmOfAnotherFile)
{
	gpu gpu;
	svmirror::device second;
	svmirror::counters counters;
	EXPECT_EQ(svmirror_counters(second.fd(), gpu.vm.id(), &counters), -ENOENT);
	EXPECT_EQ(svmirror_queue_destroy(second.fd(), gpu.queue.id()), -ENOENT);
}

SVM_TEST(BadInput, IdsThatDoNotExist)
{
	gpu gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	calls good(gpu, memory);
	for (std::uint32_t id : {0u, gpu.vm.id() + 1000, ~0u}) {
		calls bad = good;
		bad.bind.vm_id = bad.prefetch.vm_id = bad.query.vm_id = bad.queue.vm_id = id;
		bad.submit.queue_id = id;
		EXPECT_EQ(svmirror_vm_destroy(fd, id), -ENOENT);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_BIND, &bad.bind), -ENOENT);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_PREFETCH, &bad.prefetch), -ENOENT);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &bad.query), -ENOENT);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_QUEUE_CREATE, &bad.queue), -ENOENT);
		EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_SUBMIT, &bad.submit), -ENOENT);
		EXPECT_EQ(svmirror_queue_destroy(fd, id), -ENOENT);
	}
	svmirror::job_result result;
	EXPECT_EQ(svmirror_job_result(fd, gpu.queue.id(), 424242, &result), -ENOENT);
}

SVM_TEST(BadInput, IdsThatAreGone)
{
	svmirror::device device;
	svmirror::vm vm(device);
	svmirror::queue queue(vm);
	std::uint32_t vm_id = vm.id(), queue_id = queue.id();
	EXPECT_EQ(svmirror_vm_destroy(device.fd(), vm_id), -EBUSY) << "it has a queue";
	ASSERT_EQ(queue.destroy(), 0);
	EXPECT_EQ(svmirror_queue_destroy(device.fd(), queue_id), -ENOENT);
	ASSERT_EQ(vm.destroy(), 0);
	EXPECT_EQ(svmirror_vm_destroy(device.fd(), vm_id), -ENOENT);
}

// The driver's numbers and those of svm_drm.h have a gap between them.
SVM_TEST(BadInput, NumbersWithoutAnIoctl)
{
	svmirror::device device;
	std::uint64_t argument[64] = {};
	for (unsigned number = DRM_SVGPU_BO_INFO + 1; number < DRM_COMMAND_END - DRM_COMMAND_BASE; number++) {
		if (number >= DRM_SVM_VM_CREATE && number <= DRM_SVM_ADVISE)
			continue;
		EXPECT_EQ(call(device.fd(), DRM_IOWR(DRM_COMMAND_BASE + number, argument), argument), -EINVAL) << number;
	}
}

SVM_TEST(BadInput, SizesOfAVm)
{
	svmirror::device device;
	std::uint32_t table = device.info().table_lg2, bits = device.info().va_bits;
	std::uint32_t id;
	for (std::uint32_t interval : {1u, 12u, table - 1, bits + 1, 64u, ~0u}) {
		svmirror_vm_options options{.interval_lg2 = interval, .granule_lg2 = 0, .flags = 0};
		EXPECT_EQ(svmirror_vm_create(device.fd(), &options, &id), -EINVAL) << "interval " << interval;
	}
	for (std::uint32_t granule : {1u, 11u, table + 1, 64u, ~0u}) {
		svmirror_vm_options options{.interval_lg2 = 0, .granule_lg2 = granule, .flags = 0};
		EXPECT_EQ(svmirror_vm_create(device.fd(), &options, &id), -EINVAL) << "granule " << granule;
	}
	svmirror::vm smallest(device, {.interval_lg2 = table, .granule_lg2 = 12, .flags = 0});
	svmirror::vm largest(device, {.interval_lg2 = bits, .granule_lg2 = table, .flags = 0});
}

SVM_TEST(BadInput, QueriesThatDoNotExist)
{
	gpu gpu;
	mapping memory(page);
	int fd = gpu.device.fd();
	calls bad(gpu, memory);
	bad.query.query = DRM_SVM_QUERY_SPANS + 1;
	EXPECT_EQ(call(fd, DRM_IOCTL_SVM_QUERY, &bad.query), -EINVAL);
	drm_svgpu_info ask{};
	ask.info = 2;
	ask.size = sizeof(bad.counters);
	ask.data = svmirror::address(&bad.counters);
	EXPECT_EQ(call(fd, DRM_IOCTL_SVGPU_INFO, &ask), -EINVAL);
}

SVM_TEST(BadInput, AnswerBufferThatIsNotThere)
{
	gpu gpu;
	mapping memory(page);
	calls bad(gpu, memory);
	bad.query.data = 0x10;
	EXPECT_EQ(call(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &bad.query), -EFAULT);
}

SVM_TEST(BadInput, ShortAnswerBuffer)
{
	gpu gpu;
	mapping memory(page);
	calls some(gpu, memory);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(0), std::byte{1}), 0);
	std::memset(&some.counters, 0xee, sizeof(some.counters));
	some.query.size = sizeof(some.counters.faults);
	ASSERT_EQ(call(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &some.query), 0);
	EXPECT_EQ(some.query.size, sizeof(some.counters.faults));
	EXPECT_GE(some.counters.faults, 1u);
	EXPECT_EQ(some.counters.duplicates, 0xeeeeeeeeeeeeeeeeull) << "written beyond the buffer";
	some.query.size = 0;
	ASSERT_EQ(call(gpu.device.fd(), DRM_IOCTL_SVM_QUERY, &some.query), 0);
	EXPECT_EQ(some.query.size, sizeof(some.counters));
}
