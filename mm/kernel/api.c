// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: set-up, exports, tracepoints, and what debugfs shows of it.
 *
 * The exported functions are the core's (C++); they are exported from C because
 * genksyms cannot read C++.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include <svm/memory.h>
#include <svm/object.h>

#include "port_kernel.h"

#define CREATE_TRACE_POINTS
#include "svm_trace.h"

/* The definition is in C++, so it cannot stand above its export. */
#define SVM_EXPORT(function) EXPORT_SYMBOL_GPL(function)

SVM_EXPORT(svm_format_find);
SVM_EXPORT(svm_format_names);
SVM_EXPORT(svm_format_describe);
SVM_EXPORT(svm_sample_make);
SVM_EXPORT(svm_sample_free);
SVM_EXPORT(svm_vm_create);
SVM_EXPORT(svm_vm_destroy);
SVM_EXPORT(svm_vm_root);
SVM_EXPORT(svm_vm_mm);
SVM_EXPORT(svm_bind_many);
SVM_EXPORT(svm_bind);
SVM_EXPORT(svm_bind_all);
SVM_EXPORT(svm_unbind);
SVM_EXPORT(svm_bindings);
SVM_EXPORT(svm_object_create);
SVM_EXPORT(svm_object_arg);
SVM_EXPORT(svm_object_get);
SVM_EXPORT(svm_object_put);
SVM_EXPORT(svm_object_place);
SVM_EXPORT(svm_object_displace);
SVM_EXPORT(svm_session_begin);
SVM_EXPORT(svm_session_end);
SVM_EXPORT(svm_session_cancel);
SVM_EXPORT(svm_fault);
SVM_EXPORT(svm_prefetch);
SVM_EXPORT(svm_map_present);
SVM_EXPORT(svm_migrate);
SVM_EXPORT(svm_migrate_advised);
SVM_EXPORT(svm_advise);
SVM_EXPORT(svm_spans);
SVM_EXPORT(svm_restore);
SVM_EXPORT(svm_vm_counters);

/* Separated by commas, so that it is one parameter for insmod. */
static int formats_show(char *buffer, const struct kernel_param *param)
{
	int n = sysfs_emit(buffer, "%s\n", svm_format_names());

	strreplace(buffer, ' ', ',');
	return n;
}

/* Nothing can be set. A tool that loads the module with the parameters it had says the same. */
static int formats_set(const char *text, const struct kernel_param *param)
{
	char *known = kstrdup(svm_format_names(), GFP_KERNEL);
	int ret;

	if (!known)
		return -ENOMEM;
	strreplace(known, ' ', ',');
	ret = sysfs_streq(text, known) ? 0 : -EINVAL;
	kfree(known);
	return ret;
}

static const struct kernel_param_ops formats_ops = {
	.set = formats_set,
	.get = formats_show,
};

module_param_cb(formats, &formats_ops, NULL, 0444);
MODULE_PARM_DESC(formats, "read: the formats of page tables that are known");

static struct dentry *svm_debugfs;

/* Read by tests: what should have been given back is zero here. */
static int leaks_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "domains %ld\n", atomic_long_read(&svm_live.domains));
	seq_printf(m, "intervals %ld\n", atomic_long_read(&svm_live.intervals));
	seq_printf(m, "mappings %ld\n", svm_dma_mappings());
	seq_printf(m, "allocations %ld\n",
		   atomic_long_read(&svm_live.allocations));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(leaks);

/* Devices' memories; also of a device that has gone, while a process has a page in it. */
static int memories_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "%ld\n", atomic_long_read(&svm_live.memories));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memories);

static int __init svmirror_init(void)
{
	int err;

	svm_room_init();
	err = svm_work_init();
	if (err)
		return err;
	err = svm_shrinker_init();
	if (err) {
		svm_work_exit();
		return err;
	}
	svm_prime_lockdep();
	svm_debugfs = debugfs_create_dir("svmirror", NULL);
	debugfs_create_file("leaks", 0400, svm_debugfs, NULL, &leaks_fops);
	debugfs_create_file("memories", 0400, svm_debugfs, NULL, &memories_fops);
	return 0;
}

static void __exit svmirror_exit(void)
{
	debugfs_remove_recursive(svm_debugfs);
	svm_shrinker_exit();
	svm_work_exit();
	WARN_ON(atomic_long_read(&svm_live.domains) ||
		atomic_long_read(&svm_live.intervals) ||
		svm_dma_mappings() ||
		atomic_long_read(&svm_live.allocations) ||
		atomic_long_read(&svm_live.memories));
}

module_init(svmirror_init);
module_exit(svmirror_exit);
MODULE_DESCRIPTION("Mirrors a process's address space into a device's page tables");
MODULE_LICENSE("GPL");
