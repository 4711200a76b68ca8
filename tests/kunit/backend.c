// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake device: tables in system memory or in a pool that stands for VRAM. It
 * has no TLB; a flush is counted, and its token must come back to flush_wait().
 */
#include <linux/gfp.h>
#include <linux/io.h>

#include "svm_kunit.h"

/* VRAM addresses begin here, so that an offset is never taken for a physical address. */
#define VRAM_BASE	0x40000000ull

static int pool_alloc(struct backend *b, struct svm_table_mem *mem)
{
	unsigned long page;

	/* One thread at a time may be here: its users run no parallel faults. */
	for (page = 0; page < 1ul << POOL_ORDER; page++) {
		void *cpu = page_address(b->pool + page);

		if (*(u64 *)cpu != ~0ull)
			continue;
		memset(cpu, 0, PAGE_SIZE);
		mem->cpu = cpu;
		mem->addr = VRAM_BASE + (page << PAGE_SHIFT);
		mem->aperture = SVM_VRAM;
		b->used++;
		return 0;
	}
	return -ENOSPC;
}

static int fake_alloc(void *backend, u32 bytes, struct svm_table_mem *mem)
{
	struct backend *b = backend;
	int nth = atomic_inc_return(&b->allocs);

	might_sleep();
	if (b->on_alloc)
		b->on_alloc(b);
	if (nth == b->fail_at || bytes > PAGE_SIZE)
		return -ENOMEM;
	if (b->full_after && nth > b->full_after)
		return -ENOSPC;
	if (b->vram) {
		int err = pool_alloc(b, mem);

		if (err)
			return err;
	} else {
		mem->cpu = (void *)get_zeroed_page(GFP_KERNEL);
		if (!mem->cpu)
			return -ENOMEM;
		mem->addr = virt_to_phys(mem->cpu);
		mem->aperture = SVM_SYSTEM;
	}
	mem->priv = b;
	mem->bytes = bytes;
	atomic_inc(&b->live);
	return 0;
}

static void fake_free(void *backend, const struct svm_table_mem *mem)
{
	struct backend *b = backend;

	might_sleep();
	WARN_ON(mem->priv != b || atomic_dec_return(&b->live) < 0);
	if (b->vram) {
		memset(mem->cpu, 0xff, PAGE_SIZE);
		b->used--;
	} else {
		free_page((unsigned long)mem->cpu);
	}
}

static u64 fake_flush_begin(void *backend, u64 start, u64 end)
{
	struct backend *b = backend;

	WARN_ON(start >= end || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(end));
	/* Of several at once the later one stays; who asks has only one. */
	WRITE_ONCE(b->flush_start, start);
	WRITE_ONCE(b->flush_end, end);
	if (b->on_flush)
		b->on_flush(b, start, end);
	return atomic64_inc_return(&b->flushes);
}

static void fake_flush_wait(void *backend, u64 token, bool may_sleep)
{
	struct backend *b = backend;

	if (may_sleep)
		might_sleep();
	WARN_ON(!token || token > atomic64_read(&b->flushes));
	atomic64_inc(&b->waited);
}

static bool fake_lost(void *backend)
{
	struct backend *b = backend;

	return READ_ONCE(b->lost);
}

const struct svm_backend_ops backend_ops = {
	.table_alloc = fake_alloc,
	.table_free = fake_free,
	.flush_begin = fake_flush_begin,
	.flush_wait = fake_flush_wait,
	.lost = fake_lost,
};

void *backend_table(const struct backend *b, u64 addr, bool vram)
{
	if (vram != b->vram || !PAGE_ALIGNED(addr))
		return NULL;
	if (!vram)
		return pfn_valid(PHYS_PFN(addr)) ? phys_to_virt(addr) : NULL;
	if (addr < VRAM_BASE || addr - VRAM_BASE >= PAGE_SIZE << POOL_ORDER)
		return NULL;
	return page_address(b->pool) + (addr - VRAM_BASE);
}

int backend_init(struct backend *b, bool vram)
{
	b->vram = vram;
	if (!vram)
		return 0;
	b->pool = alloc_pages(GFP_KERNEL, POOL_ORDER);
	if (!b->pool)
		return -ENOMEM;
	/* Free pages are poison: a walk into one is no table. */
	memset(page_address(b->pool), 0xff, PAGE_SIZE << POOL_ORDER);
	return 0;
}

void backend_exit(struct backend *b)
{
	if (b->pool)
		__free_pages(b->pool, POOL_ORDER);
}

void backend_reset(struct backend *b)
{
	WRITE_ONCE(b->lost, true);
	/* Whatever scribbles shows as lost before; pairs with the core's order of reading. */
	smp_wmb();
	memset(page_address(b->pool), 0xdb, PAGE_SIZE << POOL_ORDER);
}
