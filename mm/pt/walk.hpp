// SPDX-License-Identifier: GPL-2.0-only
// One walk finds everything: root to table through pointers that are published with release and freed after a
// grace period. Callers are inside a reader section (or alone with the tree, in teardown).
#pragma once

#include "mm/base/assert.hpp"
#include "mm/base/owner.hpp"
#include "mm/pt/format.hpp"
#include "mm/pt/table.hpp"

namespace svm {

template <format F>
class walk {
	using G = geometry<F>;
	static constexpr unsigned last_dir = G::directories - 1; // the level whose children are tables
	static constexpr u32 last_lg2 = F::levels[last_dir].shift + F::levels[last_dir].index_bits; // of the VA of such a directory

public:
	static u64 start_of(const table &tb) { return tb.parent->start + (u64(tb.index) << F::levels[last_dir].shift); }

	// The directory's entry for this table: a link, a huge leaf, or nothing.
	static void *top_entry(const table &tb)
	{
		return static_cast<char *>(tb.parent->mem.cpu) + (u64(tb.index) << F::levels[last_dir].entry_lg2);
	}

	static table *find(const page_table &t, u64 va) { return find_below<0>(*t.root, va); }

	// Finds or makes the table. It may come back fresh: see table_state. Sleeps. err::busy: a directory on the way is
	// being taken out, walk again. err::room: there is no memory for a directory, make_room() first.
	static result<table *> make_table(page_table &t, u64 va)
	{
		directory *d = t.root;

		for (unsigned lv = 0; lv < last_dir; lv++) {
			result<directory *> next = next_directory(t, *d, va);
			if (!next.ok())
				return result<table *>::from(next.error());
			d = next.value();
		}
		if (void *there = child(*d, va).load_acquire()) // with the release in install()
			return static_cast<table *>(there);

		if (!join(*d)) // before anything is allocated, which may reclaim
			return err::busy;
		owner<table> fresh = make<table>();
		if (!fresh) {
			leave(*d);
			return err::nomem;
		}
		place(t, *fresh, d, G::index(last_dir, va));
		t.idle.fetch_add_release(1); // with the acquire in freeable(): the vm is whole by now
		if (void *winner = install(*d, va, fresh.get())) {
			t.idle.fetch_add_relaxed(~0ull);
			leave(*d);
			return static_cast<table *>(winner);
		}
		counters::stripe &count = t.stat.here();
		count.add(stat::tables);
		count.add(stat::tables_made);
		count.add(stat::host_bytes, sizeof(table));
		return fresh.release();
	}

	// Takes a table out of the tree: no walk finds it any more. It is idle and unlinked.
	static void unpublish(page_table &t, table &tb) SVM_REQUIRES(tb.lock)
	{
		SVM_ASSERT(tb.counted_idle && tb.top == table_top::none);
		t.idle.fetch_add_relaxed(~0ull);
		if (tb.mem.cpu)
			t.discount_piece();
		t.stat.sub(stat::tables);
		tb.state.store_release(table_state::dead); // with the acquire of readers that still hold a pointer to it
		tb.parent->child[tb.index].store_release(nullptr); // with the exchange in install(): the entry is empty before another links
		leave(*tb.parent);
	}

	// Takes a directory out of the tree if it has no children: no walk finds it, and the device finds no way to it
	// once the span was flushed. False: it has some, or another thread took it out.
	static bool take_out_empty(page_table &t, directory &d)
	{
		u32 none = 0;

		if (!d.children.exchange_if(none, directory::closed)) // with join(); acquire: with the release in leave()
			return false;
		t.idle.fetch_add_relaxed(~0ull);
		t.discount_piece();
		// No other thread writes this entry now: the slot still holds d, and d is linked after join() only.
		F::store(entry_of(*d.parent, d.index), d.level - 1, F::empty(d.level - 1u));
		publish(t);
		d.parent->child[d.index].store_release(nullptr); // with the exchange in install(), likewise
		leave(*d.parent);
		return true;
	}

	// Calls fn for every directory below d, children before parents, until it returns false. As deep as the format.
	static bool visit_directories(directory &d, bool (*fn)(directory &, va_span span, void *arg), void *arg)
	{
		if (d.level == last_dir)
			return true;
		for (u32 i = 0; i < 1u << F::levels[d.level].index_bits; i++) {
			auto *c = static_cast<directory *>(d.child[i].load_acquire()); // with the release in install()

			if (c && (!visit_directories(*c, fn, arg) ||
				  !fn(*c, va_span::around(c->start, F::levels[d.level].shift), arg)))
				return false;
		}
		return true;
	}

	// Calls fn for every published table that meets the span, in order of address. Stops when fn returns false.
	// Bounded by the number of directory entries that the span covers, missing and empty directories skipped whole. A
	// child is counted before its pointer shows, so a count of zero is as good as an empty slot: see B1 and B2 of mirror.hpp.
	static void visit(const page_table &t, va_span span, bool (*fn)(table &, va_span part, void *arg), void *arg)
	{
		if (!span.empty() && va_span::around(span.start, G::table_lg2).holds(span)) { // most often
			if (table *tb = find(t, span.start))
				fn(*tb, span, arg);
			return;
		}
		for (u64 va = span.start; va < span.end;) {
			directory *d = t.root;
			unsigned lv = 0;

			while (lv < last_dir) {
				void *c = child(*d, va).load_acquire(); // with the release in install()
				if (!c)
					break;
				d = static_cast<directory *>(c);
				lv++;
			}
			bool empty = lv && !d->children.load_relaxed(); // with join(), by way of B1 and B2
			va_span piece = va_span::around(va, F::levels[empty ? lv - 1 : lv].shift);
			if (lv == last_dir && !empty) {
				piece = va_span::around(va, last_lg2);
				if (!visit_tables(*d, va_span{ va, span.end }.common(piece), fn, arg))
					return;
			}
			va = piece.end;
		}
	}

	static result<directory *> make_root(page_table &t)
	{
		return new_directory(t, nullptr, 0);
	}

	// Frees a directory and those below. Nobody walks any more, and no table is left.
	static void free_directory(page_table &t, directory *d)
	{
		if (d->level < last_dir) {
			for (u32 i = 0; i < 1u << F::levels[d->level].index_bits; i++) {
				if (void *c = d->child[i].load_relaxed())
					free_directory(t, static_cast<directory *>(c)); // as deep as the format
			}
		}
		drop_directory(*d);
	}

private:
	// The tables of one directory, as visit().
	static bool visit_tables(const directory &d, va_span span, bool (*fn)(table &, va_span part, void *arg), void *arg)
	{
		for (u64 va = span.start; va < span.end;) {
			va_span piece = va_span::around(va, G::table_lg2);
			void *c = child_at<last_dir>(d, va).load_acquire(); // with the release in install()

			if (c && !fn(*static_cast<table *>(c), piece.common(span), arg))
				return false;
			va = piece.end;
		}
		return true;
	}

	// Each level has code of its own: a duplicate fault does little else.
	template <unsigned lv>
	static table *find_below(const directory &d, u64 va)
	{
		void *c = child_at<lv>(d, va).load_acquire(); // with the release in install()

		if constexpr (lv == last_dir)
			return static_cast<table *>(c);
		else
			return c ? find_below<lv + 1>(*static_cast<directory *>(c), va) : nullptr; // as deep as the format
	}

	template <unsigned lv>
	static atomic<void *> &child_at(const directory &d, u64 va) { return d.child[G::index(lv, va)]; }
	static atomic<void *> &child(const directory &d, u64 va) { return d.child[G::index(d.level, va)]; }

	static void *entry_of(const directory &d, u32 index)
	{
		return static_cast<char *>(d.mem.cpu) + (u64(index) << F::levels[d.level].entry_lg2);
	}

	// Null, or the node that was there first. The node's contents are whole before its pointer shows.
	static void *install(directory &d, u64 va, void *node)
	{
		void *was = nullptr;

		return child(d, va).exchange_if(was, node) ? nullptr : was;
	}

	// Counts a thread, or the child that it is about to publish, in: the directory stays. False: it is being taken out.
	static bool join(directory &d)
	{
		u32 n = d.children.load_relaxed(); // a stale value fails the exchange

		do { // ends: each failure is another thread's success
			if (n == directory::closed)
				return false;
		} while (!d.children.exchange_if(n, n + 1)); // with the exchange in take_out_empty(): one of the two fails
		if (!n && d.parent)
			d.owner->idle.fetch_add_relaxed(~0ull);
		d.touch(*d.owner);
		return true;
	}

	// Counts it out again. Release: what it did comes before the directory's end, see take_out_empty().
	static void leave(directory &d)
	{
		page_table &t = *d.owner;
		bool counted = d.parent;

		// The reader section keeps d, but from here on it may be closed.
		if (d.children.fetch_add_release(~0u) == 1 && counted)
			t.idle.fetch_add_relaxed(1);
	}

	static void place(page_table &t, node &n, directory *parent, u32 index)
	{
		n.owner = &t;
		n.parent = parent;
		n.index = static_cast<u16>(index);
		n.touch(t);
	}

	static result<directory *> next_directory(page_table &t, directory &d, u64 va)
	{
		auto *next = static_cast<directory *>(child(d, va).load_acquire()); // with the release in install()

		if (!next) {
			if (!join(d)) // as in make_table()
				return err::busy;
			result<directory *> made = new_directory(t, &d, va);
			if (!made.ok()) {
				leave(d);
				return made;
			}
			next = made.value();
			t.idle.fetch_add_release(1); // as in make_table()
			t.count_piece();
			if (void *winner = install(d, va, next)) {
				t.idle.fetch_add_relaxed(~0ull);
				t.discount_piece();
				leave(d);
				drop_directory(*next);
				next = static_cast<directory *>(winner);
			}
		}
		// The winner may not have written the device's entry yet; writing the same word twice does no harm. It must
		// not be written once the directory is on its way out.
		if (!next->linked.load_acquire()) { // with the release below
			if (!join(*next))
				return err::busy;
			F::link(entry_of(d, next->index), d.level, next->mem.addr, static_cast<svm_aperture>(next->mem.aperture));
			publish(t);
			next->linked.store_release(true); // with the acquire above
			leave(*next);
		}
		return next;
	}

	// The directory of va below the parent; the root below none.
	static result<directory *> new_directory(page_table &t, directory *parent, u64 va)
	{
		unsigned lv = parent ? parent->level + 1u : 0;
		u32 slots = static_cast<u32>(sizeof(atomic<void *>)) << F::levels[lv].index_bits;
		owner<directory> d = make<directory>();

		if (!d)
			return err::nomem;
		d->child = static_cast<atomic<void *> *>(port_alloc(slots));
		if (!d->child)
			return err::nomem;
		status got = t.get_memory(G::bytes(lv), d->mem);
		if (!got.ok()) {
			port_free(d->child);
			return result<directory *>::from(got.error());
		}
		t.clock.fetch_add_relaxed(1);
		place(t, *d, parent, parent ? G::index(parent->level, va) : 0);
		d->child_bytes = slots;
		d->start = parent ? align_down(va, F::levels[parent->level].shift) : 0;
		d->level = static_cast<u8>(lv);
		fill_empty(t, d->mem, lv);
		t.stat.add(stat::directories);
		t.stat.add(stat::host_bytes, sizeof(directory) + slots);
		t.stat.add(stat::device_bytes, d->mem.bytes);
		return d.release();
	}

public:
	// What was written to tables comes before what this CPU writes from now on, also for whoever reads it by way of
	// the bus. Its partners: the device's loads of entries, and the next holder of a table's lock.
	static void publish(const page_table &t)
	{
		if (t.ops->publish)
			t.ops->publish(t.backend);
	}

	// Memory comes zeroed; a format whose empty word is another gets it written. A side table stays zero: no group has a hint.
	// It is published here, so that no store is left on its way to memory that loses its race and is freed.
	static void fill_empty(const page_table &t, svm_table_mem &mem, unsigned lv)
	{
		u32 bytes = 1u << (F::levels[lv].index_bits + F::levels[lv].entry_lg2);

		for (u32 at = 0; F::empty(lv) && at < bytes; at += 1u << F::levels[lv].entry_lg2)
			F::store(static_cast<char *>(mem.cpu) + at, lv, F::empty(lv));
		if (F::empty(lv))
			publish(t);
	}
};

} // namespace svm
