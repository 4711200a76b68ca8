// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's part of a device, from probe to removal.
 *
 * After drm_dev_unplug() no ioctl makes a vm any more (file.c). svm_drm_device_stop() then ends
 * all that there are, whether their files are open or not. Open files keep the struct of
 * the device, but nothing of the hardware.
 */
#include <linux/module.h>

#include "bo.h"

int svm_drm_device_init(struct svm_drm_device *dev)
{
	dev->table_lg2 = svm_format_describe(dev->format)->table_lg2;
	xa_init_flags(&dev->contexts, XA_FLAGS_ALLOC);
	init_waitqueue_head(&dev->gone);
	svm_drm_shares_init(dev);
	svm_drm_parked_init(dev);
	svm_drm_bos_init(dev);
	svm_drm_restore_ops(dev);
	dev->wq = alloc_workqueue("svm_drm", WQ_UNBOUND, 0);
	return dev->wq ? svm_drm_pages_init(dev) : -ENOMEM;
}
EXPORT_SYMBOL_GPL(svm_drm_device_init);

void svm_drm_device_stop(struct svm_drm_device *dev)
{
	svm_drm_vms_stop_all(dev);
	svm_drm_pages_stop(dev);
	svm_drm_bos_stop(dev);
}
EXPORT_SYMBOL_GPL(svm_drm_device_stop);

void svm_drm_device_fini(struct svm_drm_device *dev)
{
	if (!dev->wq)
		return;
	svm_drm_pages_stop(dev);
	svm_drm_parked_stop(dev);
	destroy_workqueue(dev->wq);
	dev->wq = NULL;
	xa_destroy(&dev->contexts);
}
EXPORT_SYMBOL_GPL(svm_drm_device_fini);

MODULE_DESCRIPTION("What DRM drivers with shared virtual memory have in common");
MODULE_LICENSE("GPL");
