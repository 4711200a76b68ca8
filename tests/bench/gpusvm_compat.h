/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * drm_gpusvm of 7.2 has the pages of a range in the range; since 7.3 the driver has them.
 * GPUSVM_DRIVER_PAGES (of the Makefile) says which kernel this is.
 */
#ifndef GPUSVM_COMPAT_H
#define GPUSVM_COMPAT_H

#include <drm/drm_gpusvm.h>

/**
 * struct peer_range - a range and what the device has of it
 * @base: drm_gpusvm's
 * @pages: where the driver has them
 * @link: in @gone of struct peer, or empty
 * @table: entries of its pages; NULL: it never needed one
 * @above: the entry that leads to @table, or is a leaf of 2 MiB; 0: the device sees nothing
 * @write: it was bound for writing
 */
struct peer_range {
	struct drm_gpusvm_range base;
#ifdef GPUSVM_DRIVER_PAGES
	struct drm_gpusvm_pages pages;
#endif
	struct list_head link;
	u64 *table;
	u64 above;
	bool write;
};

#ifdef GPUSVM_DRIVER_PAGES
static inline struct drm_gpusvm_pages *pages_of(struct peer_range *range)
{
	return &range->pages;
}

static inline void init_pages(struct peer_range *range, struct drm_device *drm)
{
	drm_gpusvm_init_pages(&range->pages, drm);
}

static inline bool pages_valid(struct drm_gpusvm *svm, struct peer_range *range)
{
	return drm_gpusvm_pages_valid(svm, &range->pages);
}

static inline void set_unmapped(struct peer_range *range, const struct mmu_notifier_range *what)
{
	drm_gpusvm_range_set_unmapped(&range->base, &range->pages, 1, what);
}

/* The driver frees the pages of a range before the range. */
static inline void drop_pages(struct drm_gpusvm *svm, struct peer_range *range)
{
	drm_gpusvm_free_pages(svm, &range->pages,
			      drm_gpusvm_range_size(&range->base) >> PAGE_SHIFT);
}

/* Its device is one of each range. */
static inline int init_gpusvm(struct drm_gpusvm *svm, struct drm_device *drm,
			      const struct drm_gpusvm_ops *ops, const unsigned long *sizes,
			      int count)
{
	return drm_gpusvm_init(svm, "svm_bench", current->mm, 0, TASK_SIZE, SZ_512M, ops,
			       sizes, count);
}
#else
static inline struct drm_gpusvm_pages *pages_of(struct peer_range *range)
{
	return &range->base.pages;
}

static inline void init_pages(struct peer_range *range, struct drm_device *drm)
{
}

static inline bool pages_valid(struct drm_gpusvm *svm, struct peer_range *range)
{
	return drm_gpusvm_range_pages_valid(svm, &range->base);
}

static inline void set_unmapped(struct peer_range *range, const struct mmu_notifier_range *what)
{
	drm_gpusvm_range_set_unmapped(&range->base, what);
}

static inline void drop_pages(struct drm_gpusvm *svm, struct peer_range *range)
{
}

static inline int init_gpusvm(struct drm_gpusvm *svm, struct drm_device *drm,
			      const struct drm_gpusvm_ops *ops, const unsigned long *sizes,
			      int count)
{
	return drm_gpusvm_init(svm, "svm_bench", drm, current->mm, 0, TASK_SIZE, SZ_512M, ops,
			       sizes, count);
}
#endif

#endif
