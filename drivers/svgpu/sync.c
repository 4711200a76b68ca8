// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sync ring: many producers, under the TLB-queue lock, and an acknowledge
 * that everybody polls: SYNC_DONE is the sequence of the last finished operation.
 *
 * An invalidate callback of core mm ends up here under a table lock, so neither
 * beginning nor waiting allocates or, unless told that it may, sleeps. Entry n
 * (from 1) lies at index n - 1: a sequence names its slot.
 */
#include <linux/delay.h>
#include <linux/ktime.h>

#include "svgpu.h"

/* A running device answers within some microseconds; only then does sleeping pay. */
#define SPIN_NS		(20 * NSEC_PER_USEC)

/* A control operation whose status was overwritten is sent again: see svgpu_sync_run(). */
#define RUN_TRIES	8

void svgpu_sync_init(struct svgpu_device *dev)
{
	struct svgpu_sync_queue *sync = &dev->sync;

	spin_lock_init(&sync->lock);
	svgpu_ring_init(&sync->ring, dev->bar, SVGPU_SYNC_RING,
			SVGPU_SYNC_ENTRIES, sizeof(struct svgpu_sync));
	sync->seq = 0;
}

/* Return: 1: it is in, op->seq is set; 0: no room now; negative: the device is gone. */
static int try_push(struct svgpu_device *dev, struct svgpu_sync *op)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	int room;

	spin_lock(&sync->lock);
	room = svgpu_error(dev);
	if (!room)
		room = svgpu_ring_room(&sync->ring);
	if (room > 0) {
		op->seq = sync->seq + 1;
		/* Before the device can see it: svgpu_sync_done() compares without the lock. */
		WRITE_ONCE(sync->seq, op->seq);
		svgpu_ring_push(&sync->ring, op);
	}
	spin_unlock(&sync->lock);
	return room;
}

/**
 * svgpu_sync_begin() - hand the device an operation
 * @dev: the device
 * @op: what; its seq is filled in
 *
 * Everything that this CPU wrote before, to tables in VRAM or system memory, is
 * visible to the device before the operation. A full ring is waited for without
 * a lock of ours, for flush_timeout_ms at most.
 * Context: any process context; a table lock may be held; does not sleep.
 * Return: what to wait for, or 0: the device is gone, nothing to wait for.
 */
u64 svgpu_sync_begin(struct svgpu_device *dev, struct svgpu_sync *op)
{
	u64 end = ktime_get_ns() + svgpu_timeout_ms * (u64)NSEC_PER_MSEC;
	int ret = try_push(dev, op);

	while (!ret) {
		if (ktime_get_ns() > end) {
			svgpu_device_wedge(dev, "its sync ring stays full");
			return 0;
		}
		cpu_relax();
		ret = try_push(dev, op);
	}
	if (ret == -EPROTO)
		svgpu_device_wedge(dev, "impossible index of the sync ring");
	if (ret < 0)
		return 0;
	svgpu_bell(dev, SVGPU_BELL_SYNC);
	return op->seq;
}

/*
 * Has the device done operation @seq? Pairs with its release store of SYNC_DONE. An
 * acknowledge of what nobody has asked for yet vouches for nothing: the device lies.
 */
bool svgpu_sync_done(struct svgpu_device *dev, u64 seq)
{
	u64 done = readq(dev->bar + SVGPU_REG_SYNC_DONE);

	/* What the operation promises is true for what we read from here on. */
	rmb();
	if (done > READ_ONCE(dev->sync.seq)) {
		svgpu_device_wedge(dev, "it acknowledges what nobody asked for");
		return false;
	}
	return done >= seq;
}

/**
 * svgpu_sync_wait() - wait for an operation
 * @dev: the device
 * @seq: from svgpu_sync_begin()
 * @may_sleep: the caller may sleep
 *
 * On return the operation is done, or the device is wedged and has been cut off
 * from memory.
 * Context: as svgpu_sync_begin(), unless @may_sleep. Takes flush_timeout_ms at most, and
 * then what wedging takes.
 */
void svgpu_sync_wait(struct svgpu_device *dev, u64 seq, bool may_sleep)
{
	u64 begin = ktime_get_ns();

	while (seq && !svgpu_error(dev) && !svgpu_sync_done(dev, seq)) {
		u64 waited = ktime_get_ns() - begin;

		if (readq(dev->bar + SVGPU_REG_EPOCH_ACK) != dev->epoch)
			svgpu_device_wedge(dev, "it dropped its epoch");
		else if (waited > svgpu_timeout_ms * (u64)NSEC_PER_MSEC)
			svgpu_device_wedge(dev, "a sync operation took too long");
		else if (may_sleep && waited > SPIN_NS)
			usleep_range(20, 100);
		else
			cpu_relax();
	}
}

/* Return: the status that the device left for @seq, or -EAGAIN: its slot was used again. */
static int read_status(struct svgpu_device *dev, u64 seq)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	int status = -EAGAIN;
	u64 word;

	/* The lock keeps producers away, and thereby the slot as it is. */
	spin_lock(&sync->lock);
	if (sync->seq - seq < SVGPU_SYNC_ENTRIES) {
		word = readq(svgpu_ring_slot(&sync->ring, seq - 1) +
			     round_down(offsetof(struct svgpu_sync, status), 8));
		status = word >> 32 == SVGPU_SYNC_OK ? 0 : -EIO;
	}
	spin_unlock(&sync->lock);
	return status;
}

/**
 * svgpu_sync_run() - an operation from beginning to end, with its status
 * @dev: the device
 * @op: what; done twice does no harm
 *
 * Context: process; sleeps.
 * Return: 0; -EIO: refused, or the device is wedged; -ENODEV.
 */
int svgpu_sync_run(struct svgpu_device *dev, const struct svgpu_sync *op)
{
	int tries, status;

	BUILD_BUG_ON(offsetof(struct svgpu_sync, status) % 8 != 4);
	for (tries = 0; tries < RUN_TRIES; tries++) {
		struct svgpu_sync again = *op;
		u64 seq = svgpu_sync_begin(dev, &again);

		svgpu_sync_wait(dev, seq, true);
		if (svgpu_error(dev))
			return svgpu_error(dev);
		/*
		 * While we slept, other CPUs may have filled the whole ring
		 * once and so overwritten the status. Then ask once more.
		 */
		status = read_status(dev, seq);
		if (status != -EAGAIN)
			return status;
	}
	return -EIO;
}
