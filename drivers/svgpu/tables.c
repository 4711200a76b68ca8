// SPDX-License-Identifier: GPL-2.0-only
/*
 * What svmirror needs of us: memory for page tables, and the TLB.
 *
 * Tables lie in VRAM or in system memory (module parameter `tables`); the entry
 * above a table says which. VRAM that is given back is poisoned by the device
 * before anybody gets it again, so that a walker that kept a pointer to it reads
 * nonsense, not somebody else's pages. Poisoning is not waited for when memory
 * is given back: the allocator takes back what is done whenever it is asked for
 * more, and waits only where there is nothing else.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "svgpu.h"

struct vram_block {
	struct drm_mm_node node;
	struct list_head link;	/* in vram->poisoning */
	u64 poisoned;		/* sync operation that fills it */
};

void svgpu_vram_init(struct svgpu_device *dev)
{
	mutex_init(&dev->vram.lock);
	INIT_LIST_HEAD(&dev->vram.poisoning);
	/* Address 0 is left out: in an mlx5 table it is the key that leads nowhere. */
	drm_mm_init(&dev->vram.mm, SZ_4K, dev->vram_bytes - SZ_4K);
}

/* Takes back poisoned blocks, all (at the end, or wedged) or those that are done. */
static void vram_reap(struct svgpu_device *dev, bool all)
{
	struct vram_block *block, *next;

	lockdep_assert_held(&dev->vram.lock);
	list_for_each_entry_safe(block, next, &dev->vram.poisoning, link) {
		if (!all && !svgpu_error(dev) &&
		    !svgpu_sync_done(dev, block->poisoned))
			return;
		list_del(&block->link);
		drm_mm_remove_node(&block->node);
		kfree(block);
	}
}

/* No table is left, and the device has no epoch: what it was to poison it has lost. */
void svgpu_vram_forget(struct svgpu_device *dev)
{
	mutex_lock(&dev->vram.lock);
	vram_reap(dev, true);
	mutex_unlock(&dev->vram.lock);
}

/* No table is left. */
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
		    u32 bytes, u64 *wait)
{
	struct svgpu_vram *vram = &dev->vram;
	struct vram_block *oldest;
	int ret;

	mutex_lock(&vram->lock);
	vram_reap(dev, false);
	/* What links ask for: NVIDIA's hold an address in units of 4 KiB. */
	ret = drm_mm_insert_node_generic(&vram->mm, &block->node, bytes, SZ_4K,
					 0, DRM_MM_INSERT_BEST);
	oldest = list_first_entry_or_null(&vram->poisoning, struct vram_block,
					  link);
	*wait = ret && oldest ? oldest->poisoned : 0;
	mutex_unlock(&vram->lock);
	return ret;
}

/* Return: 0; -ENOSPC: VRAM is full, which tables of other vms can change; -ENOMEM */
static int vram_alloc(struct svgpu_device *dev, u32 bytes,
		      struct svm_table_mem *mem)
{
	struct vram_block *block = kzalloc(sizeof(*block), GFP_KERNEL_ACCOUNT);
	void __iomem *cpu;
	u64 wait;
	int ret;

	if (!block)
		return -ENOMEM;
	/* Ends: each round takes back at least the block that it waited for. */
	for (;;) {
		ret = vram_try(dev, block, bytes, &wait);
		if (!ret || !wait)
			break;
		svgpu_sync_wait(dev, wait, true);
	}
	if (ret) {
		kfree(block);
		return ret;
	}
	cpu = dev->bar + SVGPU_VRAM_OFFSET + block->node.start;
	memset_io(cpu, 0, bytes);
	/*
	 * Zero before anything leads here: pairs with the device's walk, and with other CPUs'
	 * reads of it.
	 */
	wmb();
	/* Plain loads and stores work on a write-combining mapping of memory. */
	mem->cpu = (void __force *)cpu;
	mem->addr = block->node.start;
	mem->priv = block;
	mem->aperture = SVM_VRAM;
	return 0;
}

static void vram_free(struct svgpu_device *dev, struct vram_block *block)
{
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_POISON,
		.start = block->node.start,
		.end = block->node.start + block->node.size,
	};

	/* Under the lock, so that the list is in the order of the ring. */
	mutex_lock(&dev->vram.lock);
	block->poisoned = svgpu_sync_begin(dev, &op, NULL);
	list_add_tail(&block->link, &dev->vram.poisoning);
	mutex_unlock(&dev->vram.lock);
}

/*
 * Never -ENOSPC: where the host's memory is short, the kernel has asked the shrinker for
 * idle tables already, and a limit of a memory cgroup concerns its own processes only.
 */
static int system_alloc(struct svgpu_device *dev, u32 bytes,
			struct svm_table_mem *mem)
{
	dma_addr_t addr;
	struct page *page;

	/* What the device reaches as it is: a bounced page were a copy that nobody updates. */
	page = dma_alloc_pages(&dev->pdev->dev, PAGE_ALIGN(bytes), &addr,
			       DMA_BIDIRECTIONAL, GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	mem->cpu = page_address(page);
	mem->addr = addr;
	mem->priv = page;
	mem->aperture = SVM_SYSTEM;
	return 0;
}

static int table_alloc(void *backend, u32 bytes, struct svm_table_mem *mem)
{
	struct svgpu_device *dev = svgpu_of(backend);
	int ret;

	ret = svgpu_tables_in_vram ? vram_alloc(dev, bytes, mem) :
				     system_alloc(dev, bytes, mem);
	if (ret)
		return ret;
	mem->bytes = bytes;
	atomic_inc(&dev->table_total);
	return 0;
}

static void table_free(void *backend, const struct svm_table_mem *mem)
{
	struct svgpu_device *dev = svgpu_of(backend);

	if (mem->aperture == SVM_VRAM)
		vram_free(dev, mem->priv);
	else
		dma_free_pages(&dev->pdev->dev, PAGE_ALIGN(mem->bytes),
			       mem->priv, mem->addr, DMA_BIDIRECTIONAL);
	atomic_dec(&dev->table_total);
}

static u64 flush_begin(void *backend, u64 start, u64 end)
{
	struct svgpu_vm *vm = to_svgpu_vm(backend);
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_INVALIDATE,
		.context = vm->base.context,
		.start = start,
		.end = end,
	};

	/*
	 * Before its context is set and after it is cleared, the device holds
	 * nothing. Setting is told by svgpu_context_start() before it tells the
	 * device, clearing by svgpu_context_stopped() after the device's acknowledge.
	 * Between the CLEAR and that, the CLEAR is waited for.
	 */
	if (!READ_ONCE(vm->live))
		return 0;
	return svgpu_sync_begin(svgpu_of(backend), &op, &vm->cleared);
}

static void flush_wait(void *backend, u64 token, bool may_sleep)
{
	svgpu_sync_wait(svgpu_of(backend), token, may_sleep);
}

static void publish(void *backend)
{
	/*
	 * Stores to a write-combining mapping are ordered by nothing less.
	 * Pairs with the device's loads of entries after it was told to retry.
	 */
	wmb();
}

static bool lost(void *backend)
{
	struct svgpu_device *dev = svgpu_of(backend);

	/*
	 * The entries that were read, then the generation: pairs with the
	 * device, which changes its generation before it touches VRAM again.
	 */
	rmb();
	if (readq(dev->bar + SVGPU_REG_GENERATION) == dev->generation)
		return false;
	/* It says so. What follows gives pages back without a flush: see to it that it is true. */
	svgpu_device_wedge(dev, "it was started again");
	return true;
}

/* Before the unplugging waits for ioctls: drm_dev_unplug() says so first. */
static int gone(void *backend)
{
	struct svgpu_device *dev = svgpu_of(backend);

	return drm_dev_is_unplugged(&dev->drm) ? -ENODEV : svgpu_error(dev);
}

/* What a device loses when it is reset; tables in system memory stay. */
const struct svm_backend_ops svgpu_vram_ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
	.lost = lost,
	.gone = gone,
};

const struct svm_backend_ops svgpu_system_ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
	.gone = gone,
};
