// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls that every driver with shared virtual memory has (svm_drm.h). They
 * check what the uAPI promises to check and hand the rest to svmirror. All run
 * inside a drm_dev section (svgpu_drm.c): the device is not removed meanwhile.
 *
 * A wedged device refuses what would need it; taking down and asking go on.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "svgpu.h"

/* No record will be longer, so a larger stride is a mistake of the caller's. */
#define STRIDE_MAX	4096

/**
 * svgpu_answer() - copy an answer as struct drm_svm_query describes
 * @user: address of the caller's buffer
 * @size: in: its size; out: bytes written, or at 0: needed
 * @answer: the answer
 * @bytes: its size
 *
 * Return: 0 or -EFAULT.
 */
int svgpu_answer(u64 user, u64 *size, const void *answer, size_t bytes)
{
	if (*size) {
		bytes = min_t(u64, *size, bytes);
		if (copy_to_user(u64_to_user_ptr(user), answer, bytes))
			return -EFAULT;
	}
	*size = bytes;
	return 0;
}

/* 0 and @end, or -EINVAL: not aligned, empty, or past the end of the address space. */
static int check_span(u64 start, u64 length, u64 *end)
{
	if (!length || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(length) ||
	    check_add_overflow(start, length, end))
		return -EINVAL;
	return 0;
}

/* DRM_SVM_VM_CREATE */
int svgpu_ioctl_vm_create(struct drm_device *drm, void *data,
			  struct drm_file *drm_file)
{
	struct svgpu_file *file = drm_file->driver_priv;
	struct drm_svm_vm_create *args = data;
	struct svgpu_device *dev = to_svgpu(drm);
	struct svgpu_vm *vm;
	int ret;

	if (args->flags || args->reserved[0] || args->reserved[1])
		return -EINVAL;
	if (svgpu_error(dev))
		return svgpu_error(dev);
	vm = svgpu_vm_create(dev, args->interval_lg2, args->granule_lg2);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = xa_alloc(&file->vms, &args->vm_id, vm, xa_limit_31b, GFP_KERNEL);
	if (ret) {
		svgpu_vm_stop(vm);
		svgpu_vm_put(vm);
	}
	return ret;
}

/* DRM_SVM_VM_DESTROY */
int svgpu_ioctl_vm_destroy(struct drm_device *drm, void *data,
			   struct drm_file *drm_file)
{
	struct svgpu_file *file = drm_file->driver_priv;
	struct drm_svm_vm_destroy *args = data;
	struct svgpu_vm *vm;
	int ret = 0;

	if (args->pad)
		return -EINVAL;
	vm = svgpu_vm_get(file, args->vm_id);
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
		svgpu_vm_stop(vm);
	svgpu_vm_unuse(vm);
	if (!ret) {
		svgpu_vm_wait_gone(vm, svgpu_vm_deadline());
		/* The handle's. */
		svgpu_vm_put(vm);
	}
	svgpu_vm_put(vm);
	return ret;
}

/* The end of all addresses that an operation of this kind can have: the device's, or the user's. */
static u64 end_of_all(const struct svgpu_vm *vm, u32 kind)
{
	u64 end = 1ull << svm_format_describe(vm->dev->format)->va_bits;

	return kind == SVM_BIND_MIRROR ? min_t(u64, end, current->mm->task_size) :
					 end;
}

/* The core's form of a caller's operation. What it can check itself is left to the core. */
static int take_op(const struct svgpu_vm *vm, const struct drm_svm_bind_op *op,
		   struct svm_bind_op *out)
{
	bool all = !op->start && !op->length;
	u64 end;
	int ret;

	BUILD_BUG_ON(DRM_SVM_BIND_NOTHING != SVM_BIND_NOTHING ||
		     DRM_SVM_BIND_MIRROR != SVM_BIND_MIRROR ||
		     DRM_SVM_BIND_NULL != SVM_BIND_NULL);
	if (op->flags || op->reserved || (all && op->offset))
		return -EINVAL;
	ret = all ? 0 : check_span(op->start, op->length, &end);
	if (ret)
		return ret;
	out->start = op->start;
	out->end = all ? end_of_all(vm, op->kind) : end;
	out->offset = op->offset;
	out->kind = op->kind;
	return 0;
}

/* An array of the core's operations, to be freed by the caller. */
static struct svm_bind_op *take_ops(const struct svgpu_vm *vm,
				    const struct drm_svm_bind *args)
{
	const char __user *from = u64_to_user_ptr(args->ops);
	struct svm_bind_op *ops;
	struct drm_svm_bind_op op;
	int ret = 0;
	u32 i;

	/* At least one, so that an empty array is one too. */
	ops = kvcalloc(max(args->count, 1u), sizeof(*ops), GFP_KERNEL_ACCOUNT);
	if (!ops)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < args->count && !ret; i++, from += args->stride) {
		ret = copy_struct_from_user(&op, sizeof(op), from, args->stride);
		if (!ret)
			ret = take_op(vm, &op, &ops[i]);
	}
	if (!ret)
		return ops;
	kvfree(ops);
	return ERR_PTR(ret);
}

/* A wedged device refuses what would need it; to leave holes goes on. */
static int may_bind(const struct svgpu_vm *vm, const struct svm_bind_op *ops,
		    u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (ops[i].kind != SVM_BIND_NOTHING)
			return svgpu_error(vm->dev);
	return 0;
}

static bool stride_is_sound(u32 stride, u32 first_version)
{
	return stride >= first_version && stride <= STRIDE_MAX &&
	       stride % sizeof(u64) == 0;
}

/* DRM_SVM_BIND */
int svgpu_ioctl_bind(struct drm_device *drm, void *data,
		     struct drm_file *drm_file)
{
	struct drm_svm_bind *args = data;
	struct svm_bind_op *ops;
	struct svgpu_vm *vm;
	int ret;

	if (args->flags || args->reserved[0] || args->reserved[1] ||
	    !stride_is_sound(args->stride, DRM_SVM_BIND_OP_SIZE_1))
		return -EINVAL;
	if (args->count > DRM_SVM_BIND_MAX)
		return -E2BIG;
	vm = svgpu_vm_get(drm_file->driver_priv, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ops = take_ops(vm, args);
	ret = PTR_ERR_OR_ZERO(ops);
	if (!ret) {
		ret = may_bind(vm, ops, args->count);
		if (!ret)
			ret = svm_bind_many(vm->svm, ops, args->count);
		kvfree(ops);
	}
	svgpu_vm_leave(vm);
	return ret;
}

/* DRM_SVM_PREFETCH */
int svgpu_ioctl_prefetch(struct drm_device *drm, void *data,
			 struct drm_file *drm_file)
{
	struct drm_svm_prefetch *args = data;
	enum svm_access access;
	struct svgpu_vm *vm;
	u64 end;
	int ret;

	if (args->flags & ~DRM_SVM_PREFETCH_WRITE || args->reserved)
		return -EINVAL;
	ret = check_span(args->start, args->length, &end);
	if (ret)
		return ret;
	access = args->flags & DRM_SVM_PREFETCH_WRITE ? SVM_WRITE : SVM_READ;
	vm = svgpu_vm_get(drm_file->driver_priv, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = svgpu_error(vm->dev);
	if (!ret)
		ret = svm_prefetch(vm->svm, args->start, end, access,
				   &args->pages);
	svgpu_vm_leave(vm);
	return ret;
}

static int query_device(struct svgpu_device *dev, struct drm_svm_query *args)
{
	const struct svm_format_info *format =
		svm_format_describe(dev->format);
	struct drm_svm_device_info info = {
		.capabilities = DRM_SVM_CAPABILITY_MIRROR |
			(format->null ? DRM_SVM_CAPABILITY_NULL : 0),
		.va_bits = format->va_bits,
		.table_lg2 = format->table_lg2,
		.leaf_sizes = format->leaf_sizes,
	};

	strscpy(info.format, format->name, sizeof(info.format));
	return svgpu_answer(args->data, &args->size, &info, sizeof(info));
}

static int query_counters(struct svgpu_vm *vm, struct drm_svm_query *args)
{
	struct svm_counters counters;

	BUILD_BUG_ON(sizeof(counters) != sizeof(struct drm_svm_counters));
	svm_vm_counters(vm->svm, &counters);
	return svgpu_answer(args->data, &args->size, &counters,
			    sizeof(counters));
}

/* Records of @size bytes. 0 or -EFAULT. What the caller's have beyond ours becomes 0. */
static int put_records(u64 user, const void *records, u32 size, u32 count,
		       u32 stride)
{
	char __user *to = u64_to_user_ptr(user);
	u32 ours = min(stride, size);
	u32 i;

	for (i = 0; i < count; i++, to += stride, records += size) {
		if (copy_to_user(to, records, ours) ||
		    clear_user(to + ours, stride - ours))
			return -EFAULT;
	}
	return 0;
}

static int query_fault_log(struct svgpu_vm *vm, struct drm_svm_query *args)
{
	u32 stride = args->stride ?: DRM_SVM_FAULT_RECORD_SIZE_1;
	struct drm_svm_fault_record *records;
	u32 max, count;
	int ret;

	if (!stride_is_sound(stride, DRM_SVM_FAULT_RECORD_SIZE_1))
		return -EINVAL;
	if (!args->size) {
		args->size = svgpu_faultlog_count(&vm->log) * stride;
		return 0;
	}
	max = min_t(u64, args->size / stride, SVGPU_FAULT_LOG);
	records = kvcalloc(SVGPU_FAULT_LOG, sizeof(*records),
			   GFP_KERNEL_ACCOUNT);
	if (!records)
		return -ENOMEM;
	/* Copied when no lock is held: touching the caller's memory may take its time. */
	count = svgpu_faultlog_take(&vm->log, records, max);
	args->size = count * stride;
	ret = put_records(args->data, records, sizeof(*records), count, stride);
	if (ret)
		svgpu_faultlog_put_back(&vm->log, records, count);
	kvfree(records);
	return ret;
}

/* So many at a time, on the stack. */
#define BINDINGS_CHUNK	8

static void describe(const struct svm_bind_op *in, struct drm_svm_bind_op *out)
{
	*out = (struct drm_svm_bind_op){
		.start = in->start,
		.length = in->end - in->start,
		.offset = in->offset,
		.kind = in->kind,
	};
}

/* Copied when nothing is held: touching the caller's memory may take its time, or fault in the vm. */
static int query_bindings(struct svgpu_vm *vm, struct drm_svm_query *args)
{
	u32 stride = args->stride ?: DRM_SVM_BIND_OP_SIZE_1;
	u64 max = args->size ? args->size / stride : U64_MAX, done = 0, from = 0;
	struct svm_bind_op some[BINDINGS_CHUNK];
	struct drm_svm_bind_op record;
	u32 n, i;
	int ret;

	BUILD_BUG_ON(sizeof(record) != DRM_SVM_BIND_OP_SIZE_1);
	if (!stride_is_sound(stride, DRM_SVM_BIND_OP_SIZE_1))
		return -EINVAL;
	do {
		n = svm_bindings(vm->svm, from, some, ARRAY_SIZE(some));
		for (i = 0; i < n && done < max; i++, done++) {
			from = some[i].end;
			describe(&some[i], &record);
			ret = args->size ? put_records(args->data + done * stride, &record,
						       sizeof(record), 1, stride) : 0;
			if (ret)
				return ret;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (n == ARRAY_SIZE(some) && done < max);
	args->size = done * stride;
	return 0;
}

/* DRM_SVM_QUERY */
int svgpu_ioctl_query(struct drm_device *drm, void *data,
		      struct drm_file *drm_file)
{
	struct drm_svm_query *args = data;
	struct svgpu_vm *vm;
	int ret;

	if (args->reserved || args->query > DRM_SVM_QUERY_BINDINGS ||
	    (args->stride && args->query < DRM_SVM_QUERY_FAULT_LOG))
		return -EINVAL;
	if (args->query == DRM_SVM_QUERY_DEVICE)
		return args->vm_id ? -EINVAL :
				     query_device(to_svgpu(drm), args);
	vm = svgpu_vm_get(drm_file->driver_priv, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (args->query == DRM_SVM_QUERY_COUNTERS)
		ret = query_counters(vm, args);
	else if (args->query == DRM_SVM_QUERY_FAULT_LOG)
		ret = query_fault_log(vm, args);
	else
		ret = query_bindings(vm, args);
	svgpu_vm_leave(vm);
	return ret;
}
