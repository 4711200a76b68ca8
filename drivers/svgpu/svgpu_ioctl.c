// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual GPU's own ioctls (svgpu_drm.h) but for submit, which is in
 * submit.c: queues, buffer objects, and questions about the device and about jobs that ended.
 */
#include "svgpu.h"

static int make_queue(struct svgpu_file *file, struct svm_drm_vm *vm, u32 *id)
{
	struct svgpu_queue *queue = svgpu_queue_create(to_svgpu_vm(vm));
	int ret;

	if (IS_ERR(queue))
		return PTR_ERR(queue);
	/* As soon as it can be found, another thread may destroy it. */
	kref_get(&queue->ref);
	/* Its number is there before it can be found: both happen under the table's lock. */
	ret = xa_alloc(&file->queues, &queue->id, queue, xa_limit_31b,
		       GFP_KERNEL);
	if (ret) {
		svgpu_queue_stop(queue, ret);
		svgpu_queue_put(queue);
	} else {
		*id = queue->id;
	}
	svgpu_queue_put(queue);
	return ret;
}

/* DRM_SVGPU_QUEUE_CREATE */
int svgpu_ioctl_queue_create(struct drm_device *drm, void *data,
			     struct drm_file *drm_file)
{
	struct svgpu_file *file = to_svgpu_file(drm_file);
	struct drm_svgpu_queue_create *args = data;
	struct svm_drm_vm *vm;
	int ret;

	if (args->flags || args->pad)
		return -EINVAL;
	vm = svm_drm_vm_get(&file->svm, args->vm_id);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	ret = svm_drm_error(vm->dev);
	if (!ret && !svm_drm_vm_add_queue(&file->svm, args->vm_id, vm))
		ret = -ENOENT;
	if (!ret) {
		ret = make_queue(file, vm, &args->queue_id);
		if (ret)
			svm_drm_vm_drop_queue(&file->svm, vm);
	}
	svm_drm_vm_leave(vm);
	return ret;
}

/* DRM_SVGPU_QUEUE_DESTROY */
int svgpu_ioctl_queue_destroy(struct drm_device *drm, void *data,
			      struct drm_file *drm_file)
{
	struct svgpu_file *file = to_svgpu_file(drm_file);
	struct drm_svgpu_queue_destroy *args = data;
	struct svgpu_queue *queue;
	int ret = 0;

	if (args->pad)
		return -EINVAL;
	queue = svgpu_queue_get(file, args->queue_id);
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	/* Of several that destroy it one gets it. */
	if (xa_cmpxchg(&file->queues, args->queue_id, queue, NULL,
		       GFP_KERNEL) != queue)
		ret = -ENOENT;
	if (!ret) {
		svgpu_queue_stop(queue, -ECANCELED);
		svm_drm_vm_drop_queue(&file->svm, &queue->vm->base);
		/* The handle's. */
		svgpu_queue_put(queue);
	}
	svgpu_queue_put(queue);
	return ret;
}

static int info_device(struct svgpu_device *dev, struct drm_svgpu_info *args)
{
	struct drm_svgpu_device info = {
		.engines = dev->engines,
		.contexts = dev->context_count,
		.queues = dev->queue_count,
		.wedged = !!svgpu_error(dev),
		.vram_bytes = dev->vram_bytes,
		.kernels = BIT_ULL(SVGPU_KERNELS) - 1,
		.tables_in_vram = svgpu_tables_in_vram,
	};

	if (args->queue_id || args->token)
		return -EINVAL;
	return svm_drm_answer(args->data, &args->size, &info, sizeof(info));
}

static int info_job(struct svgpu_file *file, struct drm_svgpu_info *args)
{
	struct svgpu_queue *queue;
	struct svgpu_kept *kept;
	int ret = 0;

	queue = svgpu_queue_get(file, args->queue_id);
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	if (args->size) {
		kept = svgpu_queue_take_kept(queue, args->token);
		ret = kept ? svm_drm_answer(args->data, &args->size,
					    &kept->result,
					    sizeof(kept->result)) :
			     -ENOENT;
		/* It was not delivered: the caller may ask again. */
		if (kept && ret)
			svgpu_queue_keep(queue, kept);
		else
			kfree(kept);
	} else {
		args->size = sizeof(kept->result);
	}
	svgpu_queue_put(queue);
	return ret;
}

/* DRM_SVGPU_INFO */
int svgpu_ioctl_info(struct drm_device *drm, void *data,
		     struct drm_file *drm_file)
{
	struct drm_svgpu_info *args = data;

	switch (args->info) {
	case DRM_SVGPU_INFO_DEVICE:
		return info_device(to_svgpu(drm), args);
	case DRM_SVGPU_INFO_JOB:
		return info_job(to_svgpu_file(drm_file), args);
	default:
		return -EINVAL;
	}
}

/* DRM_SVGPU_BO_CREATE */
int svgpu_ioctl_bo_create(struct drm_device *drm, void *data,
			  struct drm_file *drm_file)
{
	struct svgpu_device *dev = to_svgpu(drm);
	struct drm_svgpu_bo_create *args = data;

	BUILD_BUG_ON((int)DRM_SVGPU_BO_NOWHERE != (int)SVM_DRM_BO_NOWHERE ||
		     (int)DRM_SVGPU_BO_SYSTEM != (int)SVM_DRM_BO_SYSTEM ||
		     (int)DRM_SVGPU_BO_VRAM != (int)SVM_DRM_BO_VRAM);
	if (args->flags || args->pad)
		return -EINVAL;
	if (svgpu_error(dev))
		return svgpu_error(dev);
	return svm_drm_bo_create(&dev->svm, drm_file, args->size, args->where,
				 &args->handle);
}

/* DRM_SVGPU_BO_INFO */
int svgpu_ioctl_bo_info(struct drm_device *drm, void *data,
			struct drm_file *drm_file)
{
	struct drm_svgpu_bo_info *args = data;
	struct svm_drm_bo_info info;
	int ret = svm_drm_bo_describe(drm_file, args->handle, &info);

	if (ret)
		return ret;
	args->where = info.where;
	args->size = info.size;
	args->mmap_offset = info.mmap_offset;
	args->moves = info.moves;
	return 0;
}
