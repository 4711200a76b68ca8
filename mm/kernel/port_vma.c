// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the process has memory, and which of it a device may have.
 */
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "port_kernel.h"

#define VMAS_AT_ONCE	512	/* looked at before others get mmap_lock */

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

/* 0: the device may have it; -EFAULT: it may not; -EPERM: not for writing. */
int svm_vma_permits(const struct vm_area_struct *vma, bool write)
{
	if (!(vma->vm_flags & VM_READ) ||
	    (vma->vm_flags & (VM_IO | VM_PFNMAP)) || svm_is_off_limits(vma))
		return -EFAULT;
	return write && !(vma->vm_flags & VM_WRITE) ? -EPERM : 0;
}

/*
 * Where a mapping's memory ends: with its file, if the file's pages come from the page
 * cache, whose fault handler brings none that lie behind. Else where the mapping does.
 */
u64 svm_vma_reach(const struct vm_area_struct *vma)
{
	const struct inode *inode;
	u64 pages;

	if (!vma->vm_file || !vma->vm_ops ||
	    (!vma->vm_ops->map_pages && !(vma->vm_flags & VM_HUGETLB)))
		return vma->vm_end;
	inode = vma->vm_file->f_mapping->host;
	if (!S_ISREG(inode->i_mode))
		return vma->vm_end;
	pages = DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE);
	if (pages <= vma->vm_pgoff)
		return vma->vm_start;
	return min_t(u64, vma->vm_end,
		     vma->vm_start + ((pages - vma->vm_pgoff) << PAGE_SHIFT));
}

/* May a stack grow down to @cpu, as the CPU's own access would make it? */
static bool stack_reaches(const struct vm_area_struct *vma, u64 cpu)
{
	unsigned long limit;

	if (!(vma->vm_flags & VM_GROWSDOWN))
		return false;
	/* The thread that makes it grow (port_wait()) is bound by its own limit as well. */
	limit = min(rlimit(RLIMIT_STACK), svm_process_rlimit(vma->vm_mm, RLIMIT_STACK));
	return vma->vm_end - (cpu & PAGE_MASK) <= limit;
}

/*
 * Under mmap_lock: the mapping that @cpu lies in, or the stack above it that can grow to
 * there (it begins above @cpu then); NULL: a hole.
 */
struct vm_area_struct *svm_vma_at(struct mm_struct *mm, u64 cpu)
{
	/* Nearly always there is one, and this finds it in a third of the time. */
	struct vm_area_struct *vma = vma_lookup(mm, cpu);

	if (vma)
		return vma;
	vma = find_vma(mm, cpu);
	return vma && stack_reaches(vma, cpu) ? vma : NULL;
}

/**
 * port_mmap_lock() - hold the process's mmap_lock over several calls
 * @d: domain
 *
 * For reading. The calls of this thread that would take it find that it is held.
 * Context: in a session; sleeps; one thread of a domain at a time.
 * Return: 0; -EINTR (killed).
 */
int port_mmap_lock(struct port_domain *d)
{
	if (mmap_read_lock_killable(d->mm))
		return -EINTR;
	/* Others compare it with themselves, and are never equal. */
	WRITE_ONCE(d->mmap_holder, current);
	return 0;
}

/**
 * port_mmap_unlock() - the end of port_mmap_lock()
 * @d: domain
 *
 * Context: the thread that holds it.
 */
void port_mmap_unlock(struct port_domain *d)
{
	WRITE_ONCE(d->mmap_holder, NULL);
	mmap_read_unlock(d->mm);
}

/**
 * port_mmap_held() - does this thread hold it by port_mmap_lock()?
 * @d: domain
 *
 * Context: any.
 * Return: whether it does.
 */
bool port_mmap_held(struct port_domain *d)
{
	return READ_ONCE(d->mmap_holder) == current;
}

/**
 * port_mmap_written() - may some thread hold mmap_lock for writing?
 * @d: domain
 *
 * Context: any that may take a lock by trying; never sleeps.
 * Return: false: surely none does at this moment.
 */
bool port_mmap_written(struct port_domain *d)
{
	if (!mmap_read_trylock(d->mm))
		return true;
	mmap_read_unlock(d->mm);
	return false;
}

/* For one look at the mappings: takes mmap_lock unless this thread holds it. Return: 0, -EINTR. */
int svm_mmap_lock(struct port_domain *d)
{
	if (port_mmap_held(d))
		return 0;
	return mmap_read_lock_killable(d->mm) ? -EINTR : 0;
}

void svm_mmap_unlock(struct port_domain *d)
{
	if (!port_mmap_held(d))
		mmap_read_unlock(d->mm);
}

/**
 * port_mapped() - has the process memory at an address?
 * @d: domain
 * @cpu: address
 *
 * Memory that a device may read; also where the stack could grow to.
 * Context: in a session; sleeps; takes mmap_lock for reading.
 * Return: false also where the thread was killed.
 */
bool port_mapped(struct port_domain *d, u64 cpu)
{
	const struct vm_area_struct *vma;
	bool mapped;

	if (svm_mmap_lock(d))
		return false;
	vma = svm_vma_at(d->mm, cpu);
	mapped = vma && !svm_vma_permits(vma, false);
	svm_mmap_unlock(d);
	return mapped;
}

/*
 * Of the next VMAS_AT_ONCE mappings: one that permits and has memory from *@cpu on; or NULL,
 * and *@cpu is where to go on.
 */
static struct vm_area_struct *next_permitting(struct mm_struct *mm, u64 *cpu,
					      u64 limit, bool write)
{
	struct vm_area_struct *vma;
	unsigned int n;

	for (n = 0; n < VMAS_AT_ONCE; n++) {
		vma = find_vma(mm, *cpu);
		if (!vma || vma->vm_start >= limit) {
			*cpu = limit;
			return NULL;
		}
		if (!svm_vma_permits(vma, write) && svm_vma_reach(vma) > *cpu)
			return vma;
		*cpu = vma->vm_end;
	}
	return NULL;
}

/**
 * port_next_mapping() - where the process has memory
 * @d: domain
 * @cpu: address to begin at
 * @limit: address to stop at
 * @write: mappings that allow writing; else those that allow reading
 * @start: out: of the first such mapping that ends above @cpu; may lie below @cpu
 * @end: out: its end, or that of its file if it comes first; may lie above @limit
 *
 * Context: in a session; sleeps; takes mmap_lock for reading, and lets it go now and then.
 * Return: false: none begins below @limit, or the thread was killed.
 */
bool port_next_mapping(struct port_domain *d, u64 cpu, u64 limit, bool write,
		       u64 *start, u64 *end)
{
	struct vm_area_struct *vma = NULL;

	/* Ends: @cpu grows on each turn. */
	while (!vma && cpu < limit) {
		if (svm_mmap_lock(d))
			return false;
		vma = next_permitting(d->mm, &cpu, limit, write);
		if (vma) {
			*start = vma->vm_start;
			*end = svm_vma_reach(vma);
		}
		svm_mmap_unlock(d);
		cond_resched();
	}
	return vma;
}
