// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vms whose device cannot fault (DRM_SVM_VM_NO_FAULT). svmirror stops the jobs of such a vm before
 * it takes anything from them; here a worker has it brought back and the jobs go on.
 *
 * How often a vm can be stopped is bounded, so that its jobs get on. After each resume the jobs are
 * left alone for as long as they were stopped, but for RUN_MS at least and RUN_MAX_MS at most: what
 * would stop them sleeps for the rest of that time (delay()), and so does the munmap() or page
 * migration that it belongs to. Only a caller that may not sleep, the
 * OOM reaper, stops them at once. The worker waits PAUSE_MS before it restores, so that a burst of
 * changes is one stop, and twice as long each time where the jobs had run for a short time only,
 * up to PAUSE_MAX_MS. That a restore gets through is svm_restore()'s to see to.
 *
 * restore mutex: one svm_restore() of a vm at a time
 * restore lock (spin), one per vm: what else is in struct svm_drm_restore. svmirror's lock of a
 * vm's stops may be held when it is taken.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <drm/drm_drv.h>

#include "internal.h"

#define RUN_MS		2
#define RUN_MAX_MS	16
#define SHORT_MS	20	/* jobs that were stopped sooner ran for a short time */
#define PAUSE_MS	1
#define PAUSE_MAX_MS	16
#define RETRY_MS	10	/* after a restore that was spoiled, or had no memory */
#define BIND_SECONDS	10	/* that a bind waits for what it binds */

static struct svm_drm_vm *vm_of(void *backend)
{
	return backend;
}

static u64 ms_to_ns(unsigned int ms)
{
	return ms * (u64)NSEC_PER_MSEC;
}

static void restore_later(struct svm_drm_vm *vm, unsigned int ms)
{
	struct svm_drm_restore *r = &vm->restore;

	spin_lock(&r->lock);
	if (!r->closed)
		queue_delayed_work(vm->faults.wq, &r->work, msecs_to_jiffies(ms));
	spin_unlock(&r->lock);
}

/* For svm_backend_ops.stop: the jobs were running. */
static u64 stop(void *backend)
{
	struct svm_drm_vm *vm = vm_of(backend);
	struct svm_drm_restore *r = &vm->restore;
	u64 now = ktime_get_ns();

	/* svmirror's lock is held, which makes these ours. */
	r->stopped = now;
	if (r->pause_ms && now - r->resumed < ms_to_ns(SHORT_MS))
		r->pause_ms = min(2 * r->pause_ms, PAUSE_MAX_MS);
	else
		r->pause_ms = PAUSE_MS;
	restore_later(vm, r->pause_ms);
	return vm->dev->backend_ops->stop(backend);
}

/* For svm_backend_ops.resume. */
static void resume(void *backend)
{
	struct svm_drm_restore *r = &vm_of(backend)->restore;
	u64 now = ktime_get_ns();

	r->resumed = now;
	WRITE_ONCE(r->alone_until, now + clamp(now - r->stopped, ms_to_ns(RUN_MS),
					       ms_to_ns(RUN_MAX_MS)));
	vm_of(backend)->dev->backend_ops->resume(backend);
}

/* For svm_backend_ops.delay. Read without a lock: a stale value costs a sleep, or a stop. */
static void delay(void *backend)
{
	u64 now = ktime_get_ns(), until = READ_ONCE(vm_of(backend)->restore.alone_until);

	if (now < until) {
		unsigned long us = div_u64(until - now, NSEC_PER_USEC) + 1;

		usleep_range(us, us + 100);
	}
}

/**
 * svm_drm_restore_ops() - what svmirror calls for a vm that cannot fault
 * @dev: the device, whose own functions are among them
 *
 * Context: any.
 */
void svm_drm_restore_ops(struct svm_drm_device *dev)
{
	dev->no_fault_ops = *dev->backend_ops;
	dev->no_fault_ops.stop = stop;
	dev->no_fault_ops.resume = resume;
	dev->no_fault_ops.delay = delay;
}

/* Why there is nothing to restore any more, or 0. */
static int moot(const struct svm_drm_vm *vm)
{
	if (drm_dev_is_unplugged(vm->dev->drm))
		return -ENODEV;
	return svm_drm_error(vm->dev) ?: test_bit(0, &vm->stopped) ? -ECANCELED : 0;
}

static bool again(int error)
{
	return error == -EAGAIN || error == -ENOMEM;
}

/* Under the restore mutex. Return: as svm_restore(), or it is moot. */
static int restore(struct svm_drm_vm *vm, const struct svm_bind_op *ops, u32 count)
{
	return moot(vm) ?: svm_restore(vm->svm, ops, count);
}

static void in_session(struct svm_drm_restore *r, bool in)
{
	spin_lock(&r->lock);
	r->in_session = in;
	spin_unlock(&r->lock);
}

static void restore_work(struct work_struct *work)
{
	struct svm_drm_restore *r =
		container_of(to_delayed_work(work), struct svm_drm_restore, work);
	struct svm_drm_vm *vm = container_of(r, struct svm_drm_vm, restore);
	int ret;

	mutex_lock(&r->mutex);
	ret = svm_session_begin(vm->svm, &r->session);
	if (!ret) {
		/* Before restore() looks whether the vm was stopped: svm_drm_restore_cancel(). */
		in_session(r, true);
		ret = restore(vm, NULL, 0);
		in_session(r, false);
		svm_session_end(&r->session);
	}
	mutex_unlock(&r->mutex);
	if (again(ret))
		restore_later(vm, RETRY_MS);
}

/* The jobs need nothing new: the worker restores. */
static bool only_holes(const struct svm_bind_op *ops, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (ops[i].kind != SVM_BIND_NOTHING)
			return false;
	return true;
}

/**
 * svm_drm_restore_bound() - something was bound: the jobs go on when it is there
 * @vm: the vm
 * @ops: what was bound, or failed to be
 * @count: of them
 *
 * Context: in the vm's process or a session of it; sleeps; killable.
 * Return: 0, also for a vm whose device faults; -EFAULT: something of it cannot be had, and
 * the jobs go on without it; -EBUSY: the CPU's side kept moving, or -ENOMEM: the jobs go on later;
 * -EINTR; it is moot.
 */
int svm_drm_restore_bound(struct svm_drm_vm *vm, const struct svm_bind_op *ops, u32 count)
{
	unsigned long end = jiffies + BIND_SECONDS * HZ;
	struct svm_drm_restore *r = &vm->restore;
	int ret;

	if (!vm->no_fault || only_holes(ops, count))
		return 0;
	for (;;) {
		if (mutex_lock_killable(&r->mutex))
			return -EINTR;
		ret = restore(vm, ops, count);
		mutex_unlock(&r->mutex);
		if (!again(ret) || time_after(jiffies, end))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		msleep(RETRY_MS);
	}
	return ret == -EAGAIN ? -EBUSY : ret;
}

/**
 * svm_drm_restore_check() - can what a bind mirrors be kept in memory?
 * @vm: the vm
 * @ops: the operations
 * @count: of them
 *
 * Return: 0; -ENOMEM: it is more than there is memory.
 */
int svm_drm_restore_check(const struct svm_drm_vm *vm, const struct svm_bind_op *ops, u32 count)
{
	u64 left = (u64)totalram_pages() << PAGE_SHIFT;
	u32 i;

	if (!vm->no_fault)
		return 0;
	for (i = 0; i < count; i++) {
		u64 bytes = ops[i].end - ops[i].start;

		if (ops[i].kind != SVM_BIND_MIRROR)
			continue;
		if (bytes > left)
			return -ENOMEM;
		left -= bytes;
	}
	return 0;
}

void svm_drm_restore_init(struct svm_drm_vm *vm)
{
	struct svm_drm_restore *r = &vm->restore;

	mutex_init(&r->mutex);
	spin_lock_init(&r->lock);
	INIT_DELAYED_WORK(&r->work, restore_work);
}

/* The vm is being stopped, and is marked so. Context: process; does not wait. */
void svm_drm_restore_cancel(struct svm_drm_vm *vm)
{
	struct svm_drm_restore *r = &vm->restore;

	spin_lock(&r->lock);
	if (r->in_session)
		svm_session_cancel(&r->session);
	spin_unlock(&r->lock);
}

/* Before the vm's workqueue and svmirror's vm go, whose end may still stop jobs. */
void svm_drm_restore_fini(struct svm_drm_vm *vm)
{
	struct svm_drm_restore *r = &vm->restore;

	spin_lock(&r->lock);
	r->closed = true;
	spin_unlock(&r->lock);
	cancel_delayed_work_sync(&r->work);
	mutex_destroy(&r->mutex);
}
