// SPDX-License-Identifier: GPL-2.0-only
/* Binding device addresses, and listing what is bound: DRM_SVM_BIND and DRM_SVM_QUERY_BINDINGS. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "bind.h"
#include "bo.h"

/* The end of all addresses that an operation of this kind can have: the device's, or the user's. */
static u64 end_of_all(const struct svm_drm_vm *vm, u32 kind)
{
	u64 end = 1ull << svm_format_describe(vm->dev->format)->va_bits;

	if (kind == SVM_BIND_MIRROR)
		end = min_t(u64, end, current->mm->task_size);
	return end;
}

/* The core's form of a caller's operation. What it can check itself is left to the core. */
static int take_op(const struct svm_drm_vm *vm, const struct drm_svm_bind_op *op,
		   struct svm_bind_op *out)
{
	bool all = !op->start && !op->length;
	u64 end;
	int ret;

	BUILD_BUG_ON((int)DRM_SVM_BIND_NOTHING != (int)SVM_BIND_NOTHING ||
		     (int)DRM_SVM_BIND_MIRROR != (int)SVM_BIND_MIRROR ||
		     (int)DRM_SVM_BIND_NULL != (int)SVM_BIND_NULL ||
		     (int)DRM_SVM_BIND_OBJECT != (int)SVM_BIND_OBJECT ||
		     DRM_SVM_BIND_READ_ONLY != (int)SVM_BIND_READ_ONLY ||
		     DRM_SVM_BIND_ON_DEMAND != (int)SVM_BIND_ON_DEMAND ||
		     DRM_SVM_BIND_NONCOHERENT != (int)SVM_BIND_NONCOHERENT ||
		     DRM_SVM_BIND_UNCACHED != (int)SVM_BIND_UNCACHED);
	if (op->pad || (all && op->offset) ||
	    (op->kind != DRM_SVM_BIND_OBJECT && op->handle))
		return -EINVAL;
	ret = all ? 0 : svm_drm_check_span(op->start, op->length, &end);
	if (ret)
		return ret;
	out->start = op->start;
	out->end = all ? end_of_all(vm, op->kind) : end;
	out->offset = op->offset;
	out->kind = op->kind;
	out->flags = op->flags;
	return 0;
}

/* The object of a handle, with a reference. */
static int take_object(struct drm_file *drm_file, u32 handle, struct svm_bind_op *out)
{
	struct svm_drm_bo *bo = svm_drm_bo_get(drm_file, handle);

	if (!bo)
		return -ENOENT;
	svm_object_get(bo->object);
	out->object = bo->object;
	drm_gem_object_put(&bo->gem);
	return 0;
}

void svm_drm_bind_ops_free(struct svm_bind_op *ops, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (ops[i].object)
			svm_object_put(ops[i].object);
	kvfree(ops);
}

/* An array of the core's operations, for svm_drm_bind_ops_free(); or an error. */
static struct svm_bind_op *take_ops(const struct svm_drm_vm *vm, struct drm_file *drm_file,
				    const struct drm_svm_bind *args)
{
	const char __user *from = u64_to_user_ptr(args->ops);
	struct drm_svm_bind_op op;
	struct svm_bind_op *ops;
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
		if (!ret && op.kind == DRM_SVM_BIND_OBJECT)
			ret = take_object(drm_file, op.handle, &ops[i]);
	}
	if (!ret)
		return ops;
	svm_drm_bind_ops_free(ops, args->count);
	return ERR_PTR(ret);
}

/* A wedged device refuses what would need it; to leave holes goes on. */
static int may_bind(const struct svm_drm_vm *vm, const struct svm_bind_op *ops,
		    u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (ops[i].kind != SVM_BIND_NOTHING)
			return svm_drm_error(vm->dev);
	return 0;
}

/* Objects that are not bound on demand get memory first. */
static int bring_objects(const struct svm_bind_op *ops, u32 count)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < count && !ret; i++)
		if (ops[i].object && !(ops[i].flags & SVM_BIND_ON_DEMAND))
			ret = svm_drm_bo_bring(svm_object_arg(ops[i].object));
	return ret;
}

/* In the vm's process, or in a session of it. */
int svm_drm_bind_do(struct svm_drm_vm *vm, struct svm_bind_op *ops, u32 count)
{
	return may_bind(vm, ops, count) ?: svm_drm_restore_check(vm, ops, count) ?:
	       bring_objects(ops, count) ?: svm_bind_many(vm->svm, ops, count) ?:
	       svm_drm_restore_bound(vm, ops, count);
}

/* Takes the caller's use of the vm. */
static int bind(struct svm_drm_vm *vm, struct drm_file *drm_file,
		const struct drm_svm_bind *args)
{
	bool later = args->flags & DRM_SVM_BIND_ASYNC;
	struct svm_bind_op *ops;
	int ret;

	ops = take_ops(vm, drm_file, args);
	if (IS_ERR(ops)) {
		svm_drm_vm_leave(vm);
		return PTR_ERR(ops);
	}
	ret = later ? svm_drm_bind_later(vm, drm_file, args, ops) :
		      svm_drm_bind_do(vm, ops, args->count);
	if (!later || ret) {
		svm_drm_bind_ops_free(ops, args->count);
		svm_drm_vm_leave(vm);
	}
	return ret;
}

/* DRM_SVM_BIND */
int svm_drm_ioctl_bind(struct drm_device *drm, void *data,
		       struct drm_file *drm_file)
{
	struct drm_svm_bind *args = data;
	struct svm_drm_vm *vm;

	if (args->flags & ~DRM_SVM_BIND_ASYNC || args->in_count > DRM_SVM_BIND_IN_MAX ||
	    !svm_drm_stride_is_sound(args->stride, DRM_SVM_BIND_OP_SIZE_1))
		return -EINVAL;
	if (!(args->flags & DRM_SVM_BIND_ASYNC) &&
	    (args->in_syncobjs || args->in_count || args->out_syncobj))
		return -EINVAL;
	if (args->count > DRM_SVM_BIND_MAX)
		return -E2BIG;
	vm = svm_drm_vm_get(svm_drm_file_of(drm_file), args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	return bind(vm, drm_file, args);
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_bind);

static void describe(const struct svm_bind_op *in, struct drm_file *drm_file,
		     struct drm_svm_bind_op *out)
{
	*out = (struct drm_svm_bind_op){
		.start = in->start,
		.length = in->end - in->start,
		.offset = in->offset,
		.kind = in->kind,
		.flags = in->flags,
		.handle = in->object ? svm_drm_bo_handle(drm_file, in->object) : 0,
	};
}

/*
 * DRM_SVM_QUERY_BINDINGS, a few at a time. They are copied when nothing is held: touching the
 * caller's memory may take its time.
 */
int svm_drm_query_bindings(struct svm_drm_vm *vm, struct drm_file *drm_file,
			   struct drm_svm_query *args)
{
	u32 stride = args->stride ?: DRM_SVM_BIND_OP_SIZE_1;
	struct drm_svm_bind_op record;
	struct svm_bind_op some[8];
	u64 max, done = 0, from = 0;
	int ret = 0;
	u32 n, i;

	BUILD_BUG_ON(sizeof(record) != DRM_SVM_BIND_OP_SIZE_1);
	if (!svm_drm_stride_is_sound(stride, DRM_SVM_BIND_OP_SIZE_1))
		return -EINVAL;
	max = args->size ? args->size / stride : U64_MAX;
	do {
		n = svm_bindings(vm->svm, from, some, ARRAY_SIZE(some));
		for (i = 0; i < n && done < max; i++, done++) {
			from = some[i].end;
			if (!args->size)
				continue;
			describe(&some[i], drm_file, &record);
			ret = svm_drm_put_records(args->data + done * stride, &record,
						  sizeof(record), 1, stride);
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
