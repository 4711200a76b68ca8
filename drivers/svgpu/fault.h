/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on their way from the ring (fault_queue.c) to svmirror and back to the
 * device (fault.c).
 */
#ifndef SVGPU_FAULT_H
#define SVGPU_FAULT_H

#include "svgpu.h"

/* One entry of the fault ring, until it is answered. Holds a use and a reference of @vm. */
struct svgpu_fault_rec {
	struct list_head link;
	struct svgpu_vm *vm;
	struct svgpu_fault_group *spare; /* until it is in a group */
	u32 queue_id;		/* handle, for the log */
	bool injected;		/* by debugfs: the device does not wait for an answer */
	struct svgpu_fault entry;
};

/*
 * The faults of one table: served one after the other, beside those of other tables.
 * @serving, @since (jiffies), @passed: under the fault lock, see pass_overdue().
 */
struct svgpu_fault_group {
	struct list_head link;
	struct list_head recs;	/* under the fault lock */
	struct svgpu_device *dev;
	u32 context;
	u64 table;		/* number of the table in the context */
	bool serving;		/* its worker is at a fault, */
	unsigned long since;	/* and has been since then */
	bool passed;		/* what comes for its table goes to another group */
	struct work_struct work;
};

/* fault_queue.c */
bool svgpu_fault_next(struct svgpu_fault_group *group, struct list_head *same);
void svgpu_fault_done(struct svgpu_device *dev, struct svgpu_fault_rec *rec);

/* fault.c */
void svgpu_fault_take(struct svgpu_device *dev, struct svgpu_fault_rec *rec);
void svgpu_fault_work(struct work_struct *work);
void svgpu_fault_enqueue(struct svgpu_device *dev,
			 struct svgpu_fault_rec *rec);

#endif
