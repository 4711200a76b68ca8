// SPDX-License-Identifier: MIT
/* Finding and opening the render node, and what the device says of itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <xf86drm.h>

#include "ioctl.h"
#include "svmirror.h"

static bool driver_is(int fd, const char *name)
{
	drmVersionPtr version = drmGetVersion(fd);
	bool same;

	if (!version)
		return false;
	same = version->name && !strcmp(version->name, name);
	drmFreeVersion(version);
	return same;
}

/* A node of another driver, or one that cannot be opened, gives a negative errno. */
static int open_node(const char *path, int *out)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!driver_is(fd, SVMIRROR_DRIVER)) {
		close(fd);
		return -ENODEV;
	}
	*out = fd;
	return 0;
}

static int open_first(int *out)
{
	struct dirent *entry;
	DIR *dir = opendir("/dev/dri");
	int err = -ENODEV;
	char path[64];

	if (!dir)
		return -ENODEV;
	while (err && (entry = readdir(dir))) {
		int node;

		if (strncmp(entry->d_name, "renderD", 7))
			continue;
		snprintf(path, sizeof(path), "/dev/dri/%.32s", entry->d_name);
		node = open_node(path, out);
		/* "it is there but not for you" says more than "there is none" */
		if (!node || node == -EACCES || node == -EPERM)
			err = node;
	}
	closedir(dir);
	return err;
}

int svmirror_open(const char *path, int *fd)
{
	return path ? open_node(path, fd) : open_first(fd);
}

void svmirror_close(int fd)
{
	close(fd);
}

int svmirror_device_info(int fd, struct drm_svm_device_info *info)
{
	return svmirror_query(fd, 0, DRM_SVM_QUERY_DEVICE, info, sizeof(*info));
}

int svmirror_gpu_info(int fd, struct drm_svgpu_device *info)
{
	struct drm_svgpu_info ask = {
		.info = DRM_SVGPU_INFO_DEVICE,
		.size = sizeof(*info),
		.data = (uintptr_t)info,
	};

	memset(info, 0, sizeof(*info));
	return svmirror_ioctl(fd, DRM_IOCTL_SVGPU_INFO, &ask);
}
