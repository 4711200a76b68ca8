// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that every driver with shared virtual memory has (svm_drm.h). They
 * check what the uAPI promises to check and hand the rest to svmirror. All run
 * inside a drm_dev section (file.c): the device is not removed meanwhile.
 *
 * A wedged device refuses what would need it; taking down and asking go on.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "internal.h"

/* DRM_SVM_VM_CREATE */
int svm_drm_ioctl_vm_create(struct drm_device *drm, void *data,
			    struct drm_file *drm_file)
{
	struct svm_drm_file *file = svm_drm_file_of(drm_file);
	struct drm_svm_vm_create *args = data;
	struct svm_drm_device *dev = file->dev;
	struct svm_drm_vm *vm;
	int ret;

	if (args->flags & ~DRM_SVM_VM_NO_FAULT || args->reserved[0] || args->reserved[1])
		return -EINVAL;
	if (args->flags & DRM_SVM_VM_NO_FAULT && !dev->backend_ops->stop)
		return -EOPNOTSUPP;
	if (svm_drm_error(dev))
		return svm_drm_error(dev);
	vm = svm_drm_vm_create(dev, args);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = xa_alloc(&file->vms, &args->vm_id, vm, xa_limit_31b, GFP_KERNEL);
	if (ret) {
		svm_drm_vm_stop(vm);
		svm_drm_vm_put(vm);
	}
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_vm_create);

/* DRM_SVM_VM_DESTROY */
int svm_drm_ioctl_vm_destroy(struct drm_device *drm, void *data,
			     struct drm_file *drm_file)
{
	struct svm_drm_file *file = svm_drm_file_of(drm_file);
	struct drm_svm_vm_destroy *args = data;
	struct svm_drm_vm *vm;
	int ret = 0;

	if (args->pad)
		return -EINVAL;
	vm = svm_drm_vm_get(file, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	/* With the lock, against another destroy and against a queue being made. */
	xa_lock(&file->vms);
	if (xa_load(&file->vms, args->vm_id) != vm)
		ret = -ENOENT;
	else if (vm->queues)
		ret = -EBUSY;
	else
		__xa_erase(&file->vms, args->vm_id);
	xa_unlock(&file->vms);
	if (!ret)
		svm_drm_vm_stop(vm);
	svm_drm_vm_unuse(vm);
	if (!ret) {
		svm_drm_vm_wait_gone(vm, svm_drm_vm_deadline());
		/* The handle's. */
		svm_drm_vm_put(vm);
	}
	svm_drm_vm_put(vm);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_vm_destroy);

#define TO_DEVICE	DRM_SVM_PREFETCH_TO_DEVICE
#define TO_SYSTEM	DRM_SVM_PREFETCH_TO_SYSTEM

/* DRM_SVM_PREFETCH */
int svm_drm_ioctl_prefetch(struct drm_device *drm, void *data,
			   struct drm_file *drm_file)
{
	struct drm_svm_prefetch *args = data;
	enum svm_access access;
	struct svm_drm_vm *vm;
	u64 end;
	int ret;

	if (args->flags & ~(DRM_SVM_PREFETCH_WRITE | TO_DEVICE | TO_SYSTEM) || args->moved)
		return -EINVAL;
	if ((args->flags & TO_DEVICE) && (args->flags & TO_SYSTEM))
		return -EINVAL;
	ret = svm_drm_check_span(args->start, args->length, &end);
	if (ret)
		return ret;
	access = args->flags & DRM_SVM_PREFETCH_WRITE ? SVM_WRITE : SVM_READ;
	vm = svm_drm_vm_get(svm_drm_file_of(drm_file), args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = svm_drm_error(vm->dev);
	if (!ret && args->flags & (TO_DEVICE | TO_SYSTEM))
		ret = svm_migrate(vm->svm, args->start, end,
				  args->flags & TO_DEVICE ? SVM_VRAM : SVM_SYSTEM, &args->moved);
	else if (!ret)
		ret = svm_migrate_advised(vm->svm, args->start, end, &args->moved);
	if (!ret)
		ret = svm_prefetch(vm->svm, args->start, end, access,
				   &args->pages);
	svm_drm_vm_leave(vm);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_prefetch);

static int query_device(struct svm_drm_device *dev, struct drm_svm_query *args)
{
	const struct svm_format_info *format =
		svm_format_describe(dev->format);
	struct drm_svm_device_info info = {
		.capabilities = DRM_SVM_CAPABILITY_MIRROR | DRM_SVM_CAPABILITY_ADVISE |
			(format->null ? DRM_SVM_CAPABILITY_NULL : 0) |
			(drm_core_check_feature(dev->drm, DRIVER_GEM) ?
				 DRM_SVM_CAPABILITY_OBJECT : 0) |
			(dev->pages.memory ? DRM_SVM_CAPABILITY_MIGRATE : 0) |
			(dev->backend_ops->stop ? DRM_SVM_CAPABILITY_NO_FAULT : 0),
		.va_bits = format->va_bits,
		.table_lg2 = format->table_lg2,
		.leaf_sizes = format->leaf_sizes,
	};

	strscpy(info.format, format->name, sizeof(info.format));
	return svm_drm_answer(args->data, &args->size, &info, sizeof(info));
}

static int query_counters(struct svm_drm_vm *vm, struct drm_svm_query *args)
{
	struct svm_counters counters;

	BUILD_BUG_ON(sizeof(counters) != sizeof(struct drm_svm_counters));
	svm_vm_counters(vm->svm, &counters);
	return svm_drm_answer(args->data, &args->size, &counters,
			    sizeof(counters));
}

static int query_fault_log(struct svm_drm_vm *vm, struct drm_svm_query *args)
{
	u32 stride = args->stride ?: DRM_SVM_FAULT_RECORD_SIZE_1;
	struct drm_svm_fault_record *records;
	u32 max, count;
	int ret;

	if (!svm_drm_stride_is_sound(stride, DRM_SVM_FAULT_RECORD_SIZE_1))
		return -EINVAL;
	if (!args->size) {
		args->size = svm_drm_faultlog_count(&vm->log) * stride;
		return 0;
	}
	max = min_t(u64, args->size / stride, SVM_DRM_FAULT_LOG);
	records = kvcalloc(SVM_DRM_FAULT_LOG, sizeof(*records),
			   GFP_KERNEL_ACCOUNT);
	if (!records)
		return -ENOMEM;
	/* Copied when no lock is held: touching the caller's memory may take its time. */
	count = svm_drm_faultlog_take(&vm->log, records, max);
	args->size = count * stride;
	ret = svm_drm_put_records(args->data, records, sizeof(*records), count,
				  stride);
	if (ret)
		svm_drm_faultlog_put_back(&vm->log, records, count);
	kvfree(records);
	return ret;
}

/* DRM_SVM_QUERY */
int svm_drm_ioctl_query(struct drm_device *drm, void *data,
			struct drm_file *drm_file)
{
	struct drm_svm_query *args = data;
	struct svm_drm_vm *vm;
	int ret;

	if (args->reserved || args->query > DRM_SVM_QUERY_SPANS ||
	    (args->stride && args->query < DRM_SVM_QUERY_FAULT_LOG))
		return -EINVAL;
	if (args->query == DRM_SVM_QUERY_DEVICE)
		return args->vm_id ? -EINVAL :
				     query_device(svm_drm_file_of(drm_file)->dev, args);
	vm = svm_drm_vm_get(svm_drm_file_of(drm_file), args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (args->query == DRM_SVM_QUERY_COUNTERS)
		ret = query_counters(vm, args);
	else if (args->query == DRM_SVM_QUERY_FAULT_LOG)
		ret = query_fault_log(vm, args);
	else if (args->query == DRM_SVM_QUERY_BINDINGS)
		ret = svm_drm_query_bindings(vm, drm_file, args);
	else
		ret = svm_drm_query_spans(vm, args);
	svm_drm_vm_leave(vm);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_query);
