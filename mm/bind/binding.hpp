// SPDX-License-Identifier: GPL-2.0-only
// What device addresses lead to. A vm has one map from spans of them to bindings, whatever their kind.
//
// A mirror binding stands for all spans that mirror the process at one offset: cpu_va = dev_va - offset. Its notifiers are of
// (mm, offset, aligned block of device addresses) and not of a span, so a hole that is cut into a binding, or filled again,
// touches no notifier. The null binding, one per vm, is all spans that read zero and drop writes. Object bindings lead to memory of
// the driver's, see object.hpp.
//
// Life: made, bound and ended under the bind lock, see rebind.hpp. Faults and callbacks find a binding in the map, inside a
// reader section or, callbacks, through an interval. It ends when no span of the map leads to it, no table maps by it, and all
// readers that saw it have left.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/base/result.hpp"
#include "mm/base/span.hpp"
#include "mm/bind/span_map.hpp"

struct svm_vm;

namespace svm {

struct binding;

// An aligned block of a mirror binding, as far as its CPU side is the user's, with its notifier.
struct interval {
	svm_vm *vm;
	binding *of;
	port_interval *port; // set before any table points here
	va_span span;
};

enum class binding_kind : u8 { mirror, null, object };

struct binding {
	explicit binding(binding_kind k, u64 by = 0) : kind(k), offset(by) {}

	const binding_kind kind;
	const u64 offset; // modulo 2^64
	span_map_of<interval> intervals; // by device address; changed under the interval lock

	// Under the bind lock:
	u64 pages = 0;		     // that lead here
	u64 more = 0;		     // the same, modulo 2^64: by how many the change that is being made raises it
	bool in_change = false;	     // which is in that change's list:
	binding *next_in_change = nullptr;

	bool mirrors() const { return kind == binding_kind::mirror; }
	bool is_object() const { return kind == binding_kind::object; }
	u64 to_cpu(u64 va) const { return va - offset; } // of an object: the byte of it
	u64 to_va(u64 cpu) const { return cpu + offset; }
	cpu_span to_cpu(va_span s) const { return { to_cpu(s.start), to_cpu(s.end) }; }
};

// Inside a reader section: the interval of va in b, made if there is none. Sleeps. va lies in a span of b.
result<interval *> interval_at(svm_vm &vm, binding &b, u64 va);

// Removes the notifier and frees the interval. No callback runs after it; no reader stands on it, and none finds it.
void end_interval(svm_vm &vm, interval &i);

} // namespace svm
