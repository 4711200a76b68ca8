// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making pages present: the CPU's own fault, taken in its name.
 *
 * hmm only looks (port_ask.c). Faults are taken here, in two ways:
 *
 * - Under mmap_lock and without waiting (svm_bring()), for memory that needs neither
 *   I/O nor another process. This is nearly every fault.
 * - With mmap_lock dropped while it waits, and killably (port_wait()), for all other.
 *   A page that a file system's server or a userfaultfd's manager must bring may take
 *   for ever, and that process may be the one whose mmap_lock it is.
 *
 * hmm's own faults know neither: they keep mmap_lock, and no signal ends them.
 */
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd_k.h>

#include "port_pass.h"
#include "svm_config.h"

static int fault_errno(vm_fault_t fault)
{
	if (fault & VM_FAULT_RETRY)
		return -EINPROGRESS;
	if (fault & VM_FAULT_OOM)
		return -ENOMEM;
	return fault & VM_FAULT_ERROR ? -EFAULT : 0;
}

/* A file whose pages are memory and nothing else. */
static bool is_memory(const struct file *file)
{
	unsigned long magic = file_inode(file)->i_sb->s_magic;

	return magic == TMPFS_MAGIC || magic == HUGETLBFS_MAGIC;
}

/* Is the file's page there already? */
static bool is_cached(struct vm_area_struct *vma, u64 cpu)
{
	struct folio *folio = filemap_get_folio(vma->vm_file->f_mapping,
						linear_page_index(vma, cpu));
	bool cached;

	/* NULL before 6.3, an error since. */
	if (IS_ERR_OR_NULL(folio))
		return false;
	cached = folio_test_uptodate(folio);
	folio_put(folio);
	return cached;
}

/* Under mmap_lock: does a fault at @cpu wait for a device or for a process? */
bool svm_must_wait(struct vm_area_struct *vma, u64 cpu)
{
	if (userfaultfd_armed(vma))
		return true;
	return vma->vm_file && !is_memory(vma->vm_file) && !is_cached(vma, cpu);
}

/*
 * The CPU's fault at @cpu of @vma, under mmap_lock, which is kept. @vma permits it, and
 * it need not wait. Return: 0; -EINPROGRESS: it would have to wait after all (a page that
 * is being read in); -ENOMEM, -EFAULT.
 */
int svm_bring(struct vm_area_struct *vma, u64 cpu, bool write)
{
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
			     FAULT_FLAG_RETRY_NOWAIT;

	if (write)
		flags |= FAULT_FLAG_WRITE;
	return fault_errno(handle_mm_fault(vma, cpu, flags, NULL));
}

/*
 * A fault from user mode leaves a memory cgroup whose OOM killer is off (cgroup v1) to
 * the code that returns to user mode. A kernel thread never does: it forgets the cgroup.
 */
static void forget_memcg_oom(void)
{
#ifdef HAVE_MEMCG_IN_OOM
	struct mem_cgroup *memcg = current->memcg_in_oom;

	if (!memcg || !(current->flags & PF_KTHREAD))
		return;
	current->memcg_in_oom = NULL;
	mem_cgroup_put(memcg);
#endif
}

/* The CPU's fault, which drops mmap_lock wherever it waits. On return it is dropped. */
static int bring_and_wait(struct vm_area_struct *vma, u64 cpu, bool write)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned int flags = FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
			     FAULT_FLAG_KILLABLE;
	vm_fault_t fault;

	if (write)
		flags |= FAULT_FLAG_WRITE;
	/* A manager that may serve user mode only serves this: the process's own device asks. */
	if (userfaultfd_armed(vma))
		flags |= FAULT_FLAG_USER;
	fault = handle_mm_fault(vma, cpu, flags, NULL);
	if (!(fault & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
		mmap_read_unlock(mm);
	if (flags & FAULT_FLAG_USER)
		forget_memcg_oom();
	if (fatal_signal_pending(current))
		return -EINTR;
	/* It waited: whether the page is there shows when it is asked for again. */
	if (fault & VM_FAULT_RETRY)
		return 0;
	return fault_errno(fault);
}

/* Below the stack, whose growing is no module's to do: the access itself does it. */
static int grow_stack(u64 cpu, bool write)
{
	char __user *at = (char __user *)(unsigned long)cpu;
	size_t left = write ? fault_in_writeable(at, 1) : fault_in_readable(at, 1);

	if (!left)
		return 0;
	return fatal_signal_pending(current) ? -EINTR : -EFAULT;
}

struct asked {
	u64 cpu;
	bool write;
	bool user;
};

static int wait_for(struct port_domain *d, void *arg)
{
	const struct asked *a = arg;
	struct mm_struct *mm = d->mm;
	struct vm_area_struct *vma;
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = svm_vma_at(mm, a->cpu);
	err = vma ? svm_vma_permits(vma, a->write) : -EFAULT;
	if (!err && !a->user && userfaultfd_armed(vma))
		err = -EFAULT;
	if (!err && vma->vm_start <= a->cpu)
		return bring_and_wait(vma, a->cpu, a->write);
	mmap_read_unlock(mm);
	return err ?: grow_stack(a->cpu, a->write);
}

/**
 * port_wait() - make one page present by a fault that may wait, with mmap_lock dropped
 * @d: domain
 * @cpu: address
 * @write: for writing
 * @user: also where it means to wait for a userfaultfd's manager
 *
 * The stack grows to @cpu where the CPU's access would make it grow.
 * Context: in a session; sleeps, killably, for as long as a file system's server or a
 * manager likes: so not in a reader section, since a thread that waits for readers
 * would wait for that process. The wait ends when the process is gone, and when the
 * device is.
 * Return: 0: ask port_fault() again; -EFAULT, -EPERM, -ENOMEM, -EINTR.
 */
int port_wait(struct port_domain *d, u64 cpu, bool write, bool user)
{
	struct asked a = { .cpu = cpu, .write = write, .user = user };

	if (WARN_ON_ONCE(current->mm != d->mm))
		return -EFAULT;
	return svm_wait(d, wait_for, &a);
}
