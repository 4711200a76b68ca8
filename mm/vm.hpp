// SPDX-License-Identifier: GPL-2.0-only
// One device address space: a page table, and the windows that fill it.
#pragma once

#include "mm/pt/page_table.hpp"
#include "mm/scratch.hpp"
#include "mm/window.hpp"

struct svm_vm {
	svm::page_table pt;
	mm_struct *mm = nullptr;
	device *dma = nullptr;
	u32 interval_lg2 = 0;
	u32 granule_lg2 = 0;
	svm::shared_list<svm::window> windows; // changed under the window lock
	u16 last_window = 0;		       // likewise
	svm::atomic<u64> shrink_at{ 0 };       // where the shrinker goes on
	svm::scratch_pool scratch;

	port_domain *domain() const { return pt.domain; }
};
