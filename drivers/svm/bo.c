// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of buffer objects, and their handles.
 *
 * GEM's reference and svmirror's object have ends of their own: a buffer whose handles are closed
 * stays while a binding leads to it, and one that is bound nowhere stays while it has a handle.
 * GEM's last reference gives back the object's; with the last reference to the object the memory
 * goes; with the last one to the struct, which may be that of an eviction under way, the struct.
 */
#include <linux/dma-buf.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include <drm/drm_prime.h>

#include "bo.h"

static void bo_free(struct kref *ref)
{
	struct svm_drm_bo *bo = container_of(ref, struct svm_drm_bo, ref);

	if (bo->gem.import_attach)
		drm_prime_gem_destroy(&bo->gem, NULL);
	drm_gem_object_release(&bo->gem);
	atomic_dec(&bo->dev->bo_total);
	kfree(bo);
}

/* Drops a reference to the struct. Context: process; sleeps. */
void svm_drm_bo_unref(struct svm_drm_bo *bo)
{
	kref_put(&bo->ref, bo_free);
}

static int object_bring(void *arg)
{
	return svm_drm_bo_bring(arg);
}

/* Nothing leads to it any more. */
static void object_release(void *arg)
{
	struct svm_drm_bo *bo = arg;
	struct svm_drm_device *dev = bo->dev;

	/* An eviction that is under way ends first. */
	dma_resv_lock(bo->gem.resv, NULL);
	svm_drm_bo_drop(bo);
	mutex_lock(&dev->bos.lock);
	list_del_init(&bo->link);
	mutex_unlock(&dev->bos.lock);
	dma_resv_unlock(bo->gem.resv);
	svm_drm_bo_unref(bo);
}

static const struct svm_object_ops object_ops = {
	.bring = object_bring,
	.release = object_release,
};

/* GEM's last reference: no handle, mapping or dma-buf is left. */
static void gem_free(struct drm_gem_object *gem)
{
	svm_object_put(to_bo(gem)->object);
}

static const struct drm_gem_object_funcs gem_funcs = {
	.free = gem_free,
	.export = svm_drm_bo_export,
	.get_sg_table = svm_drm_bo_table,
	.vm_ops = &svm_drm_bo_vm_ops,
};

/**
 * svm_drm_bo_new() - a buffer without memory
 * @dev: the device
 * @size: bytes, page-aligned, not 0
 * @resv: of an import its exporter's; else NULL, and then it can be mapped by the CPU
 *
 * Context: process; sleeps.
 * Return: the buffer, with GEM's reference; or an error.
 */
struct svm_drm_bo *svm_drm_bo_new(struct svm_drm_device *dev, u64 size, struct dma_resv *resv)
{
	struct svm_drm_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL_ACCOUNT);
	int ret = 0;

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->dev = dev;
	bo->wants = SVM_DRM_BO_SYSTEM;
	bo->gem.funcs = &gem_funcs;
	bo->gem.resv = resv;
	kref_init(&bo->ref);
	INIT_LIST_HEAD(&bo->blocks);
	INIT_LIST_HEAD(&bo->turn);
	INIT_LIST_HEAD(&bo->link);
	if (resv)
		drm_gem_private_object_init(dev->drm, &bo->gem, size);
	else
		ret = drm_gem_object_init(dev->drm, &bo->gem, size);
	if (!ret && !resv) {
		/* The OOM killer sees no owner of it: a lack of it is an error. */
		mapping_set_gfp_mask(bo->gem.filp->f_mapping,
				     GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
		ret = drm_gem_create_mmap_offset(&bo->gem);
	}
	if (!ret)
		ret = svm_object_create(size, &object_ops, bo, &bo->object);
	if (ret) {
		drm_gem_object_release(&bo->gem);
		kfree(bo);
		return ERR_PTR(ret);
	}
	atomic_inc(&dev->bo_total);
	mutex_lock(&dev->bos.lock);
	list_add_tail(&bo->link, &dev->bos.all);
	mutex_unlock(&dev->bos.lock);
	return bo;
}

static bool has_vram(const struct svm_drm_device *dev)
{
	return dev->vram.bytes && svm_format_describe(dev->format)->vram;
}

static u64 most(const struct svm_drm_device *dev, enum svm_drm_bo_where wants)
{
	u64 ram = (u64)totalram_pages() << PAGE_SHIFT;

	return wants == SVM_DRM_BO_VRAM && has_vram(dev) ? min(dev->vram.bytes, ram) : ram;
}

int svm_drm_bo_create(struct svm_drm_device *dev, struct drm_file *file, u64 size,
		      enum svm_drm_bo_where wants, u32 *handle)
{
	struct svm_drm_bo *bo;
	int ret;

	if (!size || !PAGE_ALIGNED(size) ||
	    (wants != SVM_DRM_BO_SYSTEM && wants != SVM_DRM_BO_VRAM))
		return -EINVAL;
	if (size > most(dev, wants))
		return -E2BIG;
	bo = svm_drm_bo_new(dev, size, NULL);
	if (IS_ERR(bo))
		return PTR_ERR(bo);
	if (has_vram(dev))
		bo->wants = wants;
	ret = drm_gem_handle_create(file, &bo->gem, handle);
	/* The handle has a reference of its own. */
	drm_gem_object_put(&bo->gem);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_bo_create);

/* The buffer of a handle, with a reference of GEM's; NULL: no such. */
struct svm_drm_bo *svm_drm_bo_get(struct drm_file *file, u32 handle)
{
	struct drm_gem_object *gem = drm_gem_object_lookup(file, handle);

	return gem ? to_bo(gem) : NULL;
}

/* A handle that the file has of the buffer of @object, or 0. */
u32 svm_drm_bo_handle(struct drm_file *file, const struct svm_object *object)
{
	struct drm_gem_object *gem;
	int handle;

	spin_lock(&file->table_lock);
	idr_for_each_entry(&file->object_idr, gem, handle) {
		if (to_bo(gem)->object == object)
			break;
	}
	spin_unlock(&file->table_lock);
	return gem ? handle : 0;
}

/* Adds the bytes of the file's buffers to those of where they are now. Context: process. */
void svm_drm_bos_sum(struct drm_file *file, u64 bytes[])
{
	struct drm_gem_object *gem;
	int handle;

	spin_lock(&file->table_lock);
	idr_for_each_entry(&file->object_idr, gem, handle)
		/* No resv lock: one that moves is counted at either place. With set_where(). */
		bytes[READ_ONCE(to_bo(gem)->where)] += gem->size;
	spin_unlock(&file->table_lock);
}

int svm_drm_bo_describe(struct drm_file *file, u32 handle, struct svm_drm_bo_info *info)
{
	struct svm_drm_bo *bo = svm_drm_bo_get(file, handle);
	int ret;

	if (!bo)
		return -ENOENT;
	ret = dma_resv_lock_interruptible(bo->gem.resv, NULL);
	if (!ret) {
		info->size = bo->gem.size;
		info->moves = bo->moves;
		info->where = bo->where;
		info->mmap_offset = bo->gem.import_attach ?
			0 : drm_vma_node_offset_addr(&bo->gem.vma_node);
		dma_resv_unlock(bo->gem.resv);
	}
	drm_gem_object_put(&bo->gem);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_bo_describe);

void svm_drm_bos_init(struct svm_drm_device *dev)
{
	mutex_init(&dev->bos.lock);
	INIT_LIST_HEAD(&dev->bos.all);
	INIT_LIST_HEAD(&dev->bos.lost);
	INIT_LIST_HEAD(&dev->bos.in);
	INIT_LIST_HEAD(&dev->bos.out);
	INIT_WORK(&dev->bos.work, svm_drm_bos_work);
}

/* The first buffer that still has memory, with a reference; NULL: none has. */
static struct svm_drm_bo *next_to_lose(struct svm_drm_device *dev)
{
	struct svm_drm_bo *bo;

	mutex_lock(&dev->bos.lock);
	bo = list_first_entry_or_null(&dev->bos.all, struct svm_drm_bo, link);
	if (bo) {
		list_move_tail(&bo->link, &dev->bos.lost);
		kref_get(&bo->ref);
	}
	mutex_unlock(&dev->bos.lock);
	return bo;
}

/*
 * The device is being removed, and no vm is left: buffers lose their memory, though files may
 * have handles of them. The CPU's mappings were taken away by drm_dev_unplug().
 */
void svm_drm_bos_stop(struct svm_drm_device *dev)
{
	struct svm_drm_bo *bo;

	while ((bo = next_to_lose(dev))) {
		dma_resv_lock(bo->gem.resv, NULL);
		svm_drm_bo_drop(bo);
		bo->lost = true;
		dma_resv_unlock(bo->gem.resv);
		svm_drm_bo_unref(bo);
	}
	cancel_work_sync(&dev->bos.work);
}
