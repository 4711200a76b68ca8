/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping a page for DMA, in the loop of a fault. See port_dma.c.
 */
#ifndef SVM_PORT_DMA_H
#define SVM_PORT_DMA_H

#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/percpu.h>

#include "port_kernel.h"

/* DMA mappings that are not given back yet, of all domains; a CPU's share may be negative. */
DECLARE_PER_CPU(long, svm_mappings);

int svm_dma_map_by_api(struct port_domain *d, struct page *page, u32 lg2, u64 *dma);

/* Counts mappings of which there is nothing to be made. */
static inline void svm_dma_mapped(long n)
{
	this_cpu_add(svm_mappings, n);
}

/* Is the DMA address of every page its physical one, so that hmm's words are the core's? */
static inline bool svm_dma_is_hmms(const struct port_domain *d)
{
	return d->direct && d->dma_limit >= DMA_BIT_MASK(52);
}

/*
 * Map 2^lg2 bytes of physically contiguous memory from @page on; *dma is aligned to
 * that. Never sleeps. Return: 0, -ENOMEM (refused), -EIO (bounced, unaligned, or not coherent).
 */
static inline int svm_dma_map(struct port_domain *d, struct page *page, u32 lg2,
			      u64 *dma)
{
	dma_addr_t addr;

	if (!d->direct)
		return svm_dma_map_by_api(d, page, lg2, dma);
	addr = page_to_phys(page);
	if (addr > d->dma_limit - ((1ull << lg2) - 1) ||
	    !IS_ALIGNED(addr, 1ull << lg2))
		return -EIO;
	svm_dma_mapped(1);
	*dma = addr;
	return 0;
}

#endif
