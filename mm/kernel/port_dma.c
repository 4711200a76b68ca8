// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA mappings of mirrored pages, with nothing stored beside them.
 *
 * Most devices are *direct*: coherent, and nothing translates, shifts or bounces what they
 * address. A DMA address is then the physical one, which the
 * DMA API would work out for each page after it had asked the same questions again. They
 * are asked once, when the domain is made (svm_dma_is_direct()), and one mapping through the API
 * must come out as the physical address. What may differ from page to page, whether the
 * device reaches it, is still asked for each one, unless the device reaches all
 * physical addresses. Nothing is undone when
 * such a page is given back. All other devices go through the API.
 *
 * Invariant: the DMA address of a live mapping leads back to its page, by the
 * device's IOMMU domain or, without one, by dma_to_phys(). svm_dma_map() proves
 * it for each mapping and refuses what fails: a bounced (swiotlb) address leads
 * to the bounce buffer, and is no mirror anyway. So port_dma_release() can find
 * the page to dirty without svmirror keeping a page array.
 *
 * What a release may touch. Nobody here holds a reference on the page. It is
 * there because the CPU's entry for it is: core mm calls the notifier before it
 * takes that entry away, and the core's callbacks return only after the release.
 * So the folio may be marked dirty as a zap under the page-table lock would:
 * folio_mark_dirty(), without the folio lock (the caller of the notifier may
 * hold it: reclaim and write-back do), never sleeping. Only a page whose CPU
 * entry allowed writing is dirtied, so its filesystem was told (page_mkwrite) and
 * its buffers exist. A mapping released with @dirty false may be of a page that
 * is free by then: no page flag is looked at.
 */
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>

#include "port_dma.h"
#include "port_ram.h"

/*
 * The mirror is coherent or nothing. Without the attribute debug kernels also
 * complain of two mappings of one page, which two vms have by right.
 */
#define SVM_DMA_ATTRS	DMA_ATTR_SKIP_CPU_SYNC

/*
 * Also of pages that the device may only read. The right to write is granted in place: the
 * CPU's entry becomes writable without a notification when a write fault reuses the page,
 * and the leaf gets the right and keeps its DMA address. Documentation/architecture.rst
 * says what another direction would buy.
 */
#define SVM_DMA_DIR	DMA_BIDIRECTIONAL

DEFINE_PER_CPU(long, svm_mappings);

/* The sum; exact while nothing is mapped or given back. */
long svm_dma_mappings(void)
{
	long sum = 0;
	int cpu;

	/* Each CPU's word is read while that CPU may add to it: a stale one is as good. */
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(svm_mappings, cpu));
	return sum;
}

/* The domain that @dev's DMA addresses are translated by; NULL: none is. */
struct iommu_domain *svm_dma_iommu(struct device *dev)
{
	struct iommu_domain *iommu = iommu_get_domain_for_dev(dev);

#if IS_ENABLED(CONFIG_IOMMU_API)
	if (iommu && !(iommu->type & __IOMMU_DOMAIN_DMA_API))
		return NULL;
#endif
	return iommu;
}

static bool try_direct(struct device *dev, struct page *page, u64 limit)
{
	dma_addr_t direct = page_to_phys(page), addr;

	/* Of a page that the device does not reach the API would warn. */
	if (direct + PAGE_SIZE - 1 > limit)
		return false;
	addr = dma_map_page_attrs(dev, page, 0, PAGE_SIZE, SVM_DMA_DIR,
				  SVM_DMA_ATTRS);
	if (dma_mapping_error(dev, addr))
		return false;
	dma_unmap_page_attrs(dev, addr, PAGE_SIZE, SVM_DMA_DIR,
			     SVM_DMA_ATTRS);
	return addr == direct;
}

/*
 * Does the domain's device address memory as it is: no IOMMU, no dma_map_ops of its bus or
 * architecture, no bouncing of everything? False also where there is no memory to try it.
 */
bool svm_dma_is_direct(struct port_domain *d)
{
	struct page *page;
	bool direct;

	if (d->iommu || get_dma_ops(d->dev) || !dev_is_dma_coherent(d->dev) ||
	    d->dev->dma_range_map)
		return false;
	d->dma_limit = min_not_zero(dma_get_mask(d->dev), d->dev->bus_dma_limit);
	page = alloc_page(d->dma_limit < U64_MAX ? GFP_KERNEL | GFP_DMA32 : GFP_KERNEL);
	if (!page)
		return false;
	direct = try_direct(d->dev, page, d->dma_limit);
	__free_page(page);
	return direct;
}

static phys_addr_t dma_phys(struct port_domain *d, u64 dma)
{
	return d->iommu ? iommu_iova_to_phys(d->iommu, dma) :
			  dma_to_phys(d->dev, dma);
}

static void dma_unmap(struct port_domain *d, u64 dma, u32 lg2)
{
	dma_unmap_page_attrs(d->dev, dma, 1ul << lg2, SVM_DMA_DIR, SVM_DMA_ATTRS);
}

/* As svm_dma_map(), for a device that is not direct. */
int svm_dma_map_by_api(struct port_domain *d, struct page *page, u32 lg2, u64 *dma)
{
	dma_addr_t addr;

	if (!dev_is_dma_coherent(d->dev))
		return -EIO;
	addr = dma_map_page_attrs(d->dev, page, 0, 1ul << lg2,
				  SVM_DMA_DIR, SVM_DMA_ATTRS);
	if (dma_mapping_error(d->dev, addr))
		return -ENOMEM;
	if (dma_phys(d, addr) != page_to_phys(page) ||
	    !IS_ALIGNED(addr, 1ull << lg2)) {
		dma_unmap(d, addr, lg2);
		return -EIO;
	}
	svm_dma_mapped(1);
	*dma = addr;
	return 0;
}

/**
 * port_dma_abandon() - count off mappings that nobody can name any more
 * @d: domain
 * @n: how many
 *
 * Without an IOMMU a mapping is nothing but its count. With one they stay until the device's
 * domain goes, as the device that lost its tables must.
 * Context: any.
 */
void port_dma_abandon(struct port_domain *d, u64 n)
{
	this_cpu_sub(svm_mappings, n);
}

/*
 * What folio_mark_dirty() does, without the calls for anonymous memory, whose every kind of
 * mapping (none, the swap cache, KSM) comes to this.
 */
static void mark_folio(struct folio *folio)
{
	if (!folio_test_anon(folio))
		folio_mark_dirty(folio);
	else if (!folio_test_dirty(folio))
		folio_set_dirty(folio);
}

/* Each folio once; a block is part of one, but for hand-made mappings. */
static void mark_block(unsigned long pfn, u32 lg2)
{
	struct page *page = pfn_to_page(pfn);
	struct page *end = page + (1ul << (lg2 - PAGE_SHIFT));

	while (page < end) {
		struct folio *folio = page_folio(page);

		mark_folio(folio);
		page = folio_page(folio, 0) + folio_nr_pages(folio);
	}
}

/* Of a page in the device's own memory there is none. */
static bool is_mapping(u64 word)
{
	return (word & (PORT_PAGE_VALID | PORT_PAGE_VRAM)) == PORT_PAGE_VALID;
}

/* Has a page that is not known to be plain a struct page? */
static noinline bool is_memory(struct svm_ram *ram, unsigned long pfn)
{
	return svm_ram_look(ram, pfn) || pfn_valid(pfn);
}

/* SVM_RAM_SOME words of pages of plain memory, at their physical addresses. */
static __always_inline void mark_some(const u64 *word)
{
	unsigned int i;

	for (i = 0; i < SVM_RAM_SOME; i++)
		mark_folio(page_folio(pfn_to_page(PHYS_PFN(PORT_PAGE_DMA(word[i])))));
}

/*
 * Marks the pages that the device may have written to, before an IOMMU forgets which ones they
 * are; returns the number of mappings. Words of leaves come here: none has PORT_PAGE_VRAM, see
 * word_of() in mm/pt/leaves.hpp. The loop is a large part of what an unmap of 4 KiB pages costs.
 */
static __always_inline u32 mark_all(struct port_domain *d, const u64 *word, u32 n, u32 lg2,
				    bool direct)
{
	const u64 written = PORT_PAGE_VALID | PORT_PAGE_WRITE;
	struct svm_ram ram = { };
	const u64 *end = word + n, *alike = word;
	u32 others = 0;

	for (; word < end; word++) {
		u64 dma = PORT_PAGE_DMA(*word);
		unsigned long pfn;

		/* The usual case has a loop of its own. */
		if (direct && lg2 == PAGE_SHIFT && word == alike && end - word >= SVM_RAM_SOME) {
			alike += SVM_RAM_SOME;
			if (svm_ram_alike(&ram, word, written, written)) {
				mark_some(word);
				word = alike - 1;
				continue;
			}
		}
		if (!(*word & PORT_PAGE_WRITE) || !(*word & PORT_PAGE_VALID)) {
			others += !(*word & PORT_PAGE_VALID);
			continue;
		}
		pfn = PHYS_PFN(direct ? dma : dma_phys(d, dma));
		/* Not so in a table that the device itself scribbled on; an unknown IOVA is 0. */
		if ((!direct && !pfn) ||
		    (unlikely(!svm_ram_holds(&ram, pfn)) && !is_memory(&ram, pfn)))
			pr_err_ratelimited("svmirror: a device wrote to its page tables\n");
		else if (lg2 == PAGE_SHIFT)
			mark_folio(page_folio(pfn_to_page(pfn)));
		else
			mark_block(pfn, lg2);
	}
	return n - others;
}

/* How many of the words are of mappings. */
static u32 count_mappings(const u64 *word, u32 n)
{
	const u64 *end = word + n;
	u32 count = 0;

	for (; word < end; word++)
		count += is_mapping(*word);
	return count;
}

/**
 * port_dma_release() - undo DMA mappings
 * @d: domain
 * @word: words as of port_fault(); those without PORT_PAGE_VALID are passed over, and those
 *	with PORT_PAGE_VRAM
 * @n: how many
 * @lg2: log2 of the size of each mapping
 * @dirty: the device may have written to those with PORT_PAGE_WRITE, and the CPU's
 *	entries still hold the pages: mark them
 *
 * Context: any; never sleeps.
 */
void port_dma_release(struct port_domain *d, const u64 *word, u32 n, u32 lg2, bool dirty)
{
	u32 count, i;

	if (!dirty)
		count = count_mappings(word, n);
	else if (d->direct && lg2 == PAGE_SHIFT)
		count = mark_all(d, word, n, PAGE_SHIFT, true);
	else
		count = mark_all(d, word, n, lg2, d->direct);
	for (i = 0; !d->direct && i < n; i++)
		if (is_mapping(word[i]))
			dma_unmap(d, PORT_PAGE_DMA(word[i]), lg2);
	svm_dma_mapped(-(long)count);
}
