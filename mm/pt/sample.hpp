// SPDX-License-Identifier: GPL-2.0-only
// Tables of one format that map a single page, with no vm behind them: a driver asks its device whether it finds the page.
#pragma once

#include "mm/pt/format.hpp"

namespace svm {

template <format F>
struct sample {
	using G = geometry<F>;
	static_assert(F::depth <= SVM_SAMPLE_TABLES);

	static void *entry(const svm_table_mem &table, unsigned lv, u64 va)
	{
		return static_cast<char *>(table.cpu) + (static_cast<u64>(G::index(lv, va)) << F::levels[lv].entry_lg2);
	}

	// The tables are there. From the leaf up, so that a device which walks meanwhile finds nothing half done.
	static void write(const svm_table_mem *tables, u64 va, u64 addr)
	{
		leaf_attrs all{ true, true, SVM_SYSTEM };

		for (unsigned lv = 0; lv < F::depth; lv++) {
			for (u32 i = 0; i < 1u << F::levels[lv].index_bits; i++) {
				char *each = static_cast<char *>(tables[lv].cpu) + (i << F::levels[lv].entry_lg2);

				F::store(each, lv, F::empty(lv));
			}
		}
		F::store(entry(tables[F::depth - 1], F::depth - 1, va), F::depth - 1, F::leaf(F::depth - 1, addr, all));
		for (unsigned lv = F::depth - 1; lv-- > 0;)
			F::link(entry(tables[lv], lv, va), lv, tables[lv + 1].addr, static_cast<svm_aperture>(tables[lv + 1].aperture));
	}
};

} // namespace svm
