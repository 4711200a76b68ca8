// SPDX-License-Identifier: GPL-2.0-only
/* A folio of device memory knows its pagemap, its pages do not (6.15). */
#include <linux/mmzone.h>
#include <linux/memremap.h>

struct dev_pagemap *svm_probe(const struct page *page);
struct dev_pagemap *svm_probe(const struct page *page)
{
	return page_pgmap(page);
}
