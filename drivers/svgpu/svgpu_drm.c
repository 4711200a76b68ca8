// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DRM side: files, their ends, and the table of ioctls.
 *
 * Our ioctls run inside a drm_dev section, so that removal can wait for them.
 * None waits for a job. An ioctl that reads or fills its caller's memory may fault and wait
 * for that memory; removal waits with it.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_ioctl.h>

#include "svgpu.h"
#include "svm_config.h"

static int svgpu_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct svgpu_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	/* Handles are never 0. */
	xa_init_flags(&file->vms, XA_FLAGS_ALLOC1);
	xa_init_flags(&file->queues, XA_FLAGS_ALLOC1);
	drm_file->driver_priv = file;
	return 0;
}

/*
 * close() gives back all that the file held, if that takes no longer than its deadline. A
 * task that exits closes one file after the other and would take as long for each; and
 * the kernel's own thread has the files of others to close. For these a worker goes on.
 */
static bool may_wait(void)
{
	return !(current->flags & (PF_EXITING | PF_KTHREAD));
}

/* The last use of the file: no other task has it. May come after removal, too. */
static void svgpu_postclose(struct drm_device *drm, struct drm_file *drm_file)
{
	struct svgpu_file *file = drm_file->driver_priv;
	struct svgpu_queue *queue;
	struct svgpu_vm *vm;
	unsigned long id, deadline;

	svgpu_queues_stop_file(to_svgpu(drm), file, -ECANCELED);
	xa_for_each(&file->queues, id, queue)
		svgpu_queue_put(queue);
	svgpu_vms_stop_file(file);
	deadline = svgpu_vm_deadline();
	xa_for_each(&file->vms, id, vm) {
		if (may_wait())
			svgpu_vm_wait_gone(vm, deadline);
		svgpu_vm_put(vm);
	}
	xa_destroy(&file->queues);
	xa_destroy(&file->vms);
	kfree(file);
}

/* Ours in a section that removal waits for; the core's may wait for a fence, so not those. */
static long ioctl_in_section(struct file *filp, unsigned int cmd,
			     unsigned long arg,
			     long (*call)(struct file *filp, unsigned int cmd,
					  unsigned long arg))
{
	struct drm_file *drm_file = filp->private_data;
	struct drm_device *drm = drm_file->minor->dev;
	unsigned int nr = DRM_IOCTL_NR(cmd);
	long ret;
	int idx;

	if (nr < DRM_COMMAND_BASE || nr >= DRM_COMMAND_END)
		return call(filp, cmd, arg);
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	ret = call(filp, cmd, arg);
	drm_dev_exit(idx);
	return ret;
}

static long svgpu_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return ioctl_in_section(filp, cmd, arg, drm_ioctl);
}

#ifdef CONFIG_COMPAT
static long svgpu_compat_ioctl(struct file *filp, unsigned int cmd,
			       unsigned long arg)
{
	return ioctl_in_section(filp, cmd, arg, drm_compat_ioctl);
}
#endif

static const struct file_operations svgpu_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = drm_release,
	.unlocked_ioctl = svgpu_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = svgpu_compat_ioctl,
#endif
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
#ifdef FOP_UNSIGNED_OFFSET
	.fop_flags = FOP_UNSIGNED_OFFSET,
#endif
};

static const struct drm_ioctl_desc svgpu_ioctls[] = {
	DRM_IOCTL_DEF_DRV(SVM_VM_CREATE, svgpu_ioctl_vm_create,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_VM_DESTROY, svgpu_ioctl_vm_destroy,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_BIND, svgpu_ioctl_bind, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_PREFETCH, svgpu_ioctl_prefetch,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVM_QUERY, svgpu_ioctl_query, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_QUEUE_CREATE, svgpu_ioctl_queue_create,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_QUEUE_DESTROY, svgpu_ioctl_queue_destroy,
			  DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_SUBMIT, svgpu_ioctl_submit, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(SVGPU_INFO, svgpu_ioctl_info, DRM_RENDER_ALLOW),
};

const struct drm_driver svgpu_drm_driver = {
	.driver_features = DRIVER_RENDER | DRIVER_SYNCOBJ,
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
