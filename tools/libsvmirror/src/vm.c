// SPDX-License-Identifier: MIT
/* Device address spaces: windows, prefetch, counters and the fault log. */
#include <errno.h>

#include "ioctl.h"
#include "svmirror.h"

int svmirror_vm_create(int fd, const struct svmirror_vm_options *options, uint32_t *vm)
{
	struct drm_svm_vm_create args = { 0 };
	int err;

	if (options) {
		args.interval_lg2 = options->interval_lg2;
		args.granule_lg2 = options->granule_lg2;
	}
	err = svmirror_ioctl(fd, DRM_IOCTL_SVM_VM_CREATE, &args);
	if (!err)
		*vm = args.vm_id;
	return err;
}

int svmirror_vm_destroy(int fd, uint32_t vm)
{
	struct drm_svm_vm_destroy args = { .vm_id = vm };

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_VM_DESTROY, &args);
}

int svmirror_bind(int fd, uint32_t vm, uint64_t start, uint64_t length, int64_t offset)
{
	struct drm_svm_bind args = {
		.vm_id = vm,
		.start = start,
		.length = length,
		.offset = offset,
	};

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_BIND, &args);
}

int svmirror_bind_all(int fd, uint32_t vm)
{
	return svmirror_bind(fd, vm, 0, 0, 0);
}

int svmirror_unbind(int fd, uint32_t vm, uint64_t start, uint64_t length)
{
	struct drm_svm_unbind args = { .vm_id = vm, .start = start, .length = length };

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_UNBIND, &args);
}

int svmirror_prefetch(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, uint64_t *pages)
{
	struct drm_svm_prefetch args = {
		.vm_id = vm,
		.flags = flags,
		.start = start,
		.length = length,
	};
	int err = svmirror_ioctl(fd, DRM_IOCTL_SVM_PREFETCH, &args);

	if (!err && pages)
		*pages = args.pages;
	return err;
}

int svmirror_counters(int fd, uint32_t vm, struct drm_svm_counters *counters)
{
	return svmirror_query(fd, vm, DRM_SVM_QUERY_COUNTERS, counters, sizeof(*counters));
}

int svmirror_fault_log(int fd, uint32_t vm, struct drm_svm_fault_record *records, size_t capacity, size_t *count)
{
	struct drm_svm_query ask = {
		.vm_id = vm,
		.query = DRM_SVM_QUERY_FAULT_LOG,
		.size = capacity * sizeof(*records),
		.data = (uintptr_t)records,
		/* an older kernel has less to say, a newer one more */
		.stride = sizeof(*records),
	};
	int err;

	*count = 0;
	/* size 0 would ask how much there is */
	if (!capacity)
		return -EINVAL;
	err = svmirror_ioctl(fd, DRM_IOCTL_SVM_QUERY, &ask);
	if (!err)
		*count = ask.size / sizeof(*records);
	return err;
}
