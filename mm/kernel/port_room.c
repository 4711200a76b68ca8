// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for tables ran out: who takes some back, and the wait for it.
 *
 * What is kept of a device is found by a hash of its address. Where two devices
 * share a slot, one wakes the other's waiters in vain, and their vms give memory
 * back one after the other.
 */
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "port_kernel.h"

#define SLOT_BITS	4

static struct room_slot {
	atomic64_t frees;	/* batches of deferred nodes that were freed */
	wait_queue_head_t wait;	/* for the next */
	unsigned long evicting;	/* bit 0 */
} svm_room_slots[1 << SLOT_BITS];

static struct room_slot *slot_of(struct device *dma)
{
	return &svm_room_slots[hash_ptr(dma, SLOT_BITS)];
}

/* Module load. */
void svm_room_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(svm_room_slots); i++)
		init_waitqueue_head(&svm_room_slots[i].wait);
}

/* Deferred nodes of one of the device's domains were freed. */
void svm_room_freed(struct device *dma)
{
	struct room_slot *slot = slot_of(dma);

	atomic64_inc(&slot->frees);
	/* Takes the queue's lock: a waiter that comes into the queue later sees the count. */
	wake_up_all(&slot->wait);
}

/**
 * port_frees() - how often deferred nodes were freed, in all domains of a device
 * @dma: the device
 *
 * Context: any.
 * Return: for port_wait_frees().
 */
u64 port_frees(struct device *dma)
{
	return atomic64_read(&slot_of(dma)->frees);
}

/**
 * port_wait_frees() - wait until some are freed, or for 100 ms
 * @dma: the device
 * @d: in whose session the thread waits: the wait ends with the process; NULL: in none
 * @seen: from port_frees()
 *
 * Context: sleeps, killable; not in a reader section, which frees wait for.
 * Return: some were freed.
 */
bool port_wait_frees(struct device *dma, struct port_domain *d, u64 seen)
{
	if (d)
		svm_wait_begin(d);
	wait_event_killable_timeout(slot_of(dma)->wait, port_frees(dma) != seen,
				    HZ / 10);
	if (d)
		svm_wait_end(d);
	return port_frees(dma) != seen;
}

/**
 * port_evict_begin() - become the one thread that takes memory from a device's vms
 * @dma: the device
 *
 * Context: process; never sleeps.
 * Return: true: call port_evict_end(). False: another thread does it now.
 */
bool port_evict_begin(struct device *dma)
{
	return !test_and_set_bit_lock(0, &slot_of(dma)->evicting);
}

/**
 * port_evict_end() - let another thread do it
 * @dma: of port_evict_begin()
 *
 * Context: the same thread.
 */
void port_evict_end(struct device *dma)
{
	clear_bit_unlock(0, &slot_of(dma)->evicting);
}
