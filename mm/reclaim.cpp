// SPDX-License-Identifier: GPL-2.0-only
// Freeing tables. A table goes: unlinked under its lock, flushed (the device may hold a pointer to it), before or
// after that taken out of the tree, and freed when all readers that may stand on it have left.
#include "mm/reclaim.hpp"

#include "mm/pt/gather.hpp"
#include "mm/vm.hpp"

namespace svm {

namespace {

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
	s->vm.format->unlink(s->vm.tree, tb);
	s->batch.owe(part, part); // for the pointer to the table, also where no leaf was valid
	return true;
}

bool take_out(table &tb, va_span, void *arg)
{
	auto *s = static_cast<sweeping *>(arg);
	{
		table_guard lock(tb.lock);

		if (tb.state.load_relaxed() == table_state::dead)
			return true;
		s->vm.format->unpublish(s->vm.tree, tb);
	}
	port_defer(s->vm.domain(), &tb.link, &tb);
	return true;
}

struct shrinking {
	svm_vm &vm;
	u64 left;
	u64 freed;
};

// Unlinks and takes out one table if it has been idle since the last time.
bool reap(svm_vm &vm, table &tb)
{
	if (tb.used.load_relaxed()) {
		tb.used.store_relaxed(false); // a fault may be on its way into it: next time
		return false;
	}
	table_guard lock(tb.lock);

	if (tb.state.load_relaxed() != table_state::ready || !vm.format->idle(tb))
		return false;
	vm.format->unlink(vm.tree, tb);
	vm.format->unpublish(vm.tree, tb);
	return true;
}

bool shrink_table(table &tb, va_span part, void *arg)
{
	auto *s = static_cast<shrinking *>(arg);

	s->vm.shrink_at.store_relaxed(part.end);
	if (!reap(s->vm, tb))
		return true;
	s->vm.tree.stat.add(stat::flushes);
	s->vm.tree.ops->flush_wait(s->vm.tree.backend, s->vm.tree.ops->flush_begin(s->vm.tree.backend, part.start, part.end),
				   true);
	port_defer(s->vm.domain(), &tb.link, &tb);
	s->freed++;
	return --s->left > 0;
}

} // namespace

void sweep(svm_vm &vm, va_span tables)
{
	reader section(vm.domain());
	gather batch(vm.tree, *vm.format, true);
	sweeping s{ vm, batch };

	vm.format->visit(vm.tree, tables, strip, &s);
	batch.finish();
	vm.format->visit(vm.tree, tables, take_out, &s);
}

} // namespace svm

extern "C" void svm_port_deferred(void *node)
{
	auto *tb = static_cast<svm::table *>(node);
	svm::tree &t = *tb->parent->owner;

	svm_table_mem mem;

	{
		svm::table_guard lock(tb->lock); // nobody contends: the last holder's writes come before ours
		mem = tb->mem;
	}
	if (mem.cpu) { // outside the lock, since it may sleep
		t.stat.sub(svm::stat::device_bytes, mem.bytes);
		t.ops->table_free(t.backend, &mem);
	}
	t.stat.sub(svm::stat::host_bytes, sizeof(svm::table));
	t.stat.add(svm::stat::tables_freed);
	svm::destroy(tb);
}

extern "C" u64 svm_port_count(void *domain_owner)
{
	return static_cast<svm_vm *>(domain_owner)->tree.idle.load_relaxed();
}

extern "C" u64 svm_port_shrink(void *domain_owner, u64 n)
{
	auto &vm = *static_cast<svm_vm *>(domain_owner);

	// A vm that is still being made has no table, and no domain either. With the release in make_table().
	if (!n || !vm.tree.idle.load_acquire())
		return 0;
	svm::reader section(vm.domain());
	svm::shrinking s{ vm, n, 0 };
	u64 from = vm.shrink_at.load_relaxed();
	vm.format->visit(vm.tree, { from, vm.all().end }, svm::shrink_table, &s);
	if (s.left) // on from the start, once
		vm.format->visit(vm.tree, { 0, from }, svm::shrink_table, &s);
	return s.freed;
}
