// SPDX-License-Identifier: GPL-2.0-only
// One device address space: a page table, and what its addresses lead to.
#pragma once

#include "mm/bind/binding.hpp"
#include "mm/pt/page_table.hpp"
#include "mm/scratch.hpp"
#include "mm/stops.hpp"

namespace svm {

struct advice;

// A rebind that is under way.
struct rebinding {
	va_span hull;	    // of its operations
	span_map::view old; // the map before it
};

} // namespace svm

struct svm_vm {
	svm::page_table pt;
	mm_struct *mm = nullptr;
	device *dma = nullptr;
	svm_memory *memory = nullptr; // of the device, for pages of the process
	u32 interval_lg2 = 0;
	u32 granule_lg2 = 0;
	svm::span_map_of<svm::binding> bindings; // by device address; changed under the bind lock
	svm::span_map_of<svm::binding> mirrors;	 // by offset, in pages; read and changed under the bind lock
	svm::span_map_of<const svm::advice> advised; // by device address, see advice.hpp; changed under the bind lock
	svm::binding null{ svm::binding_kind::null };
	svm::atomic<const svm::rebinding *> changing{ nullptr }; // tables may still map by old bindings, see rebind.hpp
	svm::atomic<u64> objects{ 0 }; // bindings that lead to objects: changed under the bind lock, and a hint without
	svm::atomic<u64> shrink_at{ 0 };	 // where the shrinker goes on
	svm::atomic<u32> trimmed_at{ 0 };	 // page_table::clock at the last trim()
	svm::scratch_pool scratch;
	bool no_fault = false; // SVM_VM_NO_FAULT: see stops.hpp. Constant
	svm::stops stops;
	bool exclusive = false; // SVM_VM_EXCLUSIVE_ATOMICS. Constant

	port_domain *domain() const { return pt.domain; }

	// By what a table's leaves are bound, under its lock and inside a reader section: (13) of rebind.hpp.
	svm::span_map::view standing() const
	{
		svm::span_map::view now = bindings.now();
		const svm::rebinding *r = changing.load_acquire(); // after the map; with the releases in rebind_locked()

		return r ? r->old : now;
	}
};

namespace svm {

// What of a table's part its leaves have by the binding, one span after the other. Under the table's lock.
class parts_of {
public:
	parts_of(const svm_vm &vm, const binding &b, va_span part) : by(vm.standing()), of(b), left(part) {}

	// Empty: there is none left.
	va_span next()
	{
		while (!left.empty()) { // a piece on each turn
			span_map::piece p = by.next(left.start);
			va_span here = p ? p.span.common(left) : va_span{};

			left.start = !p || p.span.end > left.end ? left.end : p.span.end;
			if (p.of == &of && !here.empty())
				return here;
		}
		return {};
	}

private:
	span_map::view by;
	const binding &of;
	va_span left;
};

// Is something bound in all of the span? Enters a reader section.
inline bool is_bound(const svm_vm &vm, va_span span)
{
	reader section(vm.domain());

	for (u64 at = span.start; at < span.end;) { // one piece on each turn
		span_map::piece bound = vm.bindings.span_map::at(at);

		if (!bound)
			return false;
		at = bound.span.end;
	}
	return true;
}

// Why the device is of no use any more, or 0. Sleeps.
inline int why_gone(const svm_vm &vm)
{
	return vm.pt.ops->gone != nullptr ? vm.pt.ops->gone(vm.pt.backend) : 0;
}

// Retires that. The span whose flush is owed; empty where nothing is.
inline va_span retire_parts(svm_vm &vm, const binding &b, table &tb, va_span part) SVM_REQUIRES(tb.lock)
{
	va_span owed{};
	parts_of its(vm, b, part);

	for (va_span s = its.next(); !s.empty(); s = its.next())
		owed.join(vm.pt.retire(tb, s));
	return owed;
}

} // namespace svm
