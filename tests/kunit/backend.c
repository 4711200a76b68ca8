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
	unsigned long page, pages = PFN_UP(mem->bytes), free = 0;

	/* One thread at a time may be here: its users run no parallel faults. */
	for (page = 0; page < 1ul << POOL_ORDER && free < pages; page++) {
		u64 *cpu = page_address(b->pool + page);

		free = *cpu == ~0ull ? free + 1 : 0;
	}
	if (free < pages)
		return -ENOSPC;
	page -= pages;
	mem->cpu = page_address(b->pool + page);
	memset(mem->cpu, 0, pages << PAGE_SHIFT);
	mem->addr = VRAM_BASE + (page << PAGE_SHIFT);
	mem->aperture = SVM_VRAM;
	b->used += pages;
	return 0;
}

static int fake_alloc(void *backend, u32 bytes, struct svm_table_mem *mem)
{
	struct backend *b = backend;
	int nth = atomic_inc_return(&b->allocs);

	might_sleep();
	if (b->on_alloc)
		b->on_alloc(b);
	mem->bytes = bytes;
	if (nth == b->fail_at || bytes > BACKEND_TABLE_MAX)
		return -ENOMEM;
	if (b->full_after && nth > b->full_after)
		return -ENOSPC;
	if (b->vram) {
		int err = pool_alloc(b, mem);

		if (err)
			return err;
	} else {
		mem->cpu = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(bytes));
		if (!mem->cpu)
			return -ENOMEM;
		mem->addr = virt_to_phys(mem->cpu);
		mem->aperture = SVM_SYSTEM;
	}
	mem->priv = b;
	atomic_inc(&b->live);
	return 0;
}

static void fake_free(void *backend, const struct svm_table_mem *mem)
{
	struct backend *b = backend;

	might_sleep();
	WARN_ON(mem->priv != b || atomic_dec_return(&b->live) < 0);
	if (b->vram) {
		memset(mem->cpu, 0xff, PAGE_ALIGN(mem->bytes));
		b->used -= PFN_UP(mem->bytes);
	} else {
		free_pages((unsigned long)mem->cpu, get_order(mem->bytes));
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

void *backend_entry(const struct backend *b, u64 addr, bool vram)
{
	if (vram != b->vram || addr % sizeof(u64))
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
