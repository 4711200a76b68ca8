// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU's tables say: the steps of port_fault.c that run under mmap_lock.
 *
 * hmm looks and never faults: a page that must be present and is not is brought by
 * port_bring.c, and then looked for again. hmm looks at ->mm and ->invalidate_seq of
 * the notifier that it is given; ours is a copy that no callback changes, so its loop
 * ends by its own progress alone.
 */
#include <linux/hmm.h>
#include <linux/memremap.h>
#include <linux/sched/signal.h>

#include "port_pass.h"

/* hmm writes its pfns where the core wants its answer. */
static_assert(sizeof(unsigned long) == sizeof(u64));
static_assert(PAGE_SHIFT == PORT_PAGE_LG2);

#define RUN_PAGES	32	/* of neighbours, between two looks at signals */
#define SNAPSHOT_PAGES	512	/* a 2 MiB table; longer spans take several turns */
#define BRING_TURNS	3	/* a page that goes so often is for another pass */

/* hmm's words for [@start, @end), as the CPU's tables stand. 0 or -EFAULT. */
static int look(struct pass *p, u64 start, u64 end, unsigned long *pfns)
{
	struct hmm_range range = {
		.notifier = &p->shadow,
		.notifier_seq = p->shadow.invalidate_seq,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.dev_private_owner = p->d->dev,
	};

	/* hmm of newer kernels carries some bits from input to output. */
	memset(pfns, 0, ((end - start) >> PAGE_SHIFT) * sizeof(*pfns));
	return hmm_range_fault(&range);
}

/* hmm's word for a page that allows what the fault wants. */
static bool satisfies(unsigned long pfn, bool write)
{
	return (pfn & HMM_PFN_VALID) && !(pfn & HMM_PFN_ERROR) &&
	       (!write || (pfn & HMM_PFN_WRITE));
}

/*
 * May the page be reached by DMA through dma_map_page()? Device memory has its
 * own ways; only another device's can turn up in a CPU mapping here. Asked under
 * mmap_lock, which keeps the mapping that the page was found in.
 */
static bool is_host_memory(const struct page *page)
{
	/* The zone shares a word with flags that others set meanwhile; it is constant itself. */
	return data_race(!is_device_private_page(page) &&
			 !is_device_coherent_page(page) &&
			 !is_pci_p2pdma_page(page));
}

/* hmm's word for a page that a leaf may lead to. */
static bool is_mappable(unsigned long pfn)
{
	return satisfies(pfn, false) &&
	       is_host_memory(hmm_pfn_to_page(pfn));
}

/* Step 1: the faulting page alone. 0: p->pfn satisfies the fault. */
int svm_ask_page(struct pass *p)
{
	const struct port_fault *f = p->f;
	unsigned int turn;
	int err;

	p->vma = svm_vma_at(p->d->mm, f->cpu);
	err = p->vma ? svm_vma_permits(p->vma, f->write) : -EFAULT;
	if (err)
		return err;
	if (p->vma->vm_start > f->cpu)
		return -EINPROGRESS;
	for (turn = 0;; turn++) {
		err = look(p, f->cpu, f->cpu + PAGE_SIZE, &p->pfn);
		if (err || (p->pfn & HMM_PFN_ERROR))
			return err == -EBUSY ? err : -EFAULT;
		if (satisfies(p->pfn, f->write))
			return is_host_memory(hmm_pfn_to_page(p->pfn)) ? 0 : -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (turn == BRING_TURNS)
			return -EBUSY;
		if (svm_must_wait(p->vma, f->cpu))
			return -EINPROGRESS;
		err = svm_bring(p->vma, f->cpu, f->write);
		if (err)
			return err;
	}
}

/* Makes present what can be had of [@start, @end) at once. False: waiting has begun. */
static bool bring_run(struct pass *p, u64 start, u64 end)
{
	unsigned long pfns[RUN_PAGES], *pfn = pfns;
	u64 at;

	if (look(p, start, end, pfns))
		return true;
	for (at = start; at < end; at += PAGE_SIZE, pfn++) {
		if (*pfn & HMM_PFN_ERROR || satisfies(*pfn, p->f->write) ||
		    svm_must_wait(p->vma, at))
			continue;
		if (svm_bring(p->vma, at, p->f->write) == -EINPROGRESS)
			return false;
	}
	return true;
}

/*
 * Step 2b: make the wanted neighbours present, those of the same mapping. What
 * cannot be had is left out: it is nobody's fault. Nothing is waited for: a
 * userfaultfd's manager is asked only for what the device touched, and one neighbour
 * whose reading in has begun is enough.
 */
int svm_ask_neighbours(struct pass *p)
{
	const struct port_fault *f = p->f;
	u64 at = max_t(u64, f->want_start, p->vma->vm_start);
	u64 end = min_t(u64, f->want_end, p->vma->vm_end);
	u64 to;

	while (at < end) {
		if (f->page[(at - f->start) >> PAGE_SHIFT] & PORT_PAGE_SKIP) {
			at += PAGE_SIZE;
			continue;
		}
		to = at + PAGE_SIZE;
		while (to < end && to - at < RUN_PAGES * PAGE_SIZE &&
		       !(f->page[(to - f->start) >> PAGE_SHIFT] & PORT_PAGE_SKIP))
			to += PAGE_SIZE;
		if ((at != f->cpu || to != at + PAGE_SIZE) &&
		    !bring_run(p, at, to))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		at = to;
	}
	return 0;
}

/* Step 3, a piece: hmm's pfns for [start, end), 0 for what the core has already. */
static int snapshot_piece(struct pass *p, u64 start, u64 end)
{
	DECLARE_BITMAP(skip, SNAPSHOT_PAGES);
	u64 *page = p->f->page + ((start - p->f->start) >> PAGE_SHIFT);
	unsigned long n = (end - start) >> PAGE_SHIFT, i;
	int err;

	bitmap_zero(skip, SNAPSHOT_PAGES);
	for (i = 0; i < n; i++)
		if ((page[i] & PORT_PAGE_SKIP) &&
		    start + (i << PAGE_SHIFT) != p->f->cpu)
			__set_bit(i, skip);
	err = look(p, start, end, (unsigned long *)page);
	for_each_set_bit(i, skip, n)
		page[i] = 0;
	for (i = 0; i < n && !err; i++)
		if (!is_mappable(page[i]))
			page[i] = 0;
	return err;
}

/* Off limits in other mappings of the span: left out. */
static void drop_off_limits(struct pass *p)
{
	struct port_fault *f = p->f;
	struct vm_area_struct *vma = find_vma(p->d->mm, f->start);
	u64 from, to;

	for (; vma && vma->vm_start < f->end;
	     vma = find_vma(p->d->mm, vma->vm_end)) {
		if (!svm_is_off_limits(vma))
			continue;
		from = max_t(u64, f->start, vma->vm_start);
		to = min_t(u64, f->end, vma->vm_end);
		memset(f->page + ((from - f->start) >> PAGE_SHIFT), 0,
		       ((to - from) >> PAGE_SHIFT) * sizeof(*f->page));
	}
}

/* Step 3: hmm's pfns for the span, as the CPU's tables stand. */
int svm_snapshot(struct pass *p)
{
	struct port_fault *f = p->f;
	u64 at, to;
	int err;

	for (at = f->start; at < f->end; at = to) {
		to = min_t(u64, f->end, at + SNAPSHOT_PAGES * PAGE_SIZE);
		err = snapshot_piece(p, at, to);
		if (err)
			return err == -EBUSY ? err : -EFAULT;
	}
	drop_off_limits(p);
	/* Gone since step 1: go again. */
	if (!satisfies(f->page[(f->cpu - f->start) >> PAGE_SHIFT], f->write))
		return -EBUSY;
	return 0;
}
