// SPDX-License-Identifier: GPL-2.0-only
/*
 * The done ring: what the device says of jobs that have ended. A cookie that no
 * queue runs is either late (its queue ended while the report was on its way) or
 * garbage; both are counted nowhere and end nothing.
 */
#include <drm/drm_print.h>

#include "task.h"

static void drain_again(struct work_struct *work)
{
	svgpu_jobs_drain(container_of(work, struct svgpu_device,
				      jobs.drain_work));
}

/* The rings of jobs, before the device starts. */
void svgpu_jobs_init(struct svgpu_device *dev)
{
	struct svgpu_jobs *jobs = &dev->jobs;

	INIT_WORK(&jobs->drain_work, drain_again);
	mutex_init(&jobs->drain_lock);
	mutex_init(&jobs->push_lock);
	svgpu_ring_init(&jobs->ring, dev->bar, SVGPU_JOB_RING,
			SVGPU_JOB_ENTRIES, sizeof(struct svgpu_job));
	svgpu_ring_init(&jobs->done, dev->bar, SVGPU_DONE_RING,
			SVGPU_DONE_ENTRIES, sizeof(struct svgpu_done));
	atomic_set(&jobs->cookie, 0);
}

/*
 * A job of a vm that cannot fault met a fault: that ends it, and nothing was asked before. The
 * error is as of a fault that failed.
 */
static void fail_fault(struct svgpu_task *task, const struct svgpu_done *done)
{
	struct svm_drm_vm *vm = &task->queue->vm->base;
	u32 access = min_t(u32, done->access, SVGPU_ATOMIC);

	/* The queue, which waits for this task before it ends, keeps svmirror's vm. */
	task->fault_error = svm_fault(vm->svm, done->va, (enum svm_access)access);
	task->result.va = done->va;
	task->result.access = access;
	svm_drm_faultlog_add(vm, done->va, task->queue->id, access, task->fault_error);
}

static int status_to_errno(const struct svgpu_task *task, u32 status)
{
	switch (status) {
	case SVGPU_DONE_OK:
		return 0;
	/* The device lies if the driver failed no fault, or if the queue does not end: -EIO. */
	case SVGPU_DONE_FAULT:
		return task->fault_error ?: READ_ONCE(task->queue->error) ?: -EIO;
	case SVGPU_DONE_CANCELED:
		return READ_ONCE(task->queue->error) ?: -EIO;
	case SVGPU_DONE_INVALID:
		return -EINVAL;
	case SVGPU_DONE_LIMIT:
		return -E2BIG;
	default:	/* a bus error, or nothing that we know */
		return -EIO;
	}
}

static void end_one(struct svgpu_device *dev, const struct svgpu_done *done)
{
	struct svgpu_task *task = svgpu_task_take(dev, done->cookie);
	bool bus = done->status == SVGPU_DONE_BUS;
	struct drm_svgpu_job_result *result;
	int status;

	if (!task) {
		drm_dbg(&dev->drm, "done: nobody runs cookie %#llx\n",
			done->cookie);
		return;
	}
	if (done->status == SVGPU_DONE_FAULT && task->queue->vm->base.no_fault &&
	    !task->fault_error)
		fail_fault(task, done);
	status = status_to_errno(task, done->status);
	result = &task->result;
	result->bytes = done->bytes;
	result->tlb_misses = done->tlb_misses;
	if ((bus || done->status == SVGPU_DONE_FAULT) && !task->fault_error) {
		result->va = done->va;
		result->access = min_t(u32, done->access, SVGPU_ATOMIC);
	}
	if (bus) {
		drm_err_ratelimited(&dev->drm,
				    "bus error: va %#llx led to %#llx\n",
				    done->va, done->address);
		svm_drm_faultlog_add(&task->queue->vm->base, done->va,
				     task->queue->id, result->access, -EIO);
	}
	svgpu_task_end(task, status);
}

/**
 * svgpu_jobs_drain() - end all jobs that the device has reported
 * @dev: the device
 *
 * A ring that fills as fast as it is emptied is left to a worker.
 * Context: process; sleeps.
 */
void svgpu_jobs_drain(struct svgpu_device *dev)
{
	struct svgpu_jobs *jobs = &dev->jobs;
	struct svgpu_done done;
	int got = 1, budget = SVGPU_DONE_ENTRIES;

	mutex_lock(&jobs->drain_lock);
	while (budget-- && !svgpu_error(dev)) {
		got = svgpu_ring_pop(&jobs->done, &done);
		if (got <= 0)
			break;
		end_one(dev, &done);
	}
	mutex_unlock(&jobs->drain_lock);
	if (got < 0)
		svgpu_device_wedge(dev, "impossible index of the done ring");
	else if (budget < 0)
		queue_work(dev->wq, &jobs->drain_work);
}
