// SPDX-License-Identifier: GPL-2.0-only
// One device address space: a page table, and what its addresses lead to.
#pragma once

#include "mm/bind/binding.hpp"
#include "mm/pt/page_table.hpp"
#include "mm/scratch.hpp"

struct svm_vm {
	svm::page_table pt;
	mm_struct *mm = nullptr;
	device *dma = nullptr;
	u32 interval_lg2 = 0;
	u32 granule_lg2 = 0;
	svm::span_map_of<svm::binding> bindings; // by device address; changed under the bind lock
	svm::span_map_of<svm::binding> mirrors;	 // by offset, in pages; read and changed under the bind lock
	svm::binding null{ svm::binding_kind::null };
	svm::atomic<const svm::va_span *> changing{ nullptr }; // where tables may still map by old bindings, see rebind.hpp
	svm::atomic<u64> shrink_at{ 0 };	 // where the shrinker goes on
	svm::atomic<u32> trimmed_at{ 0 };	 // page_table::clock at the last trim()
	svm::scratch_pool scratch;

	port_domain *domain() const { return pt.domain; }
};
