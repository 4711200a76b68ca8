// SPDX-License-Identifier: GPL-2.0-only
/* Where memory is to be, and where it is: DRM_SVM_ADVISE and DRM_SVM_QUERY_SPANS. */
#include <linux/export.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

/* The core's form of a caller's operation. What it can check itself is left to the core. */
static int take_op(const struct svm_drm_vm *vm, const struct drm_svm_advise_op *op,
		   struct svm_advice *out)
{
	bool all = !op->start && !op->length;

	BUILD_BUG_ON((int)DRM_SVM_PREFER_NONE != (int)SVM_PREFER_NONE ||
		     (int)DRM_SVM_PREFER_SYSTEM != (int)SVM_PREFER_SYSTEM ||
		     (int)DRM_SVM_PREFER_DEVICE != (int)SVM_PREFER_DEVICE ||
		     (int)DRM_SVM_ON_FAULT_MOVE != (int)SVM_ON_FAULT_MOVE ||
		     (int)DRM_SVM_ON_FAULT_STAY != (int)SVM_ON_FAULT_STAY);
	if (op->flags || op->pad || (all && (op->preferred || op->on_fault)))
		return -EINVAL;
	out->start = op->start;
	out->end = 1ull << svm_format_describe(vm->dev->format)->va_bits;
	out->preferred = op->preferred;
	out->on_fault = op->on_fault;
	return all ? 0 : svm_drm_check_span(op->start, op->length, &out->end);
}

static int advise(struct svm_drm_vm *vm, const struct drm_svm_advise *args)
{
	const char __user *from = u64_to_user_ptr(args->ops);
	struct drm_svm_advise_op op;
	struct svm_advice *ops;
	int ret = 0;
	u32 i;

	BUILD_BUG_ON(sizeof(op) != DRM_SVM_ADVISE_OP_SIZE_1);
	/* At least one, so that an empty array is one too. */
	ops = kvcalloc(max(args->count, 1u), sizeof(*ops), GFP_KERNEL_ACCOUNT);
	if (!ops)
		return -ENOMEM;
	for (i = 0; i < args->count && !ret; i++, from += args->stride) {
		ret = copy_struct_from_user(&op, sizeof(op), from, args->stride);
		if (!ret)
			ret = take_op(vm, &op, &ops[i]);
	}
	if (!ret)
		ret = svm_advise(vm->svm, ops, args->count);
	kvfree(ops);
	return ret;
}

/* DRM_SVM_ADVISE. A wedged device does not refuse it: nothing is asked of the device. */
int svm_drm_ioctl_advise(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_svm_advise *args = data;
	struct svm_drm_vm *vm;
	int ret;

	if (args->flags || args->reserved ||
	    !svm_drm_stride_is_sound(args->stride, DRM_SVM_ADVISE_OP_SIZE_1))
		return -EINVAL;
	if (args->count > DRM_SVM_ADVISE_MAX)
		return -E2BIG;
	vm = svm_drm_vm_get(svm_drm_file_of(drm_file), args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = advise(vm, args);
	svm_drm_vm_leave(vm);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl_advise);

static void describe(const struct svm_span *in, struct drm_svm_span *out)
{
	*out = (struct drm_svm_span){
		.start = in->start,
		.length = in->end - in->start,
		.preferred = in->preferred,
		.on_fault = in->on_fault,
		.pages = in->pages,
		.device_pages = in->device_pages,
	};
}

/* DRM_SVM_QUERY_SPANS, one at a time: to count a span's pages may take a while. */
int svm_drm_query_spans(struct svm_drm_vm *vm, struct drm_svm_query *args)
{
	u32 stride = args->stride ?: DRM_SVM_SPAN_SIZE_1;
	struct drm_svm_span record;
	u64 max, done = 0, from = 0;
	struct svm_span span;
	int ret;

	BUILD_BUG_ON(sizeof(record) != DRM_SVM_SPAN_SIZE_1);
	if (!svm_drm_stride_is_sound(stride, DRM_SVM_SPAN_SIZE_1))
		return -EINVAL;
	max = args->size ? args->size / stride : U64_MAX;
	for (; done < max && svm_spans(vm->svm, from, &span, 1); done++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		from = span.end;
		if (!args->size)
			continue;
		describe(&span, &record);
		ret = svm_drm_put_records(args->data + done * stride, &record, sizeof(record), 1,
					  stride);
		if (ret)
			return ret;
	}
	args->size = done * stride;
	return 0;
}
