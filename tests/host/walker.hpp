/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the Xe2 MMU reads its page tables, written from the layout and not from the encoder:
 * the tests' second opinion on mm/fmt/xe2.hpp.
 *
 * 48 bits of address, four levels that resolve 47:39, 38:30, 29:21 and 20:12, tables of
 * 512 entries of 8 bytes. Bit 0 present, bit 1 writable, 3, 4, 61, 62 and one of 7 or 12
 * choose the memory type. At 29:21 and 38:30 bit 7 ends the walk in a large page. Bit 6 at
 * 29:21 leads to a compact table of 32 pages of 64 KiB. In the last level bit 8 says that
 * the 16 pages around are one block of 64 KiB. Bit 9: reads zero. 10: atomics. 11: the
 * device's memory. 51:12 address, of which a large page uses the upper part only.
 */
#ifndef SVM_TESTS_HOST_WALKER_HPP
#define SVM_TESTS_HOST_WALKER_HPP

#include <svm/types.h>

#include <functional>

namespace svm_host
{

struct translation {
	enum class outcome { mapped, absent, bad } what = outcome::absent;
	u64 start = 0; /* device address of the page's first byte */
	u64 addr = 0; /* what it leads to */
	u32 lg2 = 0; /* size of the page */
	bool hinted = false; /* lg2 is 16 by the hint */
	bool write = false;
	bool atomic = false;
	bool null = false;
	bool vram = false;
	unsigned memory_type = 0;
	unsigned depth = 0; /* entries read */

	bool covers(u64 va) const
	{
		return what == outcome::mapped && (va >> lg2) == (start >> lg2);
	}
};

/* Reads entry `index` of the table at `addr` in system memory or VRAM. */
using read_entry = std::function<u64(u64 addr, bool vram, unsigned index)>;
/* A pointer that was followed: the table below, for addresses that agree above `shift`. */
using note_pointer = std::function<void(unsigned shift, u64 va, u64 addr, bool vram)>;

/* Goes on from the table at addr, whose entries span 2^shift bytes each. */
translation walk_xe2(u64 va, u64 addr, bool vram, unsigned shift, const read_entry &read,
		     const note_pointer &note = nullptr);

} // namespace svm_host

#endif
