// SPDX-License-Identifier: GPL-2.0-only
// Work on a span of device addresses by several threads: each takes the next table that has something in it. Mappings of the
// process are asked for first, so that holes of any size cost nothing.
#pragma once

#include "mm/vm.hpp"

namespace svm {

struct table_sweep {
	static constexpr u32 threads = 8; // at most; the port may use fewer
	using piece = span_map::piece;

	svm_vm &vm;
	va_span span;
	bool write; // only what allows writing
	atomic<u64> next; // va: tables below it are taken
	atomic<u64> pages{ 0 }; // done
	atomic<int> error{ 0 };

	table_sweep(svm_vm &v, va_span s, bool w) : vm(v), span(s), write(w), next(s.start) {}

	// Stops all: no thread takes another table.
	void stop(int why)
	{
		error.store_relaxed(why); // whichever came last is as good as any
		next.store_relaxed(span.end);
	}

	// Why no thread is to go on; 0: go on.
	int stopped()
	{
		int why = why_gone(vm);

		if (!why && port_killed()) // also where the port has ended a wait, since the device goes
			why = static_cast<int>(err::intr);
		if (why)
			stop(why);
		return error.load_relaxed();
	}

	// Inside a reader section.
	piece at(u64 va) const { return vm.bindings.span_map::at(va); }

	// The next part at or after va that may have pages, of what is bound at va; empty: there is none. Of a mirror a mapping.
	va_span next_part(const piece &bound, u64 va) const
	{
		const binding &b = *static_cast<const binding *>(bound.of);
		va_span rest = va_span{ va, bound.span.end }.common(span);

		if (rest.empty() || !b.mirrors())
			return rest;
		cpu_span m, all = b.to_cpu(rest);
		if (!port_next_mapping(vm.domain(), all.start, all.end, write, &m.start, &m.end))
			return {};
		cpu_span in = m.common(all);
		if (in.empty())
			return {};
		return { b.to_va(in.start), b.to_va(in.end) };
	}

	// Takes the next table that has such a part in it. Empty: there is none left.
	va_span take()
	{
		reader section(vm.domain());
		u64 from_here = next.load_relaxed();

		while (from_here < span.end) { // each turn moves the shared cursor on, or finds that another thread did
			piece bound = at(from_here);
			va_span m = bound ? next_part(bound, from_here) : va_span{};
			u64 from = m.empty() ? (bound ? bound.span.end : span.end) : (m.start > from_here ? m.start : from_here);
			va_span part = vm.pt.table_span(from).common(span);
			u64 to = m.empty() ? from : part.end;

			if (!next.exchange_if(from_here, to)) // it is now where the others are
				continue;
			if (!m.empty() && from < span.end)
				return { from, part.end };
			from_here = to;
		}
		return {};
	}

	// Has the threads run work(this), and waits for them. Sleeps; in a session. Under an mmap_guard it is this thread alone.
	int run(void (*work)(void *))
	{
		u64 tables = port_mmap_held(vm.domain()) ? 1 : span.widened(vm.pt.table_lg2()).size() >> vm.pt.table_lg2();

		port_parallel(vm.domain(), tables < threads ? static_cast<u32>(tables) : threads, work, this);
		return error.load_relaxed();
	}
};

} // namespace svm
