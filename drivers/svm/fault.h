/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on their way from the driver by their vm's groups (fault_queue.c) to svmirror and
 * back to the driver (fault.c).
 */
#ifndef SVM_DRM_FAULT_H
#define SVM_DRM_FAULT_H

#include "internal.h"

/*
 * A worker and the faults that it serves: those of one table, one after the other, beside
 * those of other tables. All but @work and @session under the vm's fault lock.
 */
struct svm_drm_fault_group {
	struct list_head link;	/* in the vm's idle or busy groups */
	struct list_head recs;	/* wait for the worker */
	struct list_head same;	/* ask the same, and are being served */
	struct svm_drm_vm *vm;
	u64 table;		/* number of the table in the context */
	unsigned long since;	/* when the worker took @same, in jiffies */
	bool passed;		/* what comes for its table goes to another group */
	bool in_session;	/* @session may be cancelled */
	bool cancelled;		/* it was */
	struct svm_session session;
	struct work_struct work;
};

/* fault_queue.c */
void svm_drm_fault_enqueue(struct svm_drm_fault_rec *rec);
bool svm_drm_fault_next(struct svm_drm_fault_group *group);
void svm_drm_fault_in_session(struct svm_drm_fault_group *group, bool in);
bool svm_drm_fault_all_cancelled(const struct svm_drm_fault_group *group);
struct svm_drm_fault_rec *svm_drm_fault_finish(struct svm_drm_fault_group *group);
bool svm_drm_fault_release(struct svm_drm_fault_rec *rec);

/* fault.c */
void svm_drm_fault_work(struct work_struct *work);

#endif
