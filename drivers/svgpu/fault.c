// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device reports of faults is checked and handed to the library
 * (drivers/svm/fault.c), which serves each fault and has it answered exactly once.
 *
 * Checked, since the device may report nonsense: an id out of range, an access that does
 * not exist, a context or queue that does not exist, a job of another queue is
 * *garbage*, which is counted, logged and answered FAIL. A context or queue that is just
 * ending is not garbage but *stale*: its entry was in the ring before the device
 * acknowledged the end.
 *
 * A fault that fails is in its job's result and in the log of its vm, once for a job, however
 * many times the device reported it.
 */
#include <linux/delay.h>
#include <linux/slab.h>

#include <drm/drm_print.h>

#include "task.h"

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

/* For svm_drm_ops.reply: a failed fault goes to its job's result and the vm's log first. */
void svgpu_fault_reply(struct svm_drm_vm *vm, struct svm_drm_fault_rec *base,
		       const struct svm_drm_fault *fault, int error)
{
	struct svgpu_fault_rec *rec = to_svgpu_rec(base);
	struct svgpu_device *dev = svgpu_of(vm);

	if (error && (rec->injected ||
		      svgpu_task_fail_fault(dev, fault->cookie, fault->va,
					    fault->access, error)))
		svm_drm_faultlog_add(vm, fault->va, rec->queue->id,
				     fault->access, error);
	count_answer(dev, error);
	if (!rec->injected)
		reply(dev, fault->id, error);
}

static void free_injected(struct svgpu_device *dev, struct svgpu_fault_rec *rec)
{
	atomic_dec(&dev->faults.injected);
	kfree(rec);
}

/* For svm_drm_ops.put. */
void svgpu_fault_put(struct svm_drm_fault_rec *base)
{
	struct svgpu_fault_rec *rec = to_svgpu_rec(base);
	struct svgpu_queue *queue = rec->queue;

	if (rec->injected)
		free_injected(queue->dev, rec);
	svgpu_queue_put(queue);
}

/*
 * Finds the vm, used and with a reference, and the queue, with a reference. Return: 0,
 * -ESTALE or -EINVAL (garbage); then there may be a vm, and there is no queue.
 */
static int check(struct svgpu_device *dev, const struct svgpu_fault *e,
		 bool injected, struct svm_drm_vm **vm,
		 struct svgpu_queue **queue)
{
	int ret = 0;

	*vm = NULL;
	*queue = NULL;
	if (e->context >= dev->context_count)
		return -EINVAL;
	*vm = svm_drm_vm_of_context(&dev->svm, e->context);
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
	if (&(*queue)->vm->base != *vm)
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
		   struct svm_drm_vm *vm, bool injected, int error)
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
			svm_drm_faultlog_add(vm, e->va, 0, e->access, -EINVAL);
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
	struct svm_drm_fault fault = {
		.va = entry->va,
		.id = entry->id,
		.cookie = entry->cookie,
		.access = entry->access,
	};
	struct svgpu_fault_rec *rec = injected;
	struct svgpu_queue *queue;
	struct svm_drm_vm *vm;
	int error = check(dev, entry, injected, &vm, &queue);

	atomic64_inc(&dev->faults.stats.taken);
	if (error) {
		refuse(dev, entry, vm, injected, error);
		if (injected)
			free_injected(dev, injected);
		if (vm)
			svm_drm_vm_leave(vm);
		return;
	}
	if (injected) {
		injected->queue = queue;
	} else {
		rec = &queue->fault;
		svgpu_task_count_fault(dev, entry->cookie);
	}
	if (!svm_drm_fault_submit(&rec->base, vm, &fault)) {
		svgpu_queue_put(queue);
		svm_drm_vm_leave(vm);
	}
}
