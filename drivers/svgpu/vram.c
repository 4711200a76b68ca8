// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's own memory: page tables and buffer objects share it.
 *
 * The device poisons what is given back before it is given out again. So a walker that kept a
 * pointer to a table reads nonsense, not another process's pages, and no process reads what
 * another one left. Poisoning is not waited for when memory is given back: the allocator
 * takes back what is done whenever it is asked for more, and waits only where there is
 * nothing else.
 */
#include <linux/slab.h>

#include "svgpu.h"

struct vram_block {
	struct svm_drm_vram_block base;	/* its link: in a buffer, or in vram->poisoning */
	struct drm_mm_node node;
	u64 poisoned;		/* sync operation that fills it */
};

static struct vram_block *to_block(struct svm_drm_vram_block *base)
{
	return container_of(base, struct vram_block, base);
}

void svgpu_vram_init(struct svgpu_device *dev)
{
	mutex_init(&dev->vram.lock);
	INIT_LIST_HEAD(&dev->vram.poisoning);
	/* Address 0 is left out: in an mlx5 table it is the key that leads nowhere. */
	drm_mm_init(&dev->vram.mm, SZ_4K, dev->vram_bytes - SZ_4K);
	dev->svm.vram = (struct svm_drm_vram){
		.cpu = dev->bar + SVGPU_VRAM_OFFSET,
		.bus = pci_resource_start(dev->pdev, 2) + SVGPU_VRAM_OFFSET,
		.bytes = dev->vram_bytes - SZ_4K,
	};
}

/* Takes back poisoned blocks, all (at the end, or wedged) or those that are done. */
static void vram_reap(struct svgpu_device *dev, bool all)
{
	struct vram_block *block, *next;

	lockdep_assert_held(&dev->vram.lock);
	list_for_each_entry_safe(block, next, &dev->vram.poisoning, base.link) {
		if (!all && !svgpu_error(dev) &&
		    !svgpu_sync_done(dev, block->poisoned))
			return;
		list_del(&block->base.link);
		drm_mm_remove_node(&block->node);
		kfree(block);
	}
}

/* Nothing is left in it, and the device has no epoch: what it was to poison it has lost. */
void svgpu_vram_forget(struct svgpu_device *dev)
{
	mutex_lock(&dev->vram.lock);
	vram_reap(dev, true);
	mutex_unlock(&dev->vram.lock);
}

/* Nothing is left in it. */
void svgpu_vram_fini(struct svgpu_device *dev)
{
	svgpu_vram_forget(dev);
	drm_mm_takedown(&dev->vram.mm);
	mutex_destroy(&dev->vram.lock);
}

/*
 * Return: 0, or -ENOSPC and in *@wait the operation after which it is worth trying
 * again, or 0.
 */
static int vram_try(struct svgpu_device *dev, struct vram_block *block,
		    u64 bytes, u64 *wait)
{
	struct svgpu_vram *vram = &dev->vram;
	struct vram_block *oldest;
	int ret;

	mutex_lock(&vram->lock);
	vram_reap(dev, false);
	/* What links ask for: NVIDIA's hold an address in units of 4 KiB. */
	ret = drm_mm_insert_node_generic(&vram->mm, &block->node, bytes,
					 bytes < SZ_2M ? SZ_4K : SZ_2M, 0,
					 DRM_MM_INSERT_BEST);
	oldest = list_first_entry_or_null(&vram->poisoning, struct vram_block,
					  base.link);
	*wait = ret && oldest ? oldest->poisoned : 0;
	mutex_unlock(&vram->lock);
	return ret;
}

/**
 * svgpu_vram_alloc() - a contiguous block
 * @dev: the device
 * @bytes: how large, a multiple of 4 KiB; aligned to 2 MiB from there on
 *
 * It holds nonsense. Should there be none, blocks that are being poisoned are waited for.
 * Context: process; sleeps.
 * Return: the block; -ENOSPC: VRAM is full; -ENOMEM.
 */
struct svm_drm_vram_block *svgpu_vram_alloc(struct svgpu_device *dev, u64 bytes)
{
	struct vram_block *block = kzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	u64 wait;
	int ret;

	if (!block)
		return ERR_PTR(-ENOMEM);
	/* Ends: each round takes back at least the block that it waited for. */
	for (;;) {
		ret = vram_try(dev, block, bytes, &wait);
		if (!ret || !wait)
			break;
		svgpu_sync_wait(dev, wait, true);
	}
	if (ret) {
		kfree(block);
		return ERR_PTR(ret);
	}
	block->base.start = block->node.start;
	block->base.bytes = bytes;
	return &block->base;
}

/**
 * svgpu_vram_free() - give a block back
 * @dev: the device
 * @base: in no list; the device reaches it no more
 *
 * Context: process; sleeps.
 */
void svgpu_vram_free(struct svgpu_device *dev, struct svm_drm_vram_block *base)
{
	struct vram_block *block = to_block(base);
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_POISON,
		.start = block->node.start,
		.end = block->node.start + block->node.size,
	};

	/* Under the lock, so that the list is in the order of the ring. */
	mutex_lock(&dev->vram.lock);
	block->poisoned = svgpu_sync_begin(dev, &op, NULL);
	list_add_tail(&base->link, &dev->vram.poisoning);
	mutex_unlock(&dev->vram.lock);
}

/* For svm_drm_ops.vram_free. */
void svgpu_bo_vram_free(struct svm_drm_device *svm, struct list_head *blocks)
{
	struct svm_drm_vram_block *block, *next;

	list_for_each_entry_safe(block, next, blocks, link) {
		list_del(&block->link);
		svgpu_vram_free(container_of(svm, struct svgpu_device, svm), block);
	}
}

/* For svm_drm_ops.vram_alloc: one block, or a few large ones. */
int svgpu_bo_vram_alloc(struct svm_drm_device *svm, u64 bytes, struct list_head *blocks)
{
	struct svgpu_device *dev = container_of(svm, struct svgpu_device, svm);
	struct svm_drm_vram_block *block;
	/* Each is poisoned by one operation, which others wait for. */
	u64 most = min_t(u64, bytes, SZ_64M);

	while (bytes) {
		most = min(most, bytes);
		block = svgpu_vram_alloc(dev, most);
		if (!IS_ERR(block)) {
			list_add_tail(&block->link, blocks);
			bytes -= most;
			continue;
		}
		if (PTR_ERR(block) != -ENOSPC || most == SZ_4K) {
			svgpu_bo_vram_free(svm, blocks);
			return PTR_ERR(block);
		}
		/* It did not fit: about half of it may. */
		most = most > SZ_2M ? round_up(most / 2, SZ_2M) :
				      rounddown_pow_of_two(most - 1);
	}
	return 0;
}
