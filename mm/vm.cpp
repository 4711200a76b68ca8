// SPDX-License-Identifier: GPL-2.0-only
// Making and ending a vm.
#include "mm/vm.hpp"

#include "mm/bind/rebind.hpp"
#include "mm/room.hpp"

namespace svm {

static constexpr u32 default_interval_lg2 = 29; // 512 MiB: one PDE1 entry on NVIDIA
static constexpr u32 default_granule_lg2 = 16;	// 64 KiB: what every vendor's TLB takes as one

static status check_sizes(const svm_vm &vm)
{
	const svm_format_info &g = vm.pt.format->info;

	if (vm.interval_lg2 < g.table_lg2 || vm.interval_lg2 > g.va_bits)
		return err::inval;
	if (vm.granule_lg2 < PORT_PAGE_LG2 || vm.granule_lg2 > g.table_lg2)
		return err::inval;
	return {};
}

// What the binding of a leaf's page says of it. Where nothing is bound there is no leaf.
static tenure tenure_at(const void *user, u64 va)
{
	span_map::piece p = static_cast<const svm_vm *>(user)->standing().next(va);

	if (!p || p.span.start > va)
		return { p ? p.span.start : ~0ull, true };
	return { p.span.end, static_cast<const binding *>(p.of)->mirrors() };
}

// Whatever was made so far. Bindings are gone.
static void discard(svm_vm *vm)
{
	if (vm->pt.domain)
		port_domain_destroy(vm->pt.domain); // waits for tables that are being freed: they stand on directories
	vm->pt.free_directories();
	vm->scratch.drop();
	destroy(vm);
}

static status furnish(svm_vm &vm, const svm_vm_params &p)
{
	status sizes = check_sizes(vm);
	if (!sizes.ok())
		return sizes;
	if (!vm.scratch.fill(vm.pt.entries()))
		return err::nomem;
	status rooted = with_room(vm, [&vm] { return vm.pt.make_root(); });
	if (!rooted.ok())
		return rooted;
	// Last, since from here on the shrinker may look in.
	vm.pt.domain = port_domain_create(&vm, p.mm, p.dma_device, p.memory);
	return vm.pt.domain ? status() : status(err::nomem);
}

} // namespace svm

extern "C" int svm_vm_create(const svm_vm_params *p, svm_vm **out)
{
	bool no_fault = p->flags & SVM_VM_NO_FAULT, exclusive = p->flags & SVM_VM_EXCLUSIVE_ATOMICS;

	if (!p->ops || !p->format || !p->mm || p->flags & ~(SVM_VM_NO_FAULT | SVM_VM_EXCLUSIVE_ATOMICS) || (p->memory && !p->format->info.vram) ||
	    (no_fault && (!p->ops->stop || !p->ops->resume)) || (exclusive && (no_fault || !p->format->info.denies_atomics)))
		return static_cast<int>(svm::err::inval);
	svm::owner<svm_vm> vm = svm::make<svm_vm>();
	if (!vm)
		return static_cast<int>(svm::err::nomem);
	vm->pt.ops = p->ops;
	vm->pt.backend = p->backend;
	vm->pt.format = p->format;
	vm->pt.tenure_at = svm::tenure_at;
	vm->pt.user = vm.get();
	vm->mm = p->mm;
	vm->dma = p->dma_device;
	vm->memory = p->memory;
	vm->no_fault = no_fault;
	vm->exclusive = exclusive;
	vm->interval_lg2 = p->interval_lg2 ? p->interval_lg2 : svm::default_interval_lg2;
	vm->granule_lg2 = p->granule_lg2 ? p->granule_lg2 : svm::default_granule_lg2;
	svm::status made = svm::furnish(*vm, *p);
	if (!made.ok()) {
		svm::discard(vm.release());
		return made.error();
	}
	*out = vm.release();
	return 0;
}

extern "C" void svm_vm_destroy(svm_vm *vm)
{
	svm::end_bindings(*vm);
	svm::discard(vm);
}

extern "C" const svm_table_mem *svm_vm_root(const svm_vm *vm)
{
	return &vm->pt.root->mem;
}

extern "C" mm_struct *svm_vm_mm(const svm_vm *vm)
{
	return vm->mm;
}

extern "C" void svm_vm_counters(const svm_vm *vm, svm_counters *out)
{
	vm->pt.stat.read(*out);
	out->faults += out->duplicates; // those are counted once
}
