/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the library's files share. <svm/drm.h> is what drivers see.
 *
 * device ── contexts: number in the device → vm ── svm_vm (svmirror's), faults, fault log
 * file ──── vms: handle → vm
 *
 * Locks, outermost first. All but the log lock are spinlocks; those of buffer objects, in bo.h,
 * come before all of them:
 *   xa_lock     of the table of handles or contexts: from looking up to the reference that
 *               keeps what was found
 *   park lock   queues that wait for a syncobj without a fence; wake() is called under it
 *   bind lock   a vm's asynchronous binds
 *   restore lock a vm's worker that restores, and whether it may be queued
 *   fault lock  a vm's faults and their groups; sessions are cancelled under it
 *   share lock  what processes and users hold of the device's ids
 *   log lock    (sleeps) a vm's fault log
 * None but the park lock is held when the driver is called, and nothing but core locks is taken
 * under one of them.
 */
#ifndef SVM_DRM_INTERNAL_H
#define SVM_DRM_INTERNAL_H

#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <svm/drm.h>

/* &drm_file.driver_priv of each driver. */
static inline struct svm_drm_file *svm_drm_file_of(const struct drm_file *drm_file)
{
	return drm_file->driver_priv;
}

/* user.c */
int svm_drm_check_span(u64 start, u64 length, u64 *end);
bool svm_drm_stride_is_sound(u32 stride, u32 first_version);
int svm_drm_put_records(u64 user, const void *records, u32 size, u32 count,
			u32 stride);

/* bind.c */
int svm_drm_query_bindings(struct svm_drm_vm *vm, struct drm_file *drm_file,
			   struct drm_svm_query *args);

/* advise.c */
int svm_drm_query_spans(struct svm_drm_vm *vm, struct drm_svm_query *args);

/* bind_queue.c; bind.h has what it shares with bind.c */
void svm_drm_binds_init(struct svm_drm_vm *vm);
void svm_drm_binds_cancel(struct svm_drm_vm *vm);
void svm_drm_binds_fini(struct svm_drm_vm *vm);

/* share.c */
void svm_drm_shares_init(struct svm_drm_device *dev);
struct svm_drm_process *svm_drm_process_get(struct svm_drm_device *dev);
void svm_drm_process_put(struct svm_drm_process *process);

/* park.c */
void svm_drm_parked_init(struct svm_drm_device *dev);
void svm_drm_parked_stop(struct svm_drm_device *dev);

/* vm.c */
struct svm_drm_vm *svm_drm_vm_create(struct svm_drm_device *dev,
				     const struct drm_svm_vm_create *args);
bool svm_drm_vm_use(struct svm_drm_vm *vm);
void svm_drm_vm_unuse(struct svm_drm_vm *vm);
void svm_drm_vm_stop(struct svm_drm_vm *vm);
unsigned long svm_drm_vm_deadline(void);
void svm_drm_vm_wait_gone(struct svm_drm_vm *vm, unsigned long deadline);
void svm_drm_vms_stop_file(struct svm_drm_file *file);
void svm_drm_vms_stop_all(struct svm_drm_device *dev);

/* restore.c */
void svm_drm_restore_ops(struct svm_drm_device *dev);
void svm_drm_restore_init(struct svm_drm_vm *vm);
void svm_drm_restore_cancel(struct svm_drm_vm *vm);
void svm_drm_restore_fini(struct svm_drm_vm *vm);
int svm_drm_restore_check(const struct svm_drm_vm *vm, const struct svm_bind_op *ops, u32 count);
int svm_drm_restore_bound(struct svm_drm_vm *vm, const struct svm_bind_op *ops, u32 count);

/* faultlog.c */
void svm_drm_faultlog_init(struct svm_drm_faultlog *log);
u32 svm_drm_faultlog_count(struct svm_drm_faultlog *log);
u32 svm_drm_faultlog_take(struct svm_drm_faultlog *log,
			  struct drm_svm_fault_record *out, u32 max);
void svm_drm_faultlog_put_back(struct svm_drm_faultlog *log,
			       const struct drm_svm_fault_record *in, u32 count);

/* fault_queue.c; fault.h has what it shares with fault.c */
int svm_drm_faults_init(struct svm_drm_vm *vm);
void svm_drm_faults_fini(struct svm_drm_vm *vm);
void svm_drm_faults_cancel(struct svm_drm_vm *vm);

#endif
