// SPDX-License-Identifier: GPL-2.0-only
// Fault and invalidate: see mirror.hpp for the protocol that they keep.
#include "mm/mirror.hpp"

#include "mm/pt/gather.hpp"
#include "mm/room.hpp"

namespace svm {

namespace {

constexpr unsigned max_attempts = 64; // then the device is told to come again

void make_ready(table &tb, interval &in)
{
	full_barrier(); // B2 of mirror.hpp, with B1 in svm_port_invalidate()
	table_guard lock(tb.lock);
	if (tb.state.load_relaxed() != table_state::fresh)
		return;
	tb.seq.store_relaxed(port_interval_seq(in.port));
	tb.interval = &in;
	tb.state.store_release(table_state::ready); // with the acquire in table_at()
}

// The table of va, made where there is none. It is not fresh.
result<table *> table_at(svm_vm &vm, u64 va)
{
	table *tb = vm.pt.find(va);

	// The acquire pairs with the releases in make_ready() and in invalidate_table().
	if (tb && tb->state.load_acquire() != table_state::fresh)
		return tb;
	window *w = window_at(vm, va);
	if (!w)
		return err::fault;
	// A wild address makes no table: it could be any number of them.
	if (!tb && !port_mapped(vm.domain(), w->to_cpu(va)))
		return err::fault;
	result<interval *> in = interval_at(vm, *w, va); // before the table is published, and before it is ready
	if (!in.ok())
		return result<table *>::from(in.error());
	if (!tb) {
		trim(vm);
		result<table *> made = vm.pt.make_table(va);
		if (!made.ok())
			return made;
		tb = made.value();
	}
	make_ready(*tb, *in.value());
	return tb;
}

bool moved(const table &tb, u64 seq) SVM_REQUIRES(tb.lock)
{
	return tb.state.load_relaxed() != table_state::ready || tb.seq.load_relaxed() != seq;
}

// The page words of one fault, and what is to become of the pages in them.
struct filling {
	svm_vm &vm;
	table &tb;
	scratch room;
	unsigned first = 0; // entry of words[0]
	unsigned count = 0;
	struct port_fault port {};

	filling(svm_vm &v, table &t) : vm(v), tb(t), room(v.scratch) {}
	filling(const filling &) = delete;
	filling &operator=(const filling &) = delete;

	// Each attempt that the CPU's side spoils asks for less, so that one gets through a storm.
	static constexpr unsigned narrow_after = 4, page_after = 16;

	void prepare(u64 va, va_span want, svm_access access, unsigned attempt)
	{
		const window &w = *tb.interval->of;
		va_span block = vm.pt.table_span(va);
		va_span reach = block.common(w.span);

		if (room.capacity < vm.pt.entries())
			reach = reach.common(va_span::around(va, PORT_PAGE_LG2 + scratch::small_lg2));
		if (attempt >= narrow_after)
			reach = reach.common(attempt < page_after ? want : va_span::around(va, PORT_PAGE_LG2));
		want = want.common(reach);
		first = static_cast<unsigned>((reach.start - block.start) >> PORT_PAGE_LG2);
		count = static_cast<unsigned>(reach.pages());
		__builtin_memset(room.words, 0, count * sizeof(u64));
		vm.pt.present(tb, first, count, access, room.words);
		u64 page = align_down(va, PORT_PAGE_LG2);
		room.words[(page - reach.start) >> PORT_PAGE_LG2] = 0;

		cpu_span cpu = w.to_cpu(reach), wanted = w.to_cpu(want), around = w.to_cpu(block.common(w.span));
		port.cpu = w.to_cpu(page);
		port.start = cpu.start;
		port.end = cpu.end;
		port.want_start = wanted.start;
		port.want_end = wanted.end;
		port.block_lg2 = vm.pt.format->huge ? vm.pt.table_lg2() : 0;
		port.block_start = around.start;
		port.block_end = around.end;
		port.write = access != SVM_READ;
		port.page = room.words;
		port.seq = tb.seq.load_relaxed(); // a stale value fails moved() later
	}

	// Whether the port brought what was asked for.
	bool answered() const
	{
		u64 word = room.words[port.block ? 0 : (port.cpu - port.start) >> PORT_PAGE_LG2];

		return (word & PORT_PAGE_VALID) && (!port.write || (word & PORT_PAGE_WRITE));
	}

	// One word of the table's order, where one mapping is the whole answer.
	void take_block()
	{
		first = 0;
		count = vm.pt.entries();
		room.words[0] |= u64(vm.pt.table_lg2() - PORT_PAGE_LG2) << PORT_PAGE_ORDER_SHIFT;
	}

	// Gives back the pages that no leaf took.
	void undo()
	{
		mirrored_pages(room.words, first).rest(port.block ? 1 : count, [this](u64 dma, u32 lg2) {
			port_dma_release(vm.domain(), dma, lg2, false);
		});
	}

	status write()
	{
		svm_table_mem fresh{};
		status done;

		if (!port.block && !tb.entries.load_acquire()) // with the release in give_memory()
			done = vm.pt.get_memory(vm.pt.format->table_bytes, fresh);
		if (!done.ok())
			return done;
		done = write_with(fresh);
		if (fresh.cpu)
			vm.pt.ops->table_free(vm.pt.backend, &fresh);
		return done;
	}

	// Takes over fresh if the table needs it.
	status write_with(svm_table_mem &fresh)
	{
		mirrored_pages pages(room.words, first);
		table_guard lock(tb.lock);

		if (tb.state.load_relaxed() != table_state::ready) // written under the lock
			return err::busy;
		// Kept also where we go again: to allocate it may have reclaimed what we are about to map.
		if (fresh.cpu && vm.pt.give_memory(tb, fresh)) {
			vm.pt.clock.fetch_add_relaxed(1);
			vm.pt.stat.add(stat::device_bytes, fresh.bytes);
			fresh.cpu = nullptr;
		}
		if (moved(tb, port.seq))
			return err::busy;
		vm.pt.map(tb, first, count, pages);
		return {};
	}
};

status populate(svm_vm &vm, table &tb, u64 va, va_span want, svm_access access, unsigned attempt)
{
	filling f(vm, tb);

	f.prepare(va, want, access, attempt);
	int failed = port_fault(vm.domain(), &f.port);
	if (failed)
		return status::from(failed);
	status done = f.answered() ? status() : status(err::fault);
	if (f.port.block)
		f.take_block();
	if (done.ok())
		done = f.write();
	f.undo();
	return done;
}

} // namespace

status fault_in(svm_vm &vm, u64 va, va_span want, svm_access access)
{
	for (unsigned attempt = 0; attempt < max_attempts; attempt++) {
		result<table *> found = table_at(vm, va);
		status done = status::from(found.error());
		if (found.ok()) {
			table &tb = *found.value();
			table_state state = tb.state.load_acquire(); // with the releases in make_ready() and departure::take()
			const window &w = *tb.interval->of;
			if (!w.span.holds(va) || w.dying.load_acquire()) // with the release in condemn()
				return err::fault;
			tb.touch(vm.pt);
			if (state == table_state::leaving)
				return err::leaving;
			done = state == table_state::ready ? populate(vm, tb, va, want, access, attempt) : status(err::busy);
		}
		if (!done.is(err::busy))
			return done;
		vm.pt.stat.add(stat::retries);
		if (port_killed())
			return err::intr;
		port_relax();
	}
	return err::again;
}

namespace {

struct invalidating {
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
	tb.seq.store_relaxed(i->seq); // also where there is nothing to take: a fault may be on its way
	if (tb.state.load_relaxed() == table_state::fresh) { // one that is leaving stays so
		tb.interval = &i->in;
		tb.state.store_release(table_state::ready); // with the acquire in table_at()
	}
	i->batch.retire(tb, part);
	return true;
}

} // namespace

} // namespace svm

extern "C" void svm_port_invalidate(void *owner, u64 seq, u64 start, u64 end, bool may_sleep)
{
	auto &in = *static_cast<svm::interval *>(owner);
	svm::window &w = *in.of;
	svm_vm &vm = *w.vm;
	svm::cpu_span hit = svm::cpu_span{ start, end }.common(w.to_cpu(in.span)); // end may be ~0: cut before anything is added
	svm::reader section(vm.domain());
	svm::gather batch(vm.pt, may_sleep);
	svm::invalidating i{ in, batch, seq, may_sleep };

	vm.pt.stat.add(svm::stat::invalidations);
	svm::full_barrier(); // B1 of mirror.hpp, with B2 in make_ready()
	if (!hit.empty())
		vm.pt.visit({ w.to_va(hit.start), w.to_va(hit.end) }, svm::invalidate_table, &i);
	batch.finish();
}

namespace svm {

namespace {

constexpr unsigned max_waits = 64; // for a manager in userspace or for storage, which may take the page away again each time

// Does the table allow the access already? Then the thread that wrote the leaf ordered it before its own reply to the
// device, and this thread has seen it before its own.
bool allowed(svm_vm &vm, u64 va, svm_access access)
{
	reader section(vm.domain());
	table *tb = vm.pt.find(va);

	return tb && vm.pt.allows(*tb, va, access);
}

// One try, in a reader section of its own. err::wait: for cpu.
status serve(svm_vm &vm, u64 va, svm_access access, u64 &cpu)
{
	reader section(vm.domain());
	status done = fault_in(vm, va, va_span::around(va, vm.granule_lg2), access);
	const window *w = done.is(err::wait) ? window_at(vm, va) : nullptr;

	if (w)
		cpu = w->to_cpu(align_down(va, PORT_PAGE_LG2));
	else if (done.is(err::wait))
		return err::fault; // unbound just now
	return done;
}

status fault(svm_vm &vm, u64 va, svm_access access)
{
	session process(vm.domain());
	status done = process.held();
	u64 cpu = 0;

	for (unsigned turn = 0; done.ok() && turn < max_waits; turn++) {
		done = with_room(vm, [&] { return serve(vm, va, access, cpu); });
		if (!done.is(err::wait))
			return done;
		done = status::from(port_wait(vm.domain(), cpu, access != SVM_READ, true));
	}
	return done.ok() ? status(err::again) : done;
}

} // namespace

} // namespace svm

extern "C" int svm_fault(svm_vm *vm, u64 va, svm_access access, svm_fault_info *out)
{
	svm::va_span block = vm->pt.table_span(va);
	svm_fault_info info{ block.start, block.end, false };
	svm::status done = svm::err::fault;

	vm->pt.stat.add(svm::stat::faults);
	if (vm->pt.all().holds(va)) {
		info.duplicate = svm::allowed(*vm, va, access);
		done = info.duplicate ? svm::status() : svm::fault(*vm, va, access);
	}
	if (info.duplicate)
		vm->pt.stat.add(svm::stat::duplicates);
	if (!done.ok())
		vm->pt.stat.add(svm::stat::failed);
	if (out)
		*out = info;
	return done.error();
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
