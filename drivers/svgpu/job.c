// SPDX-License-Identifier: GPL-2.0-only
/*
 * Starting tasks and ending them.
 *
 * A queue has one task on the device at a time, which keeps its order. Its work
 * item looks at the first of the waiting; where that one cannot start yet the
 * item returns, and drivers/svm/park.c has it queued again. It never sleeps for a
 * fence, so a queue can always be ended at once.
 *
 * The rings have room for a job of every queue at a time, and for the ends of
 * twice as many (svgpu_device_init()), so that a device can always take a job and
 * tell its end.
 */
#include <linux/delay.h>

#include "task.h"

/* Publishes the result and the fence. */
static void deliver(struct svgpu_task *task, int status)
{
	task->result.status = status;
	/* The result first: a process that sees the fence may ask for it at once. */
	if (task->kept) {
		task->kept->result = task->result;
		svgpu_queue_keep(task->queue, task->kept);
		task->kept = NULL;
	}
	svm_drm_out_signal(&task->queue->dev->svm, &task->out, status);
}

/**
 * svgpu_task_end() - end a task
 * @task: taken from wherever it was; freed
 * @status: 0 or a negative errno
 *
 * Context: process; no queue lock held.
 */
void svgpu_task_end(struct svgpu_task *task, int status)
{
	struct svgpu_queue *queue = task->queue;
	struct svgpu_device *dev = queue->dev;

	/* Keeps the queue until we have told it below. */
	kref_get(&queue->ref);
	deliver(task, status);
	svgpu_task_free(task);
	atomic_dec(&dev->job_total);
	if (atomic_dec_and_test(&queue->jobs))
		wake_up_all(&queue->idle);
	svgpu_queue_kick(queue);
	svgpu_queue_put(queue);
}

/*
 * Puts an entry into the job ring: 0, or the device is gone. There is room for a job of
 * every queue: a ring that is full is not being read. It gets its time to be.
 */
static int push(struct svgpu_device *dev, const struct svgpu_job *entry)
{
	unsigned long end;
	int ret = 0;

	mutex_lock(&dev->jobs.push_lock);
	end = jiffies + msecs_to_jiffies(svgpu_timeout_ms);
	while (!svgpu_error(dev)) {
		ret = svgpu_ring_room(&dev->jobs.ring);
		if (ret > 0)
			break;
		if (ret < 0)
			svgpu_device_wedge(dev, "impossible index of the job ring");
		else if (time_after(jiffies, end))
			svgpu_device_wedge(dev, "its job ring stays full");
		else
			usleep_range(50, 100);
	}
	ret = svgpu_error(dev);
	if (!ret)
		svgpu_ring_push(&dev->jobs.ring, entry);
	mutex_unlock(&dev->jobs.push_lock);
	if (!ret)
		svgpu_bell(dev, SVGPU_BELL_JOB);
	return ret;
}

/*
 * Makes the first waiting task the running one and fills its ring entry. After
 * this the task is not ours to look at: the queue's end may take it. False: the
 * queue ended.
 */
static bool start(struct svgpu_queue *queue, struct svgpu_task *task,
		  struct svgpu_job *entry)
{
	u64 serial = (u32)atomic_inc_return(&queue->dev->jobs.cookie);
	bool open;

	spin_lock(&queue->lock);
	open = !queue->error;
	if (open) {
		list_del(&task->link);
		queue->waiting_count--;
		queue->running = task;
		task->cookie = serial << 32 | queue->hw;
		entry->cookie = task->cookie;
		entry->queue = queue->hw;
		entry->kernel = task->kernel;
		memcpy(entry->args, task->args, sizeof(entry->args));
	}
	spin_unlock(&queue->lock);
	return open;
}

/* Ends the first waiting task unrun, unless the queue's end takes it. */
static void skip(struct svgpu_queue *queue, struct svgpu_task *task, int error)
{
	bool open;

	spin_lock(&queue->lock);
	open = !queue->error;
	if (open) {
		list_del(&task->link);
		queue->waiting_count--;
	}
	spin_unlock(&queue->lock);
	if (open)
		svgpu_task_end(task, error);
}

static struct svgpu_task *first_waiting(struct svgpu_queue *queue)
{
	struct svgpu_task *task = NULL;

	spin_lock(&queue->lock);
	if (!queue->error && !queue->running)
		task = list_first_entry_or_null(&queue->waiting,
						struct svgpu_task, link);
	spin_unlock(&queue->lock);
	return task;
}

/*
 * A queue's work item. The end of a queue sets its error, then waits for this
 * item, and only then takes the waiting tasks: so the one looked at here stays.
 */
void svgpu_queue_work(struct work_struct *work)
{
	struct svgpu_queue *queue =
		container_of(work, struct svgpu_queue, work);
	struct svgpu_job entry = {};
	struct svgpu_task *task;
	int ready;

	svm_drm_forget(&queue->waiter);
	/* Ends: each round takes one of the waiting away. */
	while ((task = first_waiting(queue))) {
		ready = svm_drm_deps_await(&queue->waiter, task->in,
					   task->in_count, &task->in_next);
		if (!ready)
			return;
		if (ready < 0) {
			skip(queue, task, ready);
			continue;
		}
		if (!start(queue, task, &entry))
			return;
		ready = push(queue->dev, &entry);
		if (!ready)
			return;
		task = svgpu_task_take(queue->dev, entry.cookie);
		if (task)
			svgpu_task_end(task, ready);
	}
}

/* The queue that runs @cookie, locked and with a reference, or NULL. */
static struct svgpu_queue *lock_running(struct svgpu_device *dev, u64 cookie)
{
	struct svgpu_queue *queue =
		svgpu_queue_of_hw(dev, lower_32_bits(cookie));

	if (!queue)
		return NULL;
	spin_lock(&queue->lock);
	if (queue->running && queue->running->cookie == cookie)
		return queue;
	spin_unlock(&queue->lock);
	svgpu_queue_put(queue);
	return NULL;
}

static void unlock_running(struct svgpu_queue *queue)
{
	spin_unlock(&queue->lock);
	svgpu_queue_put(queue);
}

/* Takes the running task of that cookie, for svgpu_task_end(). NULL: there is none. */
struct svgpu_task *svgpu_task_take(struct svgpu_device *dev, u64 cookie)
{
	struct svgpu_queue *queue = lock_running(dev, cookie);
	struct svgpu_task *task;

	if (!queue)
		return NULL;
	task = queue->running;
	queue->running = NULL;
	unlock_running(queue);
	return task;
}

/* The running task of that cookie, if there is one, met a fault. */
void svgpu_task_count_fault(struct svgpu_device *dev, u64 cookie)
{
	struct svgpu_queue *queue = lock_running(dev, cookie);

	if (!queue)
		return;
	queue->running->result.faults++;
	unlock_running(queue);
}

/*
 * The running task of that cookie fails with a fault. Return: true where this is
 * the first of it; false: it failed before, or there is none.
 */
bool svgpu_task_fail_fault(struct svgpu_device *dev, u64 cookie, u64 va,
			   u32 access, int error)
{
	struct svgpu_queue *queue = lock_running(dev, cookie);
	struct svgpu_task *task;
	bool first;

	if (!queue)
		return false;
	task = queue->running;
	first = !task->fault_error;
	if (first) {
		task->fault_error = error;
		task->result.va = va;
		task->result.access = access;
	}
	unlock_running(queue);
	return first;
}
