// SPDX-License-Identifier: MIT
/* Device address spaces: bindings, prefetch, advice, counters and the fault log. */
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
		args.flags = options->flags;
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

int svmirror_bind_many(int fd, uint32_t vm, const struct drm_svm_bind_op *ops, uint32_t count)
{
	struct drm_svm_bind args = {
		.vm_id = vm,
		.count = count,
		.stride = sizeof(*ops),
		.ops = (uintptr_t)ops,
	};

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_BIND, &args);
}

int svmirror_bind_later(int fd, uint32_t vm, const struct drm_svm_bind_op *ops, uint32_t count, const uint32_t *in_syncobjs,
			uint32_t in_count, uint32_t out_syncobj)
{
	struct drm_svm_bind args = {
		.vm_id = vm,
		.flags = DRM_SVM_BIND_ASYNC,
		.count = count,
		.stride = sizeof(*ops),
		.ops = (uintptr_t)ops,
		.in_syncobjs = (uintptr_t)in_syncobjs,
		.in_count = in_count,
		.out_syncobj = out_syncobj,
	};

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_BIND, &args);
}

int svmirror_bind(int fd, uint32_t vm, uint64_t start, uint64_t length, int64_t offset)
{
	struct drm_svm_bind_op op = {
		.start = start,
		.length = length,
		.offset = offset,
		.kind = DRM_SVM_BIND_MIRROR,
	};

	return svmirror_bind_many(fd, vm, &op, 1);
}

int svmirror_bind_all(int fd, uint32_t vm)
{
	return svmirror_bind(fd, vm, 0, 0, 0);
}

int svmirror_bind_null(int fd, uint32_t vm, uint64_t start, uint64_t length)
{
	struct drm_svm_bind_op op = { .start = start, .length = length, .kind = DRM_SVM_BIND_NULL };

	return svmirror_bind_many(fd, vm, &op, 1);
}

int svmirror_bind_buffer(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t buffer, uint64_t offset,
			 uint32_t flags)
{
	struct drm_svm_bind_op op = {
		.start = start,
		.length = length,
		.offset = (int64_t)offset,
		.kind = DRM_SVM_BIND_OBJECT,
		.flags = flags,
		.handle = buffer,
	};

	return svmirror_bind_many(fd, vm, &op, 1);
}

int svmirror_unbind(int fd, uint32_t vm, uint64_t start, uint64_t length)
{
	struct drm_svm_bind_op op = { .start = start, .length = length, .kind = DRM_SVM_BIND_NOTHING };

	return svmirror_bind_many(fd, vm, &op, 1);
}

static int prefetch(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, struct drm_svm_prefetch *args)
{
	*args = (struct drm_svm_prefetch){
		.vm_id = vm,
		.flags = flags,
		.start = start,
		.length = length,
	};
	return svmirror_ioctl(fd, DRM_IOCTL_SVM_PREFETCH, args);
}

int svmirror_prefetch(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, uint64_t *pages)
{
	struct drm_svm_prefetch args;
	int err = prefetch(fd, vm, start, length, flags, &args);

	if (!err && pages)
		*pages = args.pages;
	return err;
}

int svmirror_migrate(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, uint64_t *moved)
{
	struct drm_svm_prefetch args;
	int err;

	if (!(flags & (DRM_SVM_PREFETCH_TO_DEVICE | DRM_SVM_PREFETCH_TO_SYSTEM)))
		return -EINVAL;
	err = prefetch(fd, vm, start, length, flags, &args);
	if (!err && moved)
		*moved = args.moved;
	return err;
}

int svmirror_advise_many(int fd, uint32_t vm, const struct drm_svm_advise_op *ops, uint32_t count)
{
	struct drm_svm_advise args = {
		.vm_id = vm,
		.count = count,
		.stride = sizeof(*ops),
		.ops = (uintptr_t)ops,
	};

	return svmirror_ioctl(fd, DRM_IOCTL_SVM_ADVISE, &args);
}

int svmirror_advise(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t preferred, uint32_t on_fault)
{
	struct drm_svm_advise_op op = {
		.start = start,
		.length = length,
		.preferred = preferred,
		.on_fault = on_fault,
	};

	return svmirror_advise_many(fd, vm, &op, 1);
}

int svmirror_counters(int fd, uint32_t vm, struct drm_svm_counters *counters)
{
	return svmirror_query(fd, vm, DRM_SVM_QUERY_COUNTERS, counters, sizeof(*counters));
}

/* Records of an array's query. */
static int query_array(int fd, uint32_t vm, uint32_t query, void *records, size_t bytes, size_t capacity, size_t *count)
{
	struct drm_svm_query ask = {
		.vm_id = vm,
		.query = query,
		.size = capacity * bytes,
		.data = (uintptr_t)records,
		/* an older kernel has less to say, a newer one more */
		.stride = bytes,
	};
	int err;

	*count = 0;
	/* size 0 would ask how much there is */
	if (!capacity)
		return -EINVAL;
	err = svmirror_ioctl(fd, DRM_IOCTL_SVM_QUERY, &ask);
	if (!err)
		*count = ask.size / bytes;
	return err;
}

int svmirror_fault_log(int fd, uint32_t vm, struct drm_svm_fault_record *records, size_t capacity, size_t *count)
{
	return query_array(fd, vm, DRM_SVM_QUERY_FAULT_LOG, records, sizeof(*records), capacity, count);
}

int svmirror_bindings(int fd, uint32_t vm, struct drm_svm_bind_op *ops, size_t capacity, size_t *count)
{
	return query_array(fd, vm, DRM_SVM_QUERY_BINDINGS, ops, sizeof(*ops), capacity, count);
}

int svmirror_spans(int fd, uint32_t vm, struct drm_svm_span *spans, size_t capacity, size_t *count)
{
	return query_array(fd, vm, DRM_SVM_QUERY_SPANS, spans, sizeof(*spans), capacity, count);
}
