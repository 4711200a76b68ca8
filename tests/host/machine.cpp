// SPDX-License-Identifier: GPL-2.0-only
/* The machine. See machine.hpp. */
#include "tests/host/machine.hpp"

#include <cerrno>
#include <utility>

namespace svm_host
{

svm_vm_params machine::params(u32 interval_lg2, u32 granule_lg2)
{
	return {
		.ops = &backend::ops,
		.backend = gpus.get(),
		.format = svm_format_find(format.c_str()),
		.mm = proc.get(),
		.dma_device = &dev,
		.memory = has_vram() ? &vram : nullptr,
		.interval_lg2 = interval_lg2,
		.granule_lg2 = granule_lg2,
		.flags = 0,
	};
}

int machine::create(u32 interval_lg2, u32 granule_lg2)
{
	svm_vm_params p = params(interval_lg2, granule_lg2);
	int err = svm_vm_create(&p, &vm);

	if (!err && format != "xe2")
		gpus->device().set_mmu(*mmu_find(format.c_str()));
	if (!err)
		gpus->device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
	return err;
}

void machine::destroy()
{
	if (vm)
		svm_vm_destroy(vm);
	vm = nullptr;
	if (gpus)
		gpus->device().invalidate(0, ~0ull);
}

void machine::exit()
{
	if (running.exchange(false))
		proc->exit();
}

void machine::close()
{
	hook.fault_entry = hook.fault_exit = nullptr;
	hook.alloc = nullptr;
	inject.arm(0);
	destroy();
	gpus.reset();
	if (proc)
		exit();
	proc.reset();
	mem.reset();
	if (live.heap || live.domains || live.intervals || live.mms)
		complain("left over: " + std::to_string(live.heap) + " allocations, " + std::to_string(live.domains) +
			 " domains, " + std::to_string(live.intervals) + " intervals, " + std::to_string(live.mms) +
			 " mms");
	live.heap = live.domains = live.intervals = live.mms = 0;
}

svm_counters machine::count()
{
	svm_counters c;

	svm_vm_counters(vm, &c);
	return c;
}

/*
 * A right that was granted shows in the table before the device has forgotten that it lacked it: until that flush is
 * through, the device misses what is there. It takes as long as whoever flushes is kept from running, and no longer.
 */
int machine::serve(u64 va, svm_access how, patience &left)
{
	bool stale = device().allows(va, how);
	int err = svm_fault(vm, va, how);

	left.misses = !err && stale ? left.misses + 1 : 0;
	wait_turn(left.misses);
	if (left.misses == enough_turns)
		complain("the device does not see what the mirror has");
	return err;
}

int machine::device_read(u64 va, u64 *value)
{
	patience left;

	for (int turn = 0; turn < 1000; turn++) {
		gpu::answer a = device().read(va);

		*value = a.value;
		if (a.what != gpu::status::fault)
			return a.what == gpu::status::ok ? 0 : -EIO;
		if (int err = serve(va, SVM_READ, left); err && err != -EAGAIN)
			return err;
	}
	return -EAGAIN;
}

int machine::device_write(u64 va, u64 value)
{
	patience left;

	for (int turn = 0; turn < 1000; turn++) {
		gpu::answer a = device().write(va, value);

		if (a.what != gpu::status::fault)
			return a.what == gpu::status::ok ? 0 : -EIO;
		if (int err = serve(va, SVM_WRITE, left); err && err != -EAGAIN)
			return err;
	}
	return -EAGAIN;
}

} // namespace svm_host
