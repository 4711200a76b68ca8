// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: a hardware queue each, with the jobs that wait for it and the results
 * of those that ended.
 *
 * A queue ends in this order:
 *
 * 1. it takes no more jobs (@error), and its work item is waited for
 * 2. the device ends the job that runs (QUEUE_CLEAR)
 * 3. the done ring is emptied, so that jobs that the device has ended end as it says
 * 4. the driver ends the other jobs, and waits until each job's end is over
 * 5. the hardware id is free
 *
 * Each step is bounded, by the device's timeout at worst. When a file with many queues is
 * closed, each step is taken for all of them before the next step, so that the driver waits
 * for the device once and not once per queue.
 */
#include <linux/slab.h>

#include "task.h"

static void queue_free(struct kref *ref)
{
	struct svgpu_queue *queue = container_of(ref, struct svgpu_queue, ref);
	struct svgpu_kept *kept, *next;

	list_for_each_entry_safe(kept, next, &queue->kept, link)
		kfree(kept);
	svm_drm_faults_shrink(&queue->vm->base);
	svm_drm_vm_put(&queue->vm->base);
	kfree(queue);
}

void svgpu_queue_put(struct svgpu_queue *queue)
{
	kref_put(&queue->ref, queue_free);
}

static struct svgpu_queue *queue_alloc(struct svgpu_vm *vm)
{
	struct svgpu_queue *queue =
		kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);

	if (!queue || svm_drm_faults_grow(&vm->base)) {
		kfree(queue);
		return NULL;
	}
	kref_init(&queue->ref);
	queue->dev = svgpu_of(&vm->base);
	queue->vm = vm;
	svm_drm_vm_grab(&vm->base);
	queue->fault.queue = queue;
	INIT_WORK(&queue->work, svgpu_queue_work);
	init_waitqueue_head(&queue->idle);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->waiting);
	INIT_LIST_HEAD(&queue->kept);
	return queue;
}

/**
 * svgpu_queue_create() - make a queue
 * @vm: where its jobs run; used by the caller
 *
 * Context: process; sleeps.
 * Return: the queue, to be ended by svgpu_queue_stop() and svgpu_queue_put();
 * -ENOSPC: the process or its user has its share of the hardware queues; -ENOMEM, -EIO,
 * -ENODEV.
 */
struct svgpu_queue *svgpu_queue_create(struct svgpu_vm *vm)
{
	struct svgpu_queue *queue = queue_alloc(vm);
	struct svm_drm_process *process = vm->base.process;
	struct svgpu_device *dev = svgpu_of(&vm->base);
	struct svgpu_sync op = { .op = SVGPU_SYNC_QUEUE_SET };
	int ret;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	ret = svm_drm_share_take(process, SVGPU_QUEUE_ID);
	if (ret)
		goto put;
	ret = xa_alloc(&dev->queues, &queue->hw, queue,
		       XA_LIMIT(0, dev->queue_count - 1), GFP_KERNEL);
	if (ret) {
		svm_drm_share_give(process, SVGPU_QUEUE_ID);
		goto put;
	}
	atomic_inc(&dev->queue_total);
	op.queue = queue->hw;
	op.context = vm->base.context;
	op.owner = svm_drm_process_number(process);
	ret = svgpu_sync_set(dev, &op);
	if (ret) {
		svgpu_queue_stop(queue, ret);
		goto put;
	}
	return queue;
put:
	svgpu_queue_put(queue);
	return ERR_PTR(ret);
}

/**
 * svgpu_queue_get() - the queue of a handle
 * @file: whose handle it is
 * @id: the handle
 *
 * Return: the queue, with a reference; -ENOENT; -EPERM: it is another process's.
 */
struct svgpu_queue *svgpu_queue_get(struct svgpu_file *file, u32 id)
{
	struct svgpu_queue *queue;

	xa_lock(&file->queues);
	queue = xa_load(&file->queues, id);
	/* Under the lock its vm is there: one that has queues in the table is not destroyed. */
	if (!queue)
		queue = ERR_PTR(-ENOENT);
	else if (svm_vm_mm(queue->vm->base.svm) != current->mm)
		queue = ERR_PTR(-EPERM);
	else
		kref_get(&queue->ref);
	xa_unlock(&file->queues);
	return queue;
}

/* The queue of a hardware id, with a reference, or NULL. */
struct svgpu_queue *svgpu_queue_of_hw(struct svgpu_device *dev, u32 hw)
{
	struct svgpu_queue *queue;

	/* Under the lock one in the table has a reference: stop_one() erases it first. */
	xa_lock(&dev->queues);
	queue = xa_load(&dev->queues, hw);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock(&dev->queues);
	return queue;
}

/* No more jobs are taken in or started. */
static void queue_close(struct svgpu_queue *queue, int error)
{
	spin_lock(&queue->lock);
	if (!queue->error)
		WRITE_ONCE(queue->error, error);
	spin_unlock(&queue->lock);
	/* After this no item runs that has not seen the error: it waits for nothing new. */
	cancel_work_sync(&queue->work);
	/* After this no fence and no syncobj queues it; all others look at the error first. */
	svgpu_queue_forget(queue);
	cancel_work_sync(&queue->work);
}

/* Ends what is left of a closed queue. */
static void queue_end_tasks(struct svgpu_queue *queue, int error)
{
	struct svgpu_task *task, *next, *running;
	LIST_HEAD(waiting);

	spin_lock(&queue->lock);
	list_for_each_entry_safe(task, next, &queue->waiting, link) {
		list_move_tail(&task->link, &waiting);
		queue->waiting_count--;
	}
	running = queue->running;
	queue->running = NULL;
	spin_unlock(&queue->lock);
	if (running)
		svgpu_task_end(running, error);
	list_for_each_entry_safe(task, next, &waiting, link)
		svgpu_task_end(task, error);
}

/* Takes a queue into @ending, for stop_finish(), unless another task stops it. */
static void stop_begin(struct svgpu_queue *queue, int error,
		       struct list_head *ending)
{
	if (test_and_set_bit(0, &queue->stopped))
		return;
	queue_close(queue, error);
	kref_get(&queue->ref);
	list_add_tail(&queue->ending, ending);
}

/* The device ends what it runs of all of these: told one after the other, waited for once. */
static void clear_all(struct svgpu_device *dev, struct list_head *ending)
{
	struct svgpu_queue *queue;
	unsigned int told = 0;
	u64 seq = 0;

	list_for_each_entry(queue, ending, ending) {
		struct svgpu_sync op = {
			.op = SVGPU_SYNC_QUEUE_CLEAR,
			.queue = queue->hw,
		};

		/* Half a ring at a time leaves room for flushes, which cannot sleep for it. */
		if (++told % (SVGPU_SYNC_ENTRIES / 2) == 0)
			svgpu_sync_wait(dev, seq, true);
		seq = svgpu_sync_begin(dev, &op, NULL);
	}
	svgpu_sync_wait(dev, seq, true);
	/* What it reported before the acknowledge is in the rings. */
	svgpu_jobs_drain(dev);
	svgpu_faults_drain(dev);
}

static void stop_one(struct svgpu_queue *queue, int error)
{
	struct svgpu_device *dev = queue->dev;

	svm_drm_fault_cancel(&queue->vm->base, &queue->fault.base);
	queue_end_tasks(queue, svgpu_error(dev) ?: error);
	wait_event(queue->idle, !atomic_read(&queue->jobs));
	xa_erase(&dev->queues, queue->hw);
	svm_drm_share_give(queue->vm->base.process, SVGPU_QUEUE_ID);
	/* The last touch of the hardware: removal waits for it. */
	if (atomic_dec_and_test(&dev->queue_total))
		wake_up_all(&dev->gone);
}

static void stop_finish(struct svgpu_device *dev, struct list_head *ending,
			int error)
{
	struct svgpu_queue *queue, *next;

	if (list_empty(ending))
		return;
	clear_all(dev, ending);
	list_for_each_entry_safe(queue, next, ending, ending) {
		list_del(&queue->ending);
		stop_one(queue, error);
		svgpu_queue_put(queue);
	}
}

/**
 * svgpu_queue_stop() - end a queue: its jobs end with @error
 * @queue: the queue
 * @error: negative errno
 *
 * Only the first call does anything.
 * Context: process; sleeps.
 */
void svgpu_queue_stop(struct svgpu_queue *queue, int error)
{
	LIST_HEAD(ending);

	stop_begin(queue, error, &ending);
	stop_finish(queue->dev, &ending, error);
}

/* For the end of a file, when no ioctl uses its handles: stops all of its queues together. */
void svgpu_queues_stop_file(struct svgpu_device *dev, struct svgpu_file *file,
			    int error)
{
	struct svgpu_queue *queue;
	LIST_HEAD(ending);
	unsigned long id;

	xa_for_each(&file->queues, id, queue)
		stop_begin(queue, error, &ending);
	stop_finish(dev, &ending, error);
}

/* The next queue that there is from hardware id *@hw on, with a reference; or NULL. */
static struct svgpu_queue *next_queue(struct svgpu_device *dev,
				      unsigned long *hw)
{
	struct svgpu_queue *queue;

	/* Under the lock one in the table has a reference, as in svgpu_queue_of_hw(). */
	xa_lock(&dev->queues);
	queue = xa_find(&dev->queues, hw, ULONG_MAX, XA_PRESENT);
	if (queue)
		kref_get(&queue->ref);
	xa_unlock(&dev->queues);
	return queue;
}

/* For wedging: every job ends with @error, and so will those that come later. */
void svgpu_queues_fail_all(struct svgpu_device *dev, int error)
{
	struct svgpu_queue *queue;
	unsigned long hw;

	for (hw = 0; (queue = next_queue(dev, &hw)); hw++) {
		queue_close(queue, error);
		svm_drm_fault_cancel(&queue->vm->base, &queue->fault.base);
		queue_end_tasks(queue, error);
		svgpu_queue_put(queue);
	}
}

/* For removal: stops every queue and waits until all are. No ioctl runs any more. */
void svgpu_queues_stop_all(struct svgpu_device *dev, int error)
{
	struct svgpu_queue *queue;
	LIST_HEAD(ending);
	unsigned long hw;

	for (hw = 0; (queue = next_queue(dev, &hw)); hw++) {
		stop_begin(queue, error, &ending);
		svgpu_queue_put(queue);
	}
	stop_finish(dev, &ending, error);
	/* Some may be in the hands of a close() that came first. */
	wait_event(dev->gone, !atomic_read(&dev->queue_total));
}

/* A job of the queue ended, or came: its work item is to look at what waits. */
void svgpu_queue_kick(struct svgpu_queue *queue)
{
	spin_lock(&queue->lock);
	if (!queue->error && !queue->running && !list_empty(&queue->waiting))
		queue_work(queue->dev->wq, &queue->work);
	spin_unlock(&queue->lock);
}

static struct svgpu_kept *find_kept(struct svgpu_queue *queue, u64 token)
{
	struct svgpu_kept *kept;

	lockdep_assert_held(&queue->lock);
	list_for_each_entry(kept, &queue->kept, link) {
		if (kept->token == token)
			return kept;
	}
	return NULL;
}

/*
 * Keeps a result until it is read. An older one of the same token goes, or the
 * oldest of too many.
 */
void svgpu_queue_keep(struct svgpu_queue *queue, struct svgpu_kept *kept)
{
	struct svgpu_kept *old;

	spin_lock(&queue->lock);
	old = find_kept(queue, kept->token);
	if (!old && queue->kept_count >= SVGPU_KEPT_MAX)
		old = list_first_entry(&queue->kept, struct svgpu_kept, link);
	if (old)
		list_del(&old->link);
	else
		queue->kept_count++;
	list_add_tail(&kept->link, &queue->kept);
	spin_unlock(&queue->lock);
	kfree(old);
}

/* Takes the result of @token out; NULL: there is none. svgpu_queue_keep() puts it back. */
struct svgpu_kept *svgpu_queue_take_kept(struct svgpu_queue *queue, u64 token)
{
	struct svgpu_kept *kept;

	spin_lock(&queue->lock);
	kept = find_kept(queue, token);
	if (kept) {
		list_del(&kept->link);
		queue->kept_count--;
	}
	spin_unlock(&queue->lock);
	return kept;
}
