// SPDX-License-Identifier: GPL-2.0-only
/*
 * One pass of a fault or a prefetch: ask the CPU's side for pages, map them for DMA.
 *
 * In this order, the whole of it without any heap allocation of ours: read_begin,
 * mmap_lock, one block or the pages of the span, DMA, unlock. The DMA mapping is
 * made under mmap_lock; it never sleeps. Most devices need none: see port_dma.c.
 *
 * The sequence: read_begin and hmm look at ->mm and ->invalidate_seq of a
 * notifier only. So one is built here on the stack, from the table's own sequence,
 * and never inserted. A copy that is stale by now makes read_begin return an old
 * sequence, which the core's check under the table lock finds out.
 */
#include <linux/sched/mm.h>

#include "port_dma.h"
#include "port_pass.h"
#include "svm_trace.h"

/* Does one CPU mapping cover the block around f->cpu, which its VMA holds? Then its first pfn. */
static bool covers_block(const struct pass *p, unsigned long *pfn)
{
	const struct port_fault *f = p->f;
	u64 size = 1ull << f->block_lg2;

	if (!p->pfn || hmm_pfn_to_map_order(p->pfn) + PAGE_SHIFT < f->block_lg2)
		return false;
	/* Of the device's memory, core mm has small pages only: they are looked at one by one. */
	if (data_race(is_device_private_page(hmm_pfn_to_page(p->pfn))))
		return false;
	*pfn = page_to_pfn(hmm_pfn_to_page(p->pfn)) -
	       ((f->cpu & (size - 1)) >> PAGE_SHIFT);
	return IS_ALIGNED(*pfn, size >> PAGE_SHIFT);
}

/* A word of the core's for hmm's @pfn. */
static u64 word_of(unsigned long pfn, u64 dma)
{
	return dma >> PAGE_SHIFT | (pfn & (HMM_PFN_VALID | HMM_PFN_WRITE));
}

/* Step 1b: one mapping is the whole answer, if the device gets it in one piece. */
static bool map_block(struct pass *p)
{
	struct port_fault *f = p->f;
	unsigned long pfn;
	u64 dma;

	if (!covers_block(p, &pfn) ||
	    svm_dma_map(p->d, pfn_to_page(pfn), f->block_lg2, &dma))
		return false;
	f->page[0] = word_of(p->pfn, dma);
	f->block = true;
	f->mapped = 1;
	return true;
}

/* Turns hmm's word of a mappable page into one of ours, mapped for DMA, or into 0. */
static int map_page(struct port_fault *f, struct port_domain *d, u64 *word)
{
	unsigned long pfn = *word;
	int err;
	u64 dma;

	if (pfn & PORT_PAGE_VRAM)
		return 0;
	*word = 0;
	if (!(pfn & HMM_PFN_VALID))
		return 0;
	err = svm_dma_map(d, hmm_pfn_to_page(pfn), PAGE_SHIFT, &dma);
	if (err)
		f->mapped--;
	else
		*word = word_of(pfn, dma);
	return err;
}

/* Step 3: only the page of a fault must come through. */
static int map_pages(struct pass *p)
{
	struct port_fault *f = p->f;
	unsigned long n = svm_pass_index(f, f->end), i;
	unsigned long page = svm_pass_index(f, f->cpu);
	int err;

	if (f->must && !(f->page[page] & HMM_PFN_VALID))
		return -EBUSY;
	if (svm_dma_is_hmms(p->d)) {
		svm_dma_mapped(f->mapped - f->lent);
		return 0;
	}
	/* The page of a fault first: on failure there is nothing to undo. */
	if (f->must) {
		err = map_page(f, p->d, &f->page[page]);
		if (err)
			return err;
	}
	for (i = 0; i < n; i++)
		if (!f->must || i != page)
			map_page(f, p->d, &f->page[i]);
	return 0;
}

/* Steps 1 to 3, under mmap_lock. */
static int ask_all(struct pass *p)
{
	int err;

	if (p->f->alone)
		return svm_ask_alone(p) ?: map_pages(p);
	err = svm_ask_page(p);
	if (err || map_block(p))
		return err;
	err = svm_ask_span(p);
	return err ?: map_pages(p);
}

static int run_pass(struct pass *p)
{
	struct port_fault *f = p->f;
	int err;

	p->shadow.mm = p->d->mm;
	p->shadow.invalidate_seq = f->seq;
	/* Waits while the sequence is that of an invalidation under way. */
	f->seq = mmu_interval_read_begin(&p->shadow);
	if (svm_mmap_lock(p->d))
		return -EINTR;
	err = ask_all(p);
	svm_mmap_unlock(p->d);
	return err;
}

/**
 * port_fault() - one pass of a fault or a prefetch
 * @d: domain
 * @f: what is wanted; and the answer
 *
 * Context: in a session; sleeps; takes mmap_lock for reading, killably. Neither storage
 * nor a process is waited for: that is port_wait()'s. No lock held but a reader section.
 * Return: 0; -EFAULT (nothing there, or no memory that a device may reach);
 * -EPERM (not for writing); -EBUSY (the CPU's side moved: again); -ENOMEM;
 * -EINTR (killed); -EIO (the device cannot address the page itself); -EOPNOTSUPP
 * (it cannot be taken away from the CPU); -EINPROGRESS
 * (port_wait() first). A prefetch: 0, -EBUSY, -ENOMEM, -EINTR.
 */
int port_fault(struct port_domain *d, struct port_fault *f)
{
	struct pass p = { .d = d, .f = f };
	int err;

	f->block = false;
	f->mapped = 0;
	f->lent = 0;
	f->wait = PORT_NO_PAGE;
	if (WARN_ON_ONCE(current->mm != d->mm))
		return -EFAULT;
	err = run_pass(&p);
	trace_svm_fault(d, f->cpu, f->write, f->block, f->seq, err);
	return err;
}
