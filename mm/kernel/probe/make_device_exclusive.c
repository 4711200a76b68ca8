// SPDX-License-Identifier: GPL-2.0-only
/* A page is made the device's alone by a call for this one page (6.15). */
#include <linux/rmap.h>

struct page *svm_probe(struct mm_struct *mm);
struct page *svm_probe(struct mm_struct *mm)
{
	struct folio *folio;

	return make_device_exclusive(mm, 0, NULL, &folio);
}
