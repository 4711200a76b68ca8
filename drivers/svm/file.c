// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files: their handles, their ends, and the section that an ioctl runs in.
 *
 * A driver's ioctls run inside a drm_dev section, so that removal can wait for them.
 * None waits for a job. An ioctl that reads or fills its caller's memory may fault and wait
 * for that memory; removal waits with it.
 */
#include <linux/export.h>
#include <linux/sched/signal.h>

#include <drm/drm_drv.h>

#include "internal.h"

void svm_drm_file_init(struct svm_drm_file *file, struct svm_drm_device *dev)
{
	file->dev = dev;
	file->number = atomic64_inc_return(&dev->file_number);
	/* Handles are never 0. */
	xa_init_flags(&file->vms, XA_FLAGS_ALLOC1);
}
EXPORT_SYMBOL_GPL(svm_drm_file_init);

/*
 * close() gives back all that the file held, if that takes no longer than its deadline. A
 * task that exits closes one file after the other and would take as long for each; and
 * the kernel's own thread has the files of others to close. For these a worker goes on.
 */
static bool may_wait(void)
{
	return !(current->flags & (PF_EXITING | PF_KTHREAD));
}

void svm_drm_file_close(struct svm_drm_file *file)
{
	unsigned long id, deadline;
	struct svm_drm_vm *vm;

	svm_drm_vms_stop_file(file);
	deadline = svm_drm_vm_deadline();
	xa_for_each(&file->vms, id, vm) {
		if (may_wait())
			svm_drm_vm_wait_gone(vm, deadline);
		svm_drm_vm_put(vm);
	}
	xa_destroy(&file->vms);
}
EXPORT_SYMBOL_GPL(svm_drm_file_close);

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
	/* A wait was ended by a signal that is not fatal: nothing was done, so do it again. */
	return ret == -EINTR && !fatal_signal_pending(current) ? -ERESTARTSYS : ret;
}

long svm_drm_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return ioctl_in_section(filp, cmd, arg, drm_ioctl);
}
EXPORT_SYMBOL_GPL(svm_drm_ioctl);

#ifdef CONFIG_COMPAT
long svm_drm_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return ioctl_in_section(filp, cmd, arg, drm_compat_ioctl);
}
EXPORT_SYMBOL_GPL(svm_drm_compat_ioctl);
#endif
