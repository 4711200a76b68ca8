// SPDX-License-Identifier: GPL-2.0-only
// Prefetch: the fault path over a span, a table at a time, on several threads.
//
// Threads take tables from one shared cursor; mappings are asked for first, so that holes of any size cost nothing.
// The thread that asked can be killed: it stops the others at their next table. Reader sections are short, so that an
// unbind gets its turn, and none lasts while storage is waited for.
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

	va_span rest = va_span{ va, w.span.end }.common(p.span);
	cpu_span all = w.to_cpu(rest);

	if (!port_next_mapping(p.vm.domain(), all.start, all.end, p.access != SVM_READ, &m.start, &m.end))
		return {};
	cpu_span in = m.common(all);
	if (in.empty())
		return {};
	return { w.to_va(in.start), w.to_va(in.end) };
}

// Takes the next table that has a mapping in it. Empty: there is none left.
va_span take(prefetching &p)
{
	reader section(p.vm.domain());
	u64 at = p.next.load_relaxed();

	while (at < p.span.end) { // each turn moves the shared cursor on, or finds that somebody did
		const window *w = window_at(p.vm, at);
		va_span m = w ? next_mapping(p, *w, at) : va_span{};
		u64 from = m.empty() ? (w ? w->span.end : p.span.end) : (m.start > at ? m.start : at);
		va_span part = p.vm.pt.table_span(from).common(p.span);
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
	table *tb = p.vm.pt.find(va);

	return tb && p.vm.pt.allows(*tb, va, p.access);
}

// A page that the thread has to wait for, outside of the reader section.
struct waiting {
	u64 va = ~0ull;
	u64 cpu = 0;
};

// Fills the part of one table from `at` on, mapping by mapping. What cannot be had is left out. err::wait: for
// `page`; go on from there.
status fill(prefetching &p, u64 at, u64 end, waiting &page)
{
	reader section(p.vm.domain());

	while (at < end) { // one mapping on each turn
		const window *w = window_at(p.vm, at);
		va_span m = w ? next_mapping(p, *w, at).common({ at, end }) : va_span{};

		if (m.empty())
			return {};
		for (at = m.start; at < m.end; at += PORT_PAGE_SIZE) {
			if (present(p, at)) // as most are after the first turn
				continue;
			status done = fault_in(p.vm, at, { at, m.end }, p.access);
			if (done.is(err::wait) && page.va != at) { // once: it may have gone again
				page = { at, w->to_cpu(at) };
				return done;
			}
			if (done.is(err::nomem) || done.is(err::room) || done.is(err::leaving) || done.is(err::intr))
				return done;
		}
	}
	return {};
}

// The same, with the waits. No userfaultfd's manager is waited for: what needs that is left out.
status fill_and_wait(prefetching &p, va_span part)
{
	waiting page;
	u64 at = part.start;

	for (;;) { // each turn goes past a page
		status done = with_room(p.vm, [&] {
			// One of the others was stopped, or killed: nothing more is waited for.
			int stopped = p.error.load_relaxed();
			return stopped ? status::from(stopped) : fill(p, at, part.end, page);
		});
		if (!done.is(err::wait))
			return done;
		done = status::from(port_wait(p.vm.domain(), page.cpu, p.access != SVM_READ, false));
		if (done.is(err::nomem) || done.is(err::intr))
			return done;
		at = done.ok() ? page.va : page.va + PORT_PAGE_SIZE;
	}
}

void count(prefetching &p, va_span part)
{
	reader section(p.vm.domain());
	table *tb = p.vm.pt.find(part.start);

	if (!tb)
		return;
	u64 base = p.vm.pt.table_span(part.start).start;
	p.pages.fetch_add_relaxed(p.vm.pt.present(*tb, static_cast<unsigned>((part.start - base) >> PORT_PAGE_LG2),
						       static_cast<unsigned>(part.pages()), p.access, nullptr));
}

void work(void *arg)
{
	auto &p = *static_cast<prefetching *>(arg);

	for (;;) {
		if (port_killed()) // only the thread that asked can be; it looks also when the others left it nothing
			p.stop(static_cast<int>(err::intr));
		va_span part = take(p);

		if (part.empty())
			return;
		status done = fill_and_wait(p, part);
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
	svm::session process(vm->domain());
	if (!process.held().ok())
		return process.held().error();
	u64 tables = (span.widened(vm->pt.table_lg2()).size()) >> vm->pt.table_lg2();
	port_parallel(vm->domain(), tables < svm::threads ? static_cast<u32>(tables) : svm::threads, svm::work, &p);
	*pages = p.pages.load_relaxed();
	vm->pt.stat.add(svm::stat::prefetched, *pages);
	return p.error.load_relaxed();
}
