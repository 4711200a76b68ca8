// SPDX-License-Identifier: GPL-2.0-only
// The CPU's side of the tree: directories, and a table per touched span of the last level.
//
// A node is published by one store of its pointer in the directory above and freed after a grace period, so a
// walk takes no lock. The device's own tables hang beside the nodes (`mem`); whoever links one may be overtaken
// by another thread that writes the same word, which is why linking may be done twice.
//
// A table has no device memory until something smaller than its whole span is mapped. Memory that it got stays
// with it (also under a huge leaf) until the table itself is freed.
#pragma once

#include "svm/svm.h"
#include "mm/base/atomic.hpp"
#include "mm/base/guard.hpp"
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
	atomic<u64> idle{ 0 }; // tables that map nothing: what the shrinker can have
};

struct directory {
	tree *owner;
	atomic<void *> *child;	// directory * or table * per entry: published by release, read by acquire
	svm_table_mem mem;
	u64 start;		// device address that entry 0 begins at
	u16 index;		// in the parent
	u8 level;
	atomic<bool> linked;	// the parent's entry leads here: release when written, acquire before one goes on
};

// Where a table stands in its life. Written under its lock.
enum class table_state : u8 {
	fresh,	// published, but its sequence is not yet its interval's: not to be mapped into
	ready,
	dead,	// taken out of the tree: walk again
};

// What the directory's entry for a table holds. Written under the table's lock.
enum class table_top : u8 {
	none,
	linked,		// leads to mem
	huge,		// a valid leaf
	huge_retired,	// a retired leaf
};

struct table {
	table_lock lock;
	u16 live SVM_GUARDED_BY(lock) = 0;	// valid leaves in mem
	u16 retired SVM_GUARDED_BY(lock) = 0;	// retired leaves in mem
	u16 index = 0;				// in the parent
	table_top top SVM_GUARDED_BY(lock) = table_top::none;
	bool counted_idle SVM_GUARDED_BY(lock) = true; // is in tree::idle
	atomic<table_state> state{ table_state::fresh };
	atomic<bool> used{ false };	// since the shrinker last looked
	// The notifier sequence of the last invalidation that met this table. Written under the lock; a reader
	// without it seeds read_begin and compares again under the lock.
	atomic<u64> seq{ 0 };
	directory *parent = nullptr;
	struct interval *interval = nullptr;
	// Entries for readers without the lock: release once mem is set, acquire before the entry is read.
	atomic<char *> entries{ nullptr };
	svm_table_mem mem SVM_GUARDED_BY(lock){};
	port_deferred link{};
};

static_assert(sizeof(table) - sizeof(struct port_lock) + 8 <= 128, "bookkeeping per touched table, locks' debugging left out");

} // namespace svm
