// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module and the PCI driver: how the parts are put together and taken apart.
 *
 * After drm_dev_unplug() no vm, queue or job is made any more (svm_drm_ioctl()), and
 * remove() ends all that there are, whether their files are open or not.
 * Open files keep the module and the struct of the device, but nothing of the
 * hardware.
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/pm.h>

#include <drm/drm_drv.h>

#include "svgpu.h"

static char *tables = "vram";
module_param(tables, charp, 0444);
MODULE_PARM_DESC(tables, "where page tables lie: vram (default) or system");

/*
 * Some wait without sleeping: for room, for the answer, and then for the bus to be off.
 * Longer than this would look like a lock-up.
 */
static int set_timeout(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 100, 15000);
}

static const struct kernel_param_ops timeout_ops = {
	.set = set_timeout,
	.get = param_get_uint,
};

unsigned int svgpu_timeout_ms = 5000;
module_param_cb(flush_timeout_ms, &timeout_ops, &svgpu_timeout_ms, 0644);
MODULE_PARM_DESC(flush_timeout_ms,
		 "a device that does not answer for so long is given up (100 to 15000, default 5000)");

bool svgpu_tables_in_vram;

static irqreturn_t fault_interrupt(int irq, void *data)
{
	svgpu_faults_drain(data);
	return IRQ_HANDLED;
}

static irqreturn_t done_interrupt(int irq, void *data)
{
	svgpu_jobs_drain(data);
	return IRQ_HANDLED;
}

static int request_interrupts(struct svgpu_device *dev)
{
	int fault, done, ret;

	ret = pci_alloc_irq_vectors(dev->pdev, 2, 2, PCI_IRQ_MSIX);
	if (ret < 0)
		return ret;
	fault = pci_irq_vector(dev->pdev, SVGPU_VECTOR_FAULT);
	done = pci_irq_vector(dev->pdev, SVGPU_VECTOR_DONE);
	ret = request_threaded_irq(fault, NULL, fault_interrupt, IRQF_ONESHOT,
				   "svgpu-fault", dev);
	if (ret)
		goto free_vectors;
	ret = request_threaded_irq(done, NULL, done_interrupt, IRQF_ONESHOT,
				   "svgpu-done", dev);
	if (ret)
		goto free_fault;
	return 0;

free_fault:
	free_irq(fault, dev);
free_vectors:
	pci_free_irq_vectors(dev->pdev);
	return ret;
}

static void free_interrupts(struct svgpu_device *dev)
{
	free_irq(pci_irq_vector(dev->pdev, SVGPU_VECTOR_DONE), dev);
	free_irq(pci_irq_vector(dev->pdev, SVGPU_VECTOR_FAULT), dev);
	pci_free_irq_vectors(dev->pdev);
}

static int map_bars(struct svgpu_device *dev)
{
	int ret;

	ret = pci_enable_device(dev->pdev);
	if (ret)
		return ret;
	ret = pci_request_regions(dev->pdev, "svgpu");
	if (ret)
		goto disable;
	ret = dma_set_mask_and_coherent(&dev->pdev->dev, DMA_BIT_MASK(64));
	if (ret)
		goto release;
	ret = -ENOMEM;
	dev->bell = pci_iomap(dev->pdev, 0, 0);
	dev->bar = pci_iomap_wc(dev->pdev, 2, 0);
	if (dev->bell && dev->bar)
		return 0;
	if (dev->bar)
		pci_iounmap(dev->pdev, dev->bar);
	if (dev->bell)
		pci_iounmap(dev->pdev, dev->bell);
release:
	pci_release_regions(dev->pdev);
disable:
	pci_disable_device(dev->pdev);
	return ret;
}

static void unmap_bars(struct svgpu_device *dev)
{
	pci_iounmap(dev->pdev, dev->bar);
	pci_iounmap(dev->pdev, dev->bell);
	pci_release_regions(dev->pdev);
	pci_disable_device(dev->pdev);
}

static const struct svm_drm_ops svgpu_svm_ops = {
	.vm_size = sizeof(struct svgpu_vm),
	.start = svgpu_context_start,
	.stop = svgpu_context_stop,
	.stopped = svgpu_context_stopped,
	.reply = svgpu_fault_reply,
	.put = svgpu_fault_put,
	.vram_alloc = svgpu_bo_vram_alloc,
	.vram_free = svgpu_bo_vram_free,
	.copy_begin = svgpu_copy_begin,
	.copy_wait = svgpu_copy_wait,
};

/* Software state; svgpu_teardown() undoes it, also after a failure. */
static int svgpu_setup(struct svgpu_device *dev)
{
	struct svm_drm_device *svm = &dev->svm;
	int ret;

	svgpu_sync_init(dev);
	svgpu_jobs_init(dev);
	svgpu_vram_init(dev);
	svgpu_faults_init(dev);
	svm->drm = &dev->drm;
	svm->ops = &svgpu_svm_ops;
	svm->backend_ops = svgpu_tables_in_vram ? &svgpu_vram_ops :
						  &svgpu_system_ops;
	svm->dma_device = &dev->pdev->dev;
	svm->ids[SVM_DRM_CONTEXT_ID] = dev->context_count;
	svm->ids[SVGPU_QUEUE_ID] = dev->queue_count;
	ret = svgpu_copies_init(dev);
	if (ret)
		return ret;
	ret = svm_drm_device_init(svm);
	if (ret)
		return ret;
	dev->wq = alloc_workqueue("svgpu", WQ_UNBOUND, 0);
	return dev->wq ? 0 : -ENOMEM;
}

static void svgpu_teardown(struct svgpu_device *dev)
{
	svm_drm_device_fini(&dev->svm);
	if (dev->wq)
		destroy_workqueue(dev->wq);
	svgpu_faults_fini(dev);
	svgpu_vram_fini(dev);
	svgpu_copies_fini(dev);
	mutex_destroy(&dev->sync.set_lock);
	mutex_destroy(&dev->jobs.drain_lock);
	mutex_destroy(&dev->jobs.push_lock);
	xa_destroy(&dev->queues);
}

/* From interrupts to a running device that cannot be opened yet. */
static int svgpu_bring_up(struct svgpu_device *dev)
{
	int ret;

	ret = request_interrupts(dev);
	if (ret)
		return ret;
	pci_set_master(dev->pdev);
	ret = svgpu_device_start(dev);
	if (ret)
		free_interrupts(dev);
	return ret;
}

static int svgpu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct svgpu_device *dev;
	int ret;

	dev = devm_drm_dev_alloc(&pdev->dev, &svgpu_drm_driver,
				 struct svgpu_device, drm);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->pdev = pdev;
	pci_set_drvdata(pdev, dev);
	ret = map_bars(dev);
	if (ret)
		return ret;
	ret = svgpu_device_init(dev);
	if (ret)
		goto unmap;
	ret = svgpu_setup(dev);
	if (ret)
		goto teardown;
	ret = svgpu_bring_up(dev);
	if (ret)
		goto teardown;
	ret = drm_dev_register(&dev->drm, 0);
	if (ret)
		goto stop;
	dev_info(&pdev->dev, "%u engines, %llu MiB of VRAM, tables in %s\n",
		 dev->engines, dev->vram_bytes >> 20, tables);
	return 0;

stop:
	svgpu_device_stop(dev);
	free_interrupts(dev);
teardown:
	svgpu_teardown(dev);
unmap:
	unmap_bars(dev);
	return ret;
}

static void svgpu_remove(struct pci_dev *pdev)
{
	struct svgpu_device *dev = pci_get_drvdata(pdev);

	/* No ioctl runs after this. */
	drm_dev_unplug(&dev->drm);
	svgpu_queues_stop_all(dev, -ENODEV);
	svm_drm_device_stop(&dev->svm);
	svgpu_device_stop(dev);
	free_interrupts(dev);
	svgpu_teardown(dev);
	unmap_bars(dev);
}

/* The machine goes down or another kernel comes up: no DMA into what is no more ours. */
static void svgpu_shutdown(struct pci_dev *pdev)
{
	svgpu_device_stop(pci_get_drvdata(pdev));
}

/*
 * System sleep takes VRAM and what the device knows of contexts. A vm's tables cannot be made
 * again without its users noticing, so sleep is refused while there are vms, -EBUSY. Without,
 * buffers leave VRAM, and nothing is under way: the epoch ends, and another one begins when the
 * system wakes, also of a device that was wedged. Userspace is frozen: no ioctl runs.
 */
static int svgpu_suspend(struct device *device)
{
	struct svgpu_device *dev = dev_get_drvdata(device);
	int ret;

	if (atomic_read(&dev->svm.vm_total)) {
		dev_err(device, "%d address spaces are in use: no sleep\n",
			atomic_read(&dev->svm.vm_total));
		return -EBUSY;
	}
	ret = svm_drm_bos_evict_all(&dev->svm);
	if (ret)
		return ret;
	svgpu_device_stop(dev);
	return 0;
}

/* What stays stopped here is -ENODEV for its users, until the driver is bound again. */
static int svgpu_resume(struct device *device)
{
	struct svgpu_device *dev = dev_get_drvdata(device);
	int ret;

	pci_set_master(dev->pdev);
	ret = svgpu_device_restart(dev);
	if (!ret)
		svm_drm_bos_return(&dev->svm);
	return ret;
}

static DEFINE_SIMPLE_DEV_PM_OPS(svgpu_pm, svgpu_suspend, svgpu_resume);

/* Other ivshmem devices have these numbers too: probe looks for the magic. */
static const struct pci_device_id svgpu_ids[] = {
	{ PCI_DEVICE(SVGPU_PCI_VENDOR, SVGPU_PCI_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, svgpu_ids);

static struct pci_driver svgpu_pci_driver = {
	.name = "svgpu",
	.id_table = svgpu_ids,
	.probe = svgpu_probe,
	.remove = svgpu_remove,
	.shutdown = svgpu_shutdown,
	.driver.pm = pm_sleep_ptr(&svgpu_pm),
};

static int __init svgpu_init(void)
{
	svgpu_tables_in_vram = !strcmp(tables, "vram");
	if (!svgpu_tables_in_vram && strcmp(tables, "system")) {
		pr_err("svgpu: tables=%s: neither vram nor system\n", tables);
		return -EINVAL;
	}
	return pci_register_driver(&svgpu_pci_driver);
}

static void __exit svgpu_exit(void)
{
	pci_unregister_driver(&svgpu_pci_driver);
}

module_init(svgpu_init);
module_exit(svgpu_exit);

MODULE_DESCRIPTION("Render node of svmirror's virtual GPU");
MODULE_LICENSE("GPL");
