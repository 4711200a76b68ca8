// SPDX-License-Identifier: MIT
/* The one way into the kernel. */
#include "ioctl.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <drm/svm_drm.h>

int svmirror_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	do {
		rc = ioctl(fd, request, arg);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

int svmirror_query(int fd, uint32_t vm, uint32_t query, void *data, size_t size)
{
	struct drm_svm_query ask = {
		.vm_id = vm,
		.query = query,
		.size = size,
		.data = (uintptr_t)data,
	};

	/* an older kernel writes the front of a struct only */
	memset(data, 0, size);
	return svmirror_ioctl(fd, DRM_IOCTL_SVM_QUERY, &ask);
}
