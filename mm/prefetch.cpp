// SPDX-License-Identifier: GPL-2.0-only
// Prefetch: the fault path over a span, a table at a time, on several threads.
//
// What one table lacks is brought and mapped in one pass, whatever number of mappings lies in its span; a further pass
// follows each wait. The thread that asked can be killed: it stops the others at their next table. So does a device that
// goes, which each thread asks for before each table and each wait, and which ends the waits. Reader sections are short, so that an unbind gets
// its turn, and none lasts while storage is waited for.
#include "mm/bind/object.hpp"
#include "mm/mirror.hpp"
#include "mm/room.hpp"
#include "mm/sweep.hpp"
#include "svm/object.h"

namespace svm {

namespace {

struct prefetching : table_sweep {
	svm_access access;
	bool bring;
	at_once *limits; // null: it waits for what is not there

	prefetching(svm_vm &v, va_span s, svm_access a, bool b, at_once *l) : table_sweep(v, s, a != SVM_READ), access(a), bring(b), limits(l) {}
};

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
		wish asked{ .va = left.start, .want = left, .access = p.access, .must = false, .bring = p.bring };
		status done = fault_in(p.vm, asked);
		if (done.is(err::fault)) { // unmapped or unbound just now
			table_sweep::piece bound = p.at(left.start);
			if (!bound)
				return {};
			va_span m = p.next_part(bound, left.start + PORT_PAGE_SIZE).common(left);
			left.start = m.empty() ? bound.span.end : m.start;
		} else if (done.is(err::again) && !p.limits) {
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

// Where what is bound at va ends.
u64 behind(const prefetching &p, u64 va)
{
	reader section(p.vm.domain());
	table_sweep::piece at = p.at(va);

	return at ? at.span.end : va + PORT_PAGE_SIZE;
}

// The same, with the waits. No userfaultfd's manager is waited for: what needs that is left out.
status fill_and_wait(prefetching &p, va_span left)
{
	waiting page;

	for (;;) { // each turn goes past a page, or waits for it, once; or it waits for a bind
		u64 waited = page.va;
		status done = with_room(p.vm, [&] {
			int why = p.stopped();
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
			int why = p.stopped();
			return why ? status::from(why) : done;
		}
		if (done.is(err::nomem))
			return done;
		if (!done.ok())
			left.start = page.absent ? behind(p, page.va) : left.start + PORT_PAGE_SIZE;
	}
}

// The same, where nothing may be waited for.
status fill_at_once(prefetching &p, va_span left)
{
	for (;;) { // each turn goes past a page
		waiting page;
		int why = p.stopped();

		if (why)
			return status::from(why);
		if (port_now_ms() >= p.limits->end)
			return err::again;
		status done = fill(p, left, page);
		if (page.absent) {
			svm_object_put(page.absent);
			return err::absent;
		}
		if (done.ok() || done.is(err::intr) || done.is(err::nomem) || done.is(err::io))
			return done;
		if (!done.is(err::wait) || page.va == wish::nowhere)
			return err::again;
		if (page.cpu != p.limits->refused) {
			p.limits->wait = page.cpu;
			p.limits->write = p.access != SVM_READ;
			return err::again;
		}
		left.start += PORT_PAGE_SIZE;
	}
}

void count(prefetching &p, va_span part)
{
	p.pages.fetch_add_relaxed(pages_present(p.vm, part, p.access));
}

void fill_tables(void *arg)
{
	auto &p = static_cast<prefetching &>(*static_cast<table_sweep *>(arg));

	for (;;) {
		(void)p.stopped(); // also where the others left this thread nothing
		va_span part = p.take();

		if (part.empty())
			return;
		status done = p.limits ? fill_at_once(p, part) : fill_and_wait(p, part);
		count(p, part);
		if (!done.ok() && (p.limits || !done.is(err::again))) // a table that others take again and again is left out
			p.stop(done.error());
		port_relax();
	}
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

status bring_in(svm_vm &vm, va_span span, svm_access access, u64 &pages, bool bring, at_once *limits)
{
	prefetching p(vm, span, access, bring, limits);
	status done = status::from(p.run(fill_tables));

	pages = p.pages.load_relaxed();
	vm.pt.stat.add(stat::prefetched, pages);
	return done;
}

} // namespace svm

extern "C" bool svm_port_gone(void *domain_owner)
{
	return svm::why_gone(*static_cast<svm_vm *>(domain_owner));
}

namespace svm {

namespace {

int prefetch(svm_vm &vm, va_span span, svm_access access, bool bring, u64 &pages)
{
	pages = 0;
	if (vm.no_fault || span.empty() || !span.page_aligned() || !is_bound(vm, span))
		return static_cast<int>(err::inval);
	session process(vm.domain());
	if (!process.held().ok())
		return process.held().error();
	return bring_in(vm, span, access, pages, bring).error();
}

} // namespace

} // namespace svm

extern "C" int svm_prefetch(svm_vm *vm, u64 start, u64 end, svm_access access, u64 *pages)
{
	return svm::prefetch(*vm, { start, end }, access, true, *pages);
}

extern "C" int svm_map_present(svm_vm *vm, u64 start, u64 end, u64 *pages)
{
	return svm::prefetch(*vm, { start, end }, SVM_READ, false, *pages);
}
