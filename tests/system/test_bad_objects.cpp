// SPDX-License-Identifier: GPL-2.0-only
/* Calls about buffer objects that the uAPI rejects: the very errno, nothing done, and the same call without the fault is taken. */
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include <sys/ioctl.h>
#include <sys/wait.h>

#include "objects.hpp"

using namespace harness;

namespace {

constexpr std::uint64_t at = 1ull << 40;

int call(int fd, unsigned long request, void *arg) { return ioctl(fd, request, arg) < 0 ? -errno : 0; }

// A vm in which nothing is bound, a buffer, and a good bind of a part of it, for tests to spoil.
struct ready {
	ready()
	{
		op.start = at;
		op.length = 4 * page;
		op.offset = 2 * page;
		op.kind = DRM_SVM_BIND_OBJECT;
		op.handle = buffer.id();
	}
	// The errno of the bind after @spoil; then nothing is bound.
	int bind(const std::function<void(drm_svm_bind_op &)> &spoil) const
	{
		drm_svm_bind_op bad = op;
		spoil(bad);
		int rc = svmirror_bind_many(device.fd(), vm.id(), &bad, 1);
		EXPECT_TRUE(vm.bindings().empty()) << "something was done";
		return rc;
	}
	// Without a fault it is taken.
	void taken() const
	{
		EXPECT_EQ(svmirror_bind_many(device.fd(), vm.id(), &op, 1), 0);
		EXPECT_EQ(vm.bindings().size(), 1u);
	}
	svmirror::device device;
	svmirror::vm vm{device};
	svmirror::buffer buffer{device, 16 * page, place::system};
	drm_svm_bind_op op{};
};

} // namespace

SVM_TEST(BadObjects, HandlesThatAreNone)
{
	ready good;
	svmirror::device other;
	svmirror::buffer theirs(other, 16 * page, place::system), more(other, 16 * page, place::system);
	ASSERT_NE(more.id(), good.buffer.id());
	EXPECT_EQ(good.bind([](auto &op) { op.handle = 0; }), -ENOENT);
	EXPECT_EQ(good.bind([](auto &op) { op.handle = 12345; }), -ENOENT);
	EXPECT_EQ(good.bind([](auto &op) { op.handle = ~0u; }), -ENOENT);
	EXPECT_EQ(good.bind([&](auto &op) { op.handle = more.id(); }), -ENOENT) << "another file's";
	std::uint32_t closed;
	{
		svmirror::buffer gone(good.device, page, place::system);
		closed = gone.id();
	}
	EXPECT_EQ(good.bind([&](auto &op) { op.handle = closed; }), -ENOENT);
	good.taken();
}

SVM_TEST(BadObjects, WhatOtherKindsDoNotHave)
{
	ready good;
	for (std::uint32_t kind : {DRM_SVM_BIND_NOTHING, DRM_SVM_BIND_MIRROR, DRM_SVM_BIND_NULL}) {
		auto plain = [&](drm_svm_bind_op &op) {
			op.kind = kind;
			op.offset = 0;
			op.handle = 0;
		};
		EXPECT_EQ(good.bind([&](auto &op) { plain(op), op.handle = good.buffer.id(); }), -EINVAL) << kind;
		for (std::uint32_t flag : {DRM_SVM_BIND_READ_ONLY, DRM_SVM_BIND_ON_DEMAND, DRM_SVM_BIND_NONCOHERENT, DRM_SVM_BIND_UNCACHED})
			EXPECT_EQ(good.bind([&](auto &op) { plain(op), op.flags = flag; }), -EINVAL) << kind << ' ' << flag;
	}
	EXPECT_EQ(good.bind([](auto &op) { op.kind = DRM_SVM_BIND_OBJECT + 1; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.kind = ~0u; }), -EINVAL);
	good.taken();
}

SVM_TEST(BadObjects, FlagsOfABind)
{
	ready good;
	for (std::uint32_t bit = 4; bit < 32; bit++)
		EXPECT_EQ(good.bind([&](auto &op) { op.flags = 1u << bit; }), -EINVAL) << bit;
	EXPECT_EQ(good.bind([](auto &op) { op.flags = DRM_SVM_BIND_NONCOHERENT | DRM_SVM_BIND_UNCACHED; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.pad = 1; }), -EINVAL);
	good.taken();
}

SVM_TEST(BadObjects, SpansThatAreNotInTheBuffer)
{
	ready good;
	for (std::int64_t off : {1, 8, 4095}) {
		EXPECT_EQ(good.bind([&](auto &op) { op.offset += off; }), -EINVAL) << off;
		EXPECT_EQ(good.bind([&](auto &op) { op.start += std::uint64_t(off); }), -EINVAL) << off;
		EXPECT_EQ(good.bind([&](auto &op) { op.length += std::uint64_t(off); }), -EINVAL) << off;
	}
	EXPECT_EQ(good.bind([](auto &op) { op.offset = 13 * page; }), -EINVAL) << "its last page is behind the buffer";
	EXPECT_EQ(good.bind([](auto &op) { op.offset = 16 * page; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.length = 15 * page; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.offset = -std::int64_t(page); }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.offset = INT64_MIN; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.offset = INT64_MAX & -std::int64_t(page); }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.length = 0; }), -EINVAL);
	EXPECT_EQ(good.bind([](auto &op) { op.start = op.length = 0, op.offset = 0; }), -EINVAL) << "all addresses";
	EXPECT_EQ(good.bind([](auto &op) { op.start = -std::uint64_t(2 * page); }), -EINVAL) << "it wraps";
	EXPECT_EQ(good.bind([](auto &op) { op.start = 1ull << 63; }), -EINVAL);
	// to its last page
	good.op.offset = 12 * page;
	good.taken();
}

// One bad operation among good ones, wherever it stands.
SVM_TEST(BadObjects, AllOfAnArrayOrNothing)
{
	ready good;
	for (unsigned bad = 0; bad < 3; bad++)
		for (bool handle : {true, false}) {
			drm_svm_bind_op ops[3] = {good.op, good.op, good.op};
			ops[1].start += 8 * page;
			ops[2].start += 16 * page;
			(handle ? ops[bad].handle : ops[bad].flags) = 12345 << 8;
			EXPECT_EQ(svmirror_bind_many(good.device.fd(), good.vm.id(), ops, 3), handle ? -ENOENT : -EINVAL) << bad;
			EXPECT_TRUE(good.vm.bindings().empty());
		}
	drm_svm_bind_op two[2] = {good.op, good.op};
	two[1].start += page;
	EXPECT_EQ(svmirror_bind_many(good.device.fd(), good.vm.id(), two, 2), -EINVAL) << "they meet";
	EXPECT_TRUE(good.vm.bindings().empty());
	good.taken();
}

SVM_TEST(BadObjects, AChildsCalls)
{
	ready good;
	child forked([&] {
		// not the vm's process; the file's handles are no process's
		if (svmirror_bind_many(good.device.fd(), good.vm.id(), &good.op, 1) != -EPERM)
			return 1;
		return good.buffer.info().size == 16 * page ? 0 : 2;
	});
	EXPECT_TRUE(forked.succeeded());
	EXPECT_TRUE(good.vm.bindings().empty());
	good.taken();
}

SVM_TEST(BadObjects, BuffersThatCannotBe)
{
	svmirror::device device;
	drm_svgpu_bo_create good{};
	good.size = 4 * page;
	good.where = DRM_SVGPU_BO_VRAM;
	auto create = [&](const std::function<void(drm_svgpu_bo_create &)> &spoil) {
		drm_svgpu_bo_create bad = good;
		bad.handle = 0;
		spoil(bad);
		int rc = call(device.fd(), DRM_IOCTL_SVGPU_BO_CREATE, &bad);
		EXPECT_EQ(bad.handle, 0u);
		return rc;
	};
	for (std::uint32_t where : {DRM_SVGPU_BO_SYSTEM, DRM_SVGPU_BO_VRAM}) {
		good.where = where;
		EXPECT_EQ(create([](auto &bo) { bo.size = 0; }), -EINVAL);
		for (std::uint64_t off : {1, 8, 4095})
			EXPECT_EQ(create([&](auto &bo) { bo.size += off; }), -EINVAL) << off;
		EXPECT_EQ(create([](auto &bo) { bo.size = 1ull << 63; }), -E2BIG);
		EXPECT_EQ(create([](auto &bo) { bo.size = -std::uint64_t(page); }), -E2BIG);
		EXPECT_EQ(create([](auto &bo) { bo.flags = 1; }), -EINVAL);
		EXPECT_EQ(create([](auto &bo) { bo.flags = 1u << 31; }), -EINVAL);
		EXPECT_EQ(create([](auto &bo) { bo.pad = 1; }), -EINVAL);
	}
	if (leaves_reach_vram(device)) {
		good.where = DRM_SVGPU_BO_VRAM;
		EXPECT_EQ(create([&](auto &bo) { bo.size = device.gpu().vram_bytes + page; }), -E2BIG);
	}
	EXPECT_EQ(create([](auto &bo) { bo.where = DRM_SVGPU_BO_NOWHERE; }), -EINVAL);
	EXPECT_EQ(create([](auto &bo) { bo.where = DRM_SVGPU_BO_VRAM + 1; }), -EINVAL);
	EXPECT_EQ(create([](auto &bo) { bo.where = ~0u; }), -EINVAL);
	good.handle = 77; // out
	EXPECT_EQ(call(device.fd(), DRM_IOCTL_SVGPU_BO_CREATE, &good), 0);
	EXPECT_EQ(svmirror_buffer_close(device.fd(), good.handle), 0);
}

SVM_TEST(BadObjects, HandlesOfTheOtherCalls)
{
	svmirror::device device, other;
	svmirror::buffer one(device, page, place::system);
	drm_svgpu_bo_info info;
	int fd = device.fd(), out = -1;
	for (std::uint32_t handle : {0u, 12345u, ~0u}) {
		EXPECT_EQ(svmirror_buffer_info(fd, handle, &info), -ENOENT) << handle;
		EXPECT_EQ(svmirror_buffer_export(fd, handle, &out), -ENOENT) << handle;
		EXPECT_EQ(svmirror_buffer_close(fd, handle), -EINVAL) << handle;
	}
	EXPECT_EQ(svmirror_buffer_info(other.fd(), one.id(), &info), -ENOENT);
	EXPECT_EQ(svmirror_buffer_export(other.fd(), one.id(), &out), -ENOENT);
	EXPECT_EQ(svmirror_buffer_close(other.fd(), one.id()), -EINVAL);
	std::uint32_t handle = 0;
	EXPECT_EQ(svmirror_buffer_import(fd, -1, &handle), -EBADF);
	EXPECT_EQ(svmirror_buffer_import(fd, fd, &handle), -EINVAL) << "no dma-buf";
	EXPECT_EQ(handle, 0u);
	EXPECT_EQ(one.size(), page);
}

SVM_TEST(BadObjects, Mappings)
{
	svmirror::device device, other;
	svmirror::buffer one(device, 4 * page, place::system);
	auto offset = static_cast<off_t>(one.info().mmap_offset);
	auto map = [&](std::size_t size, int protection, int flags, int fd, off_t where) {
		void *got = mmap(nullptr, size, protection, flags, fd, where);
		if (got == MAP_FAILED)
			return -errno;
		munmap(got, size);
		return 0;
	};
	constexpr int both = PROT_READ | PROT_WRITE;
	EXPECT_EQ(map(4 * page, both, MAP_PRIVATE, device.fd(), offset), -EINVAL);
	EXPECT_EQ(map(4 * page, PROT_READ, MAP_PRIVATE, device.fd(), offset), -EINVAL);
	EXPECT_EQ(map(5 * page, both, MAP_SHARED, device.fd(), offset), -EINVAL) << "beyond its end";
	EXPECT_EQ(map(page, both, MAP_SHARED, device.fd(), 0), -EINVAL) << "no buffer's offset";
	EXPECT_EQ(map(page, both, MAP_SHARED, device.fd(), offset + off_t(64 * mib)), -EINVAL) << "no buffer's offset";
	EXPECT_EQ(map(4 * page, both, MAP_SHARED, other.fd(), offset), -EACCES) << "a file that has no handle of it";
	EXPECT_EQ(map(4 * page, both, MAP_SHARED, device.fd(), offset), 0);
	EXPECT_EQ(map(page, PROT_READ, MAP_SHARED, device.fd(), offset), 0);
}

// What the CPU may not write by its own mapping it does not write; the device may.
SVM_TEST(BadObjects, AMappingToReadFrom)
{
	gpu gpu;
	for (place where : places) {
		shared_object one(gpu, 4 * page, where);
		ASSERT_EQ(mprotect(one.memory.data(), one.memory.size(), PROT_READ), 0);
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{1}), 0);
		EXPECT_TRUE(holds(one.bytes(), std::byte{1}));
		child writer([&] {
			*const_cast<volatile std::byte *>(&one.at(1)) = std::byte{2};
			return 0;
		});
		std::optional<int> status = writer.wait();
		ASSERT_TRUE(status);
		EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGSEGV) << *status;
		EXPECT_TRUE(holds(one.bytes(), std::byte{1}));
		EXPECT_TRUE(device_holds(gpu.queue, one.bytes(), std::byte{1}));
	}
}
