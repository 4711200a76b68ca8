// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a fault: it is served by svmirror in the process's name, and answered
 * exactly once.
 *
 * svmirror says -EAGAIN where the CPU's side kept moving. We go again, with pauses, at
 * most AGAIN_MAX times: then the job fails with -EBUSY, so that every fault ends. Where
 * there is no memory, the CPU's own access would be tried until there is some, or until
 * the process is killed for it; we give it NOMEM_SECONDS.
 */
#include <linux/delay.h>

#include <drm/drm_drv.h>

#include "fault.h"

#define AGAIN_MAX	1000
#define AGAIN_QUICKLY	16	/* so many without a pause */
#define NOMEM_SECONDS	10	/* that memory may take to come */
#define NOMEM_MS	10	/* between two tries */

/* Answers a claimed record, which is no more among its vm's faults, and lets go of it. */
static void answer(struct svm_drm_fault_rec *rec, int error)
{
	struct svm_drm_vm *vm = rec->vm;
	struct svm_drm_device *dev = vm->dev;
	struct svm_drm_fault fault = rec->fault;
	/* Before the reply: the next fault of the queue's job may come right behind it. */
	bool more = svm_drm_fault_release(rec);

	dev->ops->reply(vm, rec, &fault, error);
	if (more) {
		svm_drm_fault_enqueue(rec);
		return;
	}
	atomic_dec(&dev->fault_total);
	dev->ops->put(rec);
	svm_drm_vm_leave(vm);
}

/* Why what the group is at need not be served any more, or 0. */
static int moot(const struct svm_drm_fault_group *group)
{
	const struct svm_drm_vm *vm = group->vm;

	if (drm_dev_is_unplugged(vm->dev->drm))
		return -ENODEV;
	if (svm_drm_error(vm->dev))
		return svm_drm_error(vm->dev);
	if (test_bit(0, &vm->stopped) || svm_drm_fault_all_cancelled(group))
		return -ECANCELED;
	return 0;
}

/* For the first of those that the group is at; the others ask the same. */
static int serve(struct svm_drm_fault_group *group)
{
	const struct svm_drm_fault *fault =
		&list_first_entry(&group->same, struct svm_drm_fault_rec, link)->fault;
	unsigned long end = jiffies + NOMEM_SECONDS * HZ;
	int error, round;

	for (round = 0; round < AGAIN_MAX; round++) {
		error = moot(group);
		if (error)
			return error;
		error = svm_fault(group->vm->svm, fault->va,
				  (enum svm_access)fault->access);
		if (error == -ENOMEM && time_before(jiffies, end))
			msleep(NOMEM_MS);
		else if (error == -EINTR)
			return moot(group) ?: error;
		else if (error != -EAGAIN)
			return error;
		else if (round < AGAIN_QUICKLY)
			cond_resched();
		else
			usleep_range(100, 200);
	}
	return -EBUSY;
}

static void leave(struct svm_drm_fault_group *group)
{
	if (!group->in_session)
		return;
	svm_drm_fault_in_session(group, false);
	svm_session_end(&group->session);
}

/* A session that is not cancelled. Return: 0, or the process is gone. */
static int enter(struct svm_drm_fault_group *group)
{
	int error;

	if (group->in_session && !READ_ONCE(group->cancelled))
		return 0;
	leave(group);
	error = svm_session_begin(group->vm->svm, &group->session);
	if (!error)
		svm_drm_fault_in_session(group, true);
	return error;
}

/* Serves the faults of one table until there is none. Many of these run at a time. */
void svm_drm_fault_work(struct work_struct *work)
{
	struct svm_drm_fault_group *group =
		container_of(work, struct svm_drm_fault_group, work);
	struct svm_drm_vm *vm = group->vm;
	struct svm_drm_fault_rec *rec;
	int error;

	while (svm_drm_fault_next(group)) {
		error = enter(group) ?: serve(group);
		while ((rec = svm_drm_fault_finish(group)))
			answer(rec, error);
		cond_resched();
	}
	/* Should the group be busy again already: that is this work item's next run. */
	leave(group);
	svm_drm_vm_leave(vm);
}
