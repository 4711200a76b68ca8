// SPDX-License-Identifier: GPL-2.0-only
// A format behind one table of functions: one call per operation on a table, none per leaf. It is what C sees as
// struct svm_format.
#pragma once

#include "mm/pt/leaves.hpp"

struct svm_format {
	svm_format_info info;
	u32 entries;	 // leaves of a table
	u32 table_bytes; // of its device memory
	bool huge;	 // one leaf may map a whole table

	svm::result<svm::directory *> (*make_root)(svm::tree &);
	void (*free_directory)(svm::tree &, svm::directory *);
	svm::table *(*find)(const svm::tree &, u64 va);
	svm::result<svm::table *> (*make_table)(svm::tree &, u64 va, svm::interval *);
	void (*visit)(const svm::tree &, svm::va_span, bool (*fn)(svm::table &, svm::va_span part, void *), void *);
	bool (*visit_directories)(svm::directory &, bool (*fn)(svm::directory &, svm::va_span, void *), void *);
	bool (*take_out_empty)(svm::tree &, svm::directory &);
	u64 (*start_of)(const svm::table &);
	bool (*allows)(const svm::table &, u64 va, svm_access);
	u32 (*present)(const svm::table &, unsigned first, unsigned count, svm_access, u64 *have);

	// The table's lock is held.
	void (*unlink)(svm::tree &, svm::table &);
	void (*unpublish)(svm::tree &, svm::table &);
	bool (*give_memory)(svm::table &, const svm_table_mem &);
	void (*map)(svm::tree &, svm::table &, unsigned first, unsigned count, svm::mirrored_pages &);
	bool (*map_block)(svm::tree &, svm::table &, u64 addr, svm::leaf_attrs);
	svm::va_span (*retire)(svm::tree &, svm::table &, unsigned first, unsigned last);
	void (*finish)(svm::tree &, svm::table &, unsigned first, unsigned last);
	bool (*idle)(const svm::table &);
};

namespace svm {

template <format F>
constexpr u64 leaf_sizes()
{
	u64 sizes = 0;

	// What the mirror makes of them: pages, hinted groups, and one leaf for a whole table.
	sizes |= 1ull << geometry<F>::page_lg2;
	sizes |= 1ull << (geometry<F>::page_lg2 + F::hint_lg2);
	if (F::levels[geometry<F>::table_level - 1].leaf)
		sizes |= 1ull << geometry<F>::table_lg2;
	return sizes;
}

template <format F>
inline constexpr svm_format format_ops = {
	.info = { F::name, F::va_bits, geometry<F>::table_lg2, leaf_sizes<F>() },
	.entries = geometry<F>::entries,
	.table_bytes = geometry<F>::bytes(geometry<F>::table_level),
	.huge = F::levels[geometry<F>::table_level - 1].leaf,
	.make_root = walk<F>::make_root,
	.free_directory = walk<F>::free_directory,
	.find = walk<F>::find,
	.make_table = walk<F>::make_table,
	.visit = walk<F>::visit,
	.visit_directories = walk<F>::visit_directories,
	.take_out_empty = walk<F>::take_out_empty,
	.start_of = walk<F>::start_of,
	.allows = leaves<F>::allows,
	.present = leaves<F>::present,
	.unlink = leaves<F>::unlink,
	.unpublish = walk<F>::unpublish,
	.give_memory = leaves<F>::give_memory,
	.map = leaves<F>::template map<mirrored_pages>,
	.map_block = leaves<F>::map_block,
	.retire = leaves<F>::retire,
	.finish = leaves<F>::finish,
	.idle = leaves<F>::idle,
};

// What the build compiles in, see drivers/mmu/formats.hpp.
template <format... F>
struct format_list {
	static constexpr const svm_format *all[] = { &format_ops<F>... };
};

} // namespace svm
