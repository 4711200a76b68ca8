// SPDX-License-Identifier: GPL-2.0-only
// Prefetch: the fault path over a span, a table at a time, on several threads.
//
// Threads take tables from one shared cursor; mappings are asked for first, so that holes of any size cost nothing.
// What one table lacks is brought and mapped in one pass, whatever number of mappings lies in its span; a further pass
// follows each wait. The thread that asked can be killed: it stops the others at their next table. So does a device that
// goes, which each thread asks for before each table and each wait, and which ends the waits. Reader sections are short, so that an unbind gets
// its turn, and none lasts while storage is waited for.
#include "mm/bind/object.hpp"
#include "mm/mirror.hpp"
#include "mm/room.hpp"
#include "svm/object.h"

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

using piece = span_map::piece;

piece piece_at(const prefetching &p, u64 va)
{
	return p.vm.bindings.span_map::at(va);
}

// The next part at or after va that may have pages, of what is bound at va; empty: there is none. Of a mirror a mapping.
va_span next_part(const prefetching &p, const piece &at, u64 va)
{
	const binding &b = *static_cast<const binding *>(at.of);
	va_span rest = va_span{ va, at.span.end }.common(p.span);

	if (rest.empty() || !b.mirrors())
		return rest;
	cpu_span m, all = b.to_cpu(rest);
	if (!port_next_mapping(p.vm.domain(), all.start, all.end, p.access != SVM_READ, &m.start, &m.end))
		return {};
	cpu_span in = m.common(all);
	if (in.empty())
		return {};
	return { b.to_va(in.start), b.to_va(in.end) };
}

// Takes the next table that has such a part in it. Empty: there is none left.
va_span take(prefetching &p)
{
	reader section(p.vm.domain());
	u64 at = p.next.load_relaxed();

	while (at < p.span.end) { // each turn moves the shared cursor on, or finds that another thread did
		piece bound = piece_at(p, at);
		va_span m = bound ? next_part(p, bound, at) : va_span{};
		u64 from = m.empty() ? (bound ? bound.span.end : p.span.end) : (m.start > at ? m.start : at);
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

// A page that the thread has to wait for, outside of the reader section.
struct waiting {
	u64 va = wish::nowhere;
	u64 cpu = 0;
	svm_object *absent = nullptr; // it is of this object, which has no place: a reference
};

// Fills what is left of the part of one table. What cannot be had is left out. err::wait: for `page`, where `left` begins.
status fill(prefetching &p, va_span &left, waiting &page)
{
	reader section(p.vm.domain());

	while (!left.empty()) { // each turn takes something off
		wish asked{ .va = left.start, .want = left, .access = p.access, .must = false };
		status done = fault_in(p.vm, asked);
		if (done.is(err::fault)) { // unmapped or unbound just now
			piece bound = piece_at(p, left.start);
			if (!bound)
				return {};
			va_span m = next_part(p, bound, left.start + PORT_PAGE_SIZE).common(left);
			left.start = m.empty() ? bound.span.end : m.start;
		} else if (done.is(err::again)) {
			left.start += PORT_PAGE_SIZE;
		} else if (done.is(err::absent)) {
			page = { left.start, 0, asked.absent };
			return err::wait;
		} else if (!done.ok()) {
			return done;
		} else if (asked.wait != wish::nowhere) {
			left.start = asked.wait;
			page = { asked.wait, asked.cpu + (asked.wait - asked.va), nullptr };
			return err::wait;
		} else {
			left.start = asked.reached;
		}
	}
	return {};
}

// Why the device is of no use any more, or 0.
int why_gone(const svm_vm &vm)
{
	return vm.pt.ops->gone != nullptr ? vm.pt.ops->gone(vm.pt.backend) : 0;
}

// Why nothing more is to be brought or waited for; 0: go on.
int stopped(prefetching &p)
{
	int why = why_gone(p.vm);

	if (!why && port_killed()) // also where the port has ended a wait, since the device goes
		why = static_cast<int>(err::intr);
	if (why)
		p.stop(why);
	return p.error.load_relaxed();
}

// Where what is bound at va ends.
u64 behind(const prefetching &p, u64 va)
{
	reader section(p.vm.domain());
	piece at = piece_at(p, va);

	return at ? at.span.end : va + PORT_PAGE_SIZE;
}

// The same, with the waits. No userfaultfd's manager is waited for: what needs that is left out.
status fill_and_wait(prefetching &p, va_span left)
{
	waiting page;

	for (;;) { // each turn goes past a page, or waits for it, once; or it waits for a bind
		u64 waited = page.va;
		status done = with_room(p.vm, [&] {
			int why = stopped(p);
			return why ? status::from(why) : fill(p, left, page);
		});
		if (done.is(err::changing)) {
			done = wait_for_bind(p.vm);
			if (!done.ok())
				return done;
			continue;
		}
		if (!done.is(err::wait))
			return done;
		if (page.va == waited) { // it was there, and has gone again
			if (page.absent)
				svm_object_put(page.absent);
			left.start += PORT_PAGE_SIZE;
			continue;
		}
		done = page.absent ? bring(*page.absent) :
				     status::from(port_wait(p.vm.domain(), page.cpu, p.access != SVM_READ, false));
		if (done.is(err::intr)) {
			int why = stopped(p);
			return why ? status::from(why) : done;
		}
		if (done.is(err::nomem))
			return done;
		if (!done.ok())
			left.start = page.absent ? behind(p, page.va) : left.start + PORT_PAGE_SIZE;
	}
}

void count(prefetching &p, va_span part)
{
	p.pages.fetch_add_relaxed(pages_present(p.vm, part, p.access));
}

void work(void *arg)
{
	auto &p = *static_cast<prefetching *>(arg);

	for (;;) {
		(void)stopped(p); // also where the others left this thread nothing
		va_span part = take(p);

		if (part.empty())
			return;
		status done = fill_and_wait(p, part);
		count(p, part);
		if (!done.ok() && !done.is(err::again)) // a table that others take again and again is left out
			p.stop(done.error());
		port_relax();
	}
}

bool is_bound(const svm_vm &vm, va_span span)
{
	reader section(vm.domain());

	for (u64 at = span.start; at < span.end;) { // one piece on each turn
		piece bound = vm.bindings.span_map::at(at);

		if (!bound)
			return false;
		at = bound.span.end;
	}
	return true;
}

} // namespace

u64 pages_present(svm_vm &vm, va_span span, svm_access access)
{
	u64 pages = 0;

	for (u64 at = span.start; at < span.end;) { // a table on each turn
		reader section(vm.domain());
		va_span part = vm.pt.table_span(at).common({ at, span.end });

		if (table *tb = vm.pt.find(at))
			pages += vm.pt.present(*tb, vm.pt.index(at), static_cast<unsigned>(part.pages()), access, nullptr);
		at = part.end;
		port_relax();
	}
	return pages;
}

status bring_in(svm_vm &vm, va_span span, svm_access access, u64 &pages)
{
	prefetching p{ vm, span, access, atomic<u64>(span.start) };
	u64 tables = span.widened(vm.pt.table_lg2()).size() >> vm.pt.table_lg2();

	port_parallel(vm.domain(), tables < threads ? static_cast<u32>(tables) : threads, work, &p);
	pages = p.pages.load_relaxed();
	vm.pt.stat.add(stat::prefetched, pages);
	return status::from(p.error.load_relaxed());
}

} // namespace svm

extern "C" bool svm_port_gone(void *domain_owner)
{
	return svm::why_gone(*static_cast<svm_vm *>(domain_owner));
}

extern "C" int svm_prefetch(svm_vm *vm, u64 start, u64 end, svm_access access, u64 *pages)
{
	svm::va_span span{ start, end };

	*pages = 0;
	if (vm->no_fault || span.empty() || !span.page_aligned() || !svm::is_bound(*vm, span))
		return static_cast<int>(svm::err::inval);
	svm::session process(vm->domain());
	if (!process.held().ok())
		return process.held().error();
	return svm::bring_in(*vm, span, access, *pages).error();
}
