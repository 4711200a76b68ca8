/* SPDX-License-Identifier: GPL-2.0-only */
/* What binds that are done at once (bind.c) and later (bind_queue.c) share. */
#ifndef SVM_DRM_BIND_INTERNAL_H
#define SVM_DRM_BIND_INTERNAL_H

#include "internal.h"

/* bind.c */
int svm_drm_bind_do(struct svm_drm_vm *vm, struct svm_bind_op *ops, u32 count);
void svm_drm_bind_ops_free(struct svm_bind_op *ops, u32 count);

/* bind_queue.c */
int svm_drm_bind_later(struct svm_drm_vm *vm, struct drm_file *file,
		       const struct drm_svm_bind *args, struct svm_bind_op *ops);

#endif
