// SPDX-License-Identifier: GPL-2.0-only
// What leaves are made from. The one path that writes leaves asks its source for runs, and tells it which pages leaves took;
// what is left over is the source's to give back. Mirrored memory comes from port_fault(), null from nowhere, and the memory of
// an object (a scatter list, blocks of VRAM) is lent by the driver.
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

constexpr u64 no_kind = ~0ull; // what kind_at() of a source never says

template <typename S>
concept source = requires(S s, unsigned i, unsigned n) {
	{ S::null } -> std::convertible_to<bool>; // all of it is null leaves, and it has no pages
	{ S::owned } -> std::convertible_to<bool>; // its pages are mapped for DMA, but for unowned_taken(), and the core undoes that after the leaves
	{ s.page_at(i) } -> std::same_as<page>;  // of entry i; not asked where a run's pages share leaves
	{ s.kind_at(i) } -> std::same_as<u64>;	 // likewise; pages of one kind are all there or not, and allow the same
	{ s.frame_at(i) } -> std::same_as<u64>;	 // likewise; page_at(i).address in pages
	{ s.alike(i, n) } -> std::same_as<bool>; // likewise; n pages from entry i on are of one kind: true where that is cheap to tell
	{ s.run_at(i, n) } -> std::same_as<run>; // the longest run that begins at entry i, of n pages at most
	{ s.take(i, n) };			 // leaves hold the n pages from entry i on
	{ s.take_all(n) };			 // leaves hold each of its pages, n of them
};

// Pages as port_fault() leaves them, word 0 for entry `first`. With an order there is one word, for 2^order entries.
class mirrored_pages {
public:
	static constexpr bool null = false, owned = true;

	// lent_words: so many of the words are of pages in the device's own memory.
	// system_atomics: of what may be written, the device may do atomics in system memory too.
	mirrored_pages(u64 *page_words, unsigned first_entry, u32 block_order = 0, u64 lent_words = 0, bool system_atomics = true)
		: word(page_words), first(first_entry), order(block_order), lent(static_cast<u32>(lent_words)), atomics(system_atomics)
	{
	}

	page page_at(u64 i) const
	{
		u64 w = word[i - first];
		bool write = w & PORT_PAGE_WRITE;
		bool vram = w & PORT_PAGE_VRAM;

		return { is_there(w), PORT_PAGE_DMA(w), { write, write && (atomics || vram), vram ? SVM_VRAM : SVM_SYSTEM } };
	}

	u64 kind_at(u64 i) const { return kind_of(word[i - first]); }
	bool alike(u64 i, unsigned n) const
	{
		const u64 *at = word + (i - first);
		u64 differ = 0;

		PORT_UNROLL
		for (unsigned k = 1; k < n; k++)
			differ |= at[k] ^ at[0];
		return !kind_of(differ);
	}
	u64 frame_at(u64 i) const { return PORT_PAGE_DMA(word[i - first]) >> PORT_PAGE_LG2; }

	run run_at(unsigned i, unsigned n) const
	{
		const u64 *at = word + (i - first);
		u64 w = *at;

		if (!is_there(w)) {
			u32 gap = 1;

			while (gap < n && !is_there(at[gap]))
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
		for (unsigned k = 0; k < n; k++) {
			if (lent)
				lent_taken += (at[k] & PORT_PAGE_VRAM) != 0;
			at[k] = 0;
		}
		taken += n;
	}

	// Nothing is left to be given back, so that no word is looked at again.
	void take_all(u32 n)
	{
		taken += n;
		lent_taken += lent;
	}

	u32 pages_taken() const { return taken; }
	u32 unowned_taken() const { return lent_taken; } // of them, those that no mapping for DMA is of

private:
	static bool is_there(u64 w) { return w & PORT_PAGE_VALID; }
	static u64 kind_of(u64 w) { return w & (PORT_PAGE_VALID | PORT_PAGE_WRITE | PORT_PAGE_VRAM); }

	u64 *word;
	u64 first;
	u32 order;
	u32 lent;
	bool atomics;
	u32 taken = 0;
	u32 lent_taken = 0;
};

// Reads zero, drops writes, and nothing is given back: null leaves as large as the format has them.
struct null_pages {
	static constexpr bool null = true, owned = false;

	page page_at(u64) const { return { true, 0, run_at(0, 1).attrs }; }
	u64 kind_at(u64) const { return 0; }
	u64 frame_at(u64) const { return 0; }
	bool alike(u64, unsigned) const { return true; }
	run run_at(unsigned, unsigned n) const
	{
		return { .there = true, .pages = n, .leaf_pages = max_entries, .address = 0,
			 .attrs = { .write = true, .atomic = true, .aperture = SVM_SYSTEM, .null = true } };
	}
	void take(unsigned, unsigned) {}
	void take_all(u32) {}
};

// Memory that lies one behind the other for the device, as a part of an object.
struct extent {
	u64 first; // page of the object
	u64 pages;
	u64 address; // as the device sees it
	svm_aperture aperture;
};

// An object's pages, those from `first_page` on for the entries from 0 on, modulo 2^64. The extents are in order, without
// gaps, and no two could be one. Which entries are asked for lies inside of them.
class object_pages {
public:
	static constexpr bool null = false, owned = false;

	object_pages(const extent *extents, u32 count, u64 first_page, leaf_attrs with) // first_page: modulo 2^64
		: all(extents), n(count), first(first_page), attrs(with)
	{
	}

	page page_at(u64 i) const
	{
		const extent &e = find(first + i);
		leaf_attrs a = attrs;

		a.aperture = e.aperture;
		return { true, e.address + ((first + i - e.first) << PORT_PAGE_LG2), a };
	}

	u64 kind_at(u64 i) const { return find(first + i).aperture; }
	u64 frame_at(u64 i) const { return page_at(i).address >> PORT_PAGE_LG2; }
	bool alike(u64, unsigned) const { return false; }

	run run_at(unsigned i, unsigned most) const
	{
		page head = page_at(i);
		u64 left = all[last].first + all[last].pages - (first + i);

		return { true, left < most ? static_cast<u32>(left) : most, max_entries, head.address, head.attrs };
	}

	void take(unsigned, unsigned) {}
	void take_all(u32) {}

private:
	// The extent of a page: most often the last one that was found, or the one behind it.
	const extent &find(u64 p) const
	{
		if (!holds(last, p) && !(last + 1 < n && holds(++last, p))) {
			u32 low = 0;

			for (u32 high = n; high - low > 1;) { // each turn halves what is left
				u32 middle = low + (high - low) / 2;

				(all[middle].first <= p ? low : high) = middle;
			}
			last = low;
		}
		return all[last];
	}
	bool holds(u32 e, u64 p) const { return p - all[e].first < all[e].pages; } // also where p lies below

	const extent *all;
	u32 n;
	mutable u32 last = 0;
	u64 first;
	leaf_attrs attrs;
};

static_assert(source<mirrored_pages> && source<null_pages> && source<object_pages>);

} // namespace svm
