// SPDX-License-Identifier: GPL-2.0-only
/* The machine under an input. See world.hpp. */
#include "tests/fuzz/world.hpp"

#include "mm/vm.hpp"

#include <cstdio>
#include <cstdlib>

namespace svm_fuzz
{

using namespace svm_host;

void disagree(const char *what, long long expected, long long got)
{
	std::fprintf(stderr, "fuzz: %s: expected %lld (0x%llx), got %lld (0x%llx)\n", what, expected,
		     (unsigned long long)expected, got, (unsigned long long)got);
	std::abort();
}

void wrong_at(const char *where, const char *what, u64 va)
{
	std::fprintf(stderr, "fuzz: %s: %s, at 0x%llx\n", where, what, va);
	std::abort();
}

void remembered_child::check() const
{
	for (const auto &[page, frame] : child->frames) {
		const auto &was = values[page - ARENA / PAGE];

		if (was)
			AGREE("what a child of fork() sees", *was, child->read(page * PAGE));
	}
}

world::world(u8 config)
	: gpus(mem, config & 1 ? SVM_VRAM : SVM_SYSTEM, 1u << 14)
{
	if (!(config & 64))
		map_some();
	make_vm(config >> 1);
}

/* Small pages, a THP, a file's: so that a short input finds something. */
void world::map_some()
{
	auto map = [&](range r, backing kind, bool thp) {
		AGREE("mmap", 0,
		      proc->mmap({.start = address(r.first),
				  .end = address(r.last),
				  .kind = kind,
				  .thp = thp,
				  .object = kind == backing::shared ? object : nullptr,
				  .first_page = r.first}));
		model.map(r, PROT_RW, kind, false);
	};

	map({0, TABLE}, backing::anon, false);
	map({TABLE, 2 * TABLE}, backing::anon, true);
	map({2 * TABLE, 2 * TABLE + 40}, backing::shared, false);
}

void world::make_vm(u8 config)
{
	static constexpr u32 interval_lg2[] = {0, 21, 22, 40};
	static constexpr u32 granule_lg2[] = {0, 12, 14, 21};
	svm_vm_params p = {
		.ops = &backend::ops,
		.backend = &gpus,
		.format = svm_format_find("xe2"),
		.mm = proc.get(),
		.dma_device = &dev,
		.interval_lg2 = interval_lg2[config & 3],
		.granule_lg2 = granule_lg2[config >> 2 & 3],
	};

	AGREE("svm_vm_create", 0, svm_vm_create(&p, &vm));
	device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
	if (!(config & 16)) {
		AGREE("svm_bind_all", 0, svm_bind_all(vm));
		model.windows.push_back({0, USER_END, 0});
	}
}

void world::drop_vm()
{
	svm_vm_destroy(vm);
	vm = nullptr;
	device().invalidate(0, ~0ull);
	model.windows.clear();
	AGREE("page tables after the vm's end", 0, gpus.tables);
	AGREE("DMA mappings after the vm's end", 0, mem.dma_live());
	AGREE("intervals after the vm's end", 0, live.intervals);
	AGREE("memory after the vm's end", 0, live.heap);
}

world::~world()
{
	hook = {};
	inject.arm(0);
	current().killed = false;
	if (vm)
		drop_vm();
	for (const auto &c : children)
		c.check();
	children.clear();
	if (!model.exited())
		proc->exit();
	proc.reset();
	object.reset();
	AGREE("page frames in the end", 0, mem.frames_used());
}

void world::check_translation(const char *where, unsigned page, u64 va, const translation &t,
			      const std::optional<entry> &e) const
{
	if (!e || model.access(page, false))
		wrong_at(where, "a translation where the process may read nothing", va);
	if (e->frame != mem.of_dma(t.addr + (va & ((1ull << t.lg2) - 1) & ~(PAGE - 1))))
		wrong_at(where, "a translation to another page than the CPU's", va);
	if (t.write && (!e->write || model.access(page, true)))
		wrong_at(where, "a translation that allows writing, which the process may not", va);
}

/* Pages of 4 KiB that the device reaches there; counts the leaf of a whole table in `huge`, at its first page. */
u64 world::check_page(unsigned page, const model_window &w, u64 &huge)
{
	u64 cpu = address(page), va = cpu + w.offset;
	translation t = device().look(va);
	std::optional<entry> e = proc->snapshot(proc->find(cpu), cpu);

	if (t.what == translation::outcome::bad)
		wrong_at("page table", "a malformed entry", va);
	if (const translation *cached = device().cached(va))
		check_translation("TLB", page, va, *cached, e);
	if (t.what != translation::outcome::mapped)
		return 0;
	check_translation("page table", page, va, t, e);
	if (t.lg2 == BLOCK_LG2)
		huge += page % TABLE == 0;
	return 1;
}

void world::check(range r)
{
	constexpr unsigned edge = 18;
	u64 huge = 0;

	for (unsigned i = r.first; i < r.last && i < REACH; i++) {
		/* Both ends of it: all of it is looked at in the end. */
		if (i == r.first + edge && r.last > i + edge)
			i = r.last - edge;
		for (const model_window &w : model.windows)
			if (address(i) + w.offset >= w.start && address(i) + w.offset < w.end)
				check_page(i, w, huge);
	}
}

void world::check_all()
{
	u64 present = 0, huge = 0;
	svm_counters c;

	if (lost)
		return;
	for (unsigned i = 0; i < REACH; i++)
		for (const model_window &w : model.windows)
			if (address(i) + w.offset >= w.start && address(i) + w.offset < w.end)
				present += check_page(i, w, huge);
	vm->domain()->drain();
	svm_vm_counters(vm, &c);
	AGREE("the count of pages that are present", present, c.present);
	AGREE("DMA mappings", present - huge * BLOCK_FRAMES + huge, mem.dma_live());
	AGREE("device memory", gpus.bytes, c.device_bytes);
	AGREE("tables", c.tables_made - c.tables_freed, c.tables);
}

} // namespace svm_fuzz
