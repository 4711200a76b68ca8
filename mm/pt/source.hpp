// SPDX-License-Identifier: GPL-2.0-only
// What leaves are made from. The one path that writes leaves asks its source for the i-th page and tells it which
// it took; what is left over is the source's to give back. Mirrored memory comes from port_fault(); other kinds (a
// VRAM block, a scatter list, NULL) are further models of the same concept.
#pragma once

#include <concepts>

#include "mm/port.h"
#include "mm/pt/format.hpp"

namespace svm {

template <typename S>
concept page_source = requires(S s, unsigned i, unsigned n) {
	{ s.has(i) } -> std::same_as<bool>;		// there is a page for entry i
	{ s.address(i) } -> std::same_as<u64>;		// its device-visible address
	{ s.attrs(i) } -> std::same_as<leaf_attrs>;
	{ s.take(i) };					// a leaf holds it now
};

// Pages as port_fault() leaves them: words of address and PORT_PAGE_* flags, word 0 for entry `first`.
class mirrored_pages {
public:
	mirrored_pages(u64 *page_words, unsigned first_entry) : word(page_words), first(first_entry) {}

	bool has(unsigned i) const { return word[i - first] & PORT_PAGE_VALID; }
	u64 address(unsigned i) const { return word[i - first] & ~PORT_PAGE_FLAGS; }
	leaf_attrs attrs(unsigned i) const
	{
		bool write = word[i - first] & PORT_PAGE_WRITE;

		return { write, write, SVM_SYSTEM };
	}
	void take(unsigned i) { word[i - first] = 0; }

private:
	u64 *word;
	unsigned first;
};

static_assert(page_source<mirrored_pages>);

// [first, first + 2^lg2) are there, of one kind, and contiguous from an aligned address on.
template <page_source S>
bool one_block(const S &s, unsigned first, unsigned lg2)
{
	if (!s.has(first) || (s.address(first) & ((PORT_PAGE_SIZE << lg2) - 1)))
		return false;
	for (unsigned i = 1; i < 1u << lg2; i++) {
		if (!s.has(first + i) || s.address(first + i) != s.address(first) + i * PORT_PAGE_SIZE ||
		    s.attrs(first + i).write != s.attrs(first).write)
			return false;
	}
	return true;
}

} // namespace svm
