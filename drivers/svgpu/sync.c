// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sync ring: many producers, under the TLB-queue lock, and an acknowledge
 * that everybody polls: SYNC_DONE is the sequence of the last finished operation.
 *
 * An invalidate callback of core mm ends up here under a table lock, so neither
 * beginning nor waiting allocates or, unless told that it may, sleeps. Entry n
 * (from 1) lies at index n - 1: a sequence names its slot.
 *
 * SYNC_DONE counts refused operations too, so it proves nothing by itself. An
 * operation is done once @checked has reached it: the statuses of all entries up
 * to there were read. Whichever CPU first sees SYNC_DONE move reads them, under the
 * lock, and no slot is written again before that. @checked never passes an entry
 * that takes something from the device and was refused: the CPU that meets one
 * wedges the device. A refusal to set a context or a queue, or to translate, takes nothing from
 * any process, so it is only an error of the caller that asked: one at a time, and @setting is
 * its entry.
 * An honest device refuses nothing that this driver asks.
 */
#include <linux/delay.h>
#include <linux/ktime.h>

#include "svgpu.h"

/* A running device answers within some microseconds; only then does sleeping pay. */
#define SPIN_NS		(20 * NSEC_PER_USEC)

/* What a slot says until the device has put its status there: no status of the device's. */
#define NO_STATUS	U32_MAX

void svgpu_sync_init(struct svgpu_device *dev)
{
	mutex_init(&dev->sync.set_lock);
	spin_lock_init(&dev->sync.lock);
	svgpu_sync_restart(dev);
}

/* Before an epoch begins: the device counts from zero, too. */
void svgpu_sync_restart(struct svgpu_device *dev)
{
	struct svgpu_sync_queue *sync = &dev->sync;

	spin_lock(&sync->lock);
	svgpu_ring_init(&sync->ring, dev->bar, SVGPU_SYNC_RING,
			SVGPU_SYNC_ENTRIES, sizeof(struct svgpu_sync));
	sync->seq = 0;
	sync->setting = 0;
	WRITE_ONCE(sync->checked, 0);
	spin_unlock(&sync->lock);
}

static u32 read_status(const struct svgpu_sync_queue *sync, u64 seq)
{
	void __iomem *slot = svgpu_ring_slot(&sync->ring, seq - 1);

	BUILD_BUG_ON(offsetof(struct svgpu_sync, status) % 8 != 4);
	return readq(slot + round_down(offsetof(struct svgpu_sync, status), 8)) >> 32;
}

/*
 * Moves @checked over what the device has acknowledged, up to the first refusal that
 * cannot be borne. Under the TLB-queue lock, which keeps the slots as they are.
 * Return: NULL, or why the device must be wedged, after the lock is dropped.
 */
static const char *check_acknowledged(struct svgpu_device *dev)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	u64 done = readq(dev->bar + SVGPU_REG_SYNC_DONE);

	lockdep_assert_held(&sync->lock);
	/* The number, then the statuses: pairs with the device's release store of SYNC_DONE. */
	rmb();
	if (done > sync->seq)
		return "it acknowledges what nobody asked for";
	/* Ends: no slot is used again before it was checked, so these are one ring at most. */
	while (sync->checked < done) {
		u64 seq = sync->checked + 1;

		if (read_status(sync, seq) != SVGPU_SYNC_OK) {
			if (seq != sync->setting)
				return "it refused a sync operation";
			sync->refused = true;
		}
		/* Pairs with the rmb() after the lock-free read in svgpu_sync_done(). */
		smp_store_release(&sync->checked, seq);
	}
	return NULL;
}

/*
 * Return: 1: it is in, or need not be, and op->seq is what to wait for; 0: no room now;
 * negative: the device is gone, or is to be wedged for @why.
 */
static int try_push(struct svgpu_device *dev, struct svgpu_sync *op,
		    u64 *cleared, const char **why)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	int room;

	spin_lock(&sync->lock);
	room = svgpu_error(dev);
	if (!room)
		room = svgpu_ring_room(&sync->ring);
	if (room == -EPROTO)
		*why = "impossible index of the sync ring";
	/* The device may have read an entry long before its status is there, and checked. */
	if (room > 0 && sync->seq - sync->checked >= SVGPU_SYNC_ENTRIES) {
		*why = check_acknowledged(dev);
		room = *why ? -EPROTO :
			      sync->seq - sync->checked < SVGPU_SYNC_ENTRIES;
	}
	if (room > 0 && cleared && *cleared) {
		op->seq = *cleared;
	} else if (room > 0) {
		op->seq = ++sync->seq;
		op->status = NO_STATUS;
		if (op->op == SVGPU_SYNC_CONTEXT_SET ||
		    op->op == SVGPU_SYNC_QUEUE_SET ||
		    op->op == SVGPU_SYNC_TRANSLATE) {
			sync->setting = op->seq;
			sync->refused = false;
		}
		svgpu_ring_push(&sync->ring, op);
		if (cleared && op->op == SVGPU_SYNC_CONTEXT_CLEAR)
			*cleared = op->seq;
	}
	spin_unlock(&sync->lock);
	return room;
}

/**
 * svgpu_sync_begin() - hand the device an operation
 * @dev: the device
 * @op: what; its seq is filled in
 * @cleared: for operations on a context, where the sequence of its CONTEXT_CLEAR is kept,
 *	0 so far, under the TLB-queue lock; else NULL. Once it is there nothing more about
 *	the context is sent, which the device would refuse: to wait for the CLEAR is to
 *	wait for as much.
 *
 * Everything that this CPU wrote before, to tables in VRAM or system memory, is
 * visible to the device before the operation. A full ring is waited for without
 * a lock of ours, for flush_timeout_ms at most.
 * Context: any process context; a table lock may be held; does not sleep.
 * Return: what to wait for, or 0: the device is gone, nothing to wait for.
 */
u64 svgpu_sync_begin(struct svgpu_device *dev, struct svgpu_sync *op,
		     u64 *cleared)
{
	u64 end = ktime_get_ns() + svgpu_timeout_ms * (u64)NSEC_PER_MSEC;
	const char *why = NULL;
	int ret = try_push(dev, op, cleared, &why);

	while (!ret) {
		if (ktime_get_ns() > end) {
			svgpu_device_wedge(dev, "its sync ring stays full");
			return 0;
		}
		cpu_relax();
		ret = try_push(dev, op, cleared, &why);
	}
	if (why)
		svgpu_device_wedge(dev, why);
	if (ret < 0)
		return 0;
	svgpu_bell(dev, SVGPU_BELL_SYNC);
	return op->seq;
}

/*
 * Has the device done operation @seq, and all before it? An acknowledge of what nobody
 * has asked for yet vouches for nothing, and neither does that of a refused operation:
 * the device is wedged. Context: any; the table and VRAM locks may be held.
 */
bool svgpu_sync_done(struct svgpu_device *dev, u64 seq)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	const char *why = NULL;

	if (READ_ONCE(sync->checked) < seq) {
		if (readq(dev->bar + SVGPU_REG_SYNC_DONE) < seq)
			return false;
		spin_lock(&sync->lock);
		why = check_acknowledged(dev);
		spin_unlock(&sync->lock);
	}
	if (why)
		svgpu_device_wedge(dev, why);
	if (READ_ONCE(sync->checked) < seq)
		return false;
	/*
	 * What the operation promises is true for what we read from here on, in
	 * write-combining memory too: pairs with the release in check_acknowledged().
	 */
	rmb();
	return true;
}

/**
 * svgpu_sync_wait() - wait for an operation
 * @dev: the device
 * @seq: from svgpu_sync_begin()
 * @may_sleep: the caller may sleep
 *
 * On return the operation is done, or the device is wedged and has been cut off from
 * memory; so it is after a refusal, but for svgpu_sync_set().
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

/**
 * svgpu_sync_set() - set a context or a queue, or ask for a translation
 * @dev: the device
 * @op: SVGPU_SYNC_CONTEXT_SET, SVGPU_SYNC_QUEUE_SET or SVGPU_SYNC_TRANSLATE
 *
 * Context: process; sleeps.
 * Return: 0; -EIO: refused, or the device is wedged; -ENODEV.
 */
int svgpu_sync_set(struct svgpu_device *dev, struct svgpu_sync *op)
{
	struct svgpu_sync_queue *sync = &dev->sync;
	bool refused;

	mutex_lock(&sync->set_lock);
	svgpu_sync_wait(dev, svgpu_sync_begin(dev, op, NULL), true);
	spin_lock(&sync->lock);
	refused = sync->refused;
	spin_unlock(&sync->lock);
	mutex_unlock(&sync->set_lock);
	return svgpu_error(dev) ?: refused ? -EIO : 0;
}
