// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking inside, for tests and the curious, in the DRM device's debugfs folder:
 *
 * svm_leaks     what exists now; all zero when no file is open
 * svm_faults    what the fault ring came to
 * svm_sync      how many sync operations the device was asked for in this epoch, and how many
 *               of them the driver knows to be done
 * inject_fault  write "context queue va access": as if the device had reported
 *               this fault, nonsense included
 * evict_vram    write anything: buffers and processes' pages go home, as before system sleep
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>

#include "svgpu.h"

static int svm_leaks_show(struct seq_file *m, void *unused)
{
	struct svgpu_device *dev = m->private;

	seq_printf(m, "vms %d\n", atomic_read(&dev->svm.vm_total));
	seq_printf(m, "buffers %d\n", atomic_read(&dev->svm.bo_total));
	seq_printf(m, "pages %llu\n", svm_drm_pages_resident(&dev->svm));
	seq_printf(m, "queues %d\n", atomic_read(&dev->queue_total));
	seq_printf(m, "jobs %d\n", atomic_read(&dev->job_total));
	seq_printf(m, "tables %d\n", atomic_read(&dev->table_total));
	seq_printf(m, "faults %d\n", atomic_read(&dev->svm.fault_total));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(svm_leaks);

static int svm_faults_show(struct seq_file *m, void *unused)
{
	struct svgpu_device *dev = m->private;
	struct svgpu_fault_stats *s = &dev->faults.stats;

	seq_printf(m, "taken %lld\n", atomic64_read(&s->taken));
	seq_printf(m, "duplicates %lld\n", atomic64_read(&dev->svm.fault_duplicates));
	seq_printf(m, "groups %lld\n", atomic64_read(&dev->svm.fault_groups));
	seq_printf(m, "retried %lld\n", atomic64_read(&s->retried));
	seq_printf(m, "failed %lld\n", atomic64_read(&s->failed));
	seq_printf(m, "garbage %lld\n", atomic64_read(&s->garbage));
	seq_printf(m, "stale %lld\n", atomic64_read(&s->stale));
	seq_printf(m, "injected %lld\n", atomic64_read(&s->injected));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(svm_faults);

static int svm_sync_show(struct seq_file *m, void *unused)
{
	struct svgpu_device *dev = m->private;

	spin_lock(&dev->sync.lock);
	seq_printf(m, "asked %llu\n", dev->sync.seq);
	seq_printf(m, "done %llu\n", dev->sync.checked);
	spin_unlock(&dev->sync.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(svm_sync);

static ssize_t inject_fault_write(struct file *file, const char __user *user,
				  size_t count, loff_t *pos)
{
	struct svgpu_device *dev = file->private_data;
	struct svgpu_fault entry = {};
	char *text;
	int ret, idx;

	if (count > 128)
		return -EINVAL;
	text = memdup_user_nul(user, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	ret = sscanf(text, "%u %u %lli %u", &entry.context, &entry.queue,
		     (long long *)&entry.va, &entry.access);
	kfree(text);
	if (ret != 4)
		return -EINVAL;
	if (!drm_dev_enter(&dev->drm, &idx))
		return -ENODEV;
	ret = svgpu_fault_inject(dev, &entry);
	drm_dev_exit(idx);
	return ret ?: count;
}

static const struct file_operations inject_fault_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = inject_fault_write,
	.llseek = noop_llseek,
};

static ssize_t evict_vram_write(struct file *file, const char __user *user,
				size_t count, loff_t *pos)
{
	struct svgpu_device *dev = file->private_data;
	int ret, idx;

	if (!drm_dev_enter(&dev->drm, &idx))
		return -ENODEV;
	ret = svm_drm_bos_evict_all(&dev->svm);
	if (!ret)
		svm_drm_bos_return(&dev->svm);
	drm_dev_exit(idx);
	return ret ?: count;
}

static const struct file_operations evict_vram_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = evict_vram_write,
	.llseek = noop_llseek,
};

/* Makes the files, for each of the device's minors that has a folder. */
void svgpu_debugfs_init(struct drm_minor *minor)
{
	struct svgpu_device *dev = to_svgpu(minor->dev);
	struct dentry *root = minor->debugfs_root;

	debugfs_create_file("svm_leaks", 0444, root, dev, &svm_leaks_fops);
	debugfs_create_file("svm_faults", 0444, root, dev, &svm_faults_fops);
	debugfs_create_file("svm_sync", 0444, root, dev, &svm_sync_fops);
	debugfs_create_file("inject_fault", 0200, root, dev,
			    &inject_fault_fops);
	debugfs_create_file("evict_vram", 0200, root, dev, &evict_vram_fops);
}
