// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binds that are done later (DRM_SVM_BIND_ASYNC): those of a vm one after the other, in the order
 * in which they came, each when its syncobjs have signalled.
 *
 * Each waiting bind uses its vm, so the vm's end waits for it; what stops the vm closes the
 * queue, and its worker then ends what is left with -ECANCELED. The worker does not sleep for a
 * fence (park.c has it queued again), so that is at once, unless a bind is just being done.
 *
 * bind lock (spin), one per vm: all of struct svm_drm_binds.
 */
#include <linux/slab.h>

#include "bind.h"

#define WAITING_MAX	256

struct svm_drm_bind_task {
	struct list_head link;
	struct svm_bind_op *ops;
	u32 count;
	struct svm_drm_out out;
	u32 in_count;
	u32 in_next;	/* those before it have signalled */
	struct svm_drm_dep in[];
};

static struct svm_drm_vm *vm_of(struct svm_drm_binds *binds)
{
	return container_of(binds, struct svm_drm_vm, binds);
}

static void free_bind(struct svm_drm_bind_task *task)
{
	svm_drm_bind_ops_free(task->ops, task->count);
	svm_drm_deps_drop(task->in, task->in_count);
	svm_drm_out_drop(&task->out);
	kfree(task);
}

/* Ends a task that is in no list. */
static void end(struct svm_drm_vm *vm, struct svm_drm_bind_task *task, int status)
{
	svm_drm_out_signal(vm->dev, &task->out, status);
	free_bind(task);
	svm_drm_vm_leave(vm);
}

/* In the process's name, as its own call would be. */
static int do_bind(struct svm_drm_vm *vm, struct svm_drm_bind_task *task)
{
	struct svm_session session;
	int ret = svm_session_begin(vm->svm, &session);

	if (ret)
		return ret;
	ret = svm_drm_bind_do(vm, task->ops, task->count);
	svm_session_end(&session);
	return ret;
}

/* The first of the waiting, which stays in the list: it is this worker that takes it out. */
static struct svm_drm_bind_task *first(struct svm_drm_binds *binds, bool *closed)
{
	struct svm_drm_bind_task *task;

	spin_lock(&binds->lock);
	task = list_first_entry_or_null(&binds->waiting, struct svm_drm_bind_task, link);
	*closed = binds->closed;
	spin_unlock(&binds->lock);
	return task;
}

static void take_out(struct svm_drm_binds *binds, struct svm_drm_bind_task *task)
{
	spin_lock(&binds->lock);
	list_del(&task->link);
	binds->count--;
	spin_unlock(&binds->lock);
}

static void bind_work(struct work_struct *work)
{
	struct svm_drm_binds *binds = container_of(work, struct svm_drm_binds, work);
	struct svm_drm_vm *vm = vm_of(binds);
	struct svm_drm_bind_task *task;
	bool closed;
	int status;

	svm_drm_forget(&binds->waiter);
	/* Ends: each round takes one of the waiting away. */
	while ((task = first(binds, &closed))) {
		status = closed ? -ECANCELED :
				  svm_drm_deps_await(&binds->waiter, task->in,
						     task->in_count, &task->in_next);
		if (!status)
			return;
		take_out(binds, task);
		end(vm, task, status > 0 ? do_bind(vm, task) : status);
		cond_resched();
	}
}

static void wake(struct svm_drm_waiter *waiter)
{
	struct svm_drm_binds *binds = container_of(waiter, struct svm_drm_binds, waiter);

	queue_work(waiter->dev->wq, &binds->work);
}

void svm_drm_binds_init(struct svm_drm_vm *vm)
{
	struct svm_drm_binds *binds = &vm->binds;

	spin_lock_init(&binds->lock);
	INIT_LIST_HEAD(&binds->waiting);
	INIT_WORK(&binds->work, bind_work);
	binds->waiter.dev = vm->dev;
	binds->waiter.wake = wake;
}

/* The vm is being stopped. Context: process; does not wait. */
void svm_drm_binds_cancel(struct svm_drm_vm *vm)
{
	struct svm_drm_binds *binds = &vm->binds;

	spin_lock(&binds->lock);
	binds->closed = true;
	spin_unlock(&binds->lock);
	queue_work(vm->dev->wq, &binds->work);
}

/* No task is left but the worker's last steps. */
void svm_drm_binds_fini(struct svm_drm_vm *vm)
{
	cancel_work_sync(&vm->binds.work);
}

static int enter(struct svm_drm_vm *vm, struct svm_drm_bind_task *task)
{
	struct svm_drm_binds *binds = &vm->binds;
	int ret = 0;

	spin_lock(&binds->lock);
	if (binds->closed)
		ret = -ENOENT;
	else if (binds->count >= WAITING_MAX)
		ret = -EBUSY;
	else
		binds->count++;
	spin_unlock(&binds->lock);
	if (ret)
		return ret;
	/* Nothing fails from here on. The caller's use of the vm becomes the task's, see end(). */
	svm_drm_out_reset(&task->out);
	spin_lock(&binds->lock);
	list_add_tail(&task->link, &binds->waiting);
	spin_unlock(&binds->lock);
	queue_work(vm->dev->wq, &binds->work);
	return 0;
}

/**
 * svm_drm_bind_later() - take in a bind
 * @vm: the vm, used and with a reference: those are the bind's if this is 0
 * @file: whose syncobjs
 * @args: the caller's
 * @ops: the operations: the bind's if this is 0
 *
 * Return: 0; -ENOENT: no such syncobj, or the vm has just been destroyed; -EFAULT; -EBUSY: too many
 * are waiting; -ENOMEM.
 */
int svm_drm_bind_later(struct svm_drm_vm *vm, struct drm_file *file,
		       const struct drm_svm_bind *args, struct svm_bind_op *ops)
{
	struct svm_drm_bind_task *task;
	int ret;

	task = kzalloc(struct_size(task, in, args->in_count), GFP_KERNEL_ACCOUNT);
	if (!task)
		return -ENOMEM;
	task->in_count = args->in_count;
	ret = svm_drm_deps_take(file, args->in_syncobjs, args->in_count, task->in) ?:
	      svm_drm_out_take(file, args->out_syncobj, &task->out);
	if (!ret) {
		task->ops = ops;
		task->count = args->count;
		ret = enter(vm, task);
	}
	if (ret) {
		/* The operations are the caller's. */
		task->ops = NULL;
		task->count = 0;
		free_bind(task);
	}
	return ret;
}
