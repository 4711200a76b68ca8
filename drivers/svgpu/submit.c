// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking in a job: everything that can fail happens here, so that a task that
 * is on a queue can always end.
 */
#include <linux/slab.h>

#include "task.h"

#define IN_MAX	64

/* Frees a task that is nowhere, with all that it holds. */
void svgpu_task_free(struct svgpu_task *task)
{
	svm_drm_deps_drop(task->in, task->in_count);
	svm_drm_out_drop(&task->out);
	kfree(task->kept);
	svgpu_queue_put(task->queue);
	kfree(task);
}

static int make_kept(struct svgpu_task *task, u64 token)
{
	struct svgpu_kept *kept = kzalloc(sizeof(*kept), GFP_KERNEL_ACCOUNT);

	if (!kept)
		return -ENOMEM;
	kept->token = token;
	task->kept = kept;
	return 0;
}

static int task_fill(struct svgpu_task *task, struct drm_file *drm_file,
		     const struct drm_svgpu_submit *args)
{
	int ret;

	ret = svm_drm_deps_take(drm_file, args->in_syncobjs, args->in_count, task->in);
	if (!ret)
		ret = svm_drm_out_take(drm_file, args->out_syncobj, &task->out);
	if (!ret && args->result)
		ret = make_kept(task, args->result);
	return ret;
}

/* Return: a task that holds a reference of @queue, in no list yet. */
static struct svgpu_task *task_make(struct svgpu_queue *queue,
				    struct drm_file *drm_file,
				    const struct drm_svgpu_submit *args)
{
	struct svgpu_task *task;
	int ret;

	task = kzalloc(struct_size(task, in, args->in_count),
		       GFP_KERNEL_ACCOUNT);
	if (!task)
		return ERR_PTR(-ENOMEM);
	task->queue = queue;
	kref_get(&queue->ref);
	task->kernel = args->kernel;
	memcpy(task->args, args->args, sizeof(task->args));
	task->in_count = args->in_count;
	ret = task_fill(task, drm_file, args);
	if (ret) {
		svgpu_task_free(task);
		return ERR_PTR(ret);
	}
	return task;
}

/* A place among the waiting: 0, -EBUSY, or why the queue takes none. */
static int reserve(struct svgpu_queue *queue)
{
	int ret;

	spin_lock(&queue->lock);
	ret = queue->error;
	if (!ret && queue->waiting_count >= SVGPU_WAITING_MAX)
		ret = -EBUSY;
	if (!ret) {
		queue->waiting_count++;
		atomic_inc(&queue->jobs);
		atomic_inc(&queue->dev->job_total);
	}
	spin_unlock(&queue->lock);
	return ret;
}

/* Nothing fails from here on; a queue that ended meanwhile ends the task too. */
static void enter(struct svgpu_queue *queue, struct svgpu_task *task)
{
	int error;

	svm_drm_out_reset(&task->out);
	spin_lock(&queue->lock);
	error = queue->error;
	if (error) {
		queue->waiting_count--;
	} else {
		list_add_tail(&task->link, &queue->waiting);
		queue_work(queue->dev->wq, &queue->work);
	}
	spin_unlock(&queue->lock);
	if (error)
		svgpu_task_end(task, error);
}

/* DRM_SVGPU_SUBMIT */
int svgpu_ioctl_submit(struct drm_device *drm, void *data,
		       struct drm_file *drm_file)
{
	struct drm_svgpu_submit *args = data;
	struct svgpu_queue *queue;
	struct svgpu_task *task;
	int ret;

	if (args->flags || args->pad || args->in_count > IN_MAX ||
	    args->kernel >= SVGPU_KERNELS)
		return -EINVAL;
	queue = svgpu_queue_get(to_svgpu_file(drm_file), args->queue_id);
	if (IS_ERR(queue))
		return PTR_ERR(queue);
	ret = svgpu_error(to_svgpu(drm));
	if (ret)
		goto put;
	task = task_make(queue, drm_file, args);
	if (IS_ERR(task)) {
		ret = PTR_ERR(task);
		goto put;
	}
	ret = reserve(queue);
	if (ret)
		svgpu_task_free(task);
	else
		enter(queue, task);
put:
	svgpu_queue_put(queue);
	return ret;
}
