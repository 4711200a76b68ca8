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
		.memory = nullptr,
		.interval_lg2 = interval_lg2[config & 3],
		.granule_lg2 = granule_lg2[config >> 2 & 3],
		.flags = 0,
	};

	AGREE("svm_vm_create", 0, svm_vm_create(&p, &vm));
	device().set_root(svm_vm_root(vm)->addr, svm_vm_root(vm)->aperture == SVM_VRAM);
	device().set_rule([this](u64 va, u64 cpu) {
		const model_span *s = model.span_at(va);

		if (!s || (s->kind == SVM_BIND_NULL) != (cpu == gpu::null))
			return false;
		return cpu == gpu::null || cpu == gpu::some_page || cpu == va - s->offset;
	});
	if (!(config & 16)) {
		AGREE("svm_bind_all", 0, svm_bind_all(vm));
		model.bound_to({0, USER_END, 0, SVM_BIND_MIRROR, 0, nullptr});
	}
}

void world::drop_vm()
{
	svm_vm_destroy(vm);
	vm = nullptr;
	device().invalidate(0, ~0ull);
	model.unbind_all();
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

void world::check_at(u64 va, counted &n)
{
	const model_span *s = model.span_at(va);
	translation t = device().look(va);
	const translation *cached = device().cached(va);
	bool mapped = t.what == translation::outcome::mapped;

	if (t.what == translation::outcome::bad)
		wrong_at("page table", "a malformed entry", va);
	if (!mapped && !cached)
		return;
	if (!s)
		wrong_at(mapped ? "page table" : "TLB", "a translation where nothing is bound", va);
	if (s->kind == SVM_BIND_NULL) {
		if ((mapped && !t.null) || (cached && !cached->null))
			wrong_at(mapped && !t.null ? "page table" : "TLB", "a translation to memory where null is bound", va);
		n.pages += mapped;
		n.nulls += mapped;
		return;
	}

	u64 cpu = va - s->offset;
	unsigned page = model.page_behind(va);
	std::optional<entry> e = proc->snapshot(proc->find(cpu), cpu);

	if (page == REACH)
		wrong_at(mapped ? "page table" : "TLB", "a translation to where no memory was ever mapped", va);
	if (cached)
		check_translation("TLB", page, va, *cached, e);
	if (!mapped)
		return;
	check_translation("page table", page, va, t, e);
	n.pages++;
	n.huge += t.lg2 == BLOCK_LG2 && va % (TABLE * PAGE) == 0;
}

void world::check(range r)
{
	constexpr unsigned edge = 18;

	for (unsigned i = r.first; i < r.last && i < REACH; i++) {
		/* Both ends of it: all of it is looked at in the end. */
		if (i == r.first + edge && r.last > i + edge)
			i = r.last - edge;
		for (const model_span &s : model.spans())
			if (s.kind == SVM_BIND_MIRROR && s.holds(address(i) + s.offset))
				check_at(address(i) + s.offset);
	}
}

void world::check_bindings()
{
	const auto &due = model.spans();
	std::vector<svm_bind_op> list(due.size() + 1);

	if (u32 n = svm_bindings(vm, 0, list.data(), u32(list.size())); n != due.size()) {
		for (const model_span &s : due)
			std::fprintf(stderr, "due: %llx..%llx %u %llx\n", s.start, s.end, s.kind, s.offset);
		for (u32 i = 0; i < n; i++)
			std::fprintf(stderr, "listed: %llx..%llx %u %llx\n", list[i].start, list[i].end, list[i].kind, u64(list[i].offset));
		disagree("how many spans are bound", (long long)due.size(), n);
	}
	for (size_t i = 0; i < due.size(); i++) {
		AGREE("where a span that is bound begins", due[i].start, list[i].start);
		AGREE("where a span that is bound ends", due[i].end, list[i].end);
		AGREE("what a span is bound to", due[i].kind, list[i].kind);
		AGREE("at which offset a span is bound", due[i].offset, list[i].offset);
	}
}

void world::check_all()
{
	counted n;
	svm_counters c;

	if (lost)
		return;
	check_bindings();
	for (u64 area : areas)
		for (u64 va = area; va < area + AREA_PAGES * PAGE; va += PAGE)
			check_at(va, n);
	vm->domain()->drain();
	svm_vm_counters(vm, &c);
	AGREE("the count of pages that are present", n.pages, c.present);
	AGREE("DMA mappings", n.pages - n.nulls - n.huge * BLOCK_FRAMES + n.huge, mem.dma_live());
	AGREE("device memory", gpus.bytes, c.device_bytes);
	AGREE("tables", c.tables_made - c.tables_freed, c.tables);
}

} // namespace svm_fuzz
