// SPDX-License-Identifier: MIT
/* Buffers of the device: GEM objects, their mappings for the CPU, and their way to other devices. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <drm.h>

#include "ioctl.h"
#include "svmirror.h"

int svmirror_buffer_create(int fd, uint64_t size, uint32_t where, uint32_t *buffer)
{
	struct drm_svgpu_bo_create args = { .size = size, .where = where };
	int err = svmirror_ioctl(fd, DRM_IOCTL_SVGPU_BO_CREATE, &args);

	if (!err)
		*buffer = args.handle;
	return err;
}

int svmirror_buffer_close(int fd, uint32_t buffer)
{
	struct drm_gem_close args = { .handle = buffer };

	return svmirror_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

int svmirror_buffer_info(int fd, uint32_t buffer, struct drm_svgpu_bo_info *info)
{
	struct drm_svgpu_bo_info args = { .handle = buffer };
	int err = svmirror_ioctl(fd, DRM_IOCTL_SVGPU_BO_INFO, &args);

	if (!err)
		*info = args;
	return err;
}

int svmirror_buffer_map(int fd, uint32_t buffer, void **at, size_t *size)
{
	struct drm_svgpu_bo_info info;
	int err = svmirror_buffer_info(fd, buffer, &info);
	void *mapped;

	if (err)
		return err;
	if (!info.mmap_offset)
		return -EOPNOTSUPP;
	mapped = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)info.mmap_offset);
	if (mapped == MAP_FAILED)
		return -errno;
	*at = mapped;
	*size = info.size;
	return 0;
}

int svmirror_buffer_unmap(void *at, size_t size)
{
	return munmap(at, size) ? -errno : 0;
}

int svmirror_buffer_export(int fd, uint32_t buffer, int *dma_buf)
{
	struct drm_prime_handle args = { .handle = buffer, .flags = DRM_CLOEXEC | DRM_RDWR };
	int err = svmirror_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args);

	if (!err)
		*dma_buf = args.fd;
	return err;
}

int svmirror_buffer_import(int fd, int dma_buf, uint32_t *buffer)
{
	struct drm_prime_handle args = { .fd = dma_buf };
	int err = svmirror_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	if (!err)
		*buffer = args.handle;
	return err;
}
