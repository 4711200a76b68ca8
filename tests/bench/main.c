// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/svm_bench: runs one step of a row for one contender and says how many instructions it took.
 *
 * A region is what lies between two readings of the time-stamp counter: nothing of this file is
 * printed, allocated or copied in it. The module measures an empty region when it is loaded, and
 * takes that off each count.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "bench.h"

static const struct bench_ops *const contenders[] = {
	[SVM_BENCH_FLOOR] = &bench_floor,
#ifdef BENCH_GPUSVM
	[SVM_BENCH_GPUSVM] = &bench_gpusvm,
#endif
	[SVM_BENCH_SVMIRROR] = &bench_svmirror,
};

static u64 empty_region;

/**
 * struct session - an open file
 * @lock: one step at a time
 * @ops: the contender; NULL before SVM_BENCH_IOCTL_BEGIN
 * @state: its own
 */
struct session {
	struct mutex lock;	/* one step at a time */
	const struct bench_ops *ops;
	void *state;
};

/*
 * Where a region begins and ends, for the host that writes down all instructions. The two bodies
 * differ, or the compiler makes one function of them.
 */
static noinline void svm_bench_mark_begin(void)
{
	asm volatile("# begin");
}

static noinline void svm_bench_mark_end(void)
{
	asm volatile("# end");
}

static void measure_empty_region(void)
{
	u64 begin = rdtsc();

	empty_region = rdtsc() - begin;
}

static int begin_step(struct session *s, void __user *arg)
{
	struct svm_bench_begin a;
	int err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (s->ops || a.contender >= ARRAY_SIZE(contenders))
		return -EINVAL;
	if (!contenders[a.contender])
		return -ENODEV;
	err = contenders[a.contender]->begin(a.granule_lg2, &s->state);
	if (!err)
		s->ops = contenders[a.contender];
	return err;
}

static int run_faults(struct session *s, const struct svm_bench_fault *a)
{
	u64 va;
	int err;

	if (s->ops->fault_all)
		return s->ops->fault_all(s->state, a->start, a->end, a->write);
	for (va = a->start; va < a->end; va += a->step) {
		err = s->ops->fault(s->state, va, a->write);
		if (err)
			return err;
	}
	return 0;
}

static bool good_span(u64 start, u64 end)
{
	return PAGE_ALIGNED(start) && PAGE_ALIGNED(end) && start < end && end <= TASK_SIZE;
}

static int fault_step(struct session *s, void __user *arg)
{
	struct svm_bench_fault a;
	u64 start;
	int err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (!s->ops || !good_span(a.start, a.end) || !a.step || !PAGE_ALIGNED(a.step) || a.pad)
		return -EINVAL;
	svm_bench_mark_begin();
	start = rdtsc();
	err = run_faults(s, &a);
	a.count = rdtsc() - start - empty_region;
	svm_bench_mark_end();
	if (!err && copy_to_user(arg, &a, sizeof(a)))
		err = -EFAULT;
	return err;
}

static int prefetch_step(struct session *s, void __user *arg)
{
	struct svm_bench_prefetch a;
	u64 start;
	int err;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (!s->ops || !good_span(a.start, a.end))
		return -EINVAL;
	svm_bench_mark_begin();
	start = rdtsc();
	err = s->ops->prefetch(s->state, a.start, a.end);
	a.count = rdtsc() - start - empty_region;
	svm_bench_mark_end();
	if (!err && copy_to_user(arg, &a, sizeof(a)))
		err = -EFAULT;
	return err;
}

static int run_binds(struct session *s, const struct svm_bench_bind *a)
{
	u64 i;
	int err;

	for (i = 0; i < a->pages; i++) {
		err = s->ops->bind_null(s->state, a->start + i * a->step);
		if (err)
			return err;
	}
	return 0;
}

static int bind_step(struct session *s, void __user *arg)
{
	struct svm_bench_bind a;

	if (copy_from_user(&a, arg, sizeof(a)))
		return -EFAULT;
	if (!s->ops || !PAGE_ALIGNED(a.start) || !PAGE_ALIGNED(a.step))
		return -EINVAL;
	return s->ops->bind_null ? run_binds(s, &a) : 0;
}

static int state_step(struct session *s, void __user *arg)
{
	struct svm_bench_state a = {};

	if (!s->ops)
		return -EINVAL;
	s->ops->state(s->state, &a);
	return copy_to_user(arg, &a, sizeof(a)) ? -EFAULT : 0;
}

static int serve(struct session *s, unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case SVM_BENCH_IOCTL_BEGIN:
		return begin_step(s, arg);
	case SVM_BENCH_IOCTL_FAULT:
		return fault_step(s, arg);
	case SVM_BENCH_IOCTL_PREFETCH:
		return prefetch_step(s, arg);
	case SVM_BENCH_IOCTL_STATE:
		return state_step(s, arg);
	case SVM_BENCH_IOCTL_BIND:
		return bind_step(s, arg);
	}
	return -ENOTTY;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct session *s = file->private_data;
	long err;

	mutex_lock(&s->lock);
	err = serve(s, cmd, (void __user *)arg);
	mutex_unlock(&s->lock);
	return err;
}

static int bench_open(struct inode *inode, struct file *file)
{
	struct session *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	mutex_init(&s->lock);
	file->private_data = s;
	return 0;
}

static int bench_release(struct inode *inode, struct file *file)
{
	struct session *s = file->private_data;

	if (s->ops)
		s->ops->end(s->state);
	kfree(s);
	return 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = bench_open,
	.release = bench_release,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "svm_bench",
	.fops = &fops,
	.mode = 0600,
};

static int __init bench_init(void)
{
	int err = bench_device_init();

	if (err)
		return err;
	measure_empty_region();
	err = misc_register(&misc);
	if (err)
		bench_device_exit();
	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&misc);
	bench_device_exit();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Counts what svmirror and its peers cost");
MODULE_LICENSE("GPL");
