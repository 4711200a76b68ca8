// SPDX-License-Identifier: GPL-2.0-only
/* Buffers that go from one file or device to another, as dma-bufs. */
#include <cerrno>
#include <optional>

#include <drm_mode.h>

#include "objects.hpp"

using namespace harness;

SVM_TEST(Row26Sharing, BetweenTwoFiles)
{
	gpu gpu, other;
	for (place where : places) {
		shared_object one(gpu, 64 * page, where);
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{1}), 0);
		std::optional<svmirror::buffer> same;
		{
			svmirror::dma_buf way = one.buffer.share();
			same.emplace(other.device, way);
		}
		EXPECT_EQ(same->size(), 64 * page);
		mapping at(64 * page);
		other.vm.bind(svmirror::address(at.data()), *same);
		EXPECT_TRUE(device_holds(other.queue, at.bytes(), std::byte{1}));
		ASSERT_EQ(device_fill(other.queue, at.bytes(), std::byte{2}), 0);
		EXPECT_TRUE(holds(one.bytes(), std::byte{2}));
		svmirror::buffer_view view = same->map();
		view.bytes()[page] = std::byte{3};
		EXPECT_DEVICE_READS(gpu.queue, &one.at(1), 3);
		// it outlives the file that made it
		ASSERT_EQ(one.buffer.close(), 0);
		gpu.vm.unbind(one.bytes());
		EXPECT_DEVICE_READS(other.queue, &at.at(1), 3);
		other.vm.bind(at.bytes());
	}
}

// A file has one handle of a buffer, whichever way it came.
SVM_TEST(Row26Sharing, BackIntoTheSameFile)
{
	svmirror::device device;
	svmirror::buffer one(device, 16 * page, place::vram);
	svmirror::dma_buf way = one.share();
	std::uint32_t again = 0;
	ASSERT_EQ(svmirror_buffer_import(device.fd(), way.fd(), &again), 0);
	EXPECT_EQ(again, one.id());
	EXPECT_EQ(one.size(), 16 * page);
}

// The descriptor alone keeps the buffer, and gives it back to a file that has none any more.
SVM_TEST(Row26Sharing, ADescriptorKeepsIt)
{
	gpu gpu;
	mapping at(16 * page);
	for (place where : places) {
		std::optional<svmirror::dma_buf> way;
		{
			svmirror::buffer one(gpu.device, at.size(), where);
			gpu.vm.bind(svmirror::address(at.data()), one);
			ASSERT_EQ(device_fill(gpu.queue, at.bytes(), std::byte{4}), 0);
			way = one.share();
		}
		gpu.vm.unbind(at.bytes());
		svmirror::buffer back(gpu.device, *way);
		way.reset();
		gpu.vm.bind(svmirror::address(at.data()), back);
		EXPECT_TRUE(device_holds(gpu.queue, at.bytes(), std::byte{4}));
	}
}

namespace {

// A buffer of vgem, a driver without a device, whose memory is the system's.
class vgem_buffer {
public:
	vgem_buffer(int fd, std::size_t size) : fd_(fd), size_(size)
	{
		drm_mode_create_dumb create{};
		create.width = static_cast<std::uint32_t>(size / 4);
		create.height = 1;
		create.bpp = 32;
		EXPECT_EQ(drmIoctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create), 0);
		EXPECT_EQ(create.size, size);
		handle_ = create.handle;
		drm_mode_map_dumb map{};
		map.handle = handle_;
		EXPECT_EQ(drmIoctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map), 0);
		at_ = static_cast<std::byte *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(map.offset)));
		EXPECT_NE(static_cast<void *>(at_), MAP_FAILED);
	}
	vgem_buffer(const vgem_buffer &) = delete;
	vgem_buffer &operator=(const vgem_buffer &) = delete;
	~vgem_buffer()
	{
		munmap(at_, size_);
		drmCloseBufferHandle(fd_, handle_);
	}
	std::span<std::byte> bytes() const { return {at_, size_}; }
	svmirror::dma_buf share() const
	{
		int out = -1;
		EXPECT_EQ(drmPrimeHandleToFD(fd_, handle_, DRM_CLOEXEC | DRM_RDWR, &out), 0);
		return svmirror::dma_buf(out);
	}

private:
	int fd_;
	std::size_t size_;
	std::uint32_t handle_ = 0;
	std::byte *at_ = nullptr;
};

} // namespace

SVM_TEST(Row26Sharing, ABufferOfAnotherDriverIsBound)
{
	card vgem("vgem");
	if (!vgem.there())
		GTEST_SKIP() << "this kernel has no vgem to share buffers with";
	gpu gpu;
	mapping at(64 * page);
	vgem_buffer theirs(vgem.fd(), at.size());
	theirs.bytes()[page] = std::byte{7};
	{
		svmirror::buffer ours(gpu.device, theirs.share());
		EXPECT_EQ(ours.size(), at.size());
		EXPECT_EQ(ours.info().mmap_offset, 0u);
		void *view;
		std::size_t size;
		EXPECT_EQ(svmirror_buffer_map(gpu.device.fd(), ours.id(), &view, &size), -EOPNOTSUPP) << "its own driver maps it";
		gpu.vm.bind(svmirror::address(at.data()), ours);
		EXPECT_EQ(ours.where(), place::system);
	}
	EXPECT_DEVICE_READS(gpu.queue, &at.at(1), 7);
	svmirror::job_result result = finish(gpu.queue.fill(at.bytes(), std::byte{8}));
	EXPECT_EQ(result.status, 0);
	EXPECT_EQ(result.faults, 0u);
	EXPECT_TRUE(holds(theirs.bytes(), std::byte{8}));
	theirs.bytes()[63 * page] = std::byte{9};
	EXPECT_DEVICE_READS(gpu.queue, &at.at(63), 9);
	gpu.vm.unbind(at.bytes());
	EXPECT_EQ(device_write(gpu.queue, &at.at(0), std::byte{1}), EFAULT);
	EXPECT_TRUE(holds(theirs.bytes().first(page), std::byte{8}));
}

// While another device has it, a buffer that wants to be in VRAM is where that device reaches it.
SVM_TEST(Row26Sharing, AnotherDriverHasOurs)
{
	card vgem("vgem");
	if (!vgem.there())
		GTEST_SKIP() << "this kernel has no vgem to share buffers with";
	gpu gpu;
	for (place where : places) {
		shared_object one(gpu, 64 * page, where);
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{1}), 0);
		EXPECT_EQ(one.buffer.where(), place_of(gpu.device, where));
		std::uint32_t theirs = 0;
		{
			svmirror::dma_buf way = one.buffer.share();
			ASSERT_EQ(drmPrimeFDToHandle(vgem.fd(), way.fd(), &theirs), 0) << strerrorname_np(errno);
		}
		EXPECT_EQ(one.buffer.where(), place::system);
		EXPECT_TRUE(device_holds(gpu.queue, one.bytes(), std::byte{1}));
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{2}), 0);
		EXPECT_TRUE(holds(one.bytes(), std::byte{2}));
		EXPECT_EQ(drmCloseBufferHandle(vgem.fd(), theirs), 0);
		ASSERT_EQ(device_fill(gpu.queue, one.bytes(), std::byte{3}), 0);
		EXPECT_TRUE(holds(one.bytes(), std::byte{3}));
	}
}
