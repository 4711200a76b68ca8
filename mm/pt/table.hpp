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
#include "mm/base/guard.hpp"
#include "mm/base/owner.hpp"
#include "mm/base/span.hpp"
#include "mm/stat.hpp"

namespace svm {

struct directory;
struct interval;

// One page-table tree and what it takes to change it.
struct tree {
	const svm_backend_ops *ops = nullptr;
	void *backend = nullptr;
	port_domain *domain = nullptr;
	directory *root = nullptr;
	counters stat;
	// Counts and hints: where no partner is named at the access, a stale value makes reclaim look once more or less.
	atomic<u64> idle{ 0 };	  // tables that map nothing and directories without children: what the shrinker can have
	atomic<u64> in_use{ 0 };  // tables that map something, or owe a page
	atomic<u64> nodes{ 0 };	  // tables and directories, the root left out
	atomic<u64> pending{ 0 }; // nodes between port_defer() and their end
	atomic<u32> clock{ 0 };	  // counts the pieces of table memory that were got, and looks for some that found none

	// A directory is counted in and out after its count of children has changed, so the sum may be below 0 for a moment.
	u64 freeable() const
	{
		s64 n = static_cast<s64>(idle.load_acquire()); // with the releases in walk::make_table()

		return n > 0 ? static_cast<u64>(n) : 0;
	}
};

// What tables and directories have in common: a place in the tree, and an end after a grace period.
struct node {
	port_deferred link{};
	tree *owner = nullptr;
	directory *parent = nullptr;
	u16 index = 0; // in the parent
	bool is_directory = false;
	atomic<bool> used{ true }; // since the shrinker last looked
	atomic<u32> stamp{ 0 };	   // tree::clock at the last fault

	// A fault passes here. Both words are hints: a stale one makes reclaim take another node.
	void touch(const tree &t)
	{
		used.store_relaxed(true);
		stamp.store_relaxed(t.clock.load_relaxed());
	}
	u32 age(const tree &t) const { return t.clock.load_relaxed() - stamp.load_relaxed(); }
};

struct directory : node {
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
	fresh,	// published, but its sequence is not yet its interval's: not to be mapped into
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
	table_lock lock;
	u16 live SVM_GUARDED_BY(lock) = 0;	// valid leaves in mem
	u16 retired SVM_GUARDED_BY(lock) = 0;	// retired leaves in mem
	table_top top SVM_GUARDED_BY(lock) = table_top::none;
	bool counted_idle SVM_GUARDED_BY(lock) = true; // is in tree::idle
	atomic<table_state> state{ table_state::fresh };
	// The notifier sequence of the last invalidation that met this table. Written under the lock; a reader
	// without it seeds read_begin and compares again under the lock.
	atomic<u64> seq{ 0 };
	struct interval *interval = nullptr;
	// Entries for readers without the lock: release once mem is set, acquire before the entry is read.
	atomic<char *> entries{ nullptr };
	svm_table_mem mem SVM_GUARDED_BY(lock){};
};

static_assert(sizeof(table) - sizeof(struct port_lock) + sizeof(u32) <= 128, "bookkeeping per touched table, locks' debugging left out");

// Frees a directory that no walk and no device finds any more. Sleeps.
inline void drop_directory(directory &d)
{
	tree &t = *d.owner;

	t.stat.sub(stat::directories);
	t.stat.sub(stat::host_bytes, sizeof(directory) + d.child_bytes);
	t.stat.sub(stat::device_bytes, d.mem.bytes);
	t.ops->table_free(t.backend, &d.mem);
	port_free(d.child);
	destroy(&d);
}

} // namespace svm
