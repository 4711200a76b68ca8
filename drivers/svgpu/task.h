/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A task: one submitted job, from submit.c over job.c to its end.
 *
 * It is in exactly one place: on its queue's waiting list, its queue's running
 * one, or held by the caller that took it from there under the queue lock in order
 * to end it. So it ends once, by what comes first: the device's report, the end of its
 * queue, or the end of the device.
 *
 * (struct svgpu_job is the entry of the job ring that it becomes.)
 */
#ifndef SVGPU_TASK_H
#define SVGPU_TASK_H

#include "svgpu.h"

struct svgpu_task {
	struct list_head link;	/* queue->waiting */
	struct svgpu_queue *queue; /* a reference */
	u64 cookie;		/* how the device calls it while it runs */
	u32 kernel;
	u64 args[DRM_SVGPU_ARGS];
	struct svm_drm_out out;
	struct svgpu_kept *kept; /* NULL: the submitter does not want the result */
	int fault_error;	/* of the first fault that failed */
	struct drm_svgpu_job_result result;
	u32 in_count;
	u32 in_next;		/* those before it have signalled */
	struct svm_drm_dep in[];
};

/* submit.c */
void svgpu_task_free(struct svgpu_task *task);

/* job.c */
void svgpu_queue_work(struct work_struct *work);
void svgpu_task_end(struct svgpu_task *task, int status);
struct svgpu_task *svgpu_task_take(struct svgpu_device *dev, u64 cookie);
void svgpu_task_count_fault(struct svgpu_device *dev, u64 cookie);
bool svgpu_task_fail_fault(struct svgpu_device *dev, u64 cookie, u64 va,
			   u32 access, int error);

#endif
