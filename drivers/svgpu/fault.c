// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a fault: it is checked, served by svmirror, and answered
 * exactly once.
 *
 * Checked, since the device may report nonsense: an id out of range, an access
 * that does not exist, a context or queue that nobody owns, a job of another
 * queue is *garbage*, which
 * is counted, logged and answered FAIL. A context or queue that is just ending
 * is not garbage but *stale*: its entry was in the ring before the device
 * acknowledged the end.
 *
 * svmirror says -EAGAIN where the CPU's side kept moving. We go again, with
 * pauses, at most AGAIN_MAX times: then the job fails with -EBUSY, so that every
 * fault ends. A fault that fails is in its job's result and in the log of its vm,
 * once for a job, however many times the device reported it.
 */
#include <linux/delay.h>

#include <drm/drm_print.h>

#include "fault.h"
#include "task.h"

#define AGAIN_MAX	1000
#define AGAIN_QUICKLY	16	/* so many without a pause */

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

static void answer(struct svgpu_device *dev, struct svgpu_fault_rec *rec,
		   int error)
{
	struct svgpu_fault_stats *stats = &dev->faults.stats;
	struct svgpu_reply reply = {
		.id = rec->entry.id,
		.status = error ? SVGPU_REPLY_FAIL : SVGPU_REPLY_RETRY,
	};
	bool sent = false;

	atomic64_inc(error ? &stats->failed : &stats->retried);
	if (!rec->injected) {
		mutex_lock(&dev->faults.reply_lock);
		sent = !reply_room(dev);
		if (sent)
			svgpu_ring_push(&dev->faults.reply, &reply);
		mutex_unlock(&dev->faults.reply_lock);
	}
	if (sent)
		svgpu_bell(dev, SVGPU_BELL_REPLY);
	svgpu_fault_done(dev, rec);
}

/* A failed fault goes to its job's result and the vm's log, then to the device. */
static void answer_failed(struct svgpu_device *dev,
			  struct svgpu_fault_rec *rec, int error)
{
	const struct svgpu_fault *e = &rec->entry;

	if (rec->injected ||
	    svgpu_task_fail_fault(dev, e->cookie, e->va, e->access, error))
		svgpu_faultlog_add(&rec->vm->log, e->va, rec->queue_id,
				   e->access, error);
	answer(dev, rec, error);
}

/* Return: 0, -ESTALE or -EINVAL (garbage). Finds the vm and the queue's handle. */
static int check(struct svgpu_device *dev, struct svgpu_fault_rec *rec)
{
	const struct svgpu_fault *e = &rec->entry;
	struct svgpu_queue *queue;
	struct svgpu_vm *vm;
	int ret = 0;

	if (e->context >= dev->context_count)
		return -EINVAL;
	vm = svgpu_vm_of_context(dev, e->context);
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	if (!vm)
		return -EINVAL;
	rec->vm = vm;
	if (e->queue >= dev->queue_count || e->access > SVGPU_ATOMIC)
		return -EINVAL;
	/* A job of another queue is none of this one's: job.c makes cookies. */
	if (!rec->injected && lower_32_bits(e->cookie) != e->queue)
		return -EINVAL;
	queue = svgpu_queue_of_hw(dev, e->queue);
	if (!queue)
		return -EINVAL;
	if (queue->vm != vm)
		ret = -EINVAL;
	else if (READ_ONCE(queue->error))
		ret = -ESTALE;
	else
		rec->queue_id = queue->id;
	svgpu_queue_put(queue);
	return ret;
}

static void answer_garbage(struct svgpu_device *dev,
			   struct svgpu_fault_rec *rec)
{
	const struct svgpu_fault *e = &rec->entry;

	atomic64_inc(&dev->faults.stats.garbage);
	drm_err_ratelimited(&dev->drm,
			    "garbage fault: context %u queue %u va %#llx access %u\n",
			    e->context, e->queue, e->va, e->access);
	if (rec->vm)
		svgpu_faultlog_add(&rec->vm->log, e->va, 0, e->access, -EINVAL);
	answer(dev, rec, -EINVAL);
}

/* Takes in one record: it will be answered, at once or by a worker. */
void svgpu_fault_take(struct svgpu_device *dev, struct svgpu_fault_rec *rec)
{
	int error = check(dev, rec);

	atomic64_inc(&dev->faults.stats.taken);
	if (!error) {
		svgpu_task_count_fault(dev, rec->entry.cookie);
		svgpu_fault_enqueue(dev, rec);
	} else if (error == -ESTALE) {
		atomic64_inc(&dev->faults.stats.stale);
		answer(dev, rec, error);
	} else {
		answer_garbage(dev, rec);
	}
}

static int serve(struct svgpu_fault_rec *rec)
{
	struct svgpu_vm *vm = rec->vm;
	int error, round;

	for (round = 0; round < AGAIN_MAX; round++) {
		if (svgpu_error(vm->dev))
			return svgpu_error(vm->dev);
		if (test_bit(0, &vm->stopped))
			return -ECANCELED;
		error = svm_fault(vm->svm, rec->entry.va,
				  (enum svm_access)rec->entry.access, NULL);
		if (error != -EAGAIN)
			return error;
		if (round < AGAIN_QUICKLY)
			cond_resched();
		else
			usleep_range(100, 200);
	}
	return -EBUSY;
}

/* Serves the faults of one table until there is none. Many of these run at a time. */
void svgpu_fault_work(struct work_struct *work)
{
	struct svgpu_fault_group *group =
		container_of(work, struct svgpu_fault_group, work);
	struct svgpu_device *dev = group->dev;
	struct svgpu_fault_rec *rec, *next;
	LIST_HEAD(same);

	while (svgpu_fault_next(group, &same)) {
		int error = serve(list_first_entry(&same, struct svgpu_fault_rec,
						   link));

		list_for_each_entry_safe(rec, next, &same, link) {
			list_del(&rec->link);
			if (error)
				answer_failed(dev, rec, error);
			else
				answer(dev, rec, 0);
		}
		cond_resched();
	}
}
