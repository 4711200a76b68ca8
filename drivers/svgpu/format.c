// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page tables the device walks: it announces a format, and a translation shows that it
 * walks it. One page is mapped by tables of that format that belong to no vm, and the device is
 * asked where its address leads. A device of another format finds nothing there, or nonsense,
 * while no job could run yet.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "svgpu.h"

static const char *const names[] = SVGPU_FORMAT_NAMES;

static_assert(ARRAY_SIZE(names) == SVGPU_FORMATS);

/* Takes bits of every level's index, of all formats. */
#define SAMPLE_VA	0x5a359c6a7000ull

/**
 * svgpu_format_choose() - choose the format by what the device announces
 * @dev: up, without an epoch
 *
 * Return: 0; -ENODEV: it announces none that svmirror knows.
 */
int svgpu_format_choose(struct svgpu_device *dev)
{
	u64 bits = readq(dev->bar + SVGPU_REG_FORMATS);
	unsigned int i;

	for (i = 0; i < SVGPU_FORMATS; i++) {
		if (!(bits & BIT_ULL(i)))
			continue;
		dev->svm.format = svm_format_find(names[i]);
		dev->format = i;
		if (dev->svm.format)
			return 0;
	}
	dev_err(&dev->pdev->dev,
		"announces page tables of no known format (%#llx); svmirror knows %s\n",
		bits, svm_format_names());
	return -ENODEV;
}

/* No vm is there, so context 0 is free. Return: 0, -EIO: the device is gone or refuses. */
static int translate(struct svgpu_device *dev, const struct svm_table_mem *root,
		     dma_addr_t addr)
{
	struct svgpu_sync set = {
		.op = SVGPU_SYNC_CONTEXT_SET,
		.address = root->addr,
		.aperture = root->aperture,
		.format = dev->format,
	};
	struct svgpu_sync ask = {
		.op = SVGPU_SYNC_TRANSLATE,
		.start = SAMPLE_VA,
		.address = addr,
		.aperture = SVGPU_SYSTEM,
	};
	struct svgpu_sync clear = { .op = SVGPU_SYNC_CONTEXT_CLEAR };
	int ret = svgpu_sync_set(dev, &set);

	if (ret)
		return ret;
	ret = svgpu_sync_set(dev, &ask);
	/* The tables are freed next. */
	svgpu_sync_wait(dev, svgpu_sync_begin(dev, &clear, NULL), true);
	return ret;
}

/**
 * svgpu_format_probe() - see whether the device walks the format that it announces
 * @dev: with an epoch, without vms
 *
 * Context: process; sleeps.
 * Return: 0; -ENODEV: it walks another one; -ENOMEM, -EIO.
 */
int svgpu_format_probe(struct svgpu_device *dev)
{
	struct svgpu_vm *nobody = kzalloc(sizeof(*nobody), GFP_KERNEL);
	struct svm_sample sample;
	struct page *page = NULL;
	dma_addr_t addr;
	int ret = -ENOMEM;

	if (!nobody)
		return -ENOMEM;
	/* All that the functions for tables look at. */
	nobody->base.dev = &dev->svm;
	page = dma_alloc_pages(&dev->pdev->dev, PAGE_SIZE, &addr,
			       DMA_BIDIRECTIONAL, GFP_KERNEL);
	if (!page)
		goto free_nobody;
	ret = svm_sample_make(dev->svm.format, dev->svm.backend_ops, nobody,
			      SAMPLE_VA, addr, &sample);
	if (ret)
		goto free_page;
	ret = translate(dev, &sample.tables[0], addr);
	svm_sample_free(dev->svm.backend_ops, nobody, &sample);
	if (ret && !svgpu_error(dev)) {
		dev_err(&dev->pdev->dev,
			"announces page tables of %s, but does not translate by them\n",
			names[dev->format]);
		ret = -ENODEV;
	}
free_page:
	dma_free_pages(&dev->pdev->dev, PAGE_SIZE, page, addr,
		       DMA_BIDIRECTIONAL);
free_nobody:
	kfree(nobody);
	return ret;
}
