// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving pages between system memory and a device's, by core mm's migrate_vma and migrate_device.
 *
 * Nothing here writes a page table of ours. Core mm takes the CPU's entries away, and our own
 * notifiers the device's leaves with them; when the new entries are there, an ordinary fault maps
 * what they say. So no table lock is held while a copy is waited for.
 *
 * A move goes page by page. Core mm says which pages it lets go: it has locked them, and
 * nobody else has a reference. For each there is a new page or none, and then it stays. All copies
 * of a move are handed to the device at once and waited for together. A failed copy undoes the
 * move: every page stays where it was.
 *
 * Into the device's memory the driver is asked for room before mmap_lock and the first folio lock
 * are taken, since to make room it may have to send others home.
 */
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/hmm.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "port_memory.h"

/* Page @i stays. */
static void leave(struct svm_move *m, unsigned long i)
{
	struct page *page = migrate_pfn_to_page(m->dst[i]);

	m->dst[i] = 0;
	unlock_page(page);
	put_page(page);
}

static enum dma_data_direction direction(const struct svm_move *m)
{
	return m->into ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

/* What is to be copied for page @i. False: it has no DMA address. */
static bool plan(const struct svm_move *m, unsigned long i, struct svm_copy *copy)
{
	struct page *from = migrate_pfn_to_page(m->src[i]), *to = migrate_pfn_to_page(m->dst[i]);
	struct page *ours = m->into ? to : from, *other = m->into ? from : to;

	copy->page = svm_memory_index(m->memory, ours);
	copy->dma = SVM_COPY_ZERO;
	if (!other)
		return true;
	copy->dma = dma_map_page(m->memory->dev, other, 0, PAGE_SIZE, direction(m));
	return !dma_mapping_error(m->memory->dev, copy->dma);
}

/*
 * Copies each page that has one to go to. What cannot be copied stays, its entry of @dst is 0.
 * Return: 0; -EIO: nothing was copied, and all stays.
 */
int svm_move_copy(struct svm_move *m)
{
	struct svm_memory *memory = m->memory;
	unsigned long i, n = 0;
	int err;

	for (i = 0; i < m->n; i++) {
		if (!m->dst[i])
			continue;
		if (plan(m, i, &m->copy[n]))
			n++;
		else
			leave(m, i);
	}
	if (!n)
		return 0;
	err = memory->ops->copy_wait(memory->arg,
				     memory->ops->copy_begin(memory->arg, m->copy, n, m->into));
	for (i = 0; i < n; i++)
		if (m->copy[i].dma != SVM_COPY_ZERO)
			dma_unmap_page(memory->dev, m->copy[i].dma, PAGE_SIZE, direction(m));
	for (i = 0; err && i < m->n; i++)
		if (m->dst[i])
			leave(m, i);
	return err;
}

/* Between core mm's last word and its finalize: how many move. */
unsigned long svm_move_count(const struct svm_move *m)
{
	unsigned long i, count = 0;

	for (i = 0; i < m->n; i++)
		count += m->dst[i] && (m->src[i] & MIGRATE_PFN_MIGRATE);
	return count;
}

/* New pages of system memory for what core mm lets go. @vma NULL: of no process in particular. */
static void take_system(struct svm_move *m, struct vm_area_struct *vma, u64 start, gfp_t gfp)
{
	unsigned long i;
	struct page *page;

	for (i = 0; i < m->n; i++) {
		m->dst[i] = 0;
		/* Core mm lets holes go as well, without a page. */
		if (!(m->src[i] & MIGRATE_PFN_MIGRATE) || !migrate_pfn_to_page(m->src[i]))
			continue;
		page = vma ? alloc_page_vma(gfp, vma, start + i * PAGE_SIZE) : alloc_page(gfp);
		if (!page)
			continue;
		lock_page(page);
		m->dst[i] = migrate_pfn(page_to_pfn(page));
	}
}

/* Pages of the device's, as far as @room goes. Return: how many were used of it. */
static u32 take_device(struct svm_move *m, const struct svm_memory_page *room, u32 count)
{
	unsigned long i;
	u32 used = 0;

	for (i = 0; i < m->n; i++) {
		m->dst[i] = 0;
		if (!(m->src[i] & MIGRATE_PFN_MIGRATE) || used == count)
			continue;
		m->dst[i] = migrate_pfn(page_to_pfn(svm_memory_take(m->memory, &room[used++])));
	}
	return used;
}

/**
 * svm_move_home() - the CPU touched a page that is in a device's memory
 * @vmf: the fault; the page has a reference, and from 7.x on is locked
 *
 * Only this page moves. CPUs that touch different pages do not wait for each other here.
 * Context: a CPU's fault; sleeps; mmap_lock or the mapping's lock is held for reading.
 * Return: 0: the CPU tries again; VM_FAULT_OOM; VM_FAULT_SIGBUS: the content is lost with the
 * device, or the device cannot reach the new page.
 */
vm_fault_t svm_move_home(struct vm_fault *vmf)
{
	struct svm_memory *memory = svm_memory_of(vmf->page);
	unsigned long src = 0, dst = 0;
	struct svm_copy copy;
	struct migrate_vma args = {
		.vma = vmf->vma,
		.start = vmf->address & PAGE_MASK,
		.end = (vmf->address & PAGE_MASK) + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = memory,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = vmf->page,
	};
	struct svm_move m = { .memory = memory, .n = 1, .src = &src, .dst = &dst, .copy = &copy };
	vm_fault_t ret = VM_FAULT_SIGBUS;
	int section = srcu_read_lock(&memory->users);

	/* With the WRITE_ONCE() in svm_memory_destroy(), which then waits for this section. */
	if (READ_ONCE(memory->gone) || migrate_vma_setup(&args))
		goto out;
	ret = 0;
	/* Else it has gone, or something looks at it: the CPU sees when it tries again. */
	if ((src & MIGRATE_PFN_MIGRATE) && migrate_pfn_to_page(src)) {
		take_system(&m, vmf->vma, args.start, GFP_HIGHUSER_MOVABLE);
		if (!dst)
			ret = VM_FAULT_OOM;
		else if (svm_move_copy(&m) || !dst)
			ret = VM_FAULT_SIGBUS;
		migrate_vma_pages(&args);
	}
	migrate_vma_finalize(&args);
out:
	srcu_read_unlock(&memory->users, section);
	return ret;
}

/* What one call of port_migrate() or one move of svm_memory_evict() takes. */
struct batch {
	unsigned long src[PORT_MIGRATE_PAGES];
	unsigned long dst[PORT_MIGRATE_PAGES];
	struct svm_copy copy[PORT_MIGRATE_PAGES];
	struct svm_memory_page room[PORT_MIGRATE_PAGES];
};

static void give_back(struct svm_memory *memory, const struct svm_memory_page *room, u32 count)
{
	while (count--)
		memory->ops->free(memory->arg, room++);
}

/* Under mmap_lock: the part of the span that is to be moved next, in *@vma; NULL: nothing is. */
static struct vm_area_struct *next_part(struct mm_struct *mm, struct port_migrate *m, u64 *end)
{
	struct vm_area_struct *vma = find_vma(mm, m->start);

	*end = m->end;
	if (!vma || vma->vm_start >= m->end)
		return NULL;
	m->start = max_t(u64, m->start, vma->vm_start);
	*end = min3(m->end, (u64)vma->vm_end, m->start + PORT_MIGRATE_PAGES * PAGE_SIZE);
	return vma;
}

/* Moves one part. @count: of @b->room. Return: how many of these were used. */
static u32 move_part(struct svm_memory *memory, struct vm_area_struct *vma, u64 end,
		     struct port_migrate *m, struct batch *b, u32 count)
{
	struct migrate_vma args = {
		.vma = vma,
		.start = m->start,
		.end = end,
		.src = b->src,
		.dst = b->dst,
		.pgmap_owner = memory,
		.flags = m->into ? MIGRATE_VMA_SELECT_SYSTEM : MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	struct svm_move move = {
		.memory = memory,
		.into = m->into,
		.src = b->src,
		.dst = b->dst,
		.copy = b->copy,
	};
	u32 used = 0;

	memset(b->src, 0, sizeof(b->src));
	memset(b->dst, 0, sizeof(b->dst));
	/* Refuses mappings of hugetlbfs, DAX and devices. */
	if (migrate_vma_setup(&args))
		return 0;
	move.n = args.npages;
	if (m->into)
		used = take_device(&move, b->room, count);
	else
		take_system(&move, vma, m->start, GFP_HIGHUSER_MOVABLE | __GFP_NOWARN);
	svm_move_copy(&move);
	migrate_vma_pages(&args);
	m->moved += svm_move_count(&move);
	migrate_vma_finalize(&args);
	return used;
}

/*
 * Under mmap_lock: how many pages of the part are not in the device's memory. Only a guess of how
 * much room is needed, so it does not matter what changes meanwhile: hmm is given a notifier that
 * nobody calls.
 */
static u32 count_outside(struct port_domain *d, u64 start, u64 end, unsigned long *pfns)
{
	struct mmu_interval_notifier nobody = { .mm = d->mm };
	struct hmm_range range = {
		.notifier = &nobody,
		.start = start,
		.end = end,
		.hmm_pfns = pfns,
		.dev_private_owner = d->memory,
	};
	u32 count = (end - start) >> PAGE_SHIFT, i, n = count;

	memset(pfns, 0, n * sizeof(*pfns));
	if (hmm_range_fault(&range))
		return n;
	for (i = 0; i < n; i++)
		count -= (pfns[i] & HMM_PFN_VALID) &&
			 is_device_private_page(hmm_pfn_to_page(pfns[i]));
	return count;
}

/* Has the mapping pages that core mm moves to where no CPU reaches: anonymous ones? */
static bool may_move(struct vm_area_struct *vma)
{
	return vma->anon_vma || vma_is_anonymous(vma);
}

/* Asks for room for what is to move into the device's memory. Return: for how many; 0; -EINTR. */
static int find_room(struct port_domain *d, struct port_migrate *m, struct batch *b)
{
	struct vm_area_struct *vma;
	u32 want = 0;
	u64 end;
	int found;

	if (mmap_read_lock_killable(d->mm))
		return -EINTR;
	vma = next_part(d->mm, m, &end);
	if (vma && may_move(vma))
		want = count_outside(d, m->start, end, b->src);
	mmap_read_unlock(d->mm);
	m->reached = end;
	if (!want)
		return 0;
	found = d->memory->ops->alloc(d->memory->arg, b->room, want);
	/* Without room the rest of the span stays as well. */
	if (!found)
		m->reached = m->end;
	return found;
}

static int migrate(struct port_domain *d, struct port_migrate *m, struct batch *b)
{
	struct svm_memory *memory = d->memory;
	struct vm_area_struct *vma;
	int found = 0;
	u32 used = 0;
	u64 end;

	if (m->into) {
		found = find_room(d, m, b);
		if (found <= 0)
			return found;
	}
	if (mmap_read_lock_killable(d->mm)) {
		give_back(memory, b->room, found);
		return -EINTR;
	}
	vma = next_part(d->mm, m, &end);
	if (vma)
		used = move_part(memory, vma, end, m, b, found);
	mmap_read_unlock(d->mm);
	give_back(memory, b->room + used, found - used);
	m->reached = end;
	return 0;
}

/**
 * port_migrate() - move pages of the process into its device's memory, or home
 * @d: domain, whose device has memory
 * @m: what, and what was done
 *
 * Context: in a session; sleeps; takes mmap_lock for reading, killably. Not in a reader section:
 * our own notifiers run, and the driver may send others' pages home.
 * Return: 0; -EINTR; -ENOMEM.
 */
int port_migrate(struct port_domain *d, struct port_migrate *m)
{
	struct batch *b;
	int err;

	m->reached = m->start;
	m->moved = 0;
	if (WARN_ON_ONCE(current->mm != d->mm))
		return -EINTR;
	b = kvmalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return -ENOMEM;
	err = migrate(d, m, b);
	kvfree(b);
	return err;
}

/* Sends home what it can of @n pages from @first on. Return: how many; -EIO: the copy failed. */
static long evict_some(struct svm_memory *memory, u64 first, unsigned long n, struct batch *b)
{
	struct svm_move m = {
		.memory = memory,
		.n = n,
		.src = b->src,
		.dst = b->dst,
		.copy = b->copy,
	};
	long moved;
	int err;

	migrate_device_range(b->src, memory->first + first, n);
	take_system(&m, NULL, 0, GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	err = svm_move_copy(&m);
	migrate_device_pages(b->src, b->dst, n);
	moved = svm_move_count(&m);
	migrate_device_finalize(b->src, b->dst, n);
	return err ?: moved;
}

long svm_memory_evict(struct svm_memory *memory, u64 first, u64 n)
{
	struct batch *b = kvmalloc(sizeof(*b), GFP_KERNEL);
	u64 end = first + n;
	long sum = 0, moved = 0;
	int section;

	if (!b)
		return -ENOMEM;
	section = srcu_read_lock(&memory->users);
	for (; first < end && moved >= 0; first += PORT_MIGRATE_PAGES) {
		moved = evict_some(memory, first, min_t(u64, PORT_MIGRATE_PAGES, end - first), b);
		sum += moved > 0 ? moved : 0;
		cond_resched();
	}
	srcu_read_unlock(&memory->users, section);
	kvfree(b);
	return sum ?: min(moved, 0L);
}
EXPORT_SYMBOL_GPL(svm_memory_evict);
