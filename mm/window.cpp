// SPDX-License-Identifier: GPL-2.0-only
// Binding and unbinding windows, and the intervals that are made on demand in them.
#include "mm/vm.hpp"
#include "mm/pt/gather.hpp"
#include "mm/reclaim.hpp"

namespace svm {

window *window_at(const svm_vm &vm, u64 va)
{
	for (window *w = vm.windows.first(); w; w = vm.windows.after(*w)) {
		if (w->span.holds(va) && !w->dying.load_acquire()) // with the release in condemn()
			return w;
	}
	return nullptr;
}

static u64 interval_key(const svm_vm &vm, const window &w, u64 va)
{
	return (va >> vm.interval_lg2) << 16 | w.id;
}

result<interval *> interval_at(svm_vm &vm, window &w, u64 va)
{
	u64 key = interval_key(vm, w, va);

	if (void *there = port_index_get(vm.domain(), key))
		return static_cast<interval *>(there);

	window_guard lock(vm.domain());
	if (!lock.held().ok())
		return result<interval *>::from(lock.held().error());
	if (void *there = port_index_get(vm.domain(), key))
		return static_cast<interval *>(there);
	if (w.dying.load_relaxed()) // written under the window lock
		return err::fault;

	owner<interval> made = make<interval>();
	if (!made)
		return err::nomem;
	made->of = &w;
	made->span = va_span::around(va, vm.interval_lg2).common(w.span);
	cpu_span cpu = w.to_cpu(made->span);
	int failed = port_interval_create(vm.domain(), cpu.start, cpu.end, made.get(), &made->port);
	if (failed)
		return result<interval *>::from(failed);
	failed = port_index_put(vm.domain(), key, made.get());
	if (failed) {
		port_interval_destroy(made->port);
		return result<interval *>::from(failed);
	}
	made->next = w.intervals;
	w.intervals = made.get();
	vm.pt.stat.add(stat::intervals);
	vm.pt.stat.add(stat::host_bytes, sizeof(interval));
	return made.release();
}

void dismantle(svm_vm &vm, window &w)
{
	// Faults that saw the window alive have left after this; none maps through it any more.
	port_synchronize(vm.domain());
	// The notifiers stay until nothing is mapped: a page may be freed at any time before that.
	sweep(vm, w.span.widened(vm.pt.table_lg2()));
	for (interval *i = w.intervals; i; i = i->next)
		port_interval_destroy(i->port);
	{
		window_guard_force lock(vm.domain());
		for (interval *i = w.intervals; i; i = i->next)
			(void)port_index_put(vm.domain(), interval_key(vm, w, i->span.start), nullptr); // taking out cannot fail
		vm.windows.remove(w);
	}
	port_synchronize(vm.domain()); // for readers that still stand on the window, an interval or a table of it
	for (interval *i = w.intervals, *next; i; i = next) {
		next = i->next;
		vm.pt.stat.sub(stat::intervals);
		vm.pt.stat.sub(stat::host_bytes, sizeof(interval));
		destroy(i);
	}
	destroy(&w);
}

static bool overlaps(const svm_vm &vm, va_span span)
{
	va_span tables = span.widened(vm.pt.table_lg2());

	for (window *w = vm.windows.first(); w; w = vm.windows.after(*w)) {
		if (w->span.widened(vm.pt.table_lg2()).meets(tables))
			return true;
	}
	return false;
}

static bool id_taken(const svm_vm &vm, u16 id)
{
	for (window *w = vm.windows.first(); w; w = vm.windows.after(*w)) {
		if (w->id == id)
			return true;
	}
	return false;
}

static constexpr unsigned max_windows = 4096; // bounds every look through the list

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
	unsigned count = 0;
	for (window *w = vm.windows.first(); w; w = vm.windows.after(*w))
		count++;
	if (count >= max_windows)
		return err::nomem;
	owner<window> made = make<window>();
	if (!made)
		return err::nomem;
	made->vm = &vm;
	made->span = span;
	made->offset = offset;
	do
		made->id = ++vm.last_window; // ends: fewer windows than ids
	while (id_taken(vm, made->id));
	vm.windows.push(*made.release());
	return {};
}

// Marks the window of that very span dying, so that one caller alone takes it apart.
static result<window *> condemn(svm_vm &vm, va_span span)
{
	window_guard lock(vm.domain());

	if (!lock.held().ok())
		return result<window *>::from(lock.held().error());
	for (window *w = vm.windows.first(); w; w = vm.windows.after(*w)) {
		if (w->span == span && !w->dying.load_relaxed()) {
			w->dying.store_release(true); // with the acquire in window_at() and fault_in()
			return w;
		}
	}
	return err::noent;
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
