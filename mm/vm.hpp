// SPDX-License-Identifier: GPL-2.0-only
// One device address space: a tree of page tables, and the windows that fill it.
#pragma once

#include "mm/pt/ops.hpp"
#include "mm/scratch.hpp"
#include "mm/window.hpp"

struct svm_vm {
	svm::tree tree;
	const svm_format *format = nullptr;
	mm_struct *mm = nullptr;
	device *dma = nullptr;
	u32 interval_lg2 = 0;
	u32 granule_lg2 = 0;
	svm::shared_list<svm::window> windows; // changed under the window lock
	u16 last_window = 0;		       // likewise
	svm::atomic<u64> shrink_at{ 0 };       // where the shrinker goes on
	svm::scratch_pool scratch;

	port_domain *domain() const { return tree.domain; }
	svm::va_span all() const { return { 0, 1ull << format->info.va_bits }; }
	svm::va_span table_span(u64 va) const { return svm::va_span::around(va, format->info.table_lg2); }
};
