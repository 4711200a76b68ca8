// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffer objects as dma-bufs: ours for others, and those of others.
 *
 * Ours is in system memory from when another device attaches until all have detached, also when
 * our device is removed meanwhile. Theirs is mapped when our device needs it. The exporter may
 * take that back at any time: it tells us, under the resv lock that is the exporter's and the
 * buffer's, and on return the device reaches nothing of it any more. The next fault asks for it
 * again.
 */
#include <linux/dma-buf.h>
#include <linux/export.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_prime.h>

#include "bo.h"
#include "svm_config.h"

#define EXPORTER_MS	100 /* that a fault waits for the exporter's move, before it goes again */

static int dmabuf_attach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	struct svm_drm_bo *bo = to_bo(dma_buf->priv);
	int ret = dma_resv_lock_interruptible(bo->gem.resv, NULL);

	if (ret)
		return ret;
	ret = svm_drm_bo_pin(bo);
	dma_resv_unlock(bo->gem.resv);
	return ret;
}

static void dmabuf_detach(struct dma_buf *dma_buf, struct dma_buf_attachment *attach)
{
	struct svm_drm_bo *bo = to_bo(dma_buf->priv);

	dma_resv_lock(bo->gem.resv, NULL);
	svm_drm_bo_unpin(bo);
	dma_resv_unlock(bo->gem.resv);
}

static const struct dma_buf_ops dmabuf_ops = {
	.attach = dmabuf_attach,
	.detach = dmabuf_detach,
	.map_dma_buf = drm_gem_map_dma_buf,
	.unmap_dma_buf = drm_gem_unmap_dma_buf,
	.release = drm_gem_dmabuf_release,
	.mmap = drm_gem_dmabuf_mmap,
};

/* For drm_gem_map_dma_buf(): the pages of a pinned buffer. */
struct sg_table *svm_drm_bo_table(struct drm_gem_object *gem)
{
	struct svm_drm_bo *bo = to_bo(gem);

	/* The device was removed. */
	if (!bo->pages)
		return ERR_PTR(-ENODEV);
	return drm_prime_pages_to_sg(gem->dev, bo->pages, svm_drm_bo_pages(bo));
}

struct dma_buf *svm_drm_bo_export(struct drm_gem_object *gem, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = gem->dev->driver->name,
		.owner = gem->dev->driver->fops->owner,
		.ops = &dmabuf_ops,
		.size = gem->size,
		.flags = flags,
		.priv = gem,
		.resv = gem->resv,
	};

	return drm_gem_dmabuf_export(gem->dev, &info);
}

/**
 * svm_drm_import_map() - get the memory of an import
 * @bo: under its resv lock
 *
 * Return: 0; -EAGAIN: the exporter is still moving it; -EIO: the device does not reach it without
 * bouncing; else what the exporter said.
 */
int svm_drm_import_map(struct svm_drm_bo *bo)
{
	struct sg_table *table;
	long left;

	if (bo->where == SVM_DRM_BO_SYSTEM)
		return 0;
	table = dma_buf_map_attachment(bo->gem.import_attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(table))
		return PTR_ERR(table);
	bo->table = table;
	set_where(bo, SVM_DRM_BO_SYSTEM);
	if (!svm_drm_is_reached(bo->dev->dma_device, table)) {
		svm_drm_import_unmap(bo);
		return -EIO;
	}
	left = dma_resv_wait_timeout(bo->gem.resv, DMA_RESV_USAGE_KERNEL, true,
				     msecs_to_jiffies(EXPORTER_MS));
	if (left > 0)
		return 0;
	svm_drm_import_unmap(bo);
	return left ? -EINTR : -EAGAIN;
}

void svm_drm_import_unmap(struct svm_drm_bo *bo)
{
	dma_buf_unmap_attachment(bo->gem.import_attach, bo->table, DMA_BIDIRECTIONAL);
	bo->table = NULL;
	set_where(bo, SVM_DRM_BO_NOWHERE);
}

/* The exporter takes it back. It holds the resv lock. */
static void import_goes(struct dma_buf_attachment *attach)
{
	struct svm_drm_bo *bo = attach->importer_priv;

	/* It may come as soon as there is an attachment: before we know of it, we have nothing. */
	if (bo->table)
		svm_drm_bo_drop(bo);
}

static const struct dma_buf_attach_ops import_ops = {
#ifdef HAVE_DMA_BUF_INVALIDATE_MAPPINGS
	.invalidate_mappings = import_goes,
#else
	.move_notify = import_goes,
#endif
};

static struct drm_gem_object *import_foreign(struct svm_drm_device *dev,
					     struct dma_buf *dma_buf)
{
	struct dma_buf_attachment *attach;
	struct svm_drm_bo *bo;

	bo = svm_drm_bo_new(dev, dma_buf->size, dma_buf->resv);
	if (IS_ERR(bo))
		return ERR_CAST(bo);
	/* It goes with the attachment, which bo_free() ends. */
	get_dma_buf(dma_buf);
	attach = dma_buf_dynamic_attach(dma_buf, dev->dma_device, &import_ops, bo);
	if (IS_ERR(attach)) {
		drm_gem_object_put(&bo->gem);
		dma_buf_put(dma_buf);
		return ERR_CAST(attach);
	}
	bo->gem.import_attach = attach;
	return &bo->gem;
}

struct drm_gem_object *svm_drm_bo_import(struct svm_drm_device *dev, struct dma_buf *dma_buf)
{
	struct drm_gem_object *gem = dma_buf->priv;
	int idx;

	if (dma_buf->ops == &dmabuf_ops && gem->dev == dev->drm) {
		/* One of ours comes back: the same buffer. */
		drm_gem_object_get(gem);
		return gem;
	}
	if (!dma_buf->size || !PAGE_ALIGNED(dma_buf->size))
		return ERR_PTR(-EINVAL);
	/* DRM's own ioctls do not run in the section that removal waits for. */
	if (!drm_dev_enter(dev->drm, &idx))
		return ERR_PTR(-ENODEV);
	gem = import_foreign(dev, dma_buf);
	drm_dev_exit(idx);
	return gem;
}
EXPORT_SYMBOL_GPL(svm_drm_bo_import);

#ifdef HAVE_IMPORT_NS_TOKEN
MODULE_IMPORT_NS(DMA_BUF);
#else
MODULE_IMPORT_NS("DMA_BUF");
#endif
