// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU's tables say: the steps of port_fault.c that run under mmap_lock.
 *
 * hmm, when one page of its range is required, makes all later ones of the same
 * CPU table present as well. So what must be present is asked for in short runs,
 * and what is taken as it is comes from one snapshot that requires nothing. hmm
 * looks at ->mm and ->invalidate_seq of the notifier that it is given; ours is a copy
 * that no callback changes, so its loop ends by its own progress alone.
 */
#include <linux/fs.h>
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/sched/signal.h>
#include <linux/userfaultfd_k.h>

#include "port_pass.h"

/* hmm writes its pfns where the core wants its answer. */
static_assert(sizeof(unsigned long) == sizeof(u64));
static_assert(PAGE_SHIFT == PORT_PAGE_LG2);

#define RUN_PAGES	32	/* required at a time, between two looks at signals */
#define SNAPSHOT_PAGES	512	/* a 2 MiB table; longer spans take several turns */

static int ask(struct pass *p, u64 start, u64 end, unsigned long require,
	       unsigned long *pfns)
{
	struct hmm_range range = {
		.notifier = &p->shadow,
		.notifier_seq = p->shadow.invalidate_seq,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.default_flags = require,
		.dev_private_owner = p->d->dev,
	};

	/* hmm of newer kernels carries some bits from input to output. */
	memset(pfns, 0, ((end - start) >> PAGE_SHIFT) * sizeof(*pfns));
	return hmm_range_fault(&range);
}

static unsigned long required(const struct port_fault *f)
{
	return HMM_PFN_REQ_FAULT | (f->write ? HMM_PFN_REQ_WRITE : 0);
}

/*
 * What hmm would hand out and must not: secret memory (its vm_ops are private to
 * mm/, but the files have a superblock of their own), and shadow stacks, which the
 * CPU's entries call writable and nobody but the CPU may write.
 */
bool svm_is_off_limits(const struct vm_area_struct *vma)
{
#ifdef VM_SHADOW_STACK
	if (vma->vm_flags & VM_SHADOW_STACK)
		return true;
#endif
	return vma->vm_file &&
	       file_inode(vma->vm_file)->i_sb->s_magic == SECRETMEM_MAGIC;
}

/* hmm's word for a page that allows what the fault wants. */
bool svm_satisfies(unsigned long pfn, bool write)
{
	return (pfn & HMM_PFN_VALID) && !(pfn & HMM_PFN_ERROR) &&
	       (!write || (pfn & HMM_PFN_WRITE));
}

/*
 * May the page be reached by DMA through dma_map_page()? Device memory has its
 * own ways; only another device's can turn up in a CPU mapping here.
 */
bool svm_is_host_memory(const struct page *page)
{
	/* The zone shares a word with flags that others set meanwhile; it is constant itself. */
	return data_race(!is_device_private_page(page) &&
			 !is_device_coherent_page(page) &&
			 !is_pci_p2pdma_page(page));
}

/*
 * hmm is to look only, and faults are ours to take: a userfaultfd's manager must be
 * waited for with mmap_lock dropped, which hmm does not; and around hmm's fault in
 * a hugetlb mapping kernels before 6.12 hold a lock that the fault takes.
 */
static bool must_not_fault(struct vm_area_struct *vma)
{
	return is_vm_hugetlb_page(vma) || userfaultfd_armed(vma);
}

/* Such a fault, under mmap_lock, which with @user may be dropped and taken again. */
static int fault_by_hand(struct mm_struct *mm, u64 cpu, bool write, bool user)
{
	struct vm_area_struct *vma = find_vma(mm, cpu);
	bool unlocked = false;
	int err;

	if (!vma || vma->vm_start > cpu || svm_is_off_limits(vma) ||
	    (!user && userfaultfd_armed(vma)))
		return -EFAULT;
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EPERM;
	/* Without leave to drop mmap_lock no fault waits for a manager, not even a new one. */
	err = fixup_user_fault(mm, cpu,
			       FAULT_FLAG_REMOTE | (write ? FAULT_FLAG_WRITE : 0),
			       user ? &unlocked : NULL);
	return !err || err == -EINTR || err == -ENOMEM ? err : -EFAULT;
}

/**
 * port_wait() - make one page present by a fault that may drop mmap_lock
 * @d: domain
 * @cpu: address
 * @write: for writing
 * @user: also where it means to wait for a userfaultfd's manager
 *
 * Context: sleeps; with @user for as long as a process likes (killably), so not in
 * a reader section: whoever waits for readers would wait for that process.
 * Return: 0: ask port_fault() again; -EFAULT, -EPERM, -ENOMEM, -EINTR.
 */
int port_wait(struct port_domain *d, u64 cpu, bool write, bool user)
{
	struct mm_struct *mm = d->mm;
	int err = -EINTR;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (!mmap_read_lock_killable(mm)) {
		err = fault_by_hand(mm, cpu, write, user);
		mmap_read_unlock(mm);
	}
	mmput_async(mm);	/* as in port_fault() */
	return err;
}

/* Step 1: the faulting page alone. 0: p->pfn satisfies the fault. */
int svm_ask_page(struct pass *p)
{
	const struct port_fault *f = p->f;
	bool look;
	int err;

	p->vma = find_vma(p->d->mm, f->cpu);
	if (!p->vma || p->vma->vm_start > f->cpu || svm_is_off_limits(p->vma))
		return -EFAULT;
	look = must_not_fault(p->vma);
	err = ask(p, f->cpu, f->cpu + PAGE_SIZE, look ? 0 : required(f), &p->pfn);
	if (!err && svm_satisfies(p->pfn, f->write))
		return svm_is_host_memory(hmm_pfn_to_page(p->pfn)) ? 0 : -EFAULT;
	if (fatal_signal_pending(current))
		return -EINTR;
	if (err)
		return err == -EPERM || err == -EBUSY || err == -ENOMEM ? err : -EFAULT;
	if (p->pfn & HMM_PFN_ERROR)
		return -EFAULT;
	return look ? -EINPROGRESS : -EBUSY;
}

/* Make [start, end) present; page by page where one of them cannot be. */
static void ask_run(struct pass *p, u64 start, u64 end)
{
	unsigned long pfns[RUN_PAGES];

	if (ask(p, start, end, required(p->f), pfns) != -EFAULT)
		return;
	for (; start < end && !fatal_signal_pending(current); start += PAGE_SIZE)
		ask(p, start, start + PAGE_SIZE, required(p->f), pfns);
}

/*
 * Step 2b: make the wanted neighbours present, those of the same mapping. What
 * cannot be had is left out: it is nobody's fault. A huge page has them already, and
 * a userfaultfd's manager is asked only for what the device touched.
 */
int svm_ask_neighbours(struct pass *p)
{
	const struct port_fault *f = p->f;
	u64 at = max_t(u64, f->want_start, p->vma->vm_start);
	u64 end = min_t(u64, f->want_end, p->vma->vm_end);
	u64 to;

	if (must_not_fault(p->vma))
		return 0;
	while (at < end) {
		if (f->page[(at - f->start) >> PAGE_SHIFT] & PORT_PAGE_SKIP) {
			at += PAGE_SIZE;
			continue;
		}
		to = at + PAGE_SIZE;
		while (to < end && to - at < RUN_PAGES * PAGE_SIZE &&
		       !(f->page[(to - f->start) >> PAGE_SHIFT] & PORT_PAGE_SKIP))
			to += PAGE_SIZE;
		if (at != f->cpu || to != at + PAGE_SIZE)
			ask_run(p, at, to);
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
	err = ask(p, start, end, 0, (unsigned long *)page);
	for_each_set_bit(i, skip, n)
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
	if (!svm_satisfies(f->page[(f->cpu - f->start) >> PAGE_SHIFT], f->write))
		return -EBUSY;
	return 0;
}
