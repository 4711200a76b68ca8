// SPDX-License-Identifier: GPL-2.0-only
// Fault and invalidate: see mirror.hpp for the protocol that they keep.
#include "mm/mirror.hpp"

#include "mm/advice.hpp"
#include "mm/bind/object.hpp"
#include "mm/pt/gather.hpp"
#include "mm/room.hpp"
#include "svm/object.h"

namespace svm {

namespace {

constexpr unsigned max_attempts = 64; // then the device is told to come again

// Where a fault goes: a table, and what it maps there.
struct place {
	table *tb;
	binding *of;
	interval *in; // null: of a binding that mirrors nothing
	va_span span; // the part of the table that is bound so
	bool alone;   // the table is the interval's alone
	const placement *memory = nullptr; // of an object: where it was when the fault looked

	// Under the table's lock: is it still so, for the part? Else what was brought is not to be written.
	bool holds(const svm_vm &vm, va_span part) const
	{
		if (tb->interval.load_relaxed() != (alone ? in : nullptr)) // written under the lock
			return false;
		if (alone)
			return true;
		span_map::piece now = vm.bindings.span_map::at(part.start);
		if (now.of != of || !now.span.holds(part))
			return false;
		return !memory || as_object(*of).object.placed.load_relaxed() == memory; // after B2, with B4 in svm_object_displace()
	}
};

// Looks into the map under the table's lock, after the table was published. err::busy: b is no longer there.
status look(svm_vm &vm, u64 va, place &at)
{
	table &tb = *at.tb;
	va_span all = vm.pt.table_span(va);

	full_barrier(); // B2 of mirror.hpp, with B1 in svm_port_invalidate(); and of rebind.hpp, with B3 in empty_tables()
	table_guard lock(tb.lock);
	table_state state = tb.state.load_relaxed(); // written under the lock
	if (state == table_state::dead)
		return err::busy;
	if (state == table_state::leaving)
		return err::leaving;
	span_map::piece now = vm.bindings.span_map::at(va);
	if (now.of != at.of)
		return err::busy;
	const rebinding *changing = vm.changing.load_acquire(); // with the releases in rebind_locked()
	if (changing && changing->hull.meets(all))
		return err::changing;
	at.span = now.span.common(all);
	if (at.in) {
		u64 seq = port_interval_seq(at.in->port);

		if (seq > tb.seq.load_relaxed()) // 64 bits do not wrap
			tb.seq.store_relaxed(seq);
		at.alone = at.span == all;
		if (at.alone)
			tb.interval.store_release(at.in); // with the acquire in enter()
	}
	tb.state.store_release(table_state::ready); // with the acquire in fault_in()
	return {};
}

// The table of va, made where there is none, and what it maps there. err::fault: nothing is bound; err::changing, busy, leaving:
// not now.
status enter(svm_vm &vm, const wish &asked, place &at)
{
	u64 va = asked.va;

	at = { vm.pt.find(va), nullptr, nullptr, {}, false };
	interval *alone = at.tb ? at.tb->interval.load_acquire() : nullptr; // with the release in look()
	if (alone && !asked.only) {
		at = { at.tb, alone->of, alone, vm.pt.table_span(va), true };
		return {};
	}
	at.of = vm.bindings.at(va);
	if (!at.of || (asked.only && at.of != asked.only))
		return err::fault;
	if (!at.tb && port_mmap_held(vm.domain()))
		return err::wait;
	if (at.of->mirrors()) {
		// A wild address makes no table: it could be any number of them.
		if (!at.tb && !port_mapped(vm.domain(), at.of->to_cpu(va)))
			return err::fault;
		if (!at.tb && vm.bindings.at(va) != at.of) // that slept: nothing is made for what was unbound meanwhile
			return err::busy;
		result<interval *> in = interval_at(vm, *at.of, va);
		if (!in.ok())
			return status::from(in.error());
		at.in = in.value();
	}
	if (!at.tb) {
		trim(vm);
		result<table *> made = vm.pt.make_table(va);
		if (!made.ok())
			return status::from(made.error());
		at.tb = made.value();
	}
	return look(vm, va, at);
}

// Under the lock of its table: makes leaves of what src has. It takes over `fresh` if the table needs it.
template <source S>
status write_with(svm_vm &vm, const place &at, va_span part, const u64 *seq, S &src, svm_table_mem &fresh)
{
	table &tb = *at.tb;
	table_guard lock(tb.lock);

	if (tb.state.load_relaxed() != table_state::ready) // written under the lock
		return err::busy;
	// Kept also where we go again: to allocate it may have reclaimed what we are about to map.
	if (fresh.cpu && vm.pt.give_memory(tb, fresh)) {
		vm.pt.clock.fetch_add_relaxed(1);
		vm.pt.count_piece();
		vm.pt.stat.add(stat::device_bytes, fresh.bytes);
		fresh.cpu = nullptr;
	}
	if (seq && tb.seq.load_relaxed() != *seq) // an invalidation has met the table since
		return err::busy;
	if (!at.holds(vm, part))
		return err::busy;
	vm.pt.map(tb, vm.pt.index(part.start), static_cast<unsigned>(part.pages()), src);
	return {};
}

// Makes leaves of what src has for the part. seq: the sequence that it is of; null: the CPU's side has no say in it.
template <source S>
status write(svm_vm &vm, const place &at, va_span part, bool in_one, const u64 *seq, S &src)
{
	svm_table_mem fresh{};
	status done;

	if (!in_one && !at.tb->entries.load_acquire()) // with the release in give_memory()
		done = port_mmap_held(vm.domain()) ? status(err::wait) : vm.pt.get_memory(vm.pt.format->table_bytes, fresh);
	if (!done.ok())
		return done;
	done = write_with(vm, at, part, seq, src, fresh);
	if (fresh.cpu)
		vm.pt.ops->table_free(vm.pt.backend, &fresh);
	return done;
}

// The page words of one pass over a table, and what is to become of the pages in them.
struct filling {
	svm_vm &vm;
	const place &at;
	wish &asked;
	scratch room;
	va_span reach{};    // what words[] are of
	unsigned count = 0;
	unsigned missing = 0; // of them, entries that do not allow the access yet
	u64 left = 0;	      // pages that the port brought, and that no leaf has
	struct port_fault port; // prepare() and port_fault() write all of it

	filling(svm_vm &v, const place &p, wish &w) : vm(v), at(p), asked(w), room(v.scratch) {}
	filling(const filling &) = delete;
	filling &operator=(const filling &) = delete;

	// Each attempt that the CPU's side spoils asks for less, so that one gets through a storm.
	static constexpr unsigned narrow_after = 4, page_after = 16;
	// Of a sparse table a fault looks at so many granules.
	static constexpr u32 sparse_look_lg2 = 1;

	va_span reach_of(va_span all, unsigned attempt) const
	{
		va_span small = va_span::around(asked.va, PORT_PAGE_LG2 + scratch::small_lg2);

		if (alone())
			return va_span::around(asked.va, PORT_PAGE_LG2);
		if (!asked.must)
			all = all.common({ asked.va, asked.want.end });
		if (room.capacity < vm.pt.entries())
			all = all.common(small);
		if (asked.must && at.tb->sparse.load_relaxed()) // with the store in learn(): a stale value costs a look
			all = all.common(va_span::around(asked.va, vm.granule_lg2 + sparse_look_lg2));
		if (attempt >= narrow_after)
			all = all.common(attempt >= page_after ? va_span::around(asked.va, PORT_PAGE_LG2) : asked.must ? asked.want : small);
		return all;
	}

	// The device's atomics need the page without the CPU.
	bool alone() const { return vm.exclusive && asked.must && asked.access == SVM_ATOMIC; }

	// One mapping of the CPU's may be one leaf for the table where both begin alike.
	// Where the table has leaves, no such mapping came without a notification that took them.
	u32 block_lg2() const
	{
		bool may = vm.pt.format->huge && aligned(at.of->offset, vm.pt.table_lg2()) && !alone();

		return may && missing == count ? vm.pt.table_lg2() : 0;
	}

	void prepare(unsigned attempt)
	{
		const binding &b = *at.of;

		reach = reach_of(at.span, attempt);
		count = static_cast<unsigned>(reach.pages());
		missing = count - vm.pt.present(*at.tb, vm.pt.index(reach.start), count, asked.access, room.have);
		u64 page = align_down(asked.va, PORT_PAGE_LG2);
		unsigned n = static_cast<unsigned>((page - reach.start) >> PORT_PAGE_LG2);
		if (asked.must)
			room.have[n / 64] &= ~(1ull << n % 64);

		cpu_span cpu = b.to_cpu(reach), wanted = b.to_cpu(asked.want.common(reach)), around = b.to_cpu(at.span);
		port.cpu = b.to_cpu(page);
		port.must = asked.must;
		port.bring = asked.bring;
		port.start = cpu.start;
		port.end = cpu.end;
		port.want_start = wanted.start;
		port.want_end = wanted.end;
		port.block_lg2 = block_lg2();
		port.block_start = around.start;
		port.block_end = around.end;
		port.alone = alone();
		port.write = asked.access != SVM_READ;
		port.have = room.have;
		port.page = room.words;
		port.seq = at.tb->seq.load_relaxed(); // a stale value fails the comparison in write_with()
	}

	// Whether the port brought what must be had.
	bool answered() const
	{
		u64 word = room.words[port.block ? 0 : (port.cpu - port.start) >> PORT_PAGE_LG2];

		return !asked.must || ((word & PORT_PAGE_VALID) && (!port.write || (word & PORT_PAGE_WRITE)));
	}

	// How many words are filled: one stands for the table where one mapping is the whole answer.
	unsigned filled() const { return port.block ? 1 : count; }

	// Where the process has few pages beside those that the device asks for, as when the device is the first to touch them,
	// the next fault need not look at all of the table.
	void learn()
	{
		bool found = port.block || port.mapped > asked.want.pages();

		if (asked.must && !port.alone && at.tb->sparse.load_relaxed() == found)
			at.tb->sparse.store_relaxed(!found); // with the load in reach_of()
	}

	// Tells a prefetch how far it got.
	void report()
	{
		asked.reached = reach.end;
		asked.wait = port.wait == PORT_NO_PAGE ? wish::nowhere : at.of->to_va(port.wait);
	}

	// Writes what was brought, if it is what was wanted, and gives back the pages that no leaf took.
	status write_and_undo(bool wanted)
	{
		u32 lg2 = port.block ? vm.pt.table_lg2() : PORT_PAGE_LG2;
		va_span part = port.block ? at.span : reach; // the one word is of the whole table
		mirrored_pages pages(room.words, vm.pt.index(part.start), lg2 - PORT_PAGE_LG2, port.lent, !vm.exclusive || port.alone);
		status done;

		if (wanted && left)
			done = write(vm, at, part, port.block, &port.seq, pages);
		left -= pages.pages_taken();
		if (left)
			port_dma_release(vm.domain(), room.words, filled(), lg2, false);
		return done;
	}
};

status populate(svm_vm &vm, const place &at, wish &asked, unsigned attempt)
{
	filling f(vm, at, asked);

	f.prepare(attempt);
	f.port.wait = PORT_NO_PAGE;
	if (!asked.must && !f.missing) { // nothing to ask the CPU's side for
		f.report();
		return {};
	}
	int failed = port_fault(vm.domain(), &f.port);
	if (failed)
		return status::from(failed);
	f.left = f.port.mapped;
	f.report();
	bool answered = f.answered();
	status done = f.write_and_undo(answered);
	if (answered && done.ok())
		f.learn();
	return answered ? done : status(err::fault);
}

// All of the null binding's part of the table at once: it costs nothing but the table.
status populate_null(svm_vm &vm, const place &at, wish &asked)
{
	null_pages pages;

	asked.reached = at.span.end;
	asked.wait = wish::nowhere;
	return write(vm, at, at.span, vm.pt.format->huge_null && at.span == vm.pt.table_span(asked.va), nullptr, pages);
}

// All that the table has of the object at once.
status populate_object(svm_vm &vm, place &at, wish &asked)
{
	const object_binding &b = as_object(*at.of);
	va_span all = vm.pt.table_span(asked.va);
	where_placed now(b.object);

	asked.reached = at.span.end;
	asked.wait = wish::nowhere;
	if (asked.access != SVM_READ && b.read_only())
		return asked.must ? status(err::perm) : status();
	at.memory = now.get();
	if (!at.memory && (asked.only || !asked.bring)) // only: a driver's own call, which may be the one that moves the object
		return {};
	if (!at.memory) {
		svm_object_get(&b.object); // the binding has one: this is a reader section
		asked.absent = &b.object;
		return err::absent;
	}
	if (at.memory->vram && !vm.pt.format->info.vram)
		return err::io;
	// Where the object begins inside the table, this page lies before it, and its number is negative.
	s64 first = static_cast<s64>(b.to_cpu(all.start)) >> PORT_PAGE_LG2;
	object_pages pages(at.memory->extents(), at.memory->count, static_cast<u64>(first), b.attrs());
	bool in_one = false;
	if (vm.pt.format->huge && at.span == all) {
		run r = pages.run_at(0, vm.pt.entries());

		in_one = r.pages == vm.pt.entries() && aligned(r.address, vm.pt.table_lg2());
	}
	return write(vm, at, at.span, in_one, nullptr, pages);
}

// One attempt.
status try_in(svm_vm &vm, wish &asked, unsigned attempt)
{
	place at;
	status done = enter(vm, asked, at);

	if (!done.ok())
		return done;
	asked.cpu = at.of->to_cpu(align_down(asked.va, PORT_PAGE_LG2));
	at.tb->touch(vm.pt);
	switch (at.tb->state.load_acquire()) { // with the releases in look() and departure::take()
	case table_state::ready:
		if (!vm.advised.empty() && at.in && asked.must && !asked.moved && claims_move(vm, *at.tb, asked.va))
			return err::misplaced;
		return at.in ? populate(vm, at, asked, attempt) : at.of->is_object() ? populate_object(vm, at, asked) : populate_null(vm, at, asked);
	case table_state::leaving:
		return err::leaving;
	default:
		return err::busy;
	}
}

} // namespace

status fault_in(svm_vm &vm, wish &asked)
{
	for (unsigned attempt = 0; attempt < max_attempts; attempt++) {
		status done = try_in(vm, asked, attempt);
		if (!done.is(err::busy))
			return done;
		vm.pt.stat.add(stat::retries);
		if (port_killed())
			return err::intr;
		port_relax();
	}
	return err::again;
}

status wait_for_bind(svm_vm &vm)
{
	return bind_guard(vm.domain()).held();
}

namespace {

struct invalidating {
	svm_vm &vm;
	interval &in;
	gather &batch;
	u64 seq;
	bool may_sleep;
};

bool invalidate_table(table &tb, va_span part, void *arg)
{
	auto *i = static_cast<invalidating *>(arg);

	if (i->may_sleep)
		port_relax();
	table_guard lock(tb.lock);

	if (tb.state.load_relaxed() == table_state::dead)
		return true;
	interval *alone = tb.interval.load_relaxed(); // written under the lock
	if (alone && alone != &i->in)
		return true;
	tb.seq.store_relaxed(i->seq); // also where there is nothing to take: a fault may be on its way
	if (alone)
		i->batch.retire(tb, part);
	else // (13), (14) of rebind.hpp
		i->vm.pt.take_away(tb, retire_parts(i->vm, *i->in.of, tb, part));
	return true;
}

// Is anything bound there?
bool stops_jobs(const interval &in, cpu_span changing)
{
	reader section(in.vm->domain());
	cpu_span hit = changing.common(in.of->to_cpu(in.span));

	return !hit.empty() && binds(*in.vm, *in.of, { in.of->to_va(hit.start), in.of->to_va(hit.end) });
}

} // namespace

} // namespace svm

extern "C" void svm_port_invalidate(void *owner, u64 seq, u64 start, u64 end, bool may_sleep, bool forking)
{
	auto &in = *static_cast<svm::interval *>(owner);
	svm::binding &b = *in.of;
	svm_vm &vm = *in.vm;
	svm::cpu_span hit = svm::cpu_span{ start, end }.common(b.to_cpu(in.span)); // end may be ~0: cut before anything is added
	svm::reader section(vm.domain());
	svm::gather batch(vm.pt, may_sleep, &in);
	svm::invalidating i{ vm, in, batch, seq, may_sleep };

	vm.pt.stat.add(svm::stat::invalidations);
	svm::full_barrier(); // B1 of mirror.hpp, with B2 in look()
	if (vm.no_fault)
		vm.stops.met.store_relaxed(seq); // a hint for put_off()
	if (hit.empty())
		return;
	svm::va_span part{ b.to_va(hit.start), b.to_va(hit.end) };

	if (forking) // one flush for a table's mappings: the calls that follow find nothing to take
		part = part.widened(vm.pt.table_lg2()).common(in.span);
	svm::halt stopped(vm, vm.no_fault && svm::binds(vm, b, part) ? part : svm::va_span{}, may_sleep); // (22) of stops.hpp
	vm.pt.visit(part, svm::invalidate_table, &i);
	batch.finish();
}

// Before anything says that the invalidation is under way.
extern "C" void svm_port_approach(void *owner, u64 seq, u64 start, u64 end)
{
	auto &in = *static_cast<svm::interval *>(owner);
	svm_vm &vm = *in.vm;

	if (vm.no_fault && svm::stops_jobs(in, { start, end }))
		svm::put_off(vm, seq); // outside of a reader section: a rebind may wait for readers, and a restore for the rebind
}

namespace svm {

namespace {

constexpr unsigned max_waits = 64; // for a manager in userspace, for storage, for a bind or for an object: each may undo what the last one brought

// Does the table allow the access already? Then the thread that wrote the leaf ordered it before its own reply to the
// device, and this thread has seen it before its own.
bool allowed(svm_vm &vm, u64 va, svm_access access)
{
	reader section(vm.domain());

	return vm.pt.allows(va, access);
}

// One try, in a reader section of its own. err::wait: for cpu. err::absent: of that object.
status serve(svm_vm &vm, u64 va, svm_access access, bool moved, u64 &cpu, svm_object *&absent)
{
	reader section(vm.domain());
	wish asked{ .va = va, .want = va_span::around(va, vm.granule_lg2), .access = access, .moved = moved };
	status done = fault_in(vm, asked);

	cpu = asked.cpu;
	absent = asked.absent;
	if (!done.is(err::wait))
		return done;
	const binding *now = vm.bindings.at(va);
	if (!now)
		return err::fault; // unbound just now
	return now->mirrors() && now->to_cpu(align_down(va, PORT_PAGE_LG2)) == cpu ? done : status(err::changing);
}

status fault(svm_vm &vm, u64 va, svm_access access)
{
	session process __attribute__((uninitialized))(vm.domain()); // what is read of it was written
	status done = process.held();
	u64 cpu = 0;
	svm_object *absent = nullptr;
	bool moved = false;

	for (unsigned turn = 0; done.ok() && turn < max_waits; turn++) {
		done = with_room(vm, [&] { return serve(vm, va, access, moved, cpu, absent); });
		if (done.is(err::changing))
			done = wait_for_bind(vm);
		else if (done.is(err::absent))
			done = bring(*absent);
		else if (done.is(err::misplaced))
			done = move_first(vm, va, moved);
		else if (done.is(err::wait))
			done = status::from(port_wait(vm.domain(), cpu, access != SVM_READ, true));
		else
			return done;
	}
	return done.ok() ? status(err::again) : done;
}

// noinline: a duplicate fault, the commonest, need not make room for what this one does.
[[gnu::noinline]] int fault_counted(svm_vm &vm, u64 va, svm_access access)
{
	status done = err::fault;

	vm.pt.stat.add(stat::faults);
	if (vm.no_fault)
		done = why_missing(vm, va, access);
	else if (vm.pt.all().holds(va))
		done = fault(vm, va, access);
	if (!done.ok())
		vm.pt.stat.add(stat::failed);
	return done.error();
}

} // namespace

} // namespace svm

extern "C" int svm_fault(svm_vm *vm, u64 va, svm_access access)
{
	if (!vm->no_fault && vm->pt.all().holds(va) && svm::allowed(*vm, va, access)) {
		vm->pt.stat.add(svm::stat::duplicates);
		return 0;
	}
	return svm::fault_counted(*vm, va, access);
}

extern "C" int svm_session_begin(svm_vm *vm, svm_session *s)
{
	return port_session_begin(vm->domain(), s);
}

extern "C" void svm_session_end(svm_session *s)
{
	port_session_end(s);
}

extern "C" void svm_session_cancel(svm_session *s)
{
	port_session_cancel(s);
}
