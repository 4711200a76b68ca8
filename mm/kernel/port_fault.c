// SPDX-License-Identifier: GPL-2.0-only
/*
 * One pass of a fault: ask the CPU's side for pages, map them for DMA.
 *
 * In this order, the whole of it without any heap allocation of ours:
 * read_begin, mmap_lock, the faulting page, then either one block or
 * (the wanted neighbours, a snapshot of the span), unlock, DMA.
 *
 * The sequence: read_begin and hmm look at ->mm and ->invalidate_seq of a
 * notifier only. So one is built here on the stack, from the table's own sequence,
 * and never inserted. A copy that is stale by now makes read_begin return an old
 * sequence, which the core's check under the table lock finds out.
 */
#include <linux/hmm.h>
#include <linux/sched/mm.h>

#include "port_pass.h"
#include "svm_trace.h"

/* Does one CPU mapping cover the block around f->cpu? Then its first pfn. */
static bool covers_block(const struct pass *p, unsigned long *pfn)
{
	const struct port_fault *f = p->f;
	u64 start, pages;

	if (f->block_lg2 <= PAGE_SHIFT ||
	    hmm_pfn_to_map_order(p->pfn) + PAGE_SHIFT < f->block_lg2)
		return false;
	pages = 1ull << (f->block_lg2 - PAGE_SHIFT);
	start = ALIGN_DOWN(f->cpu, pages << PAGE_SHIFT);
	/* The order may reach past the VMA. */
	if (start < max_t(u64, f->block_start, p->vma->vm_start) ||
	    start + (pages << PAGE_SHIFT) > min_t(u64, f->block_end, p->vma->vm_end))
		return false;
	*pfn = page_to_pfn(hmm_pfn_to_page(p->pfn)) -
	       ((f->cpu - start) >> PAGE_SHIFT);
	return IS_ALIGNED(*pfn, pages);
}

/* Step 2a: one mapping is the whole answer, if the device gets it in one piece. */
static bool map_block(struct pass *p)
{
	struct port_fault *f = p->f;
	unsigned long pfn;
	u64 dma;

	if (!covers_block(p, &pfn) ||
	    svm_dma_map(p->d, pfn_to_page(pfn), f->block_lg2, &dma))
		return false;
	f->page[0] = dma | PORT_PAGE_VALID |
		     (p->pfn & HMM_PFN_WRITE ? PORT_PAGE_WRITE : 0);
	f->block = true;
	return true;
}

/* Steps 1 to 3, under mmap_lock. */
static int ask_all(struct pass *p)
{
	int err = svm_ask_page(p);

	if (err || map_block(p))
		return err;
	err = svm_ask_neighbours(p);
	return err ?: svm_snapshot(p);
}

/* Turns hmm's word of a mappable page into one of ours, mapped for DMA; 0: leave it out. */
static int map_page(struct port_domain *d, u64 *word)
{
	unsigned long pfn = *word;
	int err;
	u64 dma;

	*word = 0;
	if (!pfn)
		return 0;
	err = svm_dma_map(d, hmm_pfn_to_page(pfn), PAGE_SHIFT, &dma);
	if (!err)
		*word = dma | PORT_PAGE_VALID |
			(pfn & HMM_PFN_WRITE ? PORT_PAGE_WRITE : 0);
	return err;
}

/* Step 4: only the faulting page must come through. */
static int map_pages(struct pass *p)
{
	struct port_fault *f = p->f;
	unsigned long n = (f->end - f->start) >> PAGE_SHIFT;
	unsigned long fault = (f->cpu - f->start) >> PAGE_SHIFT, i;
	int err;

	/* It first: on failure there is nothing to undo. */
	err = map_page(p->d, &f->page[fault]);
	if (err || !f->page[fault])
		return err ?: -EBUSY;
	for (i = 0; i < n; i++)
		if (i != fault)
			map_page(p->d, &f->page[i]);
	return 0;
}

static int run_pass(struct pass *p)
{
	struct port_fault *f = p->f;
	struct mm_struct *mm = p->d->mm;
	int err;

	p->shadow.mm = mm;
	p->shadow.invalidate_seq = f->seq;
	/* Waits while the sequence is that of an invalidation under way. */
	f->seq = mmu_interval_read_begin(&p->shadow);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	err = ask_all(p);
	mmap_read_unlock(mm);
	if (err || f->block)
		return err;
	return map_pages(p);
}

/**
 * port_fault() - one pass of a fault
 * @d: domain
 * @f: what is wanted; and the answer
 *
 * Context: in a session; sleeps; takes mmap_lock for reading, killably. Neither storage
 * nor a process is waited for: that is port_wait()'s. No lock held but a reader section.
 * Return: 0; -EFAULT (nothing there, or no memory that a device may reach);
 * -EPERM (not for writing); -EBUSY (the CPU's side moved: again); -ENOMEM;
 * -EINTR (killed); -EIO (the device cannot address the page itself); -EINPROGRESS
 * (port_wait() first).
 */
int port_fault(struct port_domain *d, struct port_fault *f)
{
	struct pass p = { .d = d, .f = f };
	int err;

	f->block = false;
	if (WARN_ON_ONCE(current->mm != d->mm))
		return -EFAULT;
	err = run_pass(&p);
	trace_svm_fault(d, f->cpu, f->write, f->block, f->seq, err);
	return err;
}
