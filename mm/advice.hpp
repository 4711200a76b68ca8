// SPDX-License-Identifier: GPL-2.0-only
// Advice: where the memory of a span is to be, and whether a fault moves it there.
//
// A vm has one map from spans of device addresses to advice, of the same kind as the map of bindings, and changed under the same
// lock. Advice is one of a few constants, so neighbours that are told alike become one piece, and no piece has anything to free. A
// span without a piece has none. Only what mirrors has advice: a bind that leads a span elsewhere takes it away. What the process
// maps there comes and goes without a word to this map, see Documentation/device-memory.rst.
//
// A fault asks once where it goes (try_in() in mirror.cpp), and nothing where the vm's map is empty. It then leaves its reader section,
// moves what its table has of the piece, as a prefetch would, and starts over. The move may fail, in part or in all: the fault maps the
// pages where they are.
//
// Pages that CPU and device take from each other would move all the time. So faults move a table's pages at most once in a slice,
// which begins when the move has ended. What comes home meanwhile is mapped in system memory, and stays there until the device faults for
// it again. A move of 2 MiB takes a fraction of a millisecond, so such a table costs a hundredth of its time at most.
#pragma once

#include "mm/vm.hpp"
#include "svm/memory.h"

namespace svm {

struct advice {
	u32 preferred; // enum svm_preferred
	u32 on_fault;  // enum svm_on_fault
};

constexpr u32 advice_slice_ms = 50;

// What is told of a device address, and where that ends, or may end.
struct told {
	const advice *what; // null: nothing
	u64 end;

	bool device() const { return what && what->preferred == SVM_PREFER_DEVICE; }
};

// Inside a reader section.
inline told told_at(const svm_vm &vm, u64 va)
{
	span_map::piece p = vm.advised.next(va);

	if (!p || p.span.start > va)
		return { nullptr, p ? p.span.start : ~0ull };
	return { static_cast<const advice *>(p.of), p.span.end };
}

// Does a fault at va in that table have to move pages first? True: this fault, and no other until a slice after its move. Inside a
// reader section.
bool claims_move(svm_vm &vm, table &tb, u64 va);

// Moves what a fault at va has to move first, and says that it has tried, once. Never fails. Sleeps; in a session; not in a reader section.
status move_first(svm_vm &vm, u64 va, bool &tried);

// Moves what of the span is told to be in the device's memory, as far as it can. In `moved`: how many pages. Context as move_first().
int move_advised(svm_vm &vm, va_span span, u64 &moved);

} // namespace svm
