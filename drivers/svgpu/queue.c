// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues: a hardware queue each, with the jobs that wait for it and the results
 * of those that ended.
 *
 * A queue ends in this order: it takes no more jobs (@error); its work item is
 * waited for; the device ends what runs; that is taken from the done ring;
 * what is left is ended here; nobody is ending one any more; and only then its
 * hardware id is free. Each step is bounded, by the device's timeout at worst.
 */
#include <linux/slab.h>

#include "task.h"

static void queue_free(struct kref *ref)
{
	struct svgpu_queue *queue = container_of(ref, struct svgpu_queue, ref);
	struct svgpu_kept *kept, *next;

	list_for_each_entry_safe(kept, next, &queue->kept, link)
		kfree(kept);
	svgpu_vm_faults_shrink(queue->vm);
	svgpu_vm_put(queue->vm);
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

	if (!queue || svgpu_vm_faults_grow(vm)) {
		kfree(queue);
		return NULL;
	}
	kref_init(&queue->ref);
	queue->dev = vm->dev;
	queue->vm = vm;
	kref_get(&vm->ref);
	INIT_DELAYED_WORK(&queue->work, svgpu_queue_work);
	init_waitqueue_head(&queue->idle);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->waiting);
	INIT_LIST_HEAD(&queue->kept);
	INIT_LIST_HEAD(&queue->placeless);
	return queue;
}

/**
 * svgpu_queue_create() - make a queue
 * @vm: where its jobs run; used by the caller
 *
 * Context: process; sleeps.
 * Return: the queue, to be ended by svgpu_queue_stop() and svgpu_queue_put();
 * -ENOSPC: no hardware queue is free; -ENOMEM, -EIO, -ENODEV.
 */
struct svgpu_queue *svgpu_queue_create(struct svgpu_vm *vm)
{
	struct svgpu_queue *queue = queue_alloc(vm);
	struct svgpu_device *dev = vm->dev;
	struct svgpu_sync op = { .op = SVGPU_SYNC_QUEUE_SET };
	int ret;

	if (!queue)
		return ERR_PTR(-ENOMEM);
	ret = xa_alloc(&dev->queues, &queue->hw, queue,
		       XA_LIMIT(0, dev->queue_count - 1), GFP_KERNEL);
	if (ret) {
		svgpu_queue_put(queue);
		return ERR_PTR(ret == -EBUSY ? -ENOSPC : ret);
	}
	atomic_inc(&dev->queue_total);
	op.queue = queue->hw;
	op.context = vm->context;
	ret = svgpu_sync_run(dev, &op);
	if (ret) {
		svgpu_queue_stop(queue, ret);
		svgpu_queue_put(queue);
		return ERR_PTR(ret);
	}
	return queue;
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
	else if (svm_vm_mm(queue->vm->svm) != current->mm)
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

	/* Under the lock one in the table has a reference: svgpu_queue_stop() erases it first. */
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
	/* The item is queued under the lock and only without error: it does not come again. */
	cancel_delayed_work_sync(&queue->work);
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
	struct svgpu_device *dev = queue->dev;
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_QUEUE_CLEAR,
		.queue = queue->hw,
	};

	if (test_and_set_bit(0, &queue->stopped))
		return;
	queue_close(queue, error);
	svgpu_sync_run(dev, &op);
	/* What it reported before the acknowledge is in the rings. */
	svgpu_jobs_drain(dev);
	svgpu_faults_drain(dev);
	svgpu_fault_cancel(queue);
	queue_end_tasks(queue, svgpu_error(dev) ?: error);
	wait_event(queue->idle, !atomic_read(&queue->jobs));
	xa_lock(&dev->queues);
	list_del_init(&queue->placeless);
	__xa_erase(&dev->queues, queue->hw);
	xa_unlock(&dev->queues);
	/* The last touch of the hardware: removal waits for it. */
	if (atomic_dec_and_test(&dev->queue_total))
		wake_up_all(&dev->gone);
}

/* Calls @end for every queue that there is, with a reference held. */
static void each_queue(struct svgpu_device *dev, int error,
		       void (*end)(struct svgpu_queue *queue, int error))
{
	struct svgpu_queue *queue;
	unsigned long hw;

	xa_for_each(&dev->queues, hw, queue) {
		queue = svgpu_queue_of_hw(dev, hw);
		if (!queue)
			continue;
		end(queue, error);
		svgpu_queue_put(queue);
	}
}

static void queue_fail(struct svgpu_queue *queue, int error)
{
	queue_close(queue, error);
	svgpu_fault_cancel(queue);
	queue_end_tasks(queue, error);
}

/* For wedging: every job ends with @error, and so will those that come later. */
void svgpu_queues_fail_all(struct svgpu_device *dev, int error)
{
	each_queue(dev, error, queue_fail);
}

/* For removal: stops every queue and waits until all are. No ioctl runs any more. */
void svgpu_queues_stop_all(struct svgpu_device *dev, int error)
{
	each_queue(dev, error, svgpu_queue_stop);
	/* Some may be in the hands of a close() that came first. */
	wait_event(dev->gone, !atomic_read(&dev->queue_total));
}

/*
 * A device takes no job whose end might find no room in the done ring, and the
 * CLEAR of any queue waits behind those that it has not taken. So it never has more
 * than it takes at once: half of that room, for the sake of one that reports twice.
 */
#define PLACES	(SVGPU_DONE_ENTRIES / 2)

/*
 * A place on the device for the queue's next job. False: there is none, and its work
 * item comes again in its turn. For that item.
 */
bool svgpu_queue_take_place(struct svgpu_queue *queue)
{
	struct svgpu_device *dev = queue->dev;
	bool placed;

	xa_lock(&dev->queues);
	placed = dev->jobs.placed < PLACES;
	if (placed)
		dev->jobs.placed++;
	else if (list_empty(&queue->placeless))
		list_add_tail(&queue->placeless, &dev->jobs.placeless);
	xa_unlock(&dev->queues);
	return placed;
}

/* Its work item is to look at its jobs; false: it has none to start. */
static bool kick(struct svgpu_queue *queue)
{
	bool wants;

	spin_lock(&queue->lock);
	wants = !queue->error && !queue->running && !list_empty(&queue->waiting);
	if (wants)
		mod_delayed_work(queue->dev->wq, &queue->work, 0);
	spin_unlock(&queue->lock);
	return wants;
}

/* There may be a place: for one of those that wait. Under the xa_lock of the device's queues. */
static void kick_placeless(struct svgpu_device *dev)
{
	struct svgpu_queue *queue, *next;

	list_for_each_entry_safe(queue, next, &dev->jobs.placeless, placeless) {
		if (dev->jobs.placed >= PLACES)
			return;
		list_del_init(&queue->placeless);
		/* If it ends before it takes the place, the end of its jobs comes here again. */
		if (kick(queue))
			return;
	}
}

/*
 * A job ended, and gives back its @place on the device if it had one. Its queue may
 * go on, and so may those that wait for its fence or for a place.
 */
void svgpu_queues_kick(struct svgpu_device *dev, bool place)
{
	struct svgpu_queue *queue;
	unsigned long hw;

	/* The lock keeps the queues that are in the table. */
	xa_lock(&dev->queues);
	dev->jobs.placed -= place;
	kick_placeless(dev);
	xa_for_each(&dev->queues, hw, queue) {
		if (list_empty(&queue->placeless))
			kick(queue);
	}
	xa_unlock(&dev->queues);
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

/* Takes the result of @token out: for kfree(), or svgpu_queue_keep() if nobody got it; or NULL. */
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
