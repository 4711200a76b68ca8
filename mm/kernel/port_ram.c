// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain memory, see port_ram.h.
 *
 * A section that is online has a memory map as a whole: hotplug brings and takes whole blocks of
 * sections. Where device memory is a part of one, its flags say so before a page of that part
 * can be mapped. So the answer holds for pages that were mapped before it was asked for.
 */
#include <linux/bitops.h>
#include <linux/memory_hotplug.h>
#include <linux/mmzone.h>

#include "port_ram.h"

#ifdef CONFIG_SPARSEMEM

/*
 * Is the page in a section of plain memory? The section is in the window then, which moves where
 * it has to. Any pfn; false says nothing about a page of another section.
 */
bool svm_ram_look(struct svm_ram *ram, unsigned long pfn)
{
	unsigned long at = pfn >> SVM_RAM_SHIFT;
	struct mem_section *section;

	if (at >= NR_MEM_SECTIONS)
		return false;
	section = __nr_to_section(at);
	if (!online_section(section) || online_device_section(section))
		return false;
	if (at - ram->first >= 64) {
		ram->first = round_down(at, 64);
		ram->plain = 0;
	}
	ram->plain |= 1ull << (at - ram->first);
	return true;
}

#else

bool svm_ram_look(struct svm_ram *ram, unsigned long pfn)
{
	return false;
}

#endif

/*
 * The same for all sections of the window whose bits are set. By value: so a loop keeps its
 * window in registers.
 */
struct svm_ram svm_ram_look_all(struct svm_ram ram, u64 sections)
{
	for (; sections; sections &= sections - 1)
		svm_ram_look(&ram, (ram.first + __ffs64(sections)) << SVM_RAM_SHIFT);
	return ram;
}
