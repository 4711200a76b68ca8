// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads Xe2 page tables as the device would; written from the layout alone:
 * 4 levels of 512 entries over 48 bits, and per entry
 *
 *	0 present, 1 writable, 3 4 PAT0-1, 7 PAT2 in a 4K leaf and "leaf" above,
 *	8 one of a 64K group, 9 null, 10 atomics, 11 device memory,
 *	12 PAT2 in a large leaf, 51:12 address, 61 PAT4, 62 PAT3
 *
 * It refuses whatever a device could not have been meant to see.
 */
#include <linux/bits.h>

#include "svm_kunit.h"

#define E_PRESENT	BIT_ULL(0)
#define E_WRITE		BIT_ULL(1)
#define E_LEAF		BIT_ULL(7)
#define E_64K		BIT_ULL(8)
#define E_NULL		BIT_ULL(9)
#define E_ATOMIC	BIT_ULL(10)
#define E_DEVICE	BIT_ULL(11)
#define E_PAT2_LARGE	BIT_ULL(12)
#define E_ADDRESS	GENMASK_ULL(51, 12)
#define E_ZERO		(GENMASK_ULL(60, 52) | BIT_ULL(63) | BIT_ULL(2) | BIT_ULL(5) | BIT_ULL(6))
#define E_PAT_HIGH	(BIT_ULL(61) | BIT_ULL(62))

#define VA_BITS		48

static const char *check_link(u64 e)
{
	if (!(e & E_WRITE))
		return "a link that forbids writing below";
	if (e & (E_64K | E_NULL | E_ATOMIC | E_PAT_HIGH))
		return "a link with bits of a leaf";
	return NULL;
}

static const char *read_leaf(u64 e, u32 shift, u64 va, struct leaf *leaf)
{
	u64 address = e & E_ADDRESS;

	if (e & E_NULL)
		return "a null leaf";
	if (shift > 12) {
		address &= ~E_PAT2_LARGE;
		if (e & E_64K)
			return "a large leaf with the 64K hint";
	}
	if (address & (BIT_ULL(shift) - 1))
		return "a leaf whose address is not aligned to its size";
	if ((e & E_ATOMIC) && !(e & E_WRITE))
		return "atomics without writing";
	leaf->present = true;
	leaf->write = e & E_WRITE;
	leaf->atomic = e & E_ATOMIC;
	leaf->vram = e & E_DEVICE;
	leaf->hint = e & E_64K;
	leaf->lg2 = shift;
	leaf->pat = (e & BIT_ULL(3) ? 1 : 0) | (e & BIT_ULL(4) ? 2 : 0) |
		    (e & (shift > 12 ? E_PAT2_LARGE : BIT_ULL(7)) ? 4 : 0) |
		    (e & BIT_ULL(62) ? 8 : 0) | (e & BIT_ULL(61) ? 16 : 0);
	leaf->addr = address + (va & (BIT_ULL(shift) - 1) & PAGE_MASK);
	return NULL;
}

/* All 16 of a hinted group say the same and lie side by side. */
static const char *check_group(const u64 *table, u32 index)
{
	const u64 *group = table + round_down(index, 16);
	u64 first = READ_ONCE(group[0]);
	u32 i;

	if (first & GENMASK_ULL(15, 12))
		return "a 64K group whose address is not aligned";
	for (i = 1; i < 16; i++)
		if (READ_ONCE(group[i]) != first + i * SZ_4K)
			return "a 64K group that is not one block";
	return NULL;
}

const char *walk(const struct backend *b, const struct svm_table_mem *root,
		 u64 va, struct leaf *leaf)
{
	const u64 *table = root->cpu;
	const char *wrong;
	u32 shift, index;
	u64 e;

	memset(leaf, 0, sizeof(*leaf));
	if (va >> VA_BITS)
		return "an address that the device does not have";
	for (shift = VA_BITS - 9;; shift -= 9) {
		index = (va >> shift) & 511;
		e = READ_ONCE(table[index]);
		if (!(e & E_PRESENT))
			return NULL;
		if (e & E_ZERO)
			return "reserved bits";
		if (shift == 12 || (e & E_LEAF))
			break;
		wrong = check_link(e);
		if (wrong)
			return wrong;
		table = backend_table(b, e & E_ADDRESS, e & E_DEVICE);
		if (!table)
			return "a link to no table";
		leaf->links++;
	}
	if (shift > 30)
		return "a leaf of 512 GiB";
	wrong = read_leaf(e, shift, va, leaf);
	if (!wrong && leaf->hint)
		wrong = check_group(table, index);
	return wrong;
}
