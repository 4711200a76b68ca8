// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that wait: the first waiting job of a queue needs a syncobj that has no
 * fence yet, or a fence that has not signalled. The queue's work item records here what it
 * waits for and returns; it is queued again when that may have changed, so that a thousand
 * waiting queues cost nothing when other jobs end.
 *
 * - A fence: its callback queues the item.
 * - A syncobj without a fence: the queue is *parked*, in a hash table by the
 *   address of the syncobj. The job of this driver that has it for its
 *   out-syncobj finds the queue there when it ends.
 * - Other drivers and ioctls of DRM give syncobjs fences too, without telling this driver.
 *   One work item looks at all parked queues for that, after PAUSE_MIN, and then after ever
 *   longer pauses up to PAUSE_MAX.
 *
 * Park lock (spin): the table and the pause. Nothing but core locks is taken under it.
 */
#include <linux/dma-fence.h>

#include <drm/drm_syncobj.h>

#include "task.h"

#define PAUSE_MIN	msecs_to_jiffies(10)
#define PAUSE_MAX	msecs_to_jiffies(100)

/* There is something to see for its work item. Context: any. */
static void wake(struct svgpu_queue *queue)
{
	queue_work(queue->dev->wq, &queue->work);
}

/* The next look comes after @pause, unless it comes earlier. Under the park lock. */
static void look_after(struct svgpu_device *dev, unsigned long pause)
{
	struct svgpu_parked *parked = &dev->parked;
	unsigned long next = jiffies + pause;

	if (parked->pause && time_before_eq(parked->next, next))
		return;
	parked->pause = pause;
	parked->next = next;
	mod_delayed_work(dev->wq, &parked->look, pause);
}

static void look(struct work_struct *work)
{
	struct svgpu_device *dev = container_of(to_delayed_work(work),
						struct svgpu_device,
						parked.look);
	struct svgpu_parked *parked = &dev->parked;
	unsigned long pause;
	struct svgpu_queue *queue;
	struct dma_fence *fence;
	int bucket;

	spin_lock(&parked->lock);
	pause = min(2 * parked->pause, PAUSE_MAX);
	parked->pause = 0;
	if (parked->count)
		look_after(dev, pause);
	/* At most the queues that the device has: SVGPU_JOB_ENTRIES. */
	hash_for_each(parked->queues, bucket, queue, parked) {
		fence = drm_syncobj_fence_get(queue->parked_on);
		if (fence)
			wake(queue);
		dma_fence_put(fence);
	}
	spin_unlock(&parked->lock);
}

void svgpu_parked_init(struct svgpu_device *dev)
{
	spin_lock_init(&dev->parked.lock);
	hash_init(dev->parked.queues);
	INIT_DELAYED_WORK(&dev->parked.look, look);
}

/* No queue is left that could start it again. */
void svgpu_parked_stop(struct svgpu_device *dev)
{
	cancel_delayed_work_sync(&dev->parked.look);
}

static void unpark(struct svgpu_queue *queue)
{
	struct svgpu_parked *parked = &queue->dev->parked;

	spin_lock(&parked->lock);
	if (queue->parked_on) {
		hash_del(&queue->parked);
		queue->parked_on = NULL;
		parked->count--;
	}
	spin_unlock(&parked->lock);
}

/* The fence of @syncobj, with a reference; or NULL, and then the queue is parked. */
static struct dma_fence *fence_or_park(struct svgpu_queue *queue,
				       struct drm_syncobj *syncobj)
{
	struct svgpu_parked *parked = &queue->dev->parked;
	struct dma_fence *fence = drm_syncobj_fence_get(syncobj);

	if (fence)
		return fence;
	spin_lock(&parked->lock);
	queue->parked_on = syncobj;
	hash_add(parked->queues, &queue->parked, (unsigned long)syncobj);
	parked->count++;
	look_after(queue->dev, PAUSE_MIN);
	spin_unlock(&parked->lock);
	/*
	 * Once more, for a fence that came meanwhile: svgpu_parked_wake() took the lock
	 * after the fence was there, so it found the queue, or this finds the fence.
	 */
	fence = drm_syncobj_fence_get(syncobj);
	if (fence)
		unpark(queue);
	return fence;
}

/* @syncobj has got a fence of this driver's: wakes the queues that wait for that. */
void svgpu_parked_wake(struct svgpu_device *dev, struct drm_syncobj *syncobj)
{
	struct svgpu_parked *parked = &dev->parked;
	struct svgpu_queue *queue;

	spin_lock(&parked->lock);
	hash_for_each_possible(parked->queues, queue, parked,
			       (unsigned long)syncobj) {
		if (queue->parked_on == syncobj)
			wake(queue);
	}
	spin_unlock(&parked->lock);
}

/* Under the fence's lock, perhaps in an interrupt. svgpu_queue_forget() waits for the end of it. */
static void fence_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	wake(container_of(cb, struct svgpu_queue, awaited_cb));
}

/**
 * svgpu_queue_await() - is a dependency of a queue's next job fulfilled?
 * @queue: the queue, which waits for nothing so far
 * @dep: the dependency; gets its fence when there is one
 *
 * Context: the queue's work item.
 * Return: 1: yes; 0: not yet, the item will be queued again; negative: the fence's error.
 */
int svgpu_queue_await(struct svgpu_queue *queue, struct svgpu_dep *dep)
{
	if (!dep->fence)
		dep->fence = fence_or_park(queue, dep->syncobj);
	if (!dep->fence)
		return 0;
	/* The callback may come at once, and the item after this one: so it is all there before. */
	WRITE_ONCE(queue->awaited, dma_fence_get(dep->fence));
	if (!dma_fence_add_callback(dep->fence, &queue->awaited_cb,
				    fence_signalled))
		return 0;
	/* It has signalled. */
	svgpu_queue_forget(queue);
	return dma_fence_get_status(dep->fence);
}

/**
 * svgpu_queue_forget() - a queue waits for nothing any more
 * @queue: the queue
 *
 * On return no callback of a fence runs or will run for it, unless another caller of this
 * is just seeing to that; nor does svgpu_parked_wake() find it.
 * Context: process. Called by the queue's work item, and by any number of tasks that
 * closed the queue and have waited for the item since.
 */
void svgpu_queue_forget(struct svgpu_queue *queue)
{
	struct dma_fence *fence = xchg(&queue->awaited, NULL);

	/* Takes the fence's lock, under which callbacks run. */
	if (fence)
		dma_fence_remove_callback(fence, &queue->awaited_cb);
	dma_fence_put(fence);
	unpark(queue);
}
