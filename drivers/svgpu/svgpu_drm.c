// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DRM side: files, their ends, and the table of ioctls. They run inside the section that
 * svm_drm_ioctl() opens, so that removal can wait for them.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_prime.h>

#include "svgpu.h"
#include "svm_config.h"

static int svgpu_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct svgpu_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	svm_drm_file_init(&file->svm, &to_svgpu(drm)->svm);
	/* Handles are never 0. */
	xa_init_flags(&file->queues, XA_FLAGS_ALLOC1);
	drm_file->driver_priv = &file->svm;
	return 0;
}

/* The last use of the file: no other task has it. May come after removal, too. */
static void svgpu_postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	struct svgpu_file *file = to_svgpu_file(drm_file);
	struct svgpu_queue *queue;
	unsigned long id;

	svgpu_queues_stop_file(to_svgpu(drm), file, -ECANCELED);
	xa_for_each(&file->queues, id, queue)
		svgpu_queue_put(queue);
	svm_drm_file_close(&file->svm);
	xa_destroy(&file->queues);
	kfree(file);
}

static const struct file_operations svgpu_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = svm_drm_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = svm_drm_compat_ioctl,
#endif
	.mmap = svm_drm_bo_mmap,
	.show_fdinfo = svm_drm_show_fdinfo,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
#ifdef FOP_UNSIGNED_OFFSET
	.fop_flags = FOP_UNSIGNED_OFFSET,
#endif
};

static const struct drm_ioctl_desc svgpu_ioctls[] = {
	DRM_IOCTL_DEF_DRV(SVM_VM_CREATE, svm_drm_ioctl_vm_create,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_VM_DESTROY, svm_drm_ioctl_vm_destroy,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_BIND, svm_drm_ioctl_bind, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_PREFETCH, svm_drm_ioctl_prefetch,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_QUERY, svm_drm_ioctl_query, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_ADVISE, svm_drm_ioctl_advise, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_QUEUE_CREATE, svgpu_ioctl_queue_create,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_QUEUE_DESTROY, svgpu_ioctl_queue_destroy,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_SUBMIT, svgpu_ioctl_submit, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_INFO, svgpu_ioctl_info, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_BO_CREATE, svgpu_ioctl_bo_create,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_BO_INFO, svgpu_ioctl_bo_info,
			  DRM_RENDER_ALLOW),
};

static struct drm_gem_object *svgpu_gem_prime_import(struct drm_device *drm,
						     struct dma_buf *dma_buf)
{
	return svm_drm_bo_import(&to_svgpu(drm)->svm, dma_buf);
}

const struct drm_driver svgpu_drm_driver = {
	.driver_features = DRIVER_RENDER | DRIVER_SYNCOBJ | DRIVER_GEM,
	/* Newer kernels take these two for granted. */
	.prime_handle_to_fd = drm_gem_prime_handle_to_fd,
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle,
	.gem_prime_import = svgpu_gem_prime_import,
	.open = svgpu_open,
	.postclose = svgpu_postclose,
	.debugfs_init = svgpu_debugfs_init,
	.ioctls = svgpu_ioctls,
	.num_ioctls = ARRAY_SIZE(svgpu_ioctls),
	.fops = &svgpu_fops,
	.name = "svgpu",
	.desc = "svmirror's virtual GPU",
#ifdef HAVE_DRM_DRIVER_DATE
	.date = "20260101",
#endif
	.major = 1,
};
