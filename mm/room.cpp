// SPDX-License-Identifier: GPL-2.0-only
// Making room for tables: see room.hpp.
#include "mm/room.hpp"

#include "mm/reclaim.hpp"

namespace svm {

namespace {

constexpr unsigned max_turns = 256, eager_turns = 4;
constexpr u32 young_age = 16, youngest_age = 1;
constexpr u64 max_batch = 1024;

// What the vms of one device have, and what is taken of it.
struct device_share {
	u64 vms = 0;
	u64 nodes = 0;
	u64 in_use = 0;
	u64 pending = 0;
	u64 taken = 0;
	u32 young = young_age; // what is younger stays

	u64 average() const { return vms ? nodes / vms : 0; }
};

// A vm that is still being made has no node, and no domain either.
u64 nodes_of(const svm_vm &vm)
{
	u64 n = vm.pt.nodes.load_acquire(); // with the releases in walk::make_table()

	return n > ~0ull / 2 ? 0 : n; // one was taken out before its maker had counted it
}

void add_up(void *owner, void *arg)
{
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);
	u64 nodes = nodes_of(vm);

	all->vms += nodes != 0;
	all->nodes += nodes;
	// Hints, with no partner: a stale sum costs a turn.
	all->in_use += vm.pt.in_use.load_relaxed();
	all->pending += vm.pt.pending.load_relaxed();
}

// ---- idle ones ----

struct giving_up {
	svm_vm &vm;
	u32 young;
	departure out{ vm };
};

bool give_up_table(table &tb, va_span all, void *arg)
{
	auto *g = static_cast<giving_up *>(arg);

	port_relax();
	if (tb.age(g->vm.pt) >= g->young)
		g->out.take_idle(tb, all);
	return g->out.taken < max_batch;
}

bool give_up_directory(directory &d, va_span all, void *arg)
{
	auto *g = static_cast<giving_up *>(arg);

	if (d.age(g->vm.pt) >= g->young)
		g->out.take_empty(d, all);
	return g->out.taken < max_batch;
}

void give_up_idle(void *owner, void *arg)
{
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);

	if (!nodes_of(vm) || !vm.pt.freeable())
		return;
	reader section(vm.domain());
	giving_up g{ vm, all->young };
	vm.pt.visit(vm.pt.all(), give_up_table, &g);
	vm.pt.visit_directories(give_up_directory, &g);
	g.out.finish();
	all->taken += g.out.taken;
}

// ---- tables in use ----

// How many tables there are of each age, in steps; the last one holds all that are older.
struct ages {
	static constexpr unsigned steps = 64;

	svm_vm &vm;
	u32 young;
	u32 step;
	u64 count[steps] = {};

	unsigned index(u32 age) const { return age / step < steps ? age / step : steps - 1; }

	// The age from which on there are n tables, or as many as there are.
	u32 from(u64 n) const
	{
		unsigned i = steps - 1;

		for (u64 sum = count[i]; i && sum < n; sum += count[i])
			i--;
		return i * step;
	}
};

bool count_age(table &tb, va_span, void *arg)
{
	auto *a = static_cast<ages *>(arg);

	port_relax();
	if (u32 age = tb.age(a->vm.pt); age >= a->young)
		a->count[a->index(age)]++;
	return true;
}

struct evicting {
	svm_vm &vm;
	u64 n;
	u32 from_age;
	departure out{ vm };
};

bool evict_table(table &tb, va_span all, void *arg)
{
	auto *e = static_cast<evicting *>(arg);

	port_relax();
	if (tb.age(e->vm.pt) >= e->from_age)
		e->out.take(tb, all);
	return e->out.taken < e->n;
}

void evict(void *owner, void *arg)
{
	auto &vm = *static_cast<svm_vm *>(owner);
	auto *all = static_cast<device_share *>(arg);
	u64 nodes = nodes_of(vm);

	if (!nodes || nodes < all->average())
		return;
	reader section(vm.domain());
	u64 n = nodes / 8 < 1 ? 1 : nodes / 8 > max_batch ? max_batch : nodes / 8;
	ages a{ vm, all->young, static_cast<u32>(nodes / 16 + 1) };
	vm.pt.visit(vm.pt.all(), count_age, &a);
	u32 from = a.from(n);
	evicting e{ vm, n, from > all->young ? from : all->young };
	vm.pt.visit(vm.pt.all(), evict_table, &e);
	e.out.finish();
	all->taken += e.out.taken;
}

void grow_older(void *owner, void *)
{
	static_cast<svm_vm *>(owner)->pt.clock.fetch_add_relaxed(1);
}

} // namespace

status make_room(svm_vm &vm, unsigned turn)
{
	device *dma = vm.dma;
	device_share all;
	u64 seen = port_frees(); // before anything is taken

	if (port_killed())
		return err::intr;
	if (turn >= max_turns)
		return err::nomem;
	port_each_domain(dma, add_up, &all);
	// What others took is waited for first. It may be long in coming, so each other turn takes more.
	if (!all.pending || turn % 2) {
		for (all.young = young_age; !all.taken && all.young >= youngest_age; all.young /= 4) {
			port_each_domain(dma, give_up_idle, &all);
			if (!all.taken)
				port_each_domain(dma, evict, &all);
		}
		if (!all.taken && !all.pending) {
			if (!all.in_use)
				return err::nomem;
			port_each_domain(dma, grow_older, nullptr); // all are too young: not the next time
			if (turn < eager_turns)
				return {};
		}
	}
	port_wait_frees(vm.domain(), seen);
	return {};
}

status wait_for_leaving(svm_vm &vm, unsigned turn, u64 seen)
{
	if (port_killed())
		return err::intr;
	if (turn >= max_turns)
		return err::again;
	port_wait_frees(vm.domain(), seen);
	return {};
}

void trim(svm_vm &vm)
{
	constexpr u64 idle_is_fine = 1024, at_a_time = 16;
	u64 looked;

	if (vm.pt.freeable() > idle_is_fine)
		shrink(vm, at_a_time, looked);
}

} // namespace svm
