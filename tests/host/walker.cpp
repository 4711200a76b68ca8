// SPDX-License-Identifier: GPL-2.0-only
/* The Xe2 walk. See walker.hpp. */
#include "tests/host/walker.hpp"

namespace svm_host
{

static u64 field(u64 word, unsigned high, unsigned low)
{
	return (word >> low) & ((1ull << (high - low + 1)) - 1);
}

static unsigned memory_type(u64 word, bool large)
{
	return unsigned(field(word, 4, 3) | field(word, large ? 12 : 7, large ? 12 : 7) << 2 |
			field(word, 62, 62) << 3 | field(word, 61, 61) << 4);
}

/* Bits 2 and 5, 52 to 60 and 63 belong to nobody; a large page's address has no low part. */
static bool reserved(u64 word, unsigned shift, bool leaf)
{
	if (field(word, 60, 52) || field(word, 63, 63) || field(word, 2, 2) || field(word, 5, 5))
		return true;
	if (!leaf)
		return field(word, 62, 61) || field(word, 10, 8);
	if (shift == 12)
		return field(word, 6, 6);
	return field(word, shift - 1, 13) || field(word, 6, 6) || field(word, 8, 8);
}

static translation leaf_of(u64 va, u64 word, unsigned shift, unsigned depth)
{
	translation t;
	u64 addr = field(word, 51, 12) << 12;

	t.depth = depth;
	t.lg2 = shift;
	t.hinted = shift == 12 && field(word, 8, 8);
	if (t.hinted) {
		/* One of 16 speaks for all of them. */
		if (field(addr, 15, 12) != field(va, 15, 12)) {
			t.what = translation::outcome::bad;
			return t;
		}
		t.lg2 = 16;
	}
	t.what = translation::outcome::mapped;
	t.start = va >> t.lg2 << t.lg2;
	t.addr = addr >> t.lg2 << t.lg2;
	t.write = field(word, 1, 1);
	t.null = field(word, 9, 9);
	t.atomic = field(word, 10, 10);
	t.vram = field(word, 11, 11);
	t.memory_type = memory_type(word, shift > 16);
	return t;
}

static translation bad(unsigned depth)
{
	translation t;

	t.what = translation::outcome::bad;
	t.depth = depth;
	return t;
}

translation walk_xe2(u64 va, u64 addr, bool vram, unsigned shift, const read_entry &read, const note_pointer &note)
{
	translation t;

	if (va >> 48)
		return t;
	for (unsigned depth = 1;; depth++) {
		unsigned entries = shift == 16 ? 32 : 512;
		u64 word = read(addr, vram, unsigned(va >> shift) & (entries - 1));
		bool large = (shift == 21 || shift == 30) && field(word, 7, 7);
		bool leaf = large || shift == 12 || shift == 16;

		t.depth = depth;
		if (!field(word, 0, 0))
			return t;
		if (reserved(word, shift, leaf))
			return bad(depth);
		if (leaf)
			return leaf_of(va, word, shift, depth);
		if (shift == 39 && field(word, 7, 7))
			return bad(depth);

		bool compact = shift == 21 && field(word, 6, 6);

		if (!compact && field(word, 6, 6))
			return bad(depth);
		addr = field(word, 51, 12) << 12;
		vram = field(word, 11, 11);
		if (note)
			note(shift, va, addr, vram);
		shift = compact ? 16 : shift - 9;
	}
}

} // namespace svm_host
