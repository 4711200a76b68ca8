// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking in a job: everything that can fail happens here, so that a task that
 * is on a queue can always end.
 *
 * An in-syncobj that has a fence is waited for by that fence; one that has none
 * yet is kept, and looked at again (park.c). The out-syncobj loses its fence here
 * and gets a signalled one at the end.
 *
 * drm_sched is not used: it publishes a job's fence when the job is armed, long
 * before it has run, and a job of ours may wait for memory in a page fault while
 * reclaim, for that memory, waits for fences.
 */
#include <linux/dma-fence.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_syncobj.h>

#include "task.h"

#define IN_MAX	64

/* Frees a task that is nowhere, with all that it holds. */
void svgpu_task_free(struct svgpu_task *task)
{
	u32 i;

	for (i = 0; i < task->in_count; i++) {
		if (task->in[i].syncobj)
			drm_syncobj_put(task->in[i].syncobj);
		dma_fence_put(task->in[i].fence);
	}
	if (task->out)
		drm_syncobj_put(task->out);
	dma_fence_put(task->fence);
	kfree(task->kept);
	svgpu_queue_put(task->queue);
	kfree(task);
}

static int find_in(struct svgpu_task *task, struct drm_file *drm_file,
		   const struct drm_svgpu_submit *args)
{
	u32 handles[IN_MAX];
	u32 i;

	if (copy_from_user(handles, u64_to_user_ptr(args->in_syncobjs),
			   args->in_count * sizeof(*handles)))
		return -EFAULT;
	for (i = 0; i < args->in_count; i++) {
		struct svgpu_dep *dep = &task->in[i];

		dep->syncobj = drm_syncobj_find(drm_file, handles[i]);
		if (!dep->syncobj)
			return -ENOENT;
		dep->fence = drm_syncobj_fence_get(dep->syncobj);
	}
	return 0;
}

static int find_out(struct svgpu_task *task, struct drm_file *drm_file,
		    u32 handle)
{
	task->out = drm_syncobj_find(drm_file, handle);
	if (!task->out)
		return -ENOENT;
	/*
	 * A fence of the core's: it may outlive this module, in a sync_file
	 * say, which one with operations of ours could not. It is signalled
	 * already, and no other task sees it before svgpu_task_end().
	 */
	task->fence = dma_fence_allocate_private_stub(ktime_get());
	return task->fence ? 0 : -ENOMEM;
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

	ret = find_in(task, drm_file, args);
	if (!ret && args->out_syncobj)
		ret = find_out(task, drm_file, args->out_syncobj);
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

	if (task->out)
		drm_syncobj_replace_fence(task->out, NULL);
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
