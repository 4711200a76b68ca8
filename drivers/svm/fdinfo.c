// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/PID/fdinfo/FD says of an open file, in the form of the kernel's
 * Documentation/gpu/drm-usage-stats.rst. Sums over the file's vms:
 *
 * DRIVER-vms         how many there are
 * DRIVER-mirrored    memory of the process that the device can reach now
 * DRIVER-tables      page tables of the device
 * DRIVER-host        the kernel's own memory for them
 * DRIVER-faults      faults of the device, since the vms were made
 *
 * And over its buffers, by where they are now:
 *
 * drm-resident-system, drm-resident-vram
 */
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/pci.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>

#include "bo.h"

/* The next vm from handle *@id on that is not stopped, used and with a reference; or NULL. */
static struct svm_drm_vm *next_vm(struct svm_drm_file *file, unsigned long *id)
{
	struct svm_drm_vm *vm;

	/* Under the lock a vm in the table keeps its struct. */
	xa_lock(&file->vms);
	vm = xa_find(&file->vms, id, ULONG_MAX, XA_PRESENT);
	while (vm && !svm_drm_vm_use(vm))
		vm = xa_find_after(&file->vms, id, ULONG_MAX, XA_PRESENT);
	if (vm)
		svm_drm_vm_grab(vm);
	xa_unlock(&file->vms);
	return vm;
}

/* Adds what is shown of each of the file's vms to @sum. Return: how many vms. */
static u32 sum_up(struct svm_drm_file *file, struct svm_counters *sum)
{
	struct svm_counters one;
	struct svm_drm_vm *vm;
	unsigned long id;
	u32 vms = 0;

	for (id = 0; (vm = next_vm(file, &id)); id++) {
		svm_vm_counters(vm->svm, &one);
		svm_drm_vm_leave(vm);
		sum->present += one.present;
		sum->device_bytes += one.device_bytes;
		sum->host_bytes += one.host_bytes;
		sum->faults += one.faults;
		vms++;
	}
	return vms;
}

void svm_drm_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct svm_drm_file *file = svm_drm_file_of(filp->private_data);
	struct drm_device *drm = file->dev->drm;
	const char *driver = drm->driver->name;
	struct svm_counters sum = {};
	u32 vms = sum_up(file, &sum);
	u64 bytes[SVM_DRM_BO_VRAM + 1] = {};

	seq_printf(m, "drm-driver:\t%s\n", driver);
	if (dev_is_pci(drm->dev))
		seq_printf(m, "drm-pdev:\t%s\n", dev_name(drm->dev));
	seq_printf(m, "drm-client-id:\t%llu\n", file->number);
	seq_printf(m, "%s-vms:\t%u\n", driver, vms);
	seq_printf(m, "%s-mirrored:\t%llu KiB\n", driver, sum.present * 4);
	seq_printf(m, "%s-tables:\t%llu KiB\n", driver, sum.device_bytes >> 10);
	seq_printf(m, "%s-host:\t%llu KiB\n", driver, sum.host_bytes >> 10);
	seq_printf(m, "%s-faults:\t%llu\n", driver, sum.faults);
	if (!drm_core_check_feature(drm, DRIVER_GEM))
		return;
	svm_drm_bos_sum(filp->private_data, bytes);
	seq_printf(m, "drm-resident-system:\t%llu KiB\n", bytes[SVM_DRM_BO_SYSTEM] >> 10);
	seq_printf(m, "drm-resident-vram:\t%llu KiB\n", bytes[SVM_DRM_BO_VRAM] >> 10);
}
EXPORT_SYMBOL_GPL(svm_drm_show_fdinfo);
