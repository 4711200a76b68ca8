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

// The page words of one pass over a table, and what is to become of the pages in them.
struct filling {
	svm_vm &vm;
	table &tb;
	wish &asked;
	scratch room;
	va_span reach{};    // what words[] are of
	unsigned first = 0; // entry of words[0]
	unsigned count = 0;
	unsigned missing = 0; // of them, entries that do not allow the access yet
	u64 left = 0;	      // pages that are mapped for DMA, and that no leaf has
	struct port_fault port {};

	filling(svm_vm &v, table &t, wish &w) : vm(v), tb(t), asked(w), room(v.scratch) {}
	filling(const filling &) = delete;
	filling &operator=(const filling &) = delete;

	// Each attempt that the CPU's side spoils asks for less, so that one gets through a storm.
	static constexpr unsigned narrow_after = 4, page_after = 16;
	// Of a sparse table a fault looks at so many granules.
	static constexpr u32 sparse_look_lg2 = 1;

	va_span reach_of(va_span all, unsigned attempt) const
	{
		va_span small = va_span::around(asked.va, PORT_PAGE_LG2 + scratch::small_lg2);

		if (!asked.must)
			all = all.common({ asked.va, asked.want.end });
		if (room.capacity < vm.pt.entries())
			all = all.common(small);
		if (asked.must && tb.sparse.load_relaxed()) // with the store in learn(): a stale value costs a look
			all = all.common(va_span::around(asked.va, vm.granule_lg2 + sparse_look_lg2));
		if (attempt >= narrow_after)
			all = all.common(attempt >= page_after ? va_span::around(asked.va, PORT_PAGE_LG2) : asked.must ? asked.want : small);
		return all;
	}

	void prepare(unsigned attempt)
	{
		const window &w = *tb.interval->of;
		va_span block = vm.pt.table_span(asked.va);

		reach = reach_of(block.common(w.span), attempt);
		first = vm.pt.index(reach.start);
		count = static_cast<unsigned>(reach.pages());
		missing = count - vm.pt.present(tb, first, count, asked.access, room.have);
		u64 page = align_down(asked.va, PORT_PAGE_LG2);
		unsigned at = static_cast<unsigned>((page - reach.start) >> PORT_PAGE_LG2);
		if (asked.must)
			room.have[at / 64] &= ~(1ull << at % 64);

		cpu_span cpu = w.to_cpu(reach), wanted = w.to_cpu(asked.want.common(reach)), around = w.to_cpu(block.common(w.span));
		port.cpu = w.to_cpu(page);
		port.must = asked.must;
		port.start = cpu.start;
		port.end = cpu.end;
		port.want_start = wanted.start;
		port.want_end = wanted.end;
		// Where the table has leaves, no CPU mapping of the block came without a notification that took them.
		port.block_lg2 = vm.pt.format->huge && missing == count ? vm.pt.table_lg2() : 0;
		port.block_start = around.start;
		port.block_end = around.end;
		port.write = asked.access != SVM_READ;
		port.have = room.have;
		port.page = room.words;
		port.seq = tb.seq.load_relaxed(); // a stale value fails the comparison in write_with()
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

		if (asked.must && tb.sparse.load_relaxed() == found)
			tb.sparse.store_relaxed(!found); // with the load in reach_of()
	}

	// Tells a prefetch how far it got.
	void report()
	{
		asked.reached = reach.end;
		asked.wait = port.wait == PORT_NO_PAGE ? wish::nowhere : tb.interval->of->to_va(port.wait);
	}

	// The one word is of the table's order.
	void take_block()
	{
		first = 0;
		count = vm.pt.entries();
	}

	// Gives back the pages that no leaf took.
	void undo()
	{
		if (left)
			port_dma_release(vm.domain(), room.words, filled(), port.block ? vm.pt.table_lg2() : PORT_PAGE_LG2, false);
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
		mirrored_pages pages(room.words, first, port.block ? vm.pt.table_lg2() - PORT_PAGE_LG2 : 0);
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
		if (tb.seq.load_relaxed() != port.seq) // an invalidation has met the table since
			return err::busy;
		vm.pt.map(tb, first, count, pages);
		left -= pages.mappings_taken();
		return {};
	}
};

status populate(svm_vm &vm, table &tb, wish &asked, unsigned attempt)
{
	filling f(vm, tb, asked);

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
	status done = f.answered() ? status() : status(err::fault);
	if (f.port.block)
		f.take_block();
	if (done.ok() && f.left)
		done = f.write();
	if (done.ok())
		f.learn();
	f.undo();
	return done;
}

} // namespace

status fault_in(svm_vm &vm, wish &asked)
{
	u64 va = asked.va;

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
			done = state == table_state::ready ? populate(vm, tb, asked, attempt) : status(err::busy);
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

extern "C" void svm_port_invalidate(void *owner, u64 seq, u64 start, u64 end, bool may_sleep, bool forking)
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
	if (!hit.empty()) {
		svm::va_span part{ w.to_va(hit.start), w.to_va(hit.end) };

		if (forking) // one flush for a table's mappings: the calls that follow find nothing to take
			part = part.widened(vm.pt.table_lg2()).common(in.span);
		vm.pt.visit(part, svm::invalidate_table, &i);
	}
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
	wish asked{ va, va_span::around(va, vm.granule_lg2), access };
	status done = fault_in(vm, asked);
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

extern "C" int svm_fault(svm_vm *vm, u64 va, svm_access access)
{
	svm::status done = svm::err::fault;

	vm->pt.stat.add(svm::stat::faults);
	if (vm->pt.all().holds(va)) {
		if (svm::allowed(*vm, va, access)) {
			vm->pt.stat.add(svm::stat::duplicates);
			return 0;
		}
		done = svm::fault(*vm, va, access);
	}
	if (!done.ok())
		vm->pt.stat.add(svm::stat::failed);
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
