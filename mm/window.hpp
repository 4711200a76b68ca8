// SPDX-License-Identifier: GPL-2.0-only
// A window makes a piece of a vm mirror its mm: cpu_va = dev_va - offset. It owns the intervals in it.
//
// Life: made by bind under the window lock, read by faults inside a reader section. Unbind takes it and its intervals out of
// the maps and marks it dying: no fault maps through it after the next grace period. Then its tables are swept and its
// notifiers removed. Until then it is in the list of dying windows, so that nothing else is bound into its tables.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/base/result.hpp"
#include "mm/base/span.hpp"

namespace svm {

struct window;

// The part of one aligned piece of device VA that lies in one window, with its notifier.
struct interval {
	window *of;
	port_interval *port; // set before any table points here
	interval *next;	     // in the window, under the window lock
	va_span span;
};

struct window {
	svm_vm *vm = nullptr;
	va_span span{};
	u64 offset = 0; // modulo 2^64
	atomic<bool> dying{ false };
	interval *intervals = nullptr; // under the window lock
	window *next_dying = nullptr;  // likewise

	u64 to_cpu(u64 va) const { return va - offset; }
	u64 to_va(u64 cpu) const { return cpu + offset; }
	cpu_span to_cpu(va_span s) const { return { to_cpu(s.start), to_cpu(s.end) }; }
};

// Inside a reader section: the window that holds va and is not dying, or null.
window *window_at(const svm_vm &vm, u64 va);

// Inside a reader section: the interval of va in w, made if there is none. Sleeps.
result<interval *> interval_at(svm_vm &vm, window &w, u64 va);

// Takes all windows apart. No call is under way in the vm; the maps still lead to what is freed here, and go next.
void dismantle_all(svm_vm &vm);

} // namespace svm
