// SPDX-License-Identifier: GPL-2.0-only
// Freeing tables and directories: see reclaim.hpp for the steps.
#include "mm/reclaim.hpp"

#include "mm/pt/gather.hpp"

namespace svm {

namespace {

// The last step: nothing leads to the node any more, and page_table::pending counts it.
void free_later(svm_vm &vm, node &n)
{
	defer(vm.domain(), n);
}

struct sweeping {
	svm_vm &vm;
	gather &batch;
};

bool strip(table &tb, va_span part, void *arg)
{
	auto *s = static_cast<sweeping *>(arg);

	port_relax();
	table_guard lock(tb.lock);

	if (tb.state.load_relaxed() == table_state::dead) // written under the lock
		return true;
	s->batch.retire(tb, part);
	s->vm.pt.unlink(tb);
	s->batch.owe(tb, part, part); // for the pointer to the table, also where no leaf was valid
	return true;
}

bool take_out(table &tb, va_span, void *arg)
{
	auto *s = static_cast<sweeping *>(arg);
	{
		table_guard lock(tb.lock);

		if (tb.state.load_relaxed() == table_state::dead)
			return true;
		s->vm.pt.unpublish(tb);
	}
	s->vm.pt.pending.fetch_add_relaxed(1);
	free_later(s->vm, tb);
	return true;
}

} // namespace

void sweep(svm_vm &vm, va_span tables)
{
	reader section(vm.domain());
	gather batch(vm.pt, true);
	sweeping s{ vm, batch };

	vm.pt.visit(tables, strip, &s);
	batch.finish();
	vm.pt.visit(tables, take_out, &s);
}

void departure::add(node &n, va_span all, bool leaving)
{
	is_leaving |= leaving ? 1u << count : 0;
	on_their_way[count++] = &n;
	owed.join(all);
	taken++;
	vm.pt.pending.fetch_add_relaxed(1); // from here on its memory is on its way
}

bool departure::take(table &tb, va_span all, bool in_use)
{
	if (count == size)
		finish();
	table_guard lock(tb.lock);

	table_state state = tb.state.load_relaxed();
	if (state == table_state::leaving || state == table_state::dead)
		return false;
	bool idle = vm.pt.is_idle(tb);
	if (!idle && !in_use)
		return false;
	if (!idle)
		vm.pt.retire(tb, all);
	vm.pt.unlink(tb);
	if (idle)
		vm.pt.unpublish(tb);
	else
		tb.state.store_release(table_state::leaving); // with the acquire in fault_in()
	add(tb, all, !idle);
	return true;
}

void departure::take_empty(directory &d, va_span all)
{
	if (count == size)
		finish();
	if (vm.pt.take_out_empty(d))
		add(d, all, false);
}

// No fault writes into a leaving table, so no leaf was retired in it after take(): the flush covers all that are there.
void departure::see_out(table &tb)
{
	{
		table_guard lock(tb.lock);

		if (tb.state.load_relaxed() != table_state::leaving) {
			vm.pt.pending.fetch_add_relaxed(~0ull); // a sweep has taken it out, counts it and frees it
			return;
		}
		vm.pt.finish(tb, vm.pt.span_of(tb));
		vm.pt.unpublish(tb);
	}
	free_later(vm, tb);
}

void departure::finish()
{
	if (!count)
		return;
	vm.pt.flush(owed, true);
	for (u32 i = 0; i < count; i++) {
		if (is_leaving & 1u << i)
			see_out(static_cast<table &>(*on_their_way[i]));
		else
			free_later(vm, *on_their_way[i]);
	}
	count = is_leaving = 0;
	owed = {};
	port_relax();
}

namespace {

// Tables in use cost the shrinker little to pass, but not nothing: so many count as one that it has looked at.
constexpr u64 in_use_per_look = 32;

struct shrinking {
	svm_vm &vm;
	u64 n;
	u64 looked = 0;
	u64 in_use = 0;
	departure out{ vm };

	// True: go on.
	bool looked_at_one() { return ++looked < n; }
};

// A node that was used since the last look is passed over once: a fault may be on its way into it.
bool passed_over(node &n)
{
	if (!n.used.load_relaxed())
		return false;
	n.used.store_relaxed(false);
	return true;
}

bool shrink_table(table &tb, va_span part, void *arg)
{
	auto *s = static_cast<shrinking *>(arg);

	s->vm.shrink_at.store_relaxed(part.end);
	bool idle;
	{
		table_guard lock(tb.lock);
		idle = s->vm.pt.is_idle(tb);
	}
	if (!idle)
		return ++s->in_use % in_use_per_look || s->looked_at_one();
	if (!passed_over(tb))
		s->out.take(tb, part, false);
	return s->looked_at_one();
}

bool shrink_directory(directory &d, va_span all, void *arg)
{
	auto *s = static_cast<shrinking *>(arg);

	if (d.children.load_relaxed()) // a hint: take_empty() asks again
		return true;
	if (!passed_over(d))
		s->out.take_empty(d, all);
	return s->looked_at_one();
}

} // namespace

u64 shrink(svm_vm &vm, u64 n, u64 &looked)
{
	shrinking s{ vm, n };
	u64 from = vm.shrink_at.load_relaxed();

	vm.pt.visit({ from, vm.pt.all().end }, shrink_table, &s);
	if (s.looked < n) // on from the start, once
		vm.pt.visit({ 0, from }, shrink_table, &s);
	if (s.looked < n)
		vm.pt.visit_directories(shrink_directory, &s);
	s.out.finish();
	looked = s.looked;
	return s.out.taken;
}

} // namespace svm

namespace svm {

namespace {

void free_table(table &tb)
{
	page_table &t = *tb.owner;
	svm_table_mem mem;

	{
		table_guard lock(tb.lock); // not contended: the last holder's writes come before ours
		mem = tb.mem;
	}
	if (mem.cpu) { // outside the lock, since it may sleep
		t.stat.sub(stat::device_bytes, mem.bytes);
		t.ops->table_free(t.backend, &mem);
	}
	t.stat.sub(stat::host_bytes, sizeof(table));
	t.stat.add(stat::tables_freed);
	destroy(&tb);
}

void free_node(node &n)
{
	page_table &t = *n.owner;

	if (n.kind == deferred_kind::directory)
		drop_directory(static_cast<directory &>(n));
	else
		free_table(static_cast<table &>(n));
	t.pending.fetch_add_relaxed(~0ull);
}

} // namespace

} // namespace svm

extern "C" bool svm_port_deferred(void *passed)
{
	auto &d = *static_cast<svm::deferred *>(passed);

	if (d.kind == svm::deferred_kind::span) {
		svm::span_map::free_deferred(d);
		return false;
	}
	svm::free_node(static_cast<svm::node &>(d));
	return true;
}

extern "C" u64 svm_port_count(void *domain_owner)
{
	return static_cast<svm_vm *>(domain_owner)->pt.freeable();
}

extern "C" u64 svm_port_shrink(void *domain_owner, u64 n, u64 *looked)
{
	auto &vm = *static_cast<svm_vm *>(domain_owner);

	*looked = 0;
	// A vm that is still being made has no table, and no domain either.
	if (!n || !vm.pt.freeable())
		return 0;
	svm::reader section(vm.domain());
	return svm::shrink(vm, n, *looked);
}
