// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a fault: it is checked, served by svmirror in the process's name,
 * and answered exactly once.
 *
 * Checked, since the device may report nonsense: an id out of range, an access that does
 * not exist, a context or queue that does not exist, a job of another queue is
 * *garbage*, which is counted, logged and answered FAIL. A context or queue that is just
 * ending is not garbage but *stale*: its entry was in the ring before the device
 * acknowledged the end.
 *
 * svmirror says -EAGAIN where the CPU's side kept moving. We go again, with pauses, at
 * most AGAIN_MAX times: then the job fails with -EBUSY, so that every fault ends. Where
 * there is no memory, the CPU's own access would be tried until there is some, or until
 * the process is killed for it; we give it NOMEM_SECONDS. A fault that fails is in its
 * job's result and in the log of its vm, once for a job, however many times the device
 * reported it.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "fault.h"
#include "task.h"

#define AGAIN_MAX	1000
#define AGAIN_QUICKLY	16	/* so many without a pause */
#define NOMEM_SECONDS	10	/* that memory may take to come */
#define NOMEM_MS	10	/* between two tries */

/* Waits for room: 0, or the device is gone. Under the reply lock. */
static int reply_room(struct svgpu_device *dev)
{
	unsigned long end = jiffies + msecs_to_jiffies(svgpu_timeout_ms);
	int room;

	while (!svgpu_error(dev)) {
		room = svgpu_ring_room(&dev->faults.reply);
		if (room > 0)
			return 0;
		if (room < 0)
			svgpu_device_wedge(dev, "impossible index of the reply ring");
		else if (time_after(jiffies, end))
			svgpu_device_wedge(dev, "its reply ring stays full");
		else
			usleep_range(50, 100);
	}
	return svgpu_error(dev);
}

/* Tells the device what to do about its fault @id. */
static void reply(struct svgpu_device *dev, u32 id, int error)
{
	struct svgpu_reply reply = {
		.id = id,
		.status = error ? SVGPU_REPLY_FAIL : SVGPU_REPLY_RETRY,
	};
	bool sent;

	mutex_lock(&dev->faults.reply_lock);
	sent = !reply_room(dev);
	if (sent)
		svgpu_ring_push(&dev->faults.reply, &reply);
	mutex_unlock(&dev->faults.reply_lock);
	if (sent)
		svgpu_bell(dev, SVGPU_BELL_REPLY);
}

static void count_answer(struct svgpu_device *dev, int error)
{
	struct svgpu_fault_stats *stats = &dev->faults.stats;

	atomic64_inc(error ? &stats->failed : &stats->retried);
}

/* Answers a claimed record, which is no more among its vm's faults, and lets go of it. */
static void answer(struct svgpu_fault_rec *rec, int error)
{
	struct svgpu_queue *queue = rec->queue;
	struct svgpu_vm *vm = rec->vm;
	struct svgpu_device *dev = vm->dev;
	u32 id = rec->entry.id;
	/* Before the reply: the next fault of the queue's job may come right behind it. */
	bool more = svgpu_fault_release(rec);

	count_answer(dev, error);
	if (queue)
		reply(dev, id, error);
	if (more) {
		svgpu_fault_enqueue(rec);
		return;
	}
	atomic_dec(&dev->fault_total);
	if (queue) {
		svgpu_queue_put(queue);
	} else {
		atomic_dec(&dev->faults.injected);
		kfree(rec);
	}
	svgpu_vm_leave(vm);
}

/* A failed fault goes to its job's result and the vm's log, then to the device. */
static void answer_failed(struct svgpu_fault_rec *rec, int error)
{
	const struct svgpu_fault *e = &rec->entry;

	if (!rec->queue ||
	    svgpu_task_fail_fault(rec->vm->dev, e->cookie, e->va, e->access,
				  error))
		svgpu_faultlog_add(&rec->vm->log, e->va, rec->queue_id,
				   e->access, error);
	answer(rec, error);
}

/*
 * Finds the vm, used and with a reference, and the queue, with a reference. Return: 0,
 * -ESTALE or -EINVAL (garbage); then there may be a vm, and there is no queue.
 */
static int check(struct svgpu_device *dev, const struct svgpu_fault *e,
		 bool injected, struct svgpu_vm **vm,
		 struct svgpu_queue **queue)
{
	int ret = 0;

	*vm = NULL;
	*queue = NULL;
	if (e->context >= dev->context_count)
		return -EINVAL;
	*vm = svgpu_vm_of_context(dev, e->context);
	if (IS_ERR_OR_NULL(*vm)) {
		ret = *vm ? PTR_ERR(*vm) : -EINVAL;
		*vm = NULL;
		return ret;
	}
	if (e->queue >= dev->queue_count || e->access > SVGPU_ATOMIC)
		return -EINVAL;
	/* A job of another queue is none of this one's: job.c makes cookies. */
	if (!injected && lower_32_bits(e->cookie) != e->queue)
		return -EINVAL;
	*queue = svgpu_queue_of_hw(dev, e->queue);
	if (!*queue)
		return -EINVAL;
	if ((*queue)->vm != *vm)
		ret = -EINVAL;
	else if (READ_ONCE((*queue)->error))
		ret = -ESTALE;
	if (ret) {
		svgpu_queue_put(*queue);
		*queue = NULL;
	}
	return ret;
}

/* What cannot be served: the device lies, or the queue has just ended. */
static void refuse(struct svgpu_device *dev, const struct svgpu_fault *e,
		   struct svgpu_vm *vm, bool injected, int error)
{
	struct svgpu_fault_stats *stats = &dev->faults.stats;

	if (error == -ESTALE) {
		atomic64_inc(&stats->stale);
	} else {
		atomic64_inc(&stats->garbage);
		drm_err_ratelimited(&dev->drm,
				    "garbage fault: context %u queue %u va %#llx access %u\n",
				    e->context, e->queue, e->va, e->access);
		if (vm)
			svgpu_faultlog_add(&vm->log, e->va, 0, e->access,
					   -EINVAL);
	}
	count_answer(dev, error);
	if (!injected)
		reply(dev, e->id, error);
}

/**
 * svgpu_fault_take() - take in one fault: it is answered, at once or by a worker
 * @dev: the device
 * @entry: what was reported
 * @injected: a record for it, which is freed when it is answered, and the device gets no
 *	answer; NULL: the device has reported it
 *
 * Context: process; sleeps.
 */
void svgpu_fault_take(struct svgpu_device *dev, const struct svgpu_fault *entry,
		      struct svgpu_fault_rec *injected)
{
	struct svgpu_fault_rec *rec = injected;
	struct svgpu_queue *queue;
	struct svgpu_vm *vm;
	int error = check(dev, entry, injected, &vm, &queue);

	atomic64_inc(&dev->faults.stats.taken);
	if (error) {
		refuse(dev, entry, vm, injected, error);
		if (injected) {
			atomic_dec(&dev->faults.injected);
			kfree(injected);
		}
		if (vm)
			svgpu_vm_leave(vm);
		return;
	}
	if (!injected) {
		rec = &queue->fault;
		svgpu_task_count_fault(dev, entry->cookie);
	}
	if (!svgpu_fault_claim(rec, vm, entry)) {
		atomic64_inc(&dev->faults.stats.duplicates);
		svgpu_queue_put(queue);
		svgpu_vm_leave(vm);
		return;
	}
	rec->queue_id = queue->id;
	rec->queue = injected ? NULL : queue;
	if (injected)
		svgpu_queue_put(queue);
	atomic_inc(&dev->fault_total);
	svgpu_fault_enqueue(rec);
}

/* Why what the group is at need not be served any more, or 0. */
static int moot(const struct svgpu_fault_group *group)
{
	const struct svgpu_vm *vm = group->vm;

	if (drm_dev_is_unplugged(&vm->dev->drm))
		return -ENODEV;
	if (svgpu_error(vm->dev))
		return svgpu_error(vm->dev);
	if (test_bit(0, &vm->stopped) || svgpu_fault_all_cancelled(group))
		return -ECANCELED;
	return 0;
}

/* For the first of those that the group is at; the others ask the same. */
static int serve(struct svgpu_fault_group *group)
{
	const struct svgpu_fault *e =
		&list_first_entry(&group->same, struct svgpu_fault_rec, link)->entry;
	unsigned long end = jiffies + NOMEM_SECONDS * HZ;
	int error, round;

	for (round = 0; round < AGAIN_MAX; round++) {
		error = moot(group);
		if (error)
			return error;
		error = svm_fault(group->vm->svm, e->va,
				  (enum svm_access)e->access);
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

static void leave(struct svgpu_fault_group *group)
{
	if (!group->in_session)
		return;
	svgpu_fault_in_session(group, false);
	svm_session_end(&group->session);
}

/* A session that is not cancelled. Return: 0, or the process is gone. */
static int enter(struct svgpu_fault_group *group)
{
	int error;

	if (group->in_session && !READ_ONCE(group->cancelled))
		return 0;
	leave(group);
	error = svm_session_begin(group->vm->svm, &group->session);
	if (!error)
		svgpu_fault_in_session(group, true);
	return error;
}

/* Serves the faults of one table until there is none. Many of these run at a time. */
void svgpu_fault_work(struct work_struct *work)
{
	struct svgpu_fault_group *group =
		container_of(work, struct svgpu_fault_group, work);
	struct svgpu_vm *vm = group->vm;
	struct svgpu_fault_rec *rec;
	int error;

	while (svgpu_fault_next(group)) {
		error = enter(group) ?: serve(group);
		while ((rec = svgpu_fault_finish(group))) {
			if (error)
				answer_failed(rec, error);
			else
				answer(rec, 0);
		}
		cond_resched();
	}
	/* Should the group be busy again already: that is this work item's next run. */
	leave(group);
	svgpu_vm_leave(vm);
}
