// SPDX-License-Identifier: GPL-2.0-only
/*
 * What svmirror needs of us: memory for page tables, and the TLB.
 *
 * Tables lie in VRAM (vram.c) or in system memory (module parameter `tables`); the entry
 * above a table says which.
 */
#include <linux/dma-mapping.h>

#include <drm/drm_drv.h>

#include "svgpu.h"

#define EVICT_MAX	8 /* buffers that one table sends away */

/* Return: 0; -ENOSPC: VRAM is full, which tables of other vms can change; -ENOMEM */
static int vram_alloc(struct svgpu_device *dev, u32 bytes,
		      struct svm_table_mem *mem)
{
	struct svm_drm_vram_block *block;
	unsigned int tries = EVICT_MAX;
	void __iomem *cpu;

	/* Tables are small beside buffers: one that goes makes room, unless others take it. */
	do
		block = svgpu_vram_alloc(dev, round_up(bytes, SZ_4K));
	while (block == ERR_PTR(-ENOSPC) && tries-- && svm_drm_bo_evict(&dev->svm));
	if (IS_ERR(block))
		return PTR_ERR(block);
	cpu = dev->bar + SVGPU_VRAM_OFFSET + block->start;
	memset_io(cpu, 0, bytes);
	/*
	 * Zero before anything leads here: pairs with the device's walk, and with other CPUs'
	 * reads of it.
	 */
	wmb();
	/* Plain loads and stores work on a write-combining mapping of memory. */
	mem->cpu = (void __force *)cpu;
	mem->addr = block->start;
	mem->priv = block;
	mem->aperture = SVM_VRAM;
	return 0;
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
		svgpu_vram_free(dev, mem->priv);
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
	.stop = svgpu_jobs_stop,
	.resume = svgpu_jobs_resume,
};

const struct svm_backend_ops svgpu_system_ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
	.gone = gone,
	.stop = svgpu_jobs_stop,
	.resume = svgpu_jobs_resume,
};
