/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of buffer objects share. <svm/drm_bo.h> is what drivers see.
 *
 * A buffer is made with a reference of GEM's (its handles, mappings and dma-bufs) and is svmirror's
 * object for as long as that or any binding is there: object_release() comes when both are gone.
 *
 * Locks, outermost first:
 *   resv lock   (dma_resv, sleeps) of a buffer: where it is. Of another buffer it is only tried
 *               for, so it does not matter which comes first
 *   bos lock    (sleeps) the device's lists of buffers
 *   pages lock  (spin) chunks of VRAM for processes' pages; taken under any lock of core mm's
 * The resv lock comes after mmap_lock, and reclaim may come under it; the bos lock is never held
 * over an allocation.
 */
#ifndef SVM_DRM_BO_INTERNAL_H
#define SVM_DRM_BO_INTERNAL_H

#include <drm/drm_gem.h>
#include <linux/dma-resv.h>
#include <svm/drm_bo.h>
#include <svm/object.h>

#include "internal.h"

struct dma_buf_attachment;

struct svm_drm_bo {
	struct drm_gem_object gem;
	struct svm_drm_device *dev;
	struct svm_object *object;	/* a reference for GEM's */
	enum svm_drm_bo_where wants;	/* SYSTEM or VRAM; of an import SYSTEM */
	struct kref ref;	/* of the struct: svmirror's, and one while it is being moved */

	/* Under the resv lock: */
	enum svm_drm_bo_where where;
	bool placed;		/* @object has a place */
	bool lost;		/* the device was removed: no memory any more */
	u32 pins;		/* other devices that have it: it stays in system memory */
	u64 moves;
	struct page **pages;	/* in system memory, not imported */
	struct sg_table *table;	/* in system memory: as the device sees it */
	struct list_head blocks; /* in VRAM: struct svm_drm_vram_block */

	/* Under the bos lock: */
	struct list_head link;	/* among all of the device */
	struct list_head turn;	/* in VRAM, or out of it and wanting in; else empty */
	unsigned long since;	/* jiffies: in VRAM since then */
};

static inline struct svm_drm_bo *to_bo(struct drm_gem_object *gem)
{
	return container_of(gem, struct svm_drm_bo, gem);
}

static inline unsigned int svm_drm_bo_pages(const struct svm_drm_bo *bo)
{
	return bo->gem.size >> PAGE_SHIFT;
}

/* Under the resv lock. Pairs with the lock-free read in svm_drm_bos_sum(). */
static inline void set_where(struct svm_drm_bo *bo, enum svm_drm_bo_where where)
{
	WRITE_ONCE(bo->where, where);
}

/* bo.c */
struct svm_drm_bo *svm_drm_bo_new(struct svm_drm_device *dev, u64 size, struct dma_resv *resv);
struct svm_drm_bo *svm_drm_bo_get(struct drm_file *file, u32 handle);
u32 svm_drm_bo_handle(struct drm_file *file, const struct svm_object *object);
void svm_drm_bos_sum(struct drm_file *file, u64 bytes[]);
void svm_drm_bo_unref(struct svm_drm_bo *bo);
void svm_drm_bos_init(struct svm_drm_device *dev);
void svm_drm_bos_stop(struct svm_drm_device *dev);

/* pages.c */
#define SVM_DRM_SLICE	msecs_to_jiffies(50)

bool svm_drm_make_room(struct svm_drm_device *dev, unsigned long patience);
int svm_drm_pages_init(struct svm_drm_device *dev);
void svm_drm_pages_stop(struct svm_drm_device *dev);
int svm_drm_pages_evict_all(struct svm_drm_device *dev);

/* bo_move.c, of the list */
bool svm_drm_bo_oldest(struct svm_drm_device *dev, unsigned long *since);
bool svm_drm_bo_send_away(struct svm_drm_device *dev, unsigned long patience);
void svm_drm_bos_tell_of_room(struct svm_drm_device *dev);

/* bo_move.c, of a buffer; all but svm_drm_bo_bring() under the resv lock */
int svm_drm_bo_bring(struct svm_drm_bo *bo);
int svm_drm_bo_settle(struct svm_drm_bo *bo);
int svm_drm_bo_pin(struct svm_drm_bo *bo);
void svm_drm_bo_unpin(struct svm_drm_bo *bo);
void svm_drm_bo_drop(struct svm_drm_bo *bo);
void svm_drm_bos_work(struct work_struct *work);

/* bo_memory.c */
enum svm_drm_copy {
	SVM_DRM_COPY_IN,	/* to VRAM */
	SVM_DRM_COPY_OUT,
	SVM_DRM_COPY_ZERO,	/* VRAM */
};

int svm_drm_bo_take_pages(struct svm_drm_bo *bo);
void svm_drm_bo_unmap_pages(struct svm_drm_bo *bo);
void svm_drm_bo_give_pages(struct svm_drm_bo *bo);
void svm_drm_bo_copy(struct svm_drm_bo *bo, enum svm_drm_copy what);
bool svm_drm_is_reached(struct device *dma_device, struct sg_table *table);

/* bo_map.c */
extern const struct vm_operations_struct svm_drm_bo_vm_ops;
void svm_drm_bo_unmap_cpu(struct svm_drm_bo *bo);

/* dmabuf.c; the last two under the resv lock */
struct dma_buf *svm_drm_bo_export(struct drm_gem_object *gem, int flags);
struct sg_table *svm_drm_bo_table(struct drm_gem_object *gem);
int svm_drm_import_map(struct svm_drm_bo *bo);
void svm_drm_import_unmap(struct svm_drm_bo *bo);

#endif
