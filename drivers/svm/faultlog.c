// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm's last 128 faults that could not be served. When it is full the oldest
 * record goes, and the one after it inherits the count of what was lost before
 * it: the newest are what a reader wants, and no loss goes unseen.
 */
#include <linux/export.h>
#include <linux/ktime.h>

#include "internal.h"

void svm_drm_faultlog_init(struct svm_drm_faultlog *log)
{
	mutex_init(&log->lock);
}

static struct drm_svm_fault_record *record_at(struct svm_drm_faultlog *log,
					      u32 n)
{
	return &log->record[(log->first + n) % SVM_DRM_FAULT_LOG];
}

static void drop_oldest(struct svm_drm_faultlog *log)
{
	u32 lost = record_at(log, 0)->lost + 1;

	log->first++;
	log->count--;
	record_at(log, 0)->lost = lost;
}

void svm_drm_faultlog_add(struct svm_drm_vm *vm, u64 va, u32 queue_id,
			  u32 access, int error)
{
	struct svm_drm_faultlog *log = &vm->log;

	mutex_lock(&log->lock);
	if (log->count == SVM_DRM_FAULT_LOG)
		drop_oldest(log);
	*record_at(log, log->count++) = (struct drm_svm_fault_record){
		.va = va,
		.time_ns = ktime_get_ns(),
		.queue_id = queue_id,
		.access = access,
		.error = error,
	};
	mutex_unlock(&log->lock);
}
EXPORT_SYMBOL_GPL(svm_drm_faultlog_add);

/* How many records wait to be read. */
u32 svm_drm_faultlog_count(struct svm_drm_faultlog *log)
{
	u32 count;

	mutex_lock(&log->lock);
	count = log->count;
	mutex_unlock(&log->lock);
	return count;
}

/* Takes up to @max records out, oldest first. Return: how many. */
u32 svm_drm_faultlog_take(struct svm_drm_faultlog *log,
			  struct drm_svm_fault_record *out, u32 max)
{
	u32 taken = 0;

	mutex_lock(&log->lock);
	while (taken < max && log->count) {
		out[taken++] = *record_at(log, 0);
		log->first++;
		log->count--;
	}
	mutex_unlock(&log->lock);
	return taken;
}

/* Puts records back that could not be copied to the reader. What has no room any more is lost. */
void svm_drm_faultlog_put_back(struct svm_drm_faultlog *log,
			       const struct drm_svm_fault_record *in, u32 count)
{
	mutex_lock(&log->lock);
	while (count && log->count < SVM_DRM_FAULT_LOG) {
		log->first--;
		log->count++;
		*record_at(log, 0) = in[--count];
	}
	while (count)
		record_at(log, 0)->lost += in[--count].lost + 1;
	mutex_unlock(&log->lock);
}
