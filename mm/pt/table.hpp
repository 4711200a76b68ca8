// SPDX-License-Identifier: GPL-2.0-only
// The CPU's side of the tree: directories, and a table per touched span of the last level.
//
// A node is published by one store of its pointer in the directory above and freed after a grace period, so a
// walk takes no lock. The device's own tables hang beside the nodes (`mem`). Two threads may write the same link:
// the second one writes the word that is there already.
//
// A directory counts its children. A thread that is about to publish or to link below it counts itself in first; a
// count of zero may be closed, once, and then no thread gets in any more. So an empty directory can be taken out
// like a table, and none is taken out under a thread that adds to it.
//
// A table has no device memory until something smaller than its whole span is mapped. Memory that it got stays
// with it (also under a huge leaf) until the table itself is freed.
#pragma once

#include "svm/svm.h"
#include "mm/base/atomic.hpp"
#include "mm/base/deferred.hpp"
#include "mm/base/guard.hpp"
#include "mm/base/owner.hpp"
#include "mm/base/result.hpp"
#include "mm/base/span.hpp"
#include "mm/stat.hpp"

namespace svm {

struct directory;
struct page_table;
struct interval;
struct leaf_attrs;
class mirrored_pages;
class object_pages;
struct null_pages;

// What tables and directories have in common: a place in the tree, and an end after a grace period.
struct node : deferred {
	atomic<bool> used{ true }; // since the shrinker last looked
	u16 index = 0;		   // in the parent
	atomic<u32> stamp{ 0 };	   // page_table::clock at the last fault
	page_table *owner = nullptr;
	directory *parent = nullptr;

	using deferred::deferred;

	// A fault passes here. Both words are hints: a stale one makes reclaim take another node.
	void touch(const page_table &t);
	u32 age(const page_table &t) const;
};

struct directory : node {
	directory() : node(deferred_kind::directory) {}

	static constexpr u32 closed = ~0u;

	atomic<void *> *child = nullptr; // directory * or table * per entry: published by release, read by acquire
	svm_table_mem mem{};
	u64 start = 0;			 // device address that entry 0 begins at
	u32 child_bytes = 0;		 // size of child[]
	u8 level = 0;
	atomic<bool> linked{ false };	 // the parent's entry leads here: release when written, acquire before one goes on
	atomic<u32> children{ 0 };	 // published ones, and threads that are about to add one; or closed
};

// Where a table stands in its life. Written under its lock.
enum class table_state : u8 {
	fresh,	// published, but no sequence was looked up for it: not to be mapped into
	ready,
	leaving, // being evicted, see departure: callbacks treat it like a ready one, faults start over
	dead,	// taken out of the tree: walk again
};

// What the directory's entry for a table holds. Written under the table's lock.
enum class table_top : u8 {
	none,
	linked,		// leads to mem
	huge,		// a valid leaf
	huge_retired,	// a retired leaf
};

struct table : node {
	table() : node(deferred_kind::table) {}

	table_lock lock;
	u32 live : 10 SVM_GUARDED_BY(lock) = 0;	   // valid leaves in mem
	u32 retired : 10 SVM_GUARDED_BY(lock) = 0; // retired leaves in mem
	u32 unowned : 10 SVM_GUARDED_BY(lock) = 0; // null and lent ones among all these, the one above included
	table_top top : 7 SVM_GUARDED_BY(lock) = table_top::none;
	bool counted_idle : 1 SVM_GUARDED_BY(lock) = true; // is in page_table::idle
	atomic<table_state> state{ table_state::fresh };
	// The mirror's; no code in pt/ reads them. The last look found no page but those that were wanted: a hint.
	atomic<bool> sparse{ false };
	atomic<u32> moved_at{ 0 }; // also the mirror's: when a fault last moved the pages here, see advice.hpp; 0: never
	// The notifier sequence of the last invalidation that met this table, and the
	// interval that the table is alone of, if there is one. Both are written under the lock. A reader without it compares
	// the sequence again under the lock, and the interval too.
	atomic<u64> seq{ 0 };
	atomic<struct interval *> interval{ nullptr };
	// Entries for readers without the lock: release once mem is set, acquire before the entry is read.
	atomic<char *> entries{ nullptr };
	svm_table_mem mem SVM_GUARDED_BY(lock){};
};

// Rounded down: a lock with debugging fills whole words, and leaves no half of one to what follows.
static_assert(align_down(sizeof(table) - sizeof(struct port_lock) + sizeof(u32), 3) <= 128, "bookkeeping per touched table, locks' debugging left out");

// Device addresses below `end`, from where it was asked about: do the leaves there own DMA mappings?
struct tenure {
	u64 end;
	bool owned;
};

// One device page table: a tree of directories and tables, the format of its entries, and the backend that holds their
// memory. The operations on it are defined in page_table.hpp; the format implements them.
struct page_table {
	const svm_format *format = nullptr;
	const svm_backend_ops *ops = nullptr;
	void *backend = nullptr;
	port_domain *domain = nullptr;
	directory *root = nullptr;
	counters stat;
	// Where a table has leaves that own a DMA mapping beside others: which is which. Null: all that are not null own one.
	tenure (*tenure_at)(const void *user, u64 va) = nullptr;
	const void *user = nullptr;
	// Counts and hints: where no partner is named at the access, a stale value makes reclaim look once more or less.
	atomic<u64> idle{ 0 };	  // tables that map nothing and directories without children: what the shrinker can have
	atomic<u64> pieces{ 0 };  // of the backend's memory: tables that have some, and directories but the root
	atomic<u64> pending{ 0 }; // nodes between port_defer() and their end
	atomic<u32> clock{ 0 };	  // counts the pieces of table memory that were got, and looks for some that found none

	// A directory is counted in and out after its count of children has changed, so the sum may be below 0 for a moment.
	u64 freeable() const
	{
		s64 n = static_cast<s64>(idle.load_acquire()); // with the releases in walk::make_table()

		return n > 0 ? static_cast<u64>(n) : 0;
	}

	// ---- geometry ----
	unsigned entries() const; // leaves of a table
	unsigned table_lg2() const; // of the bytes of VA that a table spans
	va_span all() const;
	va_span table_span(u64 va) const { return va_span::around(va, table_lg2()); }
	unsigned index(u64 va) const { return static_cast<unsigned>((va & ((1ull << table_lg2()) - 1)) >> PORT_PAGE_LG2); }
	u64 start_of(const table &tb) const;
	va_span span_of(const table &tb) const { return table_span(start_of(tb)); }

	// ---- the tree: inside a reader section ----
	status make_root();
	void free_directories(); // the root and all below it: no table is left, and no reader
	table *find(u64 va) const;
	result<table *> make_table(u64 va);
	void visit(va_span span, bool (*fn)(table &, va_span part, void *arg), void *arg) const;
	void visit_directories(bool (*fn)(directory &, va_span all, void *arg), void *arg) const;
	bool take_out_empty(directory &d);
	bool allows(u64 va, svm_access access) const; // is there a table, and does it allow that?
	u32 present(const table &tb, unsigned first, unsigned count, svm_access access, u64 *have) const;
	u32 in_vram(const table &tb, unsigned first, unsigned count) const; // valid leaves that lead to the device's memory

	// ---- one table ----
	void unlink(table &tb) SVM_REQUIRES(tb.lock);
	void unpublish(table &tb) SVM_REQUIRES(tb.lock);
	bool give_memory(table &tb, const svm_table_mem &mem) SVM_REQUIRES(tb.lock);
	void map(table &tb, unsigned first, unsigned count, mirrored_pages &pages) SVM_REQUIRES(tb.lock);
	void map(table &tb, unsigned first, unsigned count, null_pages &pages) SVM_REQUIRES(tb.lock);
	void map(table &tb, unsigned first, unsigned count, object_pages &pages) SVM_REQUIRES(tb.lock);
	va_span retire(table &tb, va_span part) SVM_REQUIRES(tb.lock);
	void finish(table &tb, va_span part) SVM_REQUIRES(tb.lock);
	// What retire() said is owed, all at once and with the lock held: for what is rare.
	void take_away(table &tb, va_span owed) SVM_REQUIRES(tb.lock);
	bool is_idle(const table &tb) const SVM_REQUIRES(tb.lock);

	// ---- the backend ----
	// The device has forgotten the span when this returns. may_sleep: false where a table lock is held.
	void flush(va_span span, bool may_sleep);
	// Memory for one table or directory. Sleeps. err::room: all that the device has is in use, make_room() first; err::nomem:
	// anything else, and no table of any vm would help.
	status get_memory(u32 bytes, svm_table_mem &mem);
	// A piece of memory has become a node's, or is no longer in the tree.
	void count_piece()
	{
		pieces.fetch_add_release(1); // with the acquire in room.cpp: the vm is whole by now
	}
	void discount_piece() { pieces.fetch_add_relaxed(~0ull); }
};

inline void node::touch(const page_table &t)
{
	used.store_relaxed(true);
	stamp.store_relaxed(t.clock.load_relaxed());
}

inline u32 node::age(const page_table &t) const { return t.clock.load_relaxed() - stamp.load_relaxed(); }

// Frees a directory that no walk and no device finds any more. Sleeps.
inline void drop_directory(directory &d)
{
	page_table &t = *d.owner;

	t.stat.sub(stat::directories);
	t.stat.sub(stat::host_bytes, sizeof(directory) + d.child_bytes);
	t.stat.sub(stat::device_bytes, d.mem.bytes);
	t.ops->table_free(t.backend, &d.mem);
	port_free(d.child);
	destroy(&d);
}

} // namespace svm
