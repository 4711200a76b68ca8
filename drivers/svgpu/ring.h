/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One side of a single-producer, single-consumer ring in BAR2.
 *
 * Our own index is kept here and only ever written to the BAR, never read back:
 * the device cannot confuse us by scribbling on it. The other side's index is
 * checked at each use: one that is further away than the ring is long means
 * that the device lies or is gone (-EPROTO), and nothing is read or written.
 *
 * BAR2 is mapped write-combining, so an ordinary release store is not enough:
 * the barriers are those that also order I/O. Slots move in whole u64 words.
 *
 * A ring does not lock itself: the owner says under which lock it is used.
 */
#ifndef SVGPU_RING_H
#define SVGPU_RING_H

#include <linux/errno.h>
#include <linux/io.h>

#include <hw/svgpu_regs.h>

struct svgpu_ring {
	void __iomem *base;
	u32 entries;
	u32 words;	/* u64 words in a slot */
	u32 index;	/* ours: the producer's tail or the consumer's head */
};

static inline void svgpu_ring_init(struct svgpu_ring *ring, void __iomem *bar,
				   u32 offset, u32 entries, size_t slot_bytes)
{
	ring->base = bar + offset;
	ring->entries = entries;
	ring->words = slot_bytes / sizeof(u64);
	ring->index = 0;
}

static inline void __iomem *svgpu_ring_slot(const struct svgpu_ring *ring,
					    u32 index)
{
	size_t bytes = ring->words * sizeof(u64);

	return ring->base + SVGPU_RING_SLOTS + (index % ring->entries) * bytes;
}

/*
 * Producer: room for one more entry?
 * Return: 1, 0 (full) or -EPROTO.
 *
 * The device's head is read before the slot that it frees is written again:
 * the store depends on the load. Pairs with the device's release store of head.
 */
static inline int svgpu_ring_room(const struct svgpu_ring *ring)
{
	u32 used = ring->index - readl(ring->base + SVGPU_RING_HEAD);

	if (used > ring->entries)
		return -EPROTO;
	return used < ring->entries;
}

/* Producer: put an entry in. The caller has seen that there is room, and rings the bell. */
static inline void svgpu_ring_push(struct svgpu_ring *ring, const void *entry)
{
	void __iomem *slot = svgpu_ring_slot(ring, ring->index);
	const u64 *word = entry;
	u32 i;

	for (i = 0; i < ring->words; i++)
		writeq_relaxed(word[i], slot + i * sizeof(u64));
	/* The slot before the tail: pairs with the device's acquire load of tail. */
	wmb();
	writel_relaxed(++ring->index, ring->base + SVGPU_RING_TAIL);
}

/*
 * Consumer: take an entry out.
 * Return: 1, 0 (empty) or -EPROTO.
 */
static inline int svgpu_ring_pop(struct svgpu_ring *ring, void *entry)
{
	void __iomem *slot = svgpu_ring_slot(ring, ring->index);
	u32 waiting = readl(ring->base + SVGPU_RING_TAIL) - ring->index;
	u64 *word = entry;
	u32 i;

	if (!waiting)
		return 0;
	if (waiting > ring->entries)
		return -EPROTO;
	/* The tail before the slot: pairs with the device's release store of tail. */
	rmb();
	for (i = 0; i < ring->words; i++)
		word[i] = readq_relaxed(slot + i * sizeof(u64));
	/* The slot before the head: pairs with the device's acquire load of head. */
	mb();
	writel_relaxed(++ring->index, ring->base + SVGPU_RING_HEAD);
	return 1;
}

#endif
