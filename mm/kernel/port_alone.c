// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the CPU has no access to, for a device whose atomics are none for the CPU.
 *
 * Core mm replaces the CPU's entry of the page by one of its own kind (device-exclusive). The page
 * stays where it is. When the CPU touches the page, at a fork and for direct I/O, core mm restores
 * the CPU's entry. Before that it calls the notifiers, ours among them, so the leaf goes like any
 * other.
 *
 * To take the page away calls the notifiers, too, so that other devices let it go. Ours is left
 * out by the domain's name (is_ours() in port_mm.c): a leaf of ours leads to the page that it is
 * about, and the sequence stays, so that the pass that takes the page can write its leaf.
 *
 * hmm says of such a page that there is none. So a pass never takes a page that is taken already:
 * it brings the page, which gives it back to the CPU, and another pass, with a later sequence,
 * takes it.
 */
#include <linux/err.h>
#include <linux/hmm.h>
#include <linux/hugetlb.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "port_pass.h"
#include "svm_config.h"

#if !IS_ENABLED(CONFIG_DEVICE_PRIVATE)
/* Takes what hmm said @pfn of. Return: the page, locked and with a reference. */
static struct page *take(struct pass *p, unsigned long pfn)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#elif defined(HAVE_MAKE_DEVICE_EXCLUSIVE)
static struct page *take(struct pass *p, unsigned long pfn)
{
	struct folio *folio;

	return make_device_exclusive(p->d->mm, p->f->cpu, p->d, &folio);
}
#else
/*
 * Core mm splits a huge page on the way to a move, and this one goes no further.
 * Return: -EBUSY: it may be split by now; -EOPNOTSUPP: it is pinned, for as long as another
 * device likes.
 */
static int split(struct pass *p, struct page *page)
{
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = p->vma,
		.start = p->f->cpu,
		.end = p->f->cpu + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};

	if (migrate_vma_setup(&args))
		return -EBUSY;
	migrate_vma_pages(&args);
	migrate_vma_finalize(&args);
	/* It was passed over. */
	return !src && folio_maybe_dma_pinned(page_folio(page)) ? -EOPNOTSUPP : -EBUSY;
}

/*
 * These kernels take no page of a huge page by itself: neither one that the CPU maps whole, which
 * is split for it, nor one that it maps in pieces.
 */
static struct page *take(struct pass *p, unsigned long pfn)
{
	u64 cpu = p->f->cpu;
	struct page *page = NULL;
	int ret;

	if (hmm_pfn_to_map_order(pfn))
		return ERR_PTR(split(p, hmm_pfn_to_page(pfn)));
	if (PageCompound(hmm_pfn_to_page(pfn)))
		return ERR_PTR(-EOPNOTSUPP);
	ret = make_device_exclusive_range(p->d->mm, cpu, cpu + PAGE_SIZE, &page, p->d);
	if (ret < 0)
		return ERR_PTR(ret);
	return page ?: ERR_PTR(-EBUSY);
}
#endif

/**
 * svm_take_alone() - take a page away from the CPU
 * @p: pass, whose mapping is known and permits writing
 * @pfn: hmm's word for the page, which allowed writing
 *
 * Context: under mmap_lock; sleeps.
 * Return: 0; -EBUSY: it is another page by now, or something looks at it; -EOPNOTSUPP;
 * -ENOMEM; -EINTR.
 */
int svm_take_alone(struct pass *p, unsigned long pfn)
{
	struct page *taken;

	/* What a private mapping allows to write is anonymous memory. */
	if ((p->vma->vm_flags & VM_SHARED) || is_vm_hugetlb_page(p->vma))
		return -EOPNOTSUPP;
	taken = take(p, pfn);
	if (IS_ERR(taken)) {
		switch (PTR_ERR(taken)) {
		case -EOPNOTSUPP:
		case -ENOMEM:
		case -EINTR:
			return PTR_ERR(taken);
		default:
			return -EBUSY;
		}
	}
	unlock_page(taken);
	put_page(taken);
	return taken == hmm_pfn_to_page(pfn) ? 0 : -EBUSY;
}
