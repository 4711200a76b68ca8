// SPDX-License-Identifier: GPL-2.0-only
// Intervals are made on demand, and end with the last span in their block.
#include "mm/vm.hpp"

namespace svm {

// The aligned block around va, as far as its CPU side lies in the user's address space. va's does.
static va_span reach_of(const svm_vm &vm, const binding &b, u64 va)
{
	va_span block = va_span::around(va, vm.interval_lg2);
	u64 cpu = b.to_cpu(va), below = va - block.start, above = block.end - va, to_end = port_user_end(vm.domain()) - cpu;

	return { va - (below < cpu ? below : cpu), va + (above < to_end ? above : to_end) };
}

result<interval *> interval_at(svm_vm &vm, binding &b, u64 va)
{
	if (interval *there = b.intervals.at(va))
		return there;
	if (port_mmap_held(vm.domain()))
		return err::wait;

	interval_guard lock(vm.domain());
	if (!lock.held().ok())
		return result<interval *>::from(lock.held().error());
	if (interval *there = b.intervals.at(va))
		return there;

	owner<interval> made = make<interval>();
	if (!made)
		return err::nomem;
	made->vm = &vm;
	made->of = &b;
	made->span = reach_of(vm, b, va);
	span_map::change index(b.intervals);
	status indexed = index.replace(made->span, made.get());
	if (!indexed.ok())
		return result<interval *>::from(indexed.error());
	cpu_span cpu = b.to_cpu(made->span);
	int failed = port_interval_create(vm.domain(), cpu.start, cpu.end, made.get(), &made->port);
	if (failed)
		return result<interval *>::from(failed);
	index.commit(vm.domain());
	vm.pt.stat.add(stat::intervals);
	vm.pt.stat.add(stat::host_bytes, sizeof(interval));
	return made.release();
}

void end_interval(svm_vm &vm, interval &i)
{
	port_interval_destroy(i.port);
	vm.pt.stat.sub(stat::intervals);
	vm.pt.stat.sub(stat::host_bytes, sizeof(interval));
	destroy(&i);
}

} // namespace svm
