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

// One page, where `there`.
struct page {
	bool there;
	u64 address;
	leaf_attrs attrs;
};

template <typename S>
concept source = requires(S s, unsigned i, unsigned n) {
	{ S::null } -> std::convertible_to<bool>; // all of it is null leaves, and it has no pages
	{ s.page_at(i) } -> std::same_as<page>;  // of entry i; not asked where a run's pages share leaves
	{ S::no_kind } -> std::convertible_to<u64>;
	{ s.kind_at(i) } -> std::same_as<u64>;	 // likewise; pages of one kind are all there or not, and allow the same; not no_kind
	{ s.frame_at(i) } -> std::same_as<u64>;	 // likewise; page_at(i).address in pages
	{ s.run_at(i, n) } -> std::same_as<run>; // the longest run that begins at entry i, of n pages at most
	{ s.take(i, n) };			 // leaves hold the n pages from entry i on
	{ s.take_all(n) };			 // leaves hold each of its pages, n of them
};

// Pages as port_fault() leaves them, word 0 for entry `first`. With an order there is one word, for 2^order entries.
class mirrored_pages {
public:
	static constexpr bool null = false;

	mirrored_pages(u64 *page_words, unsigned first_entry, u32 block_order = 0) : word(page_words), first(first_entry), order(block_order) {}

	page page_at(u64 i) const
	{
		u64 w = word[i - first];
		bool write = w & PORT_PAGE_WRITE;

		return { is_mapped(w), PORT_PAGE_DMA(w), { write, write, SVM_SYSTEM } };
	}

	static constexpr u64 no_kind = ~0ull;

	u64 kind_at(u64 i) const { return word[i - first] >> 62; } // VALID and WRITE
	u64 frame_at(u64 i) const { return PORT_PAGE_DMA(word[i - first]) >> PORT_PAGE_LG2; }

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
		page head = page_at(i);
		run r{ true, 1u << order, 1u << order, head.address, head.attrs };

		if (r.pages > n)
			r.pages = n;
		for (; !order && r.pages < n && at[r.pages] == w + r.pages; r.pages++) {
		}
		return r;
	}

	// The words of pages that leaves took lose PORT_PAGE_VALID: what still has it afterwards is to be given back.
	void take(unsigned i, unsigned n)
	{
		u64 *at = word + (i - first);

		if (order)
			n = 1;
		for (unsigned k = 0; k < n; k++)
			at[k] = 0;
		taken += n;
	}

	// Nothing is left to be given back, so that no word is looked at again.
	void take_all(u32 n) { taken += n; }

	u32 mappings_taken() const { return taken; }

private:
	static bool is_mapped(u64 w) { return w & PORT_PAGE_VALID; }

	u64 *word;
	u64 first;
	u32 order;
	u32 taken = 0;
};

// Reads zero, drops writes, and nothing is given back: null leaves as large as the format has them.
struct null_pages {
	static constexpr bool null = true;

	static constexpr u64 no_kind = ~0ull;

	page page_at(u64) const { return { true, 0, run_at(0, 1).attrs }; }
	u64 kind_at(u64) const { return 0; }
	u64 frame_at(u64) const { return 0; }
	run run_at(unsigned, unsigned n) const
	{
		return { .there = true, .pages = n, .leaf_pages = max_entries, .address = 0,
			 .attrs = { .write = true, .atomic = true, .aperture = SVM_SYSTEM, .null = true } };
	}
	void take(unsigned, unsigned) {}
	void take_all(u32) {}
};

static_assert(source<mirrored_pages> && source<null_pages>);

} // namespace svm
