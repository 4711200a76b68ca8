// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where faults come from: the device's ring, and debugfs.
 *
 * Taking in a fault needs nothing that others could have used up: its record is its
 * queue's own (drivers/svm/fault_queue.c). So the ring is emptied whatever the vms' faults wait
 * for.
 */
#include <linux/slab.h>

#include "svgpu.h"

#define INJECTED_MAX	256	/* under way */

static void drain_again(struct work_struct *work)
{
	struct svgpu_device *dev =
		container_of(work, struct svgpu_device, faults.drain_work);

	svgpu_faults_drain(dev);
}

/* The rings of faults, before the device starts. */
void svgpu_faults_init(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;

	mutex_init(&f->drain_lock);
	mutex_init(&f->reply_lock);
	INIT_WORK(&f->drain_work, drain_again);
	svgpu_ring_init(&f->ring, dev->bar, SVGPU_FAULT_RING,
			SVGPU_FAULT_ENTRIES, sizeof(struct svgpu_fault));
	svgpu_ring_init(&f->reply, dev->bar, SVGPU_REPLY_RING,
			SVGPU_REPLY_ENTRIES, sizeof(struct svgpu_reply));
}

/* The workqueues are gone. */
void svgpu_faults_fini(struct svgpu_device *dev)
{
	mutex_destroy(&dev->faults.drain_lock);
	mutex_destroy(&dev->faults.reply_lock);
}

/**
 * svgpu_faults_drain() - take in all that the device has reported
 * @dev: the device
 *
 * On return each entry that was in the ring has been answered or waits for its vm's
 * workers. A ring that fills as fast as it is emptied is left to a worker.
 * Context: process; sleeps.
 */
void svgpu_faults_drain(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;
	int got = 1, budget = SVGPU_FAULT_ENTRIES;
	struct svgpu_fault entry;

	mutex_lock(&f->drain_lock);
	while (budget-- && !svgpu_error(dev)) {
		got = svgpu_ring_pop(&f->ring, &entry);
		if (got <= 0)
			break;
		svgpu_fault_take(dev, &entry, NULL);
	}
	mutex_unlock(&f->drain_lock);
	if (got < 0)
		svgpu_device_wedge(dev, "impossible index of the fault ring");
	else if (budget < 0)
		queue_work(dev->wq, &f->drain_work);
}

/**
 * svgpu_fault_inject() - as if the device had reported @entry
 * @dev: the device
 * @entry: anything
 *
 * The device gets no answer to it.
 * Return: 0, -EBUSY (too many under way), -ENOMEM, -EIO, -ENODEV.
 */
int svgpu_fault_inject(struct svgpu_device *dev,
		       const struct svgpu_fault *entry)
{
	struct svgpu_fault_rec *rec;

	if (svgpu_error(dev))
		return svgpu_error(dev);
	if (atomic_inc_return(&dev->faults.injected) > INJECTED_MAX) {
		atomic_dec(&dev->faults.injected);
		return -EBUSY;
	}
	rec = kzalloc(sizeof(*rec), GFP_KERNEL_ACCOUNT);
	if (!rec) {
		atomic_dec(&dev->faults.injected);
		return -ENOMEM;
	}
	rec->injected = true;
	atomic64_inc(&dev->faults.stats.injected);
	svgpu_fault_take(dev, entry, rec);
	return 0;
}
