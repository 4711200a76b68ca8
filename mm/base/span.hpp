// SPDX-License-Identifier: GPL-2.0-only
// Half-open spans of addresses. Device and CPU addresses are different types: only a binding turns one into the other.
#pragma once

#include "mm/port.h"

namespace svm {

constexpr u64 align_down(u64 x, u32 lg2)
{
	return x & ~((1ull << lg2) - 1);
}

// Wraps to 0 for the last piece of the address space: callers check spans before they round them.
constexpr u64 align_up(u64 x, u32 lg2)
{
	return align_down(x + ((1ull << lg2) - 1), lg2);
}

constexpr bool aligned(u64 x, u32 lg2)
{
	return align_down(x, lg2) == x;
}

// [start, end) of device (va) or CPU (cpu) addresses, in bytes.
template <typename Space>
struct basic_span {
	u64 start = 0;
	u64 end = 0;

	constexpr bool empty() const { return start >= end; }
	constexpr u64 size() const { return empty() ? 0 : end - start; }
	constexpr u64 pages() const { return size() >> PORT_PAGE_LG2; }
	constexpr bool holds(u64 a) const { return a >= start && a < end; }
	constexpr bool holds(basic_span o) const { return o.start >= start && o.end <= end; }
	constexpr bool meets(basic_span o) const { return start < o.end && o.start < end; }
	constexpr basic_span common(basic_span o) const
	{
		return { start > o.start ? start : o.start, end < o.end ? end : o.end };
	}
	// The smallest span that holds both.
	constexpr basic_span joined(basic_span o) const
	{
		return { start < o.start ? start : o.start, end > o.end ? end : o.end };
	}
	// Grows to hold o as well. An empty one adds nothing, wherever it lies.
	constexpr void join(basic_span o)
	{
		if (!o.empty())
			*this = empty() ? o : joined(o);
	}
	constexpr bool page_aligned() const { return aligned(start, PORT_PAGE_LG2) && aligned(end, PORT_PAGE_LG2); }
	// The aligned pieces of 2^lg2 bytes that it touches, as one span.
	constexpr basic_span widened(u32 lg2) const { return { align_down(start, lg2), align_up(end, lg2) }; }
	// The aligned piece of 2^lg2 bytes around one address.
	static constexpr basic_span around(u64 a, u32 lg2) { return { align_down(a, lg2), align_down(a, lg2) + (1ull << lg2) }; }
	constexpr bool operator==(const basic_span &) const = default;
};

struct device_space;
struct cpu_space;
using va_span = basic_span<device_space>;
using cpu_span = basic_span<cpu_space>;

} // namespace svm
