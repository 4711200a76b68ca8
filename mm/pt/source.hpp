// SPDX-License-Identifier: GPL-2.0-only
// What leaves are made from. The one path that writes leaves asks its source for runs, and tells it which pages leaves took;
// what is left over is the source's to give back. Mirrored memory comes from port_fault(), null from nowhere; an object
// of the driver (a scatter list, a block of VRAM) is a further model of the same concept.
#pragma once

#include <concepts>

#include "mm/port.h"
#include "mm/pt/format.hpp"

namespace svm {

// Pages of a table that lie one behind the other for the device and allow the same; or a gap, where `there` is false.
struct run {
	bool there;
	u32 pages;	// at least 1
	u32 leaf_pages; // at most so many pages of it may share a leaf, since they are given back together; a power of two
	u64 address;	// of the first page, as the device sees it; not looked at where attrs.null
	leaf_attrs attrs;
};

template <typename S>
concept source = requires(S s, unsigned i, unsigned n) {
	{ s.run_at(i, n) } -> std::same_as<run>; // the longest run that begins at entry i, of n pages at most
	{ s.take(i, n) };			 // leaves hold the n pages from entry i on
};

// Pages as port_fault() leaves them: words of address, order and PORT_PAGE_* flags, word 0 for entry `first`. A word of
// order n stands for 2^n entries, and the words after it for nothing.
class mirrored_pages {
public:
	mirrored_pages(u64 *page_words, unsigned first_entry) : word(page_words), first(first_entry) {}

	run run_at(unsigned i, unsigned n) const
	{
		const u64 *at = word + (i - first);
		u64 w = *at;

		if (!is_mapped(w)) {
			u32 gap = 1;

			while (gap < n && !is_mapped(at[gap]))
				gap++;
			return { false, gap, 1, 0, {} };
		}
		bool write = w & PORT_PAGE_WRITE;
		run r{ true, 1u << PORT_PAGE_ORDER(w), 1u << PORT_PAGE_ORDER(w), w & ~PORT_PAGE_FLAGS, { write, write, SVM_SYSTEM } };

		if (r.pages > n)
			r.pages = n;
		for (; r.leaf_pages == 1 && r.pages < n && at[r.pages] == w + r.pages * PORT_PAGE_SIZE; r.pages++) {
		}
		return r;
	}

	void take(unsigned i, unsigned n)
	{
		for (u64 *at = word + (i - first), *end = at + n; at < end;) {
			u32 step = 1u << PORT_PAGE_ORDER(*at);

			*at = 0;
			at += step;
		}
	}

	// Calls give(address, lg2) for each mapping that no leaf took; there are n words.
	template <typename Fn>
	void rest(unsigned n, Fn give)
	{
		for (unsigned i = 0; i < n;) {
			u64 w = word[i];
			u32 order = is_mapped(w) ? PORT_PAGE_ORDER(w) : 0;

			if (is_mapped(w))
				give(w & ~PORT_PAGE_FLAGS, PORT_PAGE_LG2 + order);
			i += 1u << order;
		}
	}

private:
	static bool is_mapped(u64 w) { return w & PORT_PAGE_VALID; }

	u64 *word;
	unsigned first;
};

// Reads zero, drops writes, and nothing is given back: null leaves as large as the format has them.
struct null_pages {
	run run_at(unsigned, unsigned n) const
	{
		return { .there = true, .pages = n, .leaf_pages = max_entries, .address = 0,
			 .attrs = { .write = true, .atomic = true, .aperture = SVM_SYSTEM, .null = true } };
	}
	void take(unsigned, unsigned) {}
};

static_assert(source<mirrored_pages> && source<null_pages>);

} // namespace svm
