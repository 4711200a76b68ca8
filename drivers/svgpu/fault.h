/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on their way from the ring (fault_ring.c) by their vm's groups (fault_queue.c)
 * to svmirror and back to the device (fault.c).
 */
#ifndef SVGPU_FAULT_H
#define SVGPU_FAULT_H

#include "svgpu.h"

/*
 * A worker and the faults that it serves: those of one table, one after the other, beside
 * those of other tables. All but @work and @session under the vm's fault lock.
 */
struct svgpu_fault_group {
	struct list_head link;	/* in the vm's idle or busy groups */
	struct list_head recs;	/* wait for the worker */
	struct list_head same;	/* ask the same, and are being served */
	struct svgpu_vm *vm;
	u64 table;		/* number of the table in the context */
	unsigned long since;	/* when the worker took @same, in jiffies */
	bool passed;		/* what comes for its table goes to another group */
	bool in_session;	/* @session may be cancelled */
	bool cancelled;		/* it was */
	struct svm_session session;
	struct work_struct work;
};

/* fault_queue.c */
void svgpu_fault_enqueue(struct svgpu_fault_rec *rec);
bool svgpu_fault_next(struct svgpu_fault_group *group);
void svgpu_fault_in_session(struct svgpu_fault_group *group, bool in);
bool svgpu_fault_all_cancelled(const struct svgpu_fault_group *group);
struct svgpu_fault_rec *svgpu_fault_finish(struct svgpu_fault_group *group);
bool svgpu_fault_claim(struct svgpu_fault_rec *rec, struct svgpu_vm *vm);
void svgpu_fault_release(struct svgpu_fault_rec *rec);

/* fault.c */
void svgpu_fault_take(struct svgpu_device *dev, const struct svgpu_fault *entry,
		      struct svgpu_fault_rec *injected);
void svgpu_fault_work(struct work_struct *work);

#endif
