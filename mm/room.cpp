// SPDX-License-Identifier: GPL-2.0-only
// Making room for tables: see room.hpp.
#include "mm/room.hpp"

#include "mm/reclaim.hpp"

namespace svm {

namespace {

constexpr unsigned max_turns = 256, eager_turns = 4, enough_waits = 8;
constexpr u32 young_age = 16, youngest_age = 1;
constexpr u64 max_batch = 1024;
constexpr u64 worth_a_look = 64; // one idle node among so many

// What the vms of one device have, and what is taken of it.
struct device_share {
	const svm_vm &asking;
	u64 vms = 0;
	u64 pieces = 0;
	u64 pending = 0;
	u64 taken = 0;
	u32 young = young_age; // what is younger stays

	u64 average() const { return vms ? pieces / vms : 0; }
	// What the device of such a vm cannot fault for is not taken to make room for the rest of it.
	bool keeps(const svm_vm &vm) const { return &vm == &asking && vm.no_fault; }
};

// A vm that is still being made has none, and no domain either.
u64 pieces_of(const svm_vm &vm)
{
	return vm.pt.pieces.load_acquire(); // with the release in page_table::count_piece()
}

void add_up(void *owner, void *arg)
{
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);
	u64 pieces = pieces_of(vm);

	all->vms += pieces != 0;
	all->pieces += pieces;
	all->pending += vm.pt.pending.load_relaxed(); // a hint, with no partner: a stale sum costs a turn
}

// One pass over a vm's nodes.
struct taking {
	svm_vm &vm;
	u32 idle_age; // idle nodes from this age on go
	u32 used_age; // and tables in use from this one on
	u64 most;
	bool bare; // tables in use that have no memory go, too
	departure out{ vm };

	u64 pass();
};

// A hint: a table that gets some meanwhile is taken or left alone by the old answer.
bool has_memory(const table &tb)
{
	return tb.entries.load_acquire(); // with the release in give_memory()
}

bool take_table(table &tb, va_span all, void *arg)
{
	auto *t = static_cast<taking *>(arg);
	u32 age = tb.age(t->vm.pt);

	port_relax();
	if (age >= t->idle_age)
		t->out.take(tb, all, age >= t->used_age && (t->bare || has_memory(tb)));
	return t->out.taken < t->most;
}

bool take_directory(directory &d, va_span all, void *arg)
{
	auto *t = static_cast<taking *>(arg);

	if (d.age(t->vm.pt) >= t->idle_age)
		t->out.take_empty(d, all);
	return t->out.taken < t->most;
}

// How many nodes were taken.
u64 taking::pass()
{
	vm.pt.visit(vm.pt.all(), take_table, this);
	if (out.taken < most)
		vm.pt.visit_directories(take_directory, this);
	out.finish();
	return out.taken;
}

void give_up_idle(void *owner, void *arg)
{
	constexpr u32 none_in_use = ~0u;
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);
	u64 pieces = pieces_of(vm), idle = vm.pt.freeable();

	// evict() takes a few idle nodes among many along with others, so that not each fault goes through all of them.
	if (!pieces || !idle || (all->young == young_age && idle < pieces / worth_a_look))
		return;
	reader section(vm.domain());
	taking t{ vm, all->young, none_in_use, max_batch, false };
	all->taken += t.pass();
}

// How many tables there are of each age, in steps; the last one holds all that are older.
struct ages {
	static constexpr unsigned steps = 64;

	svm_vm &vm;
	u32 young;
	u32 step;
	bool bare; // tables that have no memory count, too
	u64 count[steps] = {};

	bool any() const
	{
		for (u64 n : count)
			if (n)
				return true;
		return false;
	}

	unsigned index(u32 age) const { return age / step < steps ? age / step : steps - 1; }

	// The age from which on there are n tables, or as many as there are.
	u32 from(u64 n) const
	{
		unsigned i = steps - 1;

		for (u64 sum = count[i]; i && sum < n; sum += count[i])
			i--;
		return i * step > young ? i * step : young;
	}
};

bool count_age(table &tb, va_span, void *arg)
{
	auto *a = static_cast<ages *>(arg);

	port_relax();
	if (u32 age = tb.age(a->vm.pt); age >= a->young && (a->bare || has_memory(tb)))
		a->count[a->index(age)]++;
	return true;
}

void evict(void *owner, void *arg)
{
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);
	u64 pieces = pieces_of(vm);

	if (!pieces || pieces < all->average() || all->keeps(vm))
		return;
	reader section(vm.domain());
	u64 n = pieces / 8 < 1 ? 1 : pieces / 8 > max_batch ? max_batch : pieces / 8;
	// What maps huge leaves only has no memory to give. It goes where nothing else is left, for its directories' sake.
	bool bare = all->young == youngest_age;
	ages a{ vm, all->young, static_cast<u32>(pieces / 16 + 1), bare };
	vm.pt.visit(vm.pt.all(), count_age, &a);
	if (!a.any())
		return; // idle nodes alone go by give_up_idle()
	put_off(vm, 0);
	halt stopped(vm, vm.pt.all(), true);
	taking t{ vm, all->young, a.from(n), n, bare };
	all->taken += t.pass();
}

void grow_older(void *owner, void *)
{
	static_cast<svm_vm *>(owner)->pt.clock.fetch_add_relaxed(1);
}

void take_some(device *dma, device_share &all)
{
	for (; !all.taken && all.young >= youngest_age; all.young /= 4) {
		port_each_domain(dma, give_up_idle, &all);
		if (!all.taken)
			port_each_domain(dma, evict, &all);
	}
}

// The one thread that takes nodes of the device's vms, or a thread that found another one at it.
struct evictor {
	explicit evictor(device *of) : dma(of), chosen(port_evict_begin(of)) {}
	~evictor()
	{
		if (chosen)
			port_evict_end(dma);
	}
	evictor(const evictor &) = delete;
	evictor &operator=(const evictor &) = delete;

	device *const dma;
	const bool chosen;
};

enum class found {
	nothing,  // no vm has memory
	young,	  // nothing that was old enough; the next turn finds something
	memory,   // memory is on its way
};

found evict_some(const svm_vm &vm, patience &p)
{
	device *dma = vm.dma;
	evictor one(dma);
	device_share all{ vm };

	if (!one.chosen)
		return found::memory;
	port_each_domain(dma, add_up, &all);
	if ((all.pending || port_frees(dma) != p.seen) && p.waits < enough_waits)
		return found::memory;
	take_some(dma, all);
	if (all.taken)
		p.waits = 0;
	if (all.taken || all.pending)
		return found::memory;
	if (!all.pieces || (all.keeps(vm) && all.pieces == pieces_of(vm)))
		return found::nothing;
	port_each_domain(dma, grow_older, nullptr);
	return found::young;
}

// Of either kind. err::intr where the process is to end, `late` after too many.
status next_turn(patience &p, err late)
{
	if (port_killed())
		return err::intr;
	return p.turns++ < max_turns ? status() : status(late);
}

void wait(svm_vm &vm, patience &p)
{
	bool came = port_wait_frees(vm.dma, vm.domain(), p.seen);

	p.waits = came ? p.waits + 1 : enough_waits;
}

} // namespace

u64 frees_of(const svm_vm &vm)
{
	return port_frees(vm.dma);
}

status make_room(svm_vm &vm, patience &p)
{
	status turn = next_turn(p, err::nomem);

	if (!turn.ok())
		return turn;
	found what = evict_some(vm, p);
	if (what == found::nothing)
		return err::nomem;
	if (what == found::memory || p.turns > eager_turns)
		wait(vm, p);
	return {};
}

status wait_for_leaving(svm_vm &vm, patience &p)
{
	status turn = next_turn(p, err::again);

	if (turn.ok())
		wait(vm, p);
	return turn;
}

void trim(svm_vm &vm)
{
	constexpr u64 idle_is_fine = 1024, looks = 16;
	constexpr u32 at_a_time = 64;
	u32 now = vm.pt.clock.load_relaxed(), last = vm.trimmed_at.load_relaxed(); // hints
	u64 looked;

	// A look begins with a walk to where the last one ended, so many are made together.
	if (vm.pt.freeable() > idle_is_fine && now - last >= at_a_time && vm.trimmed_at.exchange_if(last, now))
		shrink(vm, at_a_time * looks, looked);
}

} // namespace svm
