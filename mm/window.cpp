// SPDX-License-Identifier: GPL-2.0-only
// Binding and unbinding windows, and the intervals that are made on demand in them.
#include "mm/vm.hpp"
#include "mm/pt/gather.hpp"
#include "mm/reclaim.hpp"

namespace svm {

window *window_at(const svm_vm &vm, u64 va)
{
	window *w = vm.windows.at(va);

	return w && !w->dying.load_acquire() ? w : nullptr; // with the release in condemn()
}

result<interval *> interval_at(svm_vm &vm, window &w, u64 va)
{
	if (interval *there = vm.intervals.at(va))
		return there;

	window_guard lock(vm.domain());
	if (!lock.held().ok())
		return result<interval *>::from(lock.held().error());
	if (w.dying.load_relaxed()) // written under the window lock
		return err::fault;
	if (interval *there = vm.intervals.at(va))
		return there;

	owner<interval> made = make<interval>();
	if (!made)
		return err::nomem;
	made->of = &w;
	made->span = va_span::around(va, vm.interval_lg2).common(w.span);
	span_map::change index(vm.intervals);
	status indexed = index.replace(made->span, made.get());
	if (!indexed.ok())
		return result<interval *>::from(indexed.error());
	cpu_span cpu = w.to_cpu(made->span);
	int failed = port_interval_create(vm.domain(), cpu.start, cpu.end, made.get(), &made->port);
	if (failed)
		return result<interval *>::from(failed);
	index.commit(vm.domain());
	made->next = w.intervals;
	w.intervals = made.get();
	vm.pt.stat.add(stat::intervals);
	vm.pt.stat.add(stat::host_bytes, sizeof(interval));
	return made.release();
}

static void stop_notifiers(window &w)
{
	for (interval *i = w.intervals; i; i = i->next)
		port_interval_destroy(i->port);
}

// No reader stands on the window, an interval or a table of it.
static void free_window(svm_vm &vm, window &w)
{
	for (interval *i = w.intervals, *next; i; i = next) {
		next = i->next;
		vm.pt.stat.sub(stat::intervals);
		vm.pt.stat.sub(stat::host_bytes, sizeof(interval));
		destroy(i);
	}
	destroy(&w);
}

static void dismantle(svm_vm &vm, window &w)
{
	// Faults that saw the window alive have left after this; none maps through it any more.
	port_synchronize(vm.domain());
	// The notifiers stay until nothing is mapped: a page may be freed at any time before that.
	sweep(vm, w.span.widened(vm.pt.table_lg2()));
	stop_notifiers(w);
	{
		window_guard_force lock(vm.domain());
		window **link = &vm.dying;

		while (*link != &w) // bounded by the number of unbinds under way
			link = &(*link)->next_dying;
		*link = w.next_dying;
	}
	port_synchronize(vm.domain()); // for readers that still stand on what is freed now
	free_window(vm, w);
}

// Calls fn for each window. They may be freed on the way: the map is not looked at for those behind.
template <typename Fn>
static void each_window(svm_vm &vm, Fn fn)
{
	for (span_map::piece p = vm.windows.next(0); p; p = vm.windows.next(p.span.end)) // each turn goes past one
		fn(*static_cast<window *>(p.of));
}

void dismantle_all(svm_vm &vm)
{
	if (!vm.domain())
		return;
	sweep(vm, vm.pt.all());
	each_window(vm, stop_notifiers);
	port_synchronize(vm.domain()); // for the shrinker and for reclaim, which may stand on a table
	each_window(vm, [&vm](window &w) { free_window(vm, w); });
}

static bool overlaps(const svm_vm &vm, va_span span)
{
	u32 lg2 = vm.pt.table_lg2();
	va_span tables = span.widened(lg2);
	span_map::piece first = vm.windows.next(tables.start); // what ends below has its tables below

	for (window *w = vm.dying; w; w = w->next_dying) {
		if (w->span.widened(lg2).meets(tables))
			return true;
	}
	return first && first.span.widened(lg2).meets(tables);
}

static status bind(svm_vm &vm, va_span span, u64 offset)
{
	cpu_span cpu{ span.start - offset, span.end - offset };
	cpu_span user{ 0, port_user_end(vm.domain()) };

	if (span.empty() || !span.page_aligned() || !aligned(offset, vm.pt.table_lg2()))
		return err::inval;
	if (!vm.pt.all().holds(span) || cpu.empty() || !user.holds(cpu))
		return err::inval;

	window_guard lock(vm.domain());
	if (!lock.held().ok())
		return lock.held();
	if (overlaps(vm, span))
		return err::exist;
	owner<window> made = make<window>();
	if (!made)
		return err::nomem;
	made->vm = &vm;
	made->span = span;
	made->offset = offset;
	span_map::change windows(vm.windows);
	status done = windows.replace(span, made.get());
	if (!done.ok())
		return done;
	windows.commit(vm.domain());
	made.release();
	return {};
}

// Takes the window of that very span out of the maps, so that one caller alone takes it apart.
static result<window *> condemn(svm_vm &vm, va_span span)
{
	window_guard lock(vm.domain());

	if (!lock.held().ok())
		return result<window *>::from(lock.held().error());
	window *w = vm.windows.at(span.start);
	if (!w || w->span != span)
		return err::noent;
	span_map::change windows(vm.windows), intervals(vm.intervals);
	status done = windows.replace(span, nullptr);
	if (done.ok())
		done = intervals.replace(span, nullptr);
	if (!done.ok())
		return result<window *>::from(done.error());
	w->dying.store_release(true); // with the acquire in window_at() and fault_in()
	windows.commit(vm.domain());
	intervals.commit(vm.domain());
	w->next_dying = vm.dying;
	vm.dying = w;
	return w;
}

} // namespace svm

extern "C" int svm_bind(svm_vm *vm, u64 start, u64 end, s64 offset)
{
	return svm::bind(*vm, { start, end }, static_cast<u64>(offset)).error();
}

extern "C" int svm_bind_all(svm_vm *vm)
{
	u64 user = port_user_end(vm->domain());
	u64 device = vm->pt.all().end;

	return svm::bind(*vm, { 0, user < device ? user : device }, 0).error();
}

extern "C" int svm_unbind(svm_vm *vm, u64 start, u64 end)
{
	svm::result<svm::window *> w = svm::condemn(*vm, { start, end });

	if (w.ok())
		svm::dismantle(*vm, *w.value());
	return w.error();
}
