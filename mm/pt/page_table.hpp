// SPDX-License-Identifier: GPL-2.0-only
// The operations on a page table. A format is one table of functions behind them: one call per operation on a table, none
// per leaf. C sees it as svm_format.
#pragma once

#include "mm/pt/leaves.hpp"
#include "mm/pt/sample.hpp"

struct svm_format {
	svm_format_info info;
	u32 entries;	 // leaves of a table
	u32 table_bytes; // of its device memory
	bool huge;	 // one leaf may map a whole table
	bool huge_null;	 // and it may be null
	u32 depth;	 // levels

	u32 (*bytes)(unsigned lv); // of a table of level lv
	void (*write_sample)(const svm_table_mem *tables, u64 va, u64 addr);

	svm::result<svm::directory *> (*make_root)(svm::page_table &);
	void (*free_directory)(svm::page_table &, svm::directory *);
	svm::table *(*find)(const svm::page_table &, u64 va);
	svm::result<svm::table *> (*make_table)(svm::page_table &, u64 va);
	void (*visit)(const svm::page_table &, svm::va_span, bool (*fn)(svm::table &, svm::va_span part, void *), void *);
	bool (*visit_directories)(svm::directory &, bool (*fn)(svm::directory &, svm::va_span, void *), void *);
	bool (*take_out_empty)(svm::page_table &, svm::directory &);
	u64 (*start_of)(const svm::table &);
	bool (*allows)(const svm::page_table &, u64 va, svm_access);
	u32 (*present)(const svm::table &, unsigned first, unsigned count, svm_access, u64 *have);
	u32 (*in_vram)(const svm::table &, unsigned first, unsigned count);

	// The table's lock is held.
	void (*unlink)(svm::page_table &, svm::table &);
	void (*unpublish)(svm::page_table &, svm::table &);
	bool (*give_memory)(svm::table &, const svm_table_mem &);
	void (*map)(svm::page_table &, svm::table &, unsigned first, unsigned count, svm::mirrored_pages &);
	void (*map_null)(svm::page_table &, svm::table &, unsigned first, unsigned count, svm::null_pages &);
	void (*map_object)(svm::page_table &, svm::table &, unsigned first, unsigned count, svm::object_pages &);
	svm::va_span (*retire)(svm::page_table &, svm::table &, unsigned first, unsigned last);
	void (*finish)(svm::page_table &, svm::table &, unsigned first, unsigned last, bool owned);
	bool (*idle)(const svm::table &);
};

namespace svm {

template <format F>
constexpr u64 leaf_sizes()
{
	u64 sizes = 0;

	// What the mirror makes of them: pages, hinted groups, and one leaf for a whole table.
	sizes |= 1ull << geometry<F>::page_lg2;
	sizes |= static_cast<u64>(F::hints) << geometry<F>::page_lg2;
	if (F::levels[geometry<F>::table_level - 1].leaf)
		sizes |= 1ull << geometry<F>::table_lg2;
	return sizes;
}

template <format F>
	requires(laws<F>())
inline constexpr svm_format format_ops = {
	.info = { F::name, F::va_bits, geometry<F>::table_lg2, leaf_sizes<F>(), F::levels[geometry<F>::table_level].null, F::vram, F::denies_atomics },
	.entries = geometry<F>::entries,
	.table_bytes = geometry<F>::bytes(geometry<F>::table_level),
	.huge = F::levels[geometry<F>::table_level - 1].leaf,
	.huge_null = F::levels[geometry<F>::table_level - 1].null,
	.depth = F::depth,
	.bytes = geometry<F>::bytes,
	.write_sample = sample<F>::write,
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
	.in_vram = leaves<F>::in_vram,
	.unlink = leaves<F>::unlink,
	.unpublish = walk<F>::unpublish,
	.give_memory = leaves<F>::give_memory,
	.map = leaves<F>::template map<mirrored_pages>,
	.map_null = leaves<F>::template map<null_pages>,
	.map_object = leaves<F>::template map<object_pages>,
	.retire = leaves<F>::retire,
	.finish = leaves<F>::finish,
	.idle = leaves<F>::idle,
};

inline unsigned page_table::entries() const { return format->entries; }
inline unsigned page_table::table_lg2() const { return format->info.table_lg2; }
inline va_span page_table::all() const { return { 0, 1ull << format->info.va_bits }; }
inline u64 page_table::start_of(const table &tb) const { return format->start_of(tb); }

inline status page_table::make_root()
{
	result<directory *> made = format->make_root(*this);

	root = made.ok() ? made.value() : nullptr;
	return status::from(made.error());
}

inline void page_table::free_directories()
{
	if (root)
		format->free_directory(*this, root);
	root = nullptr;
}

inline table *page_table::find(u64 va) const { return format->find(*this, va); }
inline result<table *> page_table::make_table(u64 va) { return format->make_table(*this, va); }

inline void page_table::visit(va_span span, bool (*fn)(table &, va_span part, void *arg), void *arg) const
{
	format->visit(*this, span, fn, arg);
}

inline void page_table::visit_directories(bool (*fn)(directory &, va_span all, void *arg), void *arg) const
{
	format->visit_directories(*root, fn, arg);
}

inline bool page_table::take_out_empty(directory &d) { return format->take_out_empty(*this, d); }
inline bool page_table::allows(u64 va, svm_access access) const { return format->allows(*this, va, access); }

inline u32 page_table::present(const table &tb, unsigned first, unsigned count, svm_access access, u64 *have) const
{
	return format->present(tb, first, count, access, have);
}

inline u32 page_table::in_vram(const table &tb, unsigned first, unsigned count) const { return format->in_vram(tb, first, count); }
inline void page_table::unlink(table &tb) { format->unlink(*this, tb); }
inline void page_table::unpublish(table &tb) { format->unpublish(*this, tb); }
inline bool page_table::give_memory(table &tb, const svm_table_mem &mem) { return format->give_memory(tb, mem); }

inline void page_table::map(table &tb, unsigned first, unsigned count, mirrored_pages &pages)
{
	format->map(*this, tb, first, count, pages);
}

inline void page_table::map(table &tb, unsigned first, unsigned count, null_pages &pages)
{
	format->map_null(*this, tb, first, count, pages);
}

inline void page_table::map(table &tb, unsigned first, unsigned count, object_pages &pages)
{
	format->map_object(*this, tb, first, count, pages);
}

inline va_span page_table::retire(table &tb, va_span part)
{
	unsigned first = index(part.start);

	return format->retire(*this, tb, first, first + static_cast<unsigned>(part.pages()));
}

inline void page_table::finish(table &tb, va_span part)
{
	unsigned first = index(part.start);
	bool ask = tb.unowned && tenure_at;

	for (u64 at = part.start; at < part.end;) { // a tenure on each turn
		tenure t = ask ? tenure_at(user, at) : tenure{ part.end, true };
		u64 end = t.end < part.end ? t.end : part.end;
		unsigned n = static_cast<unsigned>((end - at) >> PORT_PAGE_LG2);

		format->finish(*this, tb, first, first + n, t.owned);
		first += n;
		at = end;
	}
}

inline void page_table::take_away(table &tb, va_span owed)
{
	if (owed.empty())
		return;
	flush(owed, false);
	finish(tb, owed);
}

inline bool page_table::is_idle(const table &tb) const { return format->idle(tb); }

inline void page_table::flush(va_span span, bool may_sleep)
{
	this->stat.add(svm::stat::flushes);
	ops->flush_wait(backend, ops->flush_begin(backend, span.start, span.end), may_sleep);
}

inline status page_table::get_memory(u32 bytes, svm_table_mem &mem)
{
	int failed = ops->table_alloc(backend, bytes, &mem);

	if (!failed)
		return {};
	return status::from(failed).is(err::room) ? err::room : err::nomem;
}

// What the build compiles in, see mm/fmt/formats.hpp.
template <format... F>
struct format_list {
	static constexpr const svm_format *all[] = { &format_ops<F>... };
};

} // namespace svm
