// SPDX-License-Identifier: GPL-2.0-only
// A window makes a piece of a vm mirror its mm: cpu_va = dev_va - offset. It owns the intervals in it.
//
// Life: made by bind under the window lock, read by faults inside a reader section. Unbind marks it dying (nobody
// maps through it after the next grace period), sweeps its tables, removes its notifiers, and takes it off the
// list last, so that nothing else can be bound into its tables before they are gone.
#pragma once

#include "mm/base/list.hpp"
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
	u16 id = 0;	// part of the intervals' keys
	atomic<bool> dying{ false };
	interval *intervals = nullptr; // under the window lock
	atomic<window *> next{ nullptr };

	u64 to_cpu(u64 va) const { return va - offset; }
	u64 to_va(u64 cpu) const { return cpu + offset; }
	cpu_span to_cpu(va_span s) const { return { to_cpu(s.start), to_cpu(s.end) }; }
};

// Inside a reader section: the window that holds va and is not dying, or null.
window *window_at(const svm_vm &vm, u64 va);

// Inside a reader section: the interval of va in w, made if there is none. Sleeps.
result<interval *> interval_at(svm_vm &vm, window &w, u64 va);

// Takes a window apart that was marked dying.
void dismantle(svm_vm &vm, window &w);

} // namespace svm
