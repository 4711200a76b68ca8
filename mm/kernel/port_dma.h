/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping a page for DMA, in the loop of a fault. See port_dma.c.
 */
#ifndef SVM_PORT_DMA_H
#define SVM_PORT_DMA_H

#include <linux/dma-direct.h>
#include <linux/mm.h>
#include <linux/percpu.h>

#include "port_kernel.h"

/* DMA mappings that are not given back yet, of all domains; a CPU's share may be negative. */
DECLARE_PER_CPU(long, svm_mappings);

int svm_dma_map_by_api(struct port_domain *d, struct page *page, u32 lg2, u64 *dma);

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
	addr = phys_to_dma(d->dev, page_to_phys(page));
	if (!dma_capable(d->dev, addr, 1ul << lg2, true) ||
	    !IS_ALIGNED(addr, 1ull << lg2))
		return -EIO;
	this_cpu_inc(svm_mappings);
	*dma = addr;
	return 0;
}

#endif
