// SPDX-License-Identifier: GPL-2.0-only
// Prefetch: the fault path over a span, a table at a time, on several threads.
//
// Threads take tables from one shared cursor; mappings are asked for first, so that holes of any size cost nothing.
// The thread that asked can be killed: it stops the others at their next table.
#include "mm/mirror.hpp"
#include "mm/room.hpp"

namespace svm {

namespace {

constexpr u32 threads = 8; // at most; the port may use fewer

struct prefetching {
	svm_vm &vm;
	va_span span;
	svm_access access;
	atomic<u64> next; // va: tables below it are taken
	atomic<u64> pages{ 0 };
	atomic<int> error{ 0 };

	// Stops all: no thread takes another table.
	void stop(int why)
	{
		error.store_relaxed(why); // whichever came last is as good as any
		next.store_relaxed(span.end);
	}
};

// The next mapping at or after va, as far as it lies in va's window; empty: none in the window.
va_span next_mapping(const prefetching &p, const window &w, u64 va)
{
	cpu_span m;

	if (!port_next_mapping(p.vm.domain(), w.to_cpu(va), p.access != SVM_READ, &m.start, &m.end))
		return {};
	cpu_span in = m.common(w.to_cpu(va_span{ va, w.span.end }));
	if (in.empty())
		return {};
	return { w.to_va(in.start), w.to_va(in.end) };
}

// Takes the next table that has a mapping in it. Empty: there is none left.
va_span take(prefetching &p)
{
	u64 at = p.next.load_relaxed();

	while (at < p.span.end) { // each turn moves the shared cursor on, or finds that somebody did
		const window *w = window_at(p.vm, at);
		va_span m = w ? next_mapping(p, *w, at) : va_span{};
		u64 from = m.empty() ? (w ? w->span.end : p.span.end) : (m.start > at ? m.start : at);
		va_span part = p.vm.table_span(from).common(p.span);
		u64 to = m.empty() ? from : part.end;

		if (!p.next.exchange_if(at, to)) // `at` is now where the others are
			continue;
		if (!m.empty() && from < p.span.end)
			return { from, part.end };
		at = to;
	}
	return {};
}

bool present(const prefetching &p, u64 va)
{
	table *tb = p.vm.format->find(p.vm.tree, va);

	return tb && p.vm.format->allows(*tb, va, p.access);
}

// Fills the part of one table, mapping by mapping. What cannot be had is left out.
status fill(prefetching &p, va_span part)
{
	for (u64 va = part.start; va < part.end;) { // one mapping on each turn
		const window *w = window_at(p.vm, va);
		va_span m = w ? next_mapping(p, *w, va).common(part) : va_span{};

		if (m.empty())
			return {};
		for (va = m.start; va < m.end; va += PORT_PAGE_SIZE) {
			if (present(p, va)) // as most are after the first turn
				continue;
			status done = fault_in(p.vm, va, { va, m.end }, p.access);
			// Nobody in userspace is waited for: what needs that is left out.
			if (done.is(err::wait) && port_wait(p.vm.domain(), w->to_cpu(va), p.access != SVM_READ, false) == 0)
				done = fault_in(p.vm, va, { va, m.end }, p.access);
			if (done.is(err::nomem) || done.is(err::room) || done.is(err::intr))
				return done;
		}
	}
	return {};
}

void count(prefetching &p, va_span part)
{
	reader section(p.vm.domain());
	table *tb = p.vm.format->find(p.vm.tree, part.start);

	if (!tb)
		return;
	u64 base = p.vm.table_span(part.start).start;
	p.pages.fetch_add_relaxed(p.vm.format->present(*tb, static_cast<unsigned>((part.start - base) >> PORT_PAGE_LG2),
						       static_cast<unsigned>(part.pages()), p.access, nullptr));
}

void work(void *arg)
{
	auto &p = *static_cast<prefetching *>(arg);

	for (;;) {
		if (port_killed()) // only the thread that asked can be; it looks also when the others left it nothing
			p.stop(static_cast<int>(err::intr));
		va_span part{};
		status done = with_room(p.vm.dma, [&p, &part] {
			reader section(p.vm.domain()); // one for each table, so that an unbind gets its turn
			if (part.empty())
				part = take(p);
			return part.empty() ? status() : fill(p, part);
		});

		if (part.empty())
			return;
		count(p, part);
		if (!done.ok())
			p.stop(done.error());
		port_relax();
	}
}

bool inside_windows(const svm_vm &vm, va_span span)
{
	reader section(vm.domain());

	for (u64 at = span.start; at < span.end;) { // one window on each turn
		const window *w = window_at(vm, at);

		if (!w)
			return false;
		at = w->span.end;
	}
	return true;
}

} // namespace

} // namespace svm

extern "C" int svm_prefetch(svm_vm *vm, u64 start, u64 end, svm_access access, u64 *pages)
{
	svm::va_span span{ start, end };
	svm::prefetching p{ *vm, span, access, svm::atomic<u64>(start) };

	*pages = 0;
	if (span.empty() || !span.page_aligned() || !svm::inside_windows(*vm, span))
		return static_cast<int>(svm::err::inval);
	u64 tables = (span.widened(vm->format->info.table_lg2).size()) >> vm->format->info.table_lg2;
	port_parallel(vm->domain(), tables < svm::threads ? static_cast<u32>(tables) : svm::threads, svm::work, &p);
	*pages = p.pages.load_relaxed();
	vm->tree.stat.add(svm::stat::prefetched, *pages);
	return p.error.load_relaxed();
}
