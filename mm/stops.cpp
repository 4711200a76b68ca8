// SPDX-License-Identifier: GPL-2.0-only
// Stopping the jobs of a vm that cannot fault, and making it whole again: see stops.hpp.
#include "mm/stops.hpp"

#include "mm/bind/object.hpp"
#include "mm/mirror.hpp"

namespace svm {

halt::halt(svm_vm &of, va_span taken, bool may_sleep) : vm(of.no_fault && !taken.empty() ? &of : nullptr)
{
	u64 token;

	if (!vm)
		return;
	{
		table_guard lock(vm->stops.lock);

		vm->stops.begun++;
		vm->stops.stale.join(taken.widened(vm->pt.table_lg2()).common(vm->pt.all())); // huge leaves go as a whole
		if (vm->stops.running) {
			vm->stops.running = false;
			vm->stops.token = vm->pt.ops->stop(vm->pt.backend);
			vm->pt.stat.add(stat::stops);
		}
		token = vm->stops.token;
	}
	vm->pt.ops->flush_wait(vm->pt.backend, token, may_sleep); // (19)
}

halt::~halt()
{
	if (!vm)
		return;
	table_guard lock(vm->stops.lock);

	vm->stops.ended++;
}

namespace {

// A restore may need a lock of core mm that is held over a callback. And while it holds mmap_lock, others wait for that.
constexpr u64 quiet_ms = 250;
constexpr unsigned quiet_turns = 4; // one may meet a callback that was on its way

bool disturbs(const svm_vm &vm, u64 seq)
{
	const void *restorer = seq ? vm.stops.restorer.load_relaxed() : nullptr;

	if (!restorer || restorer == port_self() || vm.stops.met.load_relaxed() == seq || port_killed())
		return false;
	// What comes with mmap_lock held for writing is not put off: the restore would wait for it.
	return vm.stops.map_held.load_relaxed() || !port_mmap_written(vm.domain());
}

} // namespace

void put_off(svm_vm &vm, u64 seq)
{
	if (!vm.no_fault)
		return;
	if (disturbs(vm, seq)) {
		for (u64 end = port_now_ms() + quiet_ms; disturbs(vm, seq) && port_now_ms() < end;)
			port_pause();
	}
	if (vm.pt.ops->delay)
		vm.pt.ops->delay(vm.pt.backend);
}

bool binds(const svm_vm &vm, const binding &b, va_span part)
{
	return !parts_of(vm, b, part).next().empty();
}

status why_missing(svm_vm &vm, u64 va, svm_access access)
{
	reader section(vm.domain());
	binding *b = vm.bindings.at(va);

	if (b && access != SVM_READ && b->is_object() && as_object(*b).read_only())
		return err::perm;
	return b && access != SVM_READ && vm.pt.allows(va, SVM_READ) ? err::perm : err::fault;
}

status all_mapped(const svm_vm &vm, cpu_span cpu)
{
	session process(vm.domain());
	cpu_span m;

	if (!process.held().ok())
		return process.held();
	for (u64 at = cpu.start; at < cpu.end; at = m.end) { // goes past a mapping on each turn
		if (!port_next_mapping(vm.domain(), at, cpu.end, false, &m.start, &m.end) || m.start > at)
			return port_killed() ? err::intr : err::fault;
	}
	return {};
}

namespace {

// The next piece at or after `at` that is bound, as far as it lies in the span.
struct next_bound {
	va_span span{};
	bool mirrors = false;
	bool homeless = false; // of an object that has no place

	next_bound(const svm_vm &vm, u64 at, va_span within)
	{
		reader section(vm.domain());
		span_map::piece p = vm.bindings.next(at);

		if (!p || !p.span.meets(within))
			return;
		auto &b = *static_cast<binding *>(p.of);
		span = p.span.common({ at, within.end });
		mirrors = b.mirrors();
		homeless = b.is_object() && !as_object(b).object.placed.load_relaxed(); // a hint: a stale answer costs a turn
	}
};

// err::absent: an object has no place yet.
status bring_back(svm_vm &vm, va_span stale, at_once *limits)
{
	u64 pages;

	for (u64 at = stale.start; at < stale.end;) { // goes past a piece on each turn
		va_span part = next_bound(vm, at, stale).span;
		if (part.empty())
			break;
		at = part.end;
		// For writing first: the second pass finds in place what the first has brought, and brings what cannot be written.
		status done = next_bound(vm, part.start, part).mirrors ? bring_in(vm, part, SVM_WRITE, pages, true, limits) : status();
		if (done.ok())
			done = bring_in(vm, part, SVM_READ, pages, true, limits);
		if (!done.ok() && !done.is(err::io)) // where the device cannot reach the memory, its jobs fail
			return done;
		if (next_bound(vm, part.start, part).homeless)
			return err::absent;
	}
	return {};
}

// Has the device all that the operations mirror?
bool has_all(svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		va_span span{ ops[i].start, ops[i].end };

		if (ops[i].kind == SVM_BIND_MIRROR && pages_present(vm, span, SVM_READ) != span.pages())
			return false;
	}
	return true;
}

// err::again: something was taken meanwhile.
status try_restore(svm_vm &vm, const svm_bind_op *ops, u32 count, at_once *limits = nullptr)
{
	va_span stale;
	u64 seen;
	{
		table_guard lock(vm.stops.lock);

		seen = vm.stops.ended;
		stale = vm.stops.stale;
	}
	status done = bring_back(vm, stale, limits);
	if (!done.ok())
		return done;
	bool all = has_all(vm, ops, count);

	table_guard lock(vm.stops.lock);
	if (vm.stops.begun != seen || vm.stops.ended != seen) // (20)
		return err::again;
	vm.stops.stale = {};
	if (!vm.stops.running) {
		vm.stops.running = true;
		vm.pt.ops->resume(vm.pt.backend);
	}
	return all ? status() : status(err::fault);
}

bool amid_a_halt(svm_vm &vm)
{
	table_guard lock(vm.stops.lock);

	return vm.stops.begun != vm.stops.ended;
}

struct held_mark {
	explicit held_mark(svm_vm &of) : vm(of) { vm.stops.map_held.store_relaxed(true); }
	~held_mark() { vm.stops.map_held.store_relaxed(false); }
	held_mark(const held_mark &) = delete;
	held_mark &operator=(const held_mark &) = delete;

	svm_vm &vm;
};

// Some tries with mmap_lock held. err::again: also where limits.wait is to be brought first.
status try_with_map_held(svm_vm &vm, const svm_bind_op *ops, u32 count, at_once &limits)
{
	mmap_guard held(vm.domain());
	status done = held.held();

	if (!done.ok())
		return done;
	held_mark mark(vm);
	for (unsigned turn = 0; turn < quiet_turns; turn++) {
		// A turn that takes no time would meet the same halt again.
		while (amid_a_halt(vm) && !vm.stops.rebinding.load_relaxed() && port_now_ms() < limits.end && !port_killed())
			port_pause();
		done = try_restore(vm, ops, count, &limits);
		if (!done.is(err::again) || limits.wait != PORT_NO_PAGE || port_now_ms() >= limits.end)
			return done;
		if (vm.stops.rebinding.load_relaxed()) // its halt may wait for those that are put off
			return done;
	}
	return done;
}

// The same while nothing is to be taken, with what has to be waited for.
status restore_quietly(svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	at_once limits{ .end = port_now_ms() + quiet_ms };
	status done;

	vm.stops.restorer.store_relaxed(port_self());
	for (;;) { // ends: limits.end
		done = try_with_map_held(vm, ops, count, limits);
		if (!done.is(err::again) || limits.wait == PORT_NO_PAGE || port_now_ms() >= limits.end)
			break;
		done = status::from(port_wait(vm.domain(), limits.wait, limits.write, false));
		if (done.is(err::intr) || done.is(err::nomem))
			break;
		if (!done.ok())
			limits.refused = limits.wait;
		limits.wait = PORT_NO_PAGE;
	}
	vm.stops.restorer.store_relaxed(nullptr);
	return done;
}

status restore(svm_vm &vm, const svm_bind_op *ops, u32 count)
{
	status done = try_restore(vm, ops, count);

	if (done.is(err::again))
		done = restore_quietly(vm, ops, count);
	return done.is(err::absent) ? status(err::again) : done;
}

} // namespace

} // namespace svm

extern "C" int svm_restore(svm_vm *vm, const svm_bind_op *ops, u32 count)
{
	if (!vm->no_fault)
		return static_cast<int>(svm::err::inval);
	svm::session process(vm->domain());
	if (!process.held().ok())
		return process.held().error();
	return svm::restore(*vm, ops, count).error();
}
