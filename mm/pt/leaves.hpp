// SPDX-License-Identifier: GPL-2.0-only
// The leaves of one table: the only path that writes them, whatever they are made from.
//
// Rules. A leaf changes under the table's lock only. A leaf goes valid -> retired -> empty; between the last two
// the device acknowledged a flush. A valid leaf is never replaced by one that leads elsewhere. Everything that
// takes something away from the device while faults go on (a huge leaf for small ones, a small table for a huge
// leaf, a hint, a permission that was missing) flushes before the lock is dropped; it is rare. What was written is
// published before the lock is dropped: the next holder, on another CPU, reads it, and a lock alone does not order
// stores to write-combining memory.
#pragma once

#include "mm/base/assert.hpp"
#include "mm/pt/groups.hpp"
#include "mm/pt/walk.hpp"

namespace svm {

static_assert(max_entries < 1 << 10, "what a table counts its leaves with");

template <format F>
class leaves {
	using G = geometry<F>;
	using H = groups<F>;
	static constexpr unsigned huge_level = G::table_level - 1;
	static constexpr u32 huge_pages = G::entries;
	static constexpr unsigned group = 1u << G::hint_max;
	static constexpr unsigned batch = 128; // words on the stack
	static constexpr u64 unowned_word = 1; // of a retired leaf that no mapping for DMA is of: not PORT_PAGE_VALID

public:
	// Does what is mapped now allow the access? Takes no lock: the answer may be old when it is read, in which
	// case the device faults again.
	static bool allows(const page_table &t, u64 va, svm_access access)
	{
		table *tb = walk<F>::find(t, va);

		return tb && allows(*tb, va, access);
	}

	static bool allows(const table &tb, u64 va, svm_access access)
	{
		char *e = tb.entries.load_acquire(); // with the release in give_memory()

		// Beside a huge leaf no small one is valid.
		return (e && F::allows(F::load(e + H::offset(G::index(G::table_level, va))), access)) || huge_allows(tb, access);
	}

	// How many of [first, first + count) allow the access; have (if any): bit n says so of entry first + n.
	static u32 present(const table &tb, unsigned first, unsigned count, svm_access access, u64 *have)
	{
		bool huge = huge_allows(tb, access);
		char *e = tb.entries.load_acquire(); // with the release in give_memory()
		u32 found = 0;

		if (!huge && !e) {
			for (unsigned i = 0; have && i < count; i += 64)
				have[i / 64] = 0;
			return 0;
		}
		for (unsigned i = 0; i < count; i += 64) {
			unsigned n = count - i < 64 ? count - i : 64;
			u64 word = 0;

			if (huge) {
				word = ~0ull >> (64 - n);
				found += n;
			} else {
				word = allowing(e + H::offset(first + i), n, access, found);
			}
			if (have)
				have[i / 64] = word;
		}
		return found;
	}

	// How many of [first, first + count) lead to the device's memory, by a leaf of their own or by one for all of the table. Takes no
	// lock, like present().
	static u32 in_vram(const table &tb, unsigned first, unsigned count)
	{
		auto leads_there = [](u64 leaf, unsigned lv) {
			return F::classify(leaf, lv) == entry_state::valid && !F::is_null(leaf) && F::aperture(leaf) == SVM_VRAM;
		};
		char *e = tb.entries.load_acquire(); // with the release in give_memory()
		u32 found = 0;

		if (leads_there(F::load(walk<F>::top_entry(tb)), huge_level))
			return count;
		for (unsigned i = first; e && i < first + count; i++)
			found += leads_there(F::load(e + H::offset(i)), G::table_level);
		return found;
	}

	// Memory for small leaves, once. False: there is some already, keep yours.
	static bool give_memory(table &tb, const svm_table_mem &mem) SVM_REQUIRES(tb.lock)
	{
		if (tb.mem.cpu)
			return false;
		tb.mem = mem;
		walk<F>::fill_empty(*tb.owner, tb.mem, G::table_level);
		tb.entries.store_release(static_cast<char *>(mem.cpu)); // with the acquire in allows(), present()
		return true;
	}

	// Makes leaves of what the source has for [first, first + count): one for all of the table where one run covers it, else
	// one for each page, for which the table has memory.
	template <source S>
	static void map(page_table &t, table &tb, unsigned first, unsigned count, S &src) SVM_REQUIRES(tb.lock)
	{
		if (first == 0 && count == G::entries && F::levels[huge_level].leaf) {
			run all = src.run_at(0, G::entries);
			bool fits = all.attrs.null ? F::levels[huge_level].null : aligned(all.address, G::table_lg2);

			if (all.there && all.pages == G::entries && all.leaf_pages >= G::entries && fits) {
				if (map_huge(t, tb, all, S::owned))
					src.take(0, G::entries);
				settle(t, tb);
				walk<F>::publish(t);
				return;
			}
		}
		if (!lead_to_memory(t, tb, S::owned))
			return; // a huge leaf that allows everything is there
		bool granted = false;
		u32 before = tb.live;

		if constexpr (S::null) {
			map_null(tb, first, first + count);
		} else if (tb.live == 0 && tb.retired == 0) {
			tb.live = static_cast<u16>(fill(tb, first, first + count, src));
		} else {
			for (unsigned i = first, end = first + count; i < end;) {
				run r = src.run_at(i, end - i);

				if (r.there)
					granted |= map_over(t, tb, i, r, src);
				i += r.pages;
			}
		}
		if constexpr (S::owned)
			tb.unowned = static_cast<u16>(tb.unowned + src.unowned_taken());
		else
			tb.unowned = tb.unowned + (tb.live - before);
		counters::stripe &counted = t.stat.here();
		counted.add(stat::ptes_written, tb.live - before);
		counted.add(stat::present, tb.live - before);
		if (granted)
			t.flush(widened(part(tb, first, first + count)), false);
		settle(t, tb);
		walk<F>::publish(t);
	}

	// Takes [first, last) away from the device; a huge leaf goes whole. Returns the span whose flush is owed, by
	// this call or by one before it, and finish() after that; empty where nothing is.
	// noinline: else gcc makes two functions of it, and each call goes through both.
	[[gnu::noinline]] static va_span retire(page_table &t, table &tb, unsigned first, unsigned last) SVM_REQUIRES(tb.lock)
	{
		if (lost(t)) {
			forget(t, tb);
			return {};
		}
		if (tb.top == table_top::huge) {
			void *top = walk<F>::top_entry(tb);

			F::store(top, huge_level, F::retire(F::load(top)));
			tb.top = table_top::huge_retired;
			counters::stripe &counted = t.stat.here();
			counted.add(stat::huge_zapped);
			counted.sub(stat::present, huge_pages);
		}
		if (tb.live) {
			u32 before = tb.live, left = before;

			H::drop_hints(tb, first, last);
			for (char *e = H::entry(tb, first), *end = H::entry(tb, last); e < end && left;) {
				char *stop = end - e > H::offset(batch) ? e + H::offset(batch) : end;

				PORT_UNROLL
				for (; e < stop; e += H::offset(1)) {
					u64 leaf = F::load(e);

					if (F::classify(leaf, G::table_level) == entry_state::valid) {
						F::store(e, G::table_level, F::retire(leaf));
						left--;
					}
				}
			}
			tb.live = static_cast<u16>(left);
			tb.retired = static_cast<u16>(tb.retired + before - left);
			counters::stripe &counted = t.stat.here();
			counted.add(stat::ptes_zapped, before - tb.live);
			counted.sub(stat::present, before - tb.live);
		}
		if (F::side_bytes && tb.live) // also where no leaf went: side entries were cleared
			walk<F>::publish(t);
		if (tb.top != table_top::huge_retired && !tb.retired)
			return {};
		walk<F>::publish(t);
		return tb.top == table_top::huge_retired ? whole(tb) : widened(part(tb, first, last));
	}

	// The device finds no way to the table's memory any more, once it was flushed.
	static void unlink(page_table &t, table &tb) SVM_REQUIRES(tb.lock)
	{
		if (tb.top != table_top::linked)
			return;
		F::store(walk<F>::top_entry(tb), huge_level, F::empty(huge_level));
		tb.top = table_top::none;
		walk<F>::publish(t);
	}

	// After the flush: forgets retired leaves, and gives back the pages of those that own a DMA mapping. Such leaves and
	// others are never asked for at a time; a null leaf may lie anywhere.
	static void finish(page_table &t, table &tb, unsigned first, unsigned last, bool owned) SVM_REQUIRES(tb.lock)
	{
		if (tb.top == table_top::huge_retired) {
			void *top = walk<F>::top_entry(tb);
			u64 leaf = F::load(top);

			if (lost(t))
				return forget(t, tb);
			u64 word = word_of(leaf, huge_level);
			release(t, tb, &word, 1, (word & PORT_PAGE_WRITE) != 0, huge_level, owned);
			F::store(top, huge_level, F::empty(huge_level));
			tb.top = table_top::none;
		}
		if (tb.retired)
			finish_small(t, tb, first, last, owned);
		settle(t, tb);
		walk<F>::publish(t);
	}

	// Nothing is mapped and nothing is owed.
	static bool idle(const table &tb) SVM_REQUIRES(tb.lock)
	{
		return !tb.live && !tb.retired && (tb.top == table_top::none || tb.top == table_top::linked);
	}

	static va_span part(const table &tb, unsigned first, unsigned last)
	{
		u64 start = walk<F>::start_of(tb);

		return { start + (u64(first) << G::page_lg2), start + (u64(last) << G::page_lg2) };
	}

private:
	static va_span whole(const table &tb) { return part(tb, 0, G::entries); }

	// The TLB may hold a hinted group as one: a flush takes all of it.
	static va_span widened(va_span span) { return span.widened(G::page_lg2 + G::hint_max); }

	// Keeps the count of idle tables.
	static void settle(page_table &t, table &tb) SVM_REQUIRES(tb.lock)
	{
		bool now = idle(tb);

		if (now != tb.counted_idle)
			t.idle.fetch_add_relaxed(now ? 1 : ~0ull);
		tb.counted_idle = now;
	}

	// A callback often leaves whole tables so; to see it costs a fraction of a look at each entry.
	static bool all_empty(const char *e, unsigned n)
	{
		u64 other = 0;

		PORT_UNROLL
		for (unsigned k = 0; k < n; k++)
			other |= F::load(e + H::offset(k)) ^ F::empty(G::table_level);
		return !other;
	}

	// Bit k: entry k of n allows the access; counts them.
	static u64 allowing(const char *e, unsigned n, svm_access access, u32 &count)
	{
		u64 word = 0;

		if (all_empty(e, n))
			return 0;
		for (unsigned k = 0; k < n; k++, e += H::offset(1)) {
			if (!F::allows(F::load(e), access))
				continue;
			word |= 1ull << k;
			count++;
		}
		return word;
	}

	static bool huge_allows(const table &tb, svm_access access)
	{
		u64 top = F::load(walk<F>::top_entry(tb));

		return F::classify(top, huge_level) == entry_state::valid && F::allows(top, access);
	}

	static bool lost(const page_table &t) { return t.ops->lost && t.ops->lost(t.backend); }

	// The device took its tables with it, and itself away from memory: nothing is mapped any more, and what was is
	// not to be read from what lies there now.
	static void forget(page_table &t, table &tb) SVM_REQUIRES(tb.lock)
	{
		bool huge = tb.top == table_top::huge, huge_gone = tb.top == table_top::huge_retired;

		port_dma_abandon(t.domain, tb.live + tb.retired + (huge || huge_gone ? 1 : 0) - tb.unowned);
		t.stat.sub(stat::present, tb.live + (huge ? huge_pages : 0));
		tb.live = tb.retired = tb.unowned = 0;
		tb.top = table_top::none;
		settle(t, tb);
	}

	// The entry above leads to the table's memory. False where a huge leaf serves as well. owned: so are the leaves that give way.
	static bool lead_to_memory(page_table &t, table &tb, bool owned) SVM_REQUIRES(tb.lock)
	{
		void *top = walk<F>::top_entry(tb);

		SVM_ASSERT(tb.mem.cpu);
		SVM_ASSERT(tb.top != table_top::huge_retired);
		if (tb.top == table_top::linked)
			return true;
		if (tb.top == table_top::huge) {
			if (F::writable(F::load(top)))
				return false;
			retire(t, tb, 0, G::entries);
			t.flush(whole(tb), false);
			finish(t, tb, 0, G::entries, owned);
		}
		F::link(top, huge_level, tb.mem.addr, static_cast<svm_aperture>(tb.mem.aperture));
		tb.top = table_top::linked;
		return true;
	}

	// Does a valid leaf that leads to the same page allow less?
	static bool lacks(u64 leaf, leaf_attrs more)
	{
		return more.write && (!F::writable(leaf) || (more.atomic && !F::allows(leaf, SVM_ATOMIC)));
	}

	// One huge leaf for all of the table. False: one is there already, and the run stays the source's.
	static bool map_huge(page_table &t, table &tb, const run &r, bool owned) SVM_REQUIRES(tb.lock)
	{
		void *top = walk<F>::top_entry(tb);
		u64 old = F::load(top);

		SVM_ASSERT(tb.top != table_top::huge_retired); // the sequence keeps faults out until it is finished
		if (tb.top == table_top::huge) {
			if (lacks(old, r.attrs)) {
				F::store(top, huge_level, F::grant_write(old, r.attrs.atomic));
				t.flush(whole(tb), false);
			}
			return false;
		}
		if (tb.top == table_top::linked)
			retire(t, tb, 0, G::entries);
		bool was_linked = tb.top == table_top::linked;
		F::store(top, huge_level, r.attrs.null ? F::null_leaf(huge_level) : F::leaf(huge_level, r.address, r.attrs));
		tb.unowned = tb.unowned + !owned;
		tb.top = table_top::huge;
		if (was_linked) { // the device may still walk by the old pointer
			t.flush(whole(tb), false);
			finish_small(t, tb, 0, G::entries, owned);
		}
		counters::stripe &counted = t.stat.here();
		counted.add(stat::huge_leaves);
		counted.add(stat::present, huge_pages);
		return true;
	}

	// Null leaves where the table is empty.
	static void map_null(table &tb, unsigned first, unsigned end) SVM_REQUIRES(tb.lock)
	{
		SVM_ASSERT(F::levels[G::table_level].null);
		for (unsigned i = first; i < end; i++) {
			if (F::classify(F::load(H::entry(tb, i)), G::table_level) != entry_state::empty)
				continue;
			F::store(H::entry(tb, i), G::table_level, F::null_leaf(G::table_level));
			tb.live++;
		}
	}

	// Entries [first, end) of a table that maps nothing and owes nothing. What runs have of whole groups carries the hint.
	// How many leaves it wrote.
	template <source S>
	static u32 fill(table &tb, unsigned first, unsigned end, S &src) SVM_REQUIRES(tb.lock)
	{
		if constexpr (G::one_hint && !F::side_bytes) {
			u32 written = fill_fast(H::entry(tb, 0), first, end, src);

			src.take_all(written);
			return written;
		} else {
			u32 written = 0;

			for (unsigned i = first; i < end;) {
				run r = src.run_at(i, end - i);

				if (r.there) {
					H::write_run(tb, i, r);
					src.take(i, r.pages);
					written += r.pages;
				}
				i += r.pages;
			}
			return written;
		}
	}

	// The same for a format with groups of one size; entry 0 is at `entries`. A fault in memory of 4 KiB pages spends most of
	// the core's time here: a function of its own, and a copy of the source, whose members then stay in registers.
	template <source S>
	[[gnu::noinline]] static u32 fill_fast(char *entries, unsigned first, unsigned end, const S &whole)
	{
		constexpr unsigned entry_lg2 = F::levels[G::table_level].entry_lg2;
		const S src = whole;
		u64 written = 0;
		u64 like = no_kind, leaf = 0; // of the last page: its kind, and a leaf of that kind to page 0

		for (u64 i = first; i < end;) {
			u32 n = fill_groups(entries, static_cast<unsigned>(i), end, src);

			written += n;
			i += n;
			// The rest of a group one by one; pages that are like the last one have a loop of their own.
			u64 edge = (i / group + 1) * group, stop = edge < end ? edge : end;

			if (stop - i == group && src.kind_at(i) == like && src.alike(i, group)) {
				PORT_UNROLL
				for (; i < stop; i++)
					F::store(entries + (i << entry_lg2), G::table_level, leaf + src.frame_at(i) * G::next_page);
				written += group;
				continue;
			}
			for (; i < stop; i++) {
				u64 from = i;

				for (; i < stop && src.kind_at(i) == like; i++)
					F::store(entries + (i << entry_lg2), G::table_level, leaf + src.frame_at(i) * G::next_page);
				written += i - from;
				if (i == stop)
					break;
				page p = src.page_at(i);
				if (!p.there)
					continue;
				like = src.kind_at(i);
				leaf = F::leaf(G::table_level, 0, p.attrs);
				F::store(entries + (i << entry_lg2), G::table_level, leaf + src.frame_at(i) * G::next_page);
				written++;
			}
		}
		return static_cast<u32>(written);
	}

	// The whole groups that a run fills from entry i on: so many leaves, or 0.
	template <source S>
	[[gnu::always_inline]] static u32 fill_groups(char *entries, unsigned i, unsigned end, const S &src)
	{
		if (i % group || end - i < group)
			return 0;
		run r = src.run_at(i, end - i);
		if (!r.there || !H::group_at(i, r.pages, r.address))
			return 0;
		u32 n = r.pages / group * group;
		H::write(entries + H::offset(i), n, F::with_hint(F::leaf(G::table_level, r.address, r.attrs), G::hint_max));
		return n;
	}

	// A run over what may be there. True: a valid leaf was granted more, which the TLB does not know.
	template <source S>
	static bool map_over(page_table &t, table &tb, unsigned first, const run &r, S &src) SVM_REQUIRES(tb.lock)
	{
		unsigned end = first + r.pages;
		u64 addr = r.address, leaf = F::leaf(G::table_level, addr, r.attrs);
		bool granted = false;

		for (unsigned i = first; i < end;) {
			unsigned hint = H::group_at(i, end - i, addr), start = i;
			u64 leads = leaf;

			while (hint && !H::group_empty(tb, i, hint))
				hint = H::smaller_group(hint, end - i);
			for (unsigned stop = i + (1u << hint); i < stop; i++, addr += PORT_PAGE_SIZE, leaf += G::next_page) {
				char *e = H::entry(tb, i);
				u64 old = F::load(e);

				switch (F::classify(old, G::table_level)) {
				case entry_state::valid:
					// Same page, since any other would have been invalidated in between; its DMA mapping stays.
					if (!lacks(old, r.attrs))
						break;
					H::drop_group(tb, i);
					F::store(e, G::table_level, F::grant_write(F::without_hint(old), r.attrs.atomic));
					granted = true;
					break;
				case entry_state::retired:
					SVM_ASSERT(lost(t)); // else the sequence keeps faults out until it is finished
					break;
				default:
					F::store(e, G::table_level, hint ? F::with_hint(leaf, hint) : leaf);
					tb.live++;
					src.take(i, 1);
				}
			}
			H::note_group(tb, start, hint, leads);
		}
		return granted;
	}

	static void finish_small(page_table &t, table &tb, unsigned first, unsigned last, bool owned) SVM_REQUIRES(tb.lock)
	{
		u64 word[batch] __attribute__((uninitialized)); // take_retired() writes what is read

		for (unsigned i = first, n; i < last && tb.retired; i += n) {
			n = last - i < batch ? last - i : batch;
			taken got = take_retired(H::entry(tb, i), n, word);

			// Asked once a batch, as it may be a read across the bus; also where no word says retired any more.
			if (lost(t))
				return forget(t, tb);
			if (!got.leaves)
				continue;
			release(t, tb, word, n, got.dirty, G::table_level, owned);
			tb.retired = static_cast<u16>(tb.retired - got.leaves);
		}
	}

	struct taken {
		u32 leaves;
		u32 dirty; // those that the device could write by
	};

	// Makes the retired ones of n entries empty, and words of the port's of them; 0 is the word of the others. A large part of
	// what an unmap costs: leaves that differ in their page alone have a loop of their own.
	static taken take_retired(char *e, unsigned n, u64 *word)
	{
		constexpr unsigned lv = G::table_level;
		u64 like = beside_page(F::retire(F::leaf(lv, 0, { .write = true, .atomic = true, .aperture = SVM_SYSTEM })));
		u64 flags = PORT_PAGE_VALID | PORT_PAGE_WRITE;
		taken got{};

		for (u64 *end = word + n; word < end; word++, e += H::offset(1)) {
			u64 *from = word;

			PORT_UNROLL
			for (; word < end; word++, e += H::offset(1)) {
				u64 leaf = F::load(e);

				if (beside_page(leaf) != like)
					break;
				*word = F::address(leaf, lv) >> PORT_PAGE_LG2 | flags;
				F::store(e, lv, F::empty(lv));
			}
			got.leaves += static_cast<u32>(word - from);
			got.dirty += flags & PORT_PAGE_WRITE ? static_cast<u32>(word - from) : 0;
			if (word == end)
				break;
			u64 leaf = F::load(e);
			*word = word_of(leaf, lv);
			if (!*word)
				continue;
			F::store(e, lv, F::empty(lv));
			got.leaves++;
			got.dirty += (*word & PORT_PAGE_WRITE) != 0;
			if (*word & PORT_PAGE_VALID) {
				like = beside_page(leaf);
				flags = *word & (PORT_PAGE_VALID | PORT_PAGE_WRITE);
			}
		}
		return got;
	}

	// All that a leaf of the table says beside its page's address. Leaves are linear in that, see the laws.
	static constexpr u64 beside_page(u64 leaf)
	{
		return leaf - (F::address(leaf, G::table_level) >> PORT_PAGE_LG2) * G::next_page;
	}

	// A retired leaf as a word of the port's; 0 for others.
	static u64 word_of(u64 leaf, unsigned lv)
	{
		if (F::classify(leaf, lv) != entry_state::retired)
			return 0;
		if (F::is_null(leaf) || F::aperture(leaf) == SVM_VRAM)
			return unowned_word;
		return F::address(leaf, lv) >> PORT_PAGE_LG2 | PORT_PAGE_VALID | (F::writable(leaf) ? PORT_PAGE_WRITE : 0);
	}

	// Hardware keeps no dirty bit: what the device could write, `dirty` of the words, counts as written.
	static void release(page_table &t, table &tb, const u64 *word, u32 n, u64 dirty, unsigned lv, bool owned) SVM_REQUIRES(tb.lock)
	{
		u32 lg2 = F::levels[lv].shift;

		for (u32 k = 0; tb.unowned && k < n; k++)
			tb.unowned = static_cast<u16>(tb.unowned - (owned ? word[k] == unowned_word : word[k] != 0));
		if (!owned)
			return;
		t.stat.add(stat::dirtied, dirty << (lg2 - G::page_lg2));
		port_dma_release(t.domain, word, n, lg2, true);
	}
};

} // namespace svm
