// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where buffer objects are: they get memory, go from VRAM to system memory and back.
 *
 * nowhere ──> VRAM or system: when it is first used
 * system  ──> VRAM: it wants to be there, and there is room or room can be made
 * VRAM    ──> system: another one needs the room
 *
 * A buffer that moves has no place for svmirror (svm_object_displace()) and no CPU mapping, so all
 * accesses fault, and their faults wait for its resv lock. After an eviction it gets its new
 * place by a worker, or by the first fault. The worker also brings buffers home that want
 * to be in VRAM, where there is room by now; it sends no other away for it, so it comes to an end.
 *
 * Room is made by sending away what has been in VRAM for longest, but nothing that has been there
 * for less than a slice: where the buffers in use need more than there is, some are used in
 * system memory, instead of all being moved all the time.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include "bo.h"

/* Among those that are in VRAM, or want in (the list), or neither (NULL). */
static void set_turn(struct svm_drm_bo *bo, struct list_head *list)
{
	struct svm_drm_bos *bos = &bo->dev->bos;

	mutex_lock(&bos->lock);
	list_del_init(&bo->turn);
	if (list)
		list_add_tail(&bo->turn, list);
	bo->since = jiffies;
	mutex_unlock(&bos->lock);
}

/* VRAM got free, and not for a buffer that waits for it: those that are out of it may come home. */
void svm_drm_bos_tell_of_room(struct svm_drm_device *dev)
{
	/* With the xchg() in svm_drm_bos_work(), which runs after this, or once more. */
	WRITE_ONCE(dev->bos.room, true);
	queue_work(dev->wq, &dev->bos.work);
}

/* -ENOSPC: there is no room, and (@push) none can be made. */
static int take_vram(struct svm_drm_bo *bo, bool push)
{
	struct svm_drm_device *dev = bo->dev;
	int ret;

	if (READ_ONCE(dev->bos.closed)) /* with svm_drm_bos_evict_all() */
		return -ENOSPC;
	do
		ret = dev->ops->vram_alloc(dev, bo->gem.size, &bo->blocks);
	while (ret == -ENOSPC && push && svm_drm_make_room(dev, SVM_DRM_SLICE));
	return ret;
}

static void give_vram(struct svm_drm_bo *bo)
{
	bo->dev->ops->vram_free(bo->dev, &bo->blocks);
	INIT_LIST_HEAD(&bo->blocks);
}

/* Moves. */

static void displace(struct svm_drm_bo *bo)
{
	svm_drm_bo_unmap_cpu(bo);
	if (bo->placed)
		svm_object_displace(bo->object);
	bo->placed = false;
}

static int to_vram(struct svm_drm_bo *bo, bool push)
{
	int ret = take_vram(bo, push);

	if (ret)
		return ret;
	if (bo->where == SVM_DRM_BO_SYSTEM) {
		displace(bo);
		svm_drm_bo_copy(bo, SVM_DRM_COPY_IN);
		svm_drm_bo_unmap_pages(bo);
		svm_drm_bo_give_pages(bo);
		bo->moves++;
	} else {
		svm_drm_bo_copy(bo, SVM_DRM_COPY_ZERO);
	}
	set_where(bo, SVM_DRM_BO_VRAM);
	set_turn(bo, &bo->dev->bos.in);
	return 0;
}

static int to_system(struct svm_drm_bo *bo)
{
	int ret = svm_drm_bo_take_pages(bo);

	if (ret)
		return ret;
	if (bo->where == SVM_DRM_BO_VRAM) {
		displace(bo);
		svm_drm_bo_copy(bo, SVM_DRM_COPY_OUT);
		give_vram(bo);
		bo->moves++;
	}
	set_where(bo, SVM_DRM_BO_SYSTEM);
	set_turn(bo, bo->wants == SVM_DRM_BO_VRAM ? &bo->dev->bos.out : NULL);
	return 0;
}

/*
 * Sends away what has been in VRAM for longest, if that is longer than @patience (jiffies), and if
 * its resv lock is free. Return: true: there is more room.
 */
bool svm_drm_bo_send_away(struct svm_drm_device *dev, unsigned long patience)
{
	struct svm_drm_bo *bo, *found = NULL;
	int ret;

	mutex_lock(&dev->bos.lock);
	list_for_each_entry(bo, &dev->bos.in, turn) {
		if (time_before(jiffies, bo->since + patience))
			break;
		if (dma_resv_trylock(bo->gem.resv)) {
			found = bo;
			/* It is in the list, so object_release() has not come to its end. */
			kref_get(&found->ref);
			break;
		}
	}
	mutex_unlock(&dev->bos.lock);
	if (!found)
		return false;
	ret = to_system(found);
	/* The worker gives it its new place, in system memory: the room is the caller's. */
	queue_work(dev->wq, &dev->bos.work);
	dma_resv_unlock(found->gem.resv);
	svm_drm_bo_unref(found);
	return !ret;
}

/* Since when the buffer is in VRAM that is there for longest, in jiffies; false: none is. */
bool svm_drm_bo_oldest(struct svm_drm_device *dev, unsigned long *since)
{
	struct svm_drm_bo *bo;

	mutex_lock(&dev->bos.lock);
	bo = list_first_entry_or_null(&dev->bos.in, struct svm_drm_bo, turn);
	if (bo)
		*since = bo->since;
	mutex_unlock(&dev->bos.lock);
	return bo;
}

bool svm_drm_bo_evict(struct svm_drm_device *dev)
{
	return svm_drm_make_room(dev, 0);
}
EXPORT_SYMBOL_GPL(svm_drm_bo_evict);

/**
 * svm_drm_bo_settle() - see to it that a buffer has memory, in VRAM if it wants and can
 * @bo: under its resv lock
 *
 * Return: 0; -ENODEV: the device was removed; -ENOMEM; -EIO: the device cannot reach what there is;
 * of an import what its exporter said.
 */
int svm_drm_bo_settle(struct svm_drm_bo *bo)
{
	int ret;

	if (bo->lost)
		return -ENODEV;
	if (bo->where == SVM_DRM_BO_VRAM)
		return 0;
	if (bo->gem.import_attach)
		return svm_drm_import_map(bo);
	if (bo->wants == SVM_DRM_BO_VRAM && !bo->pins) {
		ret = to_vram(bo, true);
		if (ret != -ENOSPC)
			return ret;
	}
	return bo->where == SVM_DRM_BO_SYSTEM ? 0 : to_system(bo);
}

static u32 extent_count(struct svm_drm_bo *bo)
{
	return bo->where == SVM_DRM_BO_VRAM ? list_count_nodes(&bo->blocks) : bo->table->nents;
}

static void list_extents(struct svm_drm_bo *bo, struct svm_extent *to)
{
	struct svm_drm_vram_block *block;
	struct scatterlist *sg;
	int i;

	if (bo->where == SVM_DRM_BO_VRAM) {
		list_for_each_entry(block, &bo->blocks, link) {
			to->address = block->start;
			to->bytes = block->bytes;
			to++->aperture = SVM_VRAM;
		}
		return;
	}
	for_each_sgtable_dma_sg(bo->table, sg, i) {
		to->address = sg_dma_address(sg);
		to->bytes = sg_dma_len(sg);
		to++->aperture = SVM_SYSTEM;
	}
}

/* Tells svmirror where the memory is. */
static int place(struct svm_drm_bo *bo)
{
	u32 count = extent_count(bo);
	struct svm_extent *extents;
	int ret;

	extents = kvmalloc_array(count, sizeof(*extents), GFP_KERNEL);
	if (!extents)
		return -ENOMEM;
	list_extents(bo, extents);
	ret = svm_object_place(bo->object, extents, count);
	kvfree(extents);
	bo->placed = !ret;
	return ret;
}

/**
 * svm_drm_bo_bring() - the device is to reach a buffer
 * @bo: the buffer
 *
 * Context: process; sleeps; no lock is held.
 * Return: 0; -EINTR: killed; -EIO, -ENODEV: the device is of no use any more; else as
 * svm_drm_bo_settle().
 */
int svm_drm_bo_bring(struct svm_drm_bo *bo)
{
	int ret = dma_resv_lock_interruptible(bo->gem.resv, NULL);

	if (ret)
		return -EINTR;
	if (!bo->placed) {
		ret = svm_drm_error(bo->dev);
		if (!ret)
			ret = svm_drm_bo_settle(bo);
		if (!ret)
			ret = place(bo);
	}
	dma_resv_unlock(bo->gem.resv);
	return ret;
}

/**
 * svm_drm_bo_pin() - a buffer is to stay in system memory
 * @bo: under its resv lock; not imported
 *
 * Return: 0; as svm_drm_bo_settle().
 */
int svm_drm_bo_pin(struct svm_drm_bo *bo)
{
	bool was_placed = bo->placed, was_in_vram = bo->where == SVM_DRM_BO_VRAM;
	int ret = bo->lost ? -ENODEV : 0;

	if (!ret && bo->where != SVM_DRM_BO_SYSTEM)
		ret = to_system(bo);
	if (ret)
		return ret;
	bo->pins++;
	set_turn(bo, NULL);
	if (was_in_vram)
		svm_drm_bos_tell_of_room(bo->dev);
	if (was_placed && !bo->placed)
		place(bo); /* if this fails, a fault brings it */
	return 0;
}

/* Under the resv lock. */
void svm_drm_bo_unpin(struct svm_drm_bo *bo)
{
	if (--bo->pins)
		return;
	if (bo->lost) {
		/* Our device was removed while others had the pages: see svm_drm_bo_drop(). */
		if (bo->pages)
			svm_drm_bo_give_pages(bo);
		return;
	}
	if (bo->wants != SVM_DRM_BO_VRAM)
		return;
	set_turn(bo, &bo->dev->bos.out);
	svm_drm_bos_tell_of_room(bo->dev);
}

/**
 * svm_drm_bo_drop() - a buffer's memory goes, with its content
 * @bo: under its resv lock
 *
 * Pages that other devices have by a dma-buf stay until they detach.
 */
void svm_drm_bo_drop(struct svm_drm_bo *bo)
{
	displace(bo);
	set_turn(bo, NULL);
	if (bo->where == SVM_DRM_BO_VRAM) {
		give_vram(bo);
		svm_drm_bos_tell_of_room(bo->dev);
	} else if (bo->where == SVM_DRM_BO_SYSTEM && bo->gem.import_attach) {
		svm_drm_import_unmap(bo);
	} else if (bo->where == SVM_DRM_BO_SYSTEM) {
		svm_drm_bo_unmap_pages(bo);
		if (!bo->pins)
			svm_drm_bo_give_pages(bo);
	}
	set_where(bo, SVM_DRM_BO_NOWHERE);
}

/* The next one out of VRAM, with a reference and its resv lock; NULL: @left are none. */
static struct svm_drm_bo *next_out(struct svm_drm_device *dev, unsigned int *left)
{
	struct svm_drm_bo *bo, *found = NULL;

	mutex_lock(&dev->bos.lock);
	while (*left && !found && !list_empty(&dev->bos.out)) {
		--*left;
		bo = list_first_entry(&dev->bos.out, struct svm_drm_bo, turn);
		list_move_tail(&bo->turn, &dev->bos.out);
		if (dma_resv_trylock(bo->gem.resv)) {
			found = bo;
			kref_get(&bo->ref);
		}
	}
	mutex_unlock(&dev->bos.lock);
	return found;
}

/* Buffers that are out of VRAM get a place, and come home if there may be room. */
void svm_drm_bos_work(struct work_struct *work)
{
	struct svm_drm_device *dev = container_of(work, struct svm_drm_device, bos.work);
	bool room = xchg(&dev->bos.room, false); /* with svm_drm_bos_tell_of_room() */
	struct svm_drm_bo *bo;
	unsigned int left;

	mutex_lock(&dev->bos.lock);
	left = list_count_nodes(&dev->bos.out);
	mutex_unlock(&dev->bos.lock);
	while ((bo = next_out(dev, &left))) {
		/* Should either fail: it is where it was, and a fault tries again. */
		if (room && !svm_drm_error(dev) && bo->where == SVM_DRM_BO_SYSTEM && !bo->pins)
			to_vram(bo, false);
		if (!bo->placed && bo->where != SVM_DRM_BO_NOWHERE)
			place(bo);
		dma_resv_unlock(bo->gem.resv);
		svm_drm_bo_unref(bo);
		cond_resched();
	}
}

int svm_drm_bos_evict_all(struct svm_drm_device *dev)
{
	bool empty;

	/*
	 * With the READ_ONCE() in take_vram(): a worker that saw the old value has ended after the
	 * next line, and what it moved is in the list.
	 */
	WRITE_ONCE(dev->bos.closed, true);
	cancel_work_sync(&dev->bos.work);
	do {
		mutex_lock(&dev->bos.lock);
		empty = list_empty(&dev->bos.in);
		mutex_unlock(&dev->bos.lock);
		if (empty && !svm_drm_pages_evict_all(dev))
			return 0;
	} while (!empty && svm_drm_bo_send_away(dev, 0));
	svm_drm_bos_return(dev);
	return empty ? -EBUSY : -ENOMEM;
}
EXPORT_SYMBOL_GPL(svm_drm_bos_evict_all);

void svm_drm_bos_return(struct svm_drm_device *dev)
{
	WRITE_ONCE(dev->bos.closed, false);
	svm_drm_bos_tell_of_room(dev);
}
EXPORT_SYMBOL_GPL(svm_drm_bos_return);
