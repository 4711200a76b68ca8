// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory and domains.
 *
 * A domain holds the mm's struct (mmgrab) and never its contents. A session holds
 * those (port_session.c); nothing else of a mirror keeps the memory of a process
 * that exits.
 */
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "port_kernel.h"

struct svm_live svm_live;

/**
 * port_alloc() - zeroed memory, charged to the caller's memory cgroup
 * @bytes: size
 *
 * Context: may sleep and reclaim, so no table lock and no lock that the
 * shrinker takes is held.
 * Return: NULL on failure.
 */
void *port_alloc(unsigned long bytes)
{
	void *p = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);

	if (p)
		atomic_long_inc(&svm_live.allocations);
	return p;
}

/**
 * port_free() - give back what port_alloc() gave
 * @p: may be NULL
 *
 * Context: process; large blocks may be unmapped, which sleeps.
 */
void port_free(void *p)
{
	if (!p)
		return;
	kvfree(p);
	atomic_long_dec(&svm_live.allocations);
}

/**
 * port_secret() - a number that no process can guess
 *
 * Context: any.
 */
u64 port_secret(void)
{
	return get_random_u64();
}

/**
 * port_domain_create() - the port's share of one vm
 * @owner: comes back in svm_port_count() and svm_port_shrink(), from now on
 * @mm: a reference on the struct is taken
 * @dma: does the DMA
 *
 * Context: sleeps.
 * Return: NULL on failure.
 */
struct port_domain *port_domain_create(void *owner, struct mm_struct *mm,
				       struct device *dma, struct svm_memory *memory)
{
	struct port_domain *d = port_alloc(sizeof(*d));

	if (!d)
		return NULL;
	if (init_srcu_struct(&d->srcu)) {
		port_free(d);
		return NULL;
	}
	d->owner = owner;
	d->dev = dma;
	d->memory = memory;
	d->iommu = svm_dma_iommu(dma);
	d->direct = svm_dma_is_direct(d);
	mutex_init(&d->bind_lock);
	mutex_init(&d->interval_lock);
	init_llist_head(&d->freed);
	INIT_WORK(&d->free_work, svm_free_work);
	INIT_LIST_HEAD(&d->link);
	svm_sessions_init(d);
	mmgrab(mm);
	d->mm = mm;
	atomic_long_inc(&svm_live.domains);
	svm_shrinker_add(d);
	return d;
}

/**
 * port_domain_destroy() - end of it
 * @d: no reader is inside and no interval is left; deferred nodes may wait
 *
 * Context: sleeps; holds nothing that svm_port_deferred() or the shrinker needs.
 */
void port_domain_destroy(struct port_domain *d)
{
	svm_shrinker_del(d);
	svm_sessions_exit(d);
	/* A deferred node may defer another. */
	do {
		srcu_barrier(&d->srcu);
		flush_work(&d->free_work);
	} while (atomic_long_read(&d->deferred));
	cleanup_srcu_struct(&d->srcu);
	mutex_destroy(&d->interval_lock);
	mutex_destroy(&d->bind_lock);
	mmdrop(d->mm);
	port_free(d);
	atomic_long_dec(&svm_live.domains);
}

/**
 * port_user_end() - end of the process's address space
 * @d: domain
 *
 * Context: any.
 * Return: highest user address + 1.
 */
u64 port_user_end(struct port_domain *d)
{
	return d->mm->task_size;
}
