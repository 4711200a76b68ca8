// SPDX-License-Identifier: GPL-2.0-only
// Groups of leaves of one table: the hints that let the TLB take them as one (format.hpp says what they are).
//
// Rules. A hint is there only while all leaves of its group are valid, lie one behind the other and allow the same. It goes before
// the first of them changes, and then a flush takes the whole group. A hint that could be there and is not costs speed only.
#pragma once

#include "mm/pt/source.hpp"
#include "mm/pt/table.hpp"

namespace svm {

template <format F>
class groups {
	using G = geometry<F>;
	static constexpr unsigned group = 1u << G::hint_max; // the largest

public:
	static u32 offset(unsigned i) { return i << F::levels[G::table_level].entry_lg2; }
	static char *entry(const table &tb, unsigned i) SVM_REQUIRES(tb.lock) { return static_cast<char *>(tb.mem.cpu) + offset(i); }

	// The pages of a run into entries that are empty, in groups as large as may be.
	static void write_run(table &tb, unsigned first, const run &r) SVM_REQUIRES(tb.lock)
	{
		u64 leaf = F::leaf(G::table_level, r.address, r.attrs);

		if constexpr (G::one_hint)
			write_one_size(tb, first, r, leaf);
		else
			write_many_sizes(tb, first, r, leaf);
	}

	// log2 of the largest group that entries [i, i + left) begin with, of pages from addr on; 0: none.
	static unsigned group_at(unsigned i, unsigned left, u64 addr)
	{
		if constexpr (G::one_hint)
			return group > 1 && i % group == 0 && left >= group && aligned(addr, G::page_lg2 + G::hint_max) ? G::hint_max : 0;
		unsigned n = static_cast<unsigned>(__builtin_ctz(i | static_cast<u32>(addr >> G::page_lg2) | group));

		return smaller_group(n + 1, left);
	}

	// The next allowed one below 2^n leaves that `left` entries have room for.
	static unsigned smaller_group(unsigned n, unsigned left)
	{
		if constexpr (G::one_hint)
			return 0;
		while (--n && (left >> n == 0 || !(F::hints >> n & 1))) {
		}
		return n;
	}

	// The group of 2^n leaves that begins with this one at entry i has been written.
	static void note_group(const table &tb, unsigned i, unsigned n, u64 leaf) SVM_REQUIRES(tb.lock)
	{
		if (F::side_bytes && n)
			F::set_side(tb.mem.cpu, i / group, leaf);
	}

	static bool group_empty(const table &tb, unsigned first, unsigned n) SVM_REQUIRES(tb.lock)
	{
		for (unsigned i = first; i < first + (1u << n); i++) {
			if (F::load(entry(tb, i)) != F::empty(G::table_level))
				return false;
		}
		return true;
	}

	// Before the group around i becomes uneven: none of its leaves may speak for the others.
	static void drop_group(table &tb, unsigned i) SVM_REQUIRES(tb.lock)
	{
		unsigned n = G::one_hint ? G::hint_max : F::hint(F::load(entry(tb, i))); // valid: the caller has seen it
		unsigned first = i >> n << n;

		if (F::side_bytes)
			return F::clear_side(tb.mem.cpu, i / group);
		for (unsigned k = first; n && k < first + (1u << n); k++) {
			u64 leaf = F::load(entry(tb, k));

			if (F::classify(leaf, G::table_level) == entry_state::valid && F::hint(leaf))
				F::store(entry(tb, k), G::table_level, F::without_hint(leaf));
		}
	}

	// Before leaves [first, last) go: a leaf takes its hint along, so only groups that are cut remain; a side table forgets all.
	static void drop_hints(table &tb, unsigned first, unsigned last) SVM_REQUIRES(tb.lock)
	{
		if (F::side_bytes) {
			for (unsigned i = first / group; i < (last + group - 1) / group; i++)
				F::clear_side(tb.mem.cpu, i);
		} else if (G::one_hint) {
			// All leaves of a group have the hint, or none.
			if (first % group && has_hint(F::load(entry(tb, first))))
				drop_group(tb, first);
			if (last % group && has_hint(F::load(entry(tb, last))))
				drop_group(tb, last);
		} else {
			if (cuts_group(tb, first))
				drop_group(tb, first);
			if (cuts_group(tb, last))
				drop_group(tb, last);
		}
	}

	// n entries from e on: this leaf and those of the pages behind its page.
	static void write(char *e, unsigned n, u64 leaf)
	{
		for (char *end = e + offset(n); e < end; e += offset(1), leaf += G::next_page)
			F::store(e, G::table_level, leaf);
	}

private:

	// One size of groups: those in the middle of the run, and single leaves at both ends.
	static void write_one_size(table &tb, unsigned first, const run &r, u64 leaf) SVM_REQUIRES(tb.lock)
	{
		bool lines_up = group > 1 && !(((r.address >> G::page_lg2) - first) % group);
		unsigned end = first + r.pages;
		unsigned from = (first + group - 1) / group * group, to = end / group * group;

		if (!lines_up || from >= to)
			from = to = end;
		write(entry(tb, first), from - first, leaf);
		write(entry(tb, from), to - from, F::with_hint(leaf + (from - first) * G::next_page, G::hint_max));
		write(entry(tb, to), end - to, leaf + (to - first) * G::next_page);
		for (unsigned i = from; F::side_bytes && i < to; i += group)
			note_group(tb, i, G::hint_max, leaf + (i - first) * G::next_page);
	}

	// Many sizes: always the largest that fits.
	static void write_many_sizes(table &tb, unsigned first, const run &r, u64 leaf) SVM_REQUIRES(tb.lock)
	{
		for (unsigned i = first, end = first + r.pages; i < end;) {
			u64 at = leaf + (i - first) * G::next_page;
			unsigned n = group_at(i, end - i, r.address + u64(i - first) * PORT_PAGE_SIZE);

			write(entry(tb, i), 1u << n, n ? F::with_hint(at, n) : at);
			i += 1u << n;
		}
	}

	static bool has_hint(u64 leaf) { return F::classify(leaf, G::table_level) == entry_state::valid && F::hint(leaf); }

	// Do entries i - 1 and i lie in one group that has a hint?
	static bool cuts_group(const table &tb, unsigned i) SVM_REQUIRES(tb.lock)
	{
		if (i % group == 0)
			return false;
		u64 leaf = F::load(entry(tb, i));

		return F::classify(leaf, G::table_level) == entry_state::valid && i % (1u << F::hint(leaf));
	}
};

} // namespace svm
