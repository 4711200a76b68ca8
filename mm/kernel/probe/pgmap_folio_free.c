// SPDX-License-Identifier: GPL-2.0-only
/* Pages of device memory are folios of any order: they are freed as such (6.19). */
#include <linux/memremap.h>

void svm_probe(struct folio *folio);
const struct dev_pagemap_ops svm_probe_ops = { .folio_free = svm_probe };
void svm_probe(struct folio *folio)
{
	zone_device_page_init(&folio->page, NULL, 0);
}
