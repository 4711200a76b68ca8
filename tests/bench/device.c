// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake device of all contenders: DMA without an IOMMU, tables in zeroed pages, no TLB.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/platform_device.h>

#include "bench.h"

static struct platform_device *platform;
struct device *bench_device;

int bench_device_init(void)
{
	static const struct platform_device_info info = {
		.name = "svm_bench",
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};

	platform = platform_device_register_full(&info);
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	bench_device = &platform->dev;
	return 0;
}

void bench_device_exit(void)
{
	bench_device = NULL;
	platform_device_unregister(platform);
}

void *bench_table_alloc(void)
{
	return (void *)get_zeroed_page(GFP_KERNEL);
}

void bench_table_free(void *table)
{
	free_page((unsigned long)table);
}

noinline void bench_flush(u64 start, u64 end)
{
	barrier();
}
