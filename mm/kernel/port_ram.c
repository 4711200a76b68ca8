// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain memory, see port_ram.h.
 *
 * A section that is online has a memory map as a whole: hotplug brings and takes whole blocks of
 * sections. Where device memory is a part of one, its flags say so before a page of that part
 * can be mapped. So the answer holds for pages that were mapped before it was asked for.
 */
#include <linux/memory_hotplug.h>
#include <linux/mmzone.h>

#include "port_ram.h"

#ifdef CONFIG_SPARSEMEM

/* Over so many sections between two that are asked for a run may grow. */
#define GAP_MAX	64

static bool is_plain(unsigned long section_nr)
{
	struct mem_section *section = __nr_to_section(section_nr);

	return online_section(section) && !online_device_section(section);
}

/* Are sections [@first, @end) plain, and few? */
static bool are_plain(unsigned long first, unsigned long end)
{
	if (end - first > GAP_MAX)
		return false;
	while (first < end && is_plain(first))
		first++;
	return first == end;
}

/*
 * Is the page in a section of plain memory? It is in the run then, which grows, or begins anew
 * where it lies too far away. Any pfn; false says nothing about a page of another section.
 */
bool svm_ram_look(struct svm_ram *ram, unsigned long pfn)
{
	unsigned long at = pfn >> PFN_SECTION_SHIFT, first = at, end = at + 1;
	unsigned long had = ram->start >> PFN_SECTION_SHIFT;
	unsigned long had_end = had + (ram->pages >> PFN_SECTION_SHIFT);

	if (at >= NR_MEM_SECTIONS || !is_plain(at))
		return false;
	if (ram->pages && at < had && are_plain(at + 1, had))
		end = had_end;
	else if (ram->pages && at >= had_end && are_plain(had_end, at))
		first = had;
	ram->start = first << PFN_SECTION_SHIFT;
	ram->pages = (end - first) << PFN_SECTION_SHIFT;
	return true;
}

#else

bool svm_ram_look(struct svm_ram *ram, unsigned long pfn)
{
	return false;
}

#endif
