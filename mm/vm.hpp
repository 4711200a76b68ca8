// SPDX-License-Identifier: GPL-2.0-only
// One device address space: a page table, and the windows that fill it.
#pragma once

#include "mm/bind/span_map.hpp"
#include "mm/pt/page_table.hpp"
#include "mm/scratch.hpp"
#include "mm/window.hpp"

struct svm_vm {
	svm::page_table pt;
	mm_struct *mm = nullptr;
	device *dma = nullptr;
	u32 interval_lg2 = 0;
	u32 granule_lg2 = 0;
	svm::span_map_of<svm::window> windows;	   // changed under the window lock
	svm::span_map_of<svm::interval> intervals; // likewise
	svm::window *dying = nullptr;		   // likewise: windows that are being taken apart
	svm::atomic<u64> shrink_at{ 0 };	   // where the shrinker goes on
	svm::atomic<u32> trimmed_at{ 0 };	   // page_table::clock at the last trim()
	svm::scratch_pool scratch;

	port_domain *domain() const { return pt.domain; }
};
