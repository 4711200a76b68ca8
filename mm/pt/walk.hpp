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

public:
	static u64 start_of(const table &tb) { return tb.parent->start + (u64(tb.index) << F::levels[last_dir].shift); }

	// The directory's entry for this table: a link, a huge leaf, or nothing.
	static void *top_entry(const table &tb) { return entry_of(*tb.parent, tb.index); }

	static table *find(const tree &t, u64 va)
	{
		directory *d = t.root;

		for (unsigned lv = 0; lv < last_dir; lv++) {
			d = static_cast<directory *>(child(*d, va).load_acquire()); // with the release in install()
			if (!d)
				return nullptr;
		}
		return static_cast<table *>(child(*d, va).load_acquire()); // likewise
	}

	// Finds or makes the table. It may come back fresh: see table_state. Sleeps.
	static result<table *> make_table(tree &t, u64 va, interval *in)
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

		owner<table> fresh = make<table>();
		if (!fresh)
			return err::nomem;
		fresh->parent = d;
		fresh->index = static_cast<u16>(G::index(last_dir, va));
		fresh->interval = in;
		t.idle.fetch_add_release(1); // with the acquire in svm_port_shrink(): the vm is whole by now
		if (void *winner = install(*d, va, fresh.get())) {
			t.idle.fetch_add_relaxed(~0ull);
			return static_cast<table *>(winner);
		}
		t.stat.add(stat::tables);
		t.stat.add(stat::tables_made);
		t.stat.add(stat::host_bytes, sizeof(table));
		return fresh.release();
	}

	// Takes a table out of the tree: no walk finds it any more. It is idle and unlinked.
	static void unpublish(tree &t, table &tb) SVM_REQUIRES(tb.lock)
	{
		SVM_ASSERT(tb.counted_idle && tb.top == table_top::none);
		t.idle.fetch_add_relaxed(~0ull);
		t.stat.sub(stat::tables);
		tb.state.store_release(table_state::dead); // with the acquire of whoever still holds a pointer to it
		tb.parent->child[tb.index].store_release(nullptr);
	}

	// Calls fn for every published table that meets the span, in order of address. Stops when fn returns false.
	// Bounded by the number of directory entries that the span covers, missing directories skipped whole.
	static void visit(const tree &t, va_span span, bool (*fn)(table &, va_span part, void *arg), void *arg)
	{
		for (u64 va = span.start; va < span.end;) {
			directory *d = t.root;
			unsigned lv = 0;
			void *c;

			while ((c = child(*d, va).load_acquire()) && lv < last_dir) { // with the release in install()
				d = static_cast<directory *>(c);
				lv++;
			}
			va_span piece = va_span::around(va, F::levels[lv].shift);
			if (c && !fn(*static_cast<table *>(c), piece.common(span), arg))
				return;
			va = piece.end;
		}
	}

	static result<directory *> make_root(tree &t)
	{
		return new_directory(t, 0, 0, 0);
	}

	// Frees a directory and those below. Nobody walks any more, and no table is left.
	static void free_directory(tree &t, directory *d)
	{
		if (d->level < last_dir) {
			for (u32 i = 0; i < 1u << F::levels[d->level].index_bits; i++) {
				if (void *c = d->child[i].load_relaxed())
					free_directory(t, static_cast<directory *>(c)); // as deep as the format
			}
		}
		drop_directory(t, d);
	}

private:
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

	static result<directory *> next_directory(tree &t, directory &d, u64 va)
	{
		auto *next = static_cast<directory *>(child(d, va).load_acquire()); // with the release in install()

		if (!next) {
			u64 start = align_down(va, F::levels[d.level].shift);
			result<directory *> made = new_directory(t, d.level + 1, G::index(d.level, va), start);
			if (!made.ok())
				return made;
			next = made.value();
			if (void *winner = install(d, va, next)) {
				drop_directory(t, next);
				next = static_cast<directory *>(winner);
			}
		}
		// The winner may not have written the device's entry yet; writing the same word twice does no harm.
		if (!next->linked.load_acquire()) { // with the release below
			F::link(entry_of(d, next->index), d.level, next->mem.addr, static_cast<svm_aperture>(next->mem.aperture));
			publish(t);
			next->linked.store_release(true); // with the acquire above
		}
		return next;
	}

	static result<directory *> new_directory(tree &t, unsigned lv, u32 index, u64 start)
	{
		unsigned long slots = sizeof(atomic<void *>) << F::levels[lv].index_bits;
		auto *d = static_cast<directory *>(port_alloc(sizeof(directory)));
		auto *children = static_cast<atomic<void *> *>(port_alloc(slots));

		if (!d || !children || t.ops->table_alloc(t.backend, G::bytes(lv), &d->mem)) {
			port_free(children);
			port_free(d);
			return err::nomem;
		}
		d->owner = &t;
		d->child = children;
		d->start = start;
		d->index = static_cast<u16>(index);
		d->level = static_cast<u8>(lv);
		fill_empty(d->mem, lv);
		t.stat.add(stat::directories);
		t.stat.add(stat::host_bytes, sizeof(directory) + slots);
		t.stat.add(stat::device_bytes, G::bytes(lv));
		return d;
	}

	static void drop_directory(tree &t, directory *d)
	{
		t.stat.sub(stat::directories);
		t.stat.sub(stat::host_bytes, sizeof(directory) + (sizeof(atomic<void *>) << F::levels[d->level].index_bits));
		t.stat.sub(stat::device_bytes, G::bytes(d->level));
		t.ops->table_free(t.backend, &d->mem);
		port_free(d->child);
		port_free(d);
	}

public:
	// What was written to tables comes before what this CPU writes from now on, also for whoever reads it by way of
	// the bus. Its partners: the device's loads of entries, and the next holder of a table's lock.
	static void publish(const tree &t)
	{
		if (t.ops->publish)
			t.ops->publish(t.backend);
	}

	// Memory comes zeroed; a format whose empty word is another gets it written.
	static void fill_empty(svm_table_mem &mem, unsigned lv)
	{
		if constexpr (F::empty != 0) {
			for (u32 at = 0; at < mem.bytes; at += 1u << F::levels[lv].entry_lg2)
				F::store(static_cast<char *>(mem.cpu) + at, lv, F::empty);
		}
	}
};

} // namespace svm
