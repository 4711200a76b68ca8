// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that wait: the first waiting job of a queue needs a syncobj that has no
 * fence yet, or a fence that has not signalled. The queue's work item records here what it
 * waits for and returns; it is woken when that may have changed, so that a thousand
 * waiting queues cost nothing when other jobs end.
 *
 * - A fence: its callback wakes the queue.
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
#include <linux/export.h>

#include <drm/drm_syncobj.h>

#include "internal.h"

#define PAUSE_MIN	msecs_to_jiffies(10)
#define PAUSE_MAX	msecs_to_jiffies(100)

/* The next look comes after @pause, unless it comes earlier. Under the park lock. */
static void look_after(struct svm_drm_device *dev, unsigned long pause)
{
	struct svm_drm_parked *parked = &dev->parked;
	unsigned long next = jiffies + pause;

	if (parked->pause && time_before_eq(parked->next, next))
		return;
	parked->pause = pause;
	parked->next = next;
	mod_delayed_work(dev->wq, &parked->look, pause);
}

static void look(struct work_struct *work)
{
	struct svm_drm_device *dev = container_of(to_delayed_work(work),
						struct svm_drm_device,
						parked.look);
	struct svm_drm_parked *parked = &dev->parked;
	struct svm_drm_waiter *waiter;
	unsigned long pause;
	struct dma_fence *fence;
	int bucket;

	spin_lock(&parked->lock);
	pause = min(2 * parked->pause, PAUSE_MAX);
	parked->pause = 0;
	if (parked->count)
		look_after(dev, pause);
	/* No more than the device has queues. */
	hash_for_each(parked->waiters, bucket, waiter, parked) {
		fence = drm_syncobj_fence_get(waiter->parked_on);
		if (fence)
			waiter->wake(waiter);
		dma_fence_put(fence);
	}
	spin_unlock(&parked->lock);
}

void svm_drm_parked_init(struct svm_drm_device *dev)
{
	spin_lock_init(&dev->parked.lock);
	hash_init(dev->parked.waiters);
	INIT_DELAYED_WORK(&dev->parked.look, look);
}

/* No queue is left that could start it again. */
void svm_drm_parked_stop(struct svm_drm_device *dev)
{
	cancel_delayed_work_sync(&dev->parked.look);
}

static void unpark(struct svm_drm_waiter *waiter)
{
	struct svm_drm_parked *parked = &waiter->dev->parked;

	spin_lock(&parked->lock);
	if (waiter->parked_on) {
		hash_del(&waiter->parked);
		waiter->parked_on = NULL;
		parked->count--;
	}
	spin_unlock(&parked->lock);
}

/* The fence of @syncobj, with a reference; or NULL, and then the queue is parked. */
static struct dma_fence *fence_or_park(struct svm_drm_waiter *waiter,
				       struct drm_syncobj *syncobj)
{
	struct svm_drm_parked *parked = &waiter->dev->parked;
	struct dma_fence *fence = drm_syncobj_fence_get(syncobj);

	if (fence)
		return fence;
	spin_lock(&parked->lock);
	waiter->parked_on = syncobj;
	hash_add(parked->waiters, &waiter->parked, (unsigned long)syncobj);
	parked->count++;
	look_after(waiter->dev, PAUSE_MIN);
	spin_unlock(&parked->lock);
	/*
	 * Once more, for a fence that came meanwhile: svm_drm_wake_parked() took the lock
	 * after the fence was there, so it found the queue, or this finds the fence.
	 */
	fence = drm_syncobj_fence_get(syncobj);
	if (fence)
		unpark(waiter);
	return fence;
}

void svm_drm_wake_parked(struct svm_drm_device *dev, struct drm_syncobj *syncobj)
{
	struct svm_drm_parked *parked = &dev->parked;
	struct svm_drm_waiter *waiter;

	spin_lock(&parked->lock);
	hash_for_each_possible(parked->waiters, waiter, parked,
			       (unsigned long)syncobj) {
		if (waiter->parked_on == syncobj)
			waiter->wake(waiter);
	}
	spin_unlock(&parked->lock);
}
EXPORT_SYMBOL_GPL(svm_drm_wake_parked);

/* Under the fence's lock, perhaps in an interrupt. svm_drm_forget() waits for the end of it. */
static void fence_signalled(struct dma_fence *fence, struct dma_fence_cb *cb)
{
	struct svm_drm_waiter *waiter =
		container_of(cb, struct svm_drm_waiter, awaited_cb);

	waiter->wake(waiter);
}

/* Of one dependency what svm_drm_deps_await() says of all. */
static int await(struct svm_drm_waiter *waiter, struct svm_drm_dep *dep)
{
	if (!dep->fence)
		dep->fence = fence_or_park(waiter, dep->syncobj);
	if (!dep->fence)
		return 0;
	/* The callback may come at once, and the item after this one: so it is all there before. */
	WRITE_ONCE(waiter->awaited, dma_fence_get(dep->fence));
	if (!dma_fence_add_callback(dep->fence, &waiter->awaited_cb,
				    fence_signalled))
		return 0;
	/* It has signalled. */
	svm_drm_forget(waiter);
	return dma_fence_get_status(dep->fence);
}

int svm_drm_deps_await(struct svm_drm_waiter *waiter, struct svm_drm_dep *deps, u32 count,
		       u32 *next)
{
	for (; *next < count; ++*next) {
		int status = await(waiter, &deps[*next]);

		if (status <= 0)
			return status;
	}
	return 1;
}
EXPORT_SYMBOL_GPL(svm_drm_deps_await);

void svm_drm_forget(struct svm_drm_waiter *waiter)
{
	struct dma_fence *fence = xchg(&waiter->awaited, NULL);

	/* Takes the fence's lock, under which callbacks run. */
	if (fence)
		dma_fence_remove_callback(fence, &waiter->awaited_cb);
	dma_fence_put(fence);
	unpark(waiter);
}
EXPORT_SYMBOL_GPL(svm_drm_forget);
