// SPDX-License-Identifier: GPL-2.0-only
/* What the process does, and what the kernel does to it. The device's operations are in device_ops.cpp. */
#include "tests/fuzz/ops.hpp"

#include <cerrno>

namespace svm_fuzz
{

using namespace svm_host;

/* The process is there, and it is about these pages. */
static bool take(context &c, range r)
{
	c.touched = r;
	return !c.w.model.exited() && r.first < r.last;
}

static bool anonymous(context &c, range r)
{
	for (unsigned i = r.first; i < r.last; i++)
		if (model_page &p = c.w.model.at(i); p.mapped && (p.kind != backing::anon || p.managed))
			return false;
	return true;
}

/* ---- mappings ---- */

static void map(context &c)
{
	static constexpr backing kinds[] = {backing::anon, backing::anon,   backing::anon, backing::shared,
					    backing::priv, backing::pfnmap, backing::anon, backing::anon};
	static constexpr unsigned prots[] = {PROT_RW, PROT_RW, PROT_R, PROT_N};
	range r = c.in.pages(PAGES);
	u8 how = c.in.byte();
	unsigned prot = prots[how & 3];
	vma v{.start = address(r.first),
	      .end = address(r.last),
	      .prot = prot,
	      .kind = kinds[how >> 2 & 7],
	      .thp = (how >> 5 & 3) == 1,
	      .managed = (how >> 2 & 7) == 6,
	      .object = {},
	      .first_page = r.first};

	if (!take(c, r))
		return;
	if (v.kind == backing::shared || v.kind == backing::priv)
		v.object = c.w.object;

	int expected = c.w.model.any_mapped(r) ? -EEXIST : 0;

	AGREE("mmap", expected, c.w.proc->mmap(v));
	if (!expected)
		c.w.model.map(r, prot, v.kind, v.managed);
}

static void unmap(context &c)
{
	range r = c.in.pages(PAGES);

	if (!take(c, r))
		return;
	AGREE("munmap", 0, c.w.proc->munmap(address(r.first), address(r.last)));
	c.w.model.unmap(r);
}

static void protect(context &c)
{
	static constexpr unsigned prots[] = {PROT_N, PROT_R, PROT_RW, PROT_RW};
	range r = c.in.pages(PAGES);
	unsigned prot = prots[c.in.below(4)];

	if (!take(c, r))
		return;
	AGREE("mprotect", 0, c.w.proc->mprotect(address(r.first), address(r.last), prot));
	c.w.model.protect(r, prot);
}

static void discard(context &c)
{
	range r = c.in.pages(PAGES);

	if (!take(c, r))
		return;
	AGREE("MADV_DONTNEED", 0, c.w.proc->dontneed(address(r.first), address(r.last)));
	c.w.model.discard(r);
}

/* ---- accesses ---- */

static void cpu_read(context &c)
{
	unsigned page = c.in.page();
	u64 value = 0;

	if (!take(c, {page, page + 1}))
		return;

	int expected = c.w.model.access(page, false);

	AGREE("the CPU's read", expected, c.w.proc->read(address(page), &value));
	if (!expected && !c.w.lost && !c.w.model.saw(page, value))
		disagree("what the CPU reads", (long long)*c.w.model.value(page), (long long)value);
}

/* Of several pages in a row, as memset does. */
static void cpu_write(context &c)
{
	range r = c.in.pages(REACH);

	if (!take(c, r))
		return;
	for (unsigned i = r.first; i < r.last; i++) {
		int expected = c.w.model.access(i, true);

		AGREE("the CPU's write", expected, c.w.proc->write(address(i), ++c.words));
		if (!expected)
			c.w.model.write(i, c.words);
	}
}

/* ---- fork, exit ---- */

static void fork(context &c)
{
	remembered_child young;

	if (c.w.model.exited())
		return;
	if (c.w.children.size() == 2) {
		c.w.children.front().check();
		c.w.children.pop_front();
	}
	young.child = c.w.proc->fork();
	for (unsigned i = 0; i < REACH; i++)
		young.values.push_back(c.w.model.value(i));
	c.w.children.push_back(std::move(young));
	c.touched = {0, PAGES};
}

static void child_exits(context &c)
{
	if (c.w.children.empty())
		return;
	c.w.children.front().check();
	c.w.children.pop_front();
}

static void exit(context &c)
{
	/* Seldom, or no input gets far. */
	if (c.in.below(16) != 7 || c.w.model.exited())
		return;
	c.touched = {0, PAGES};
	c.w.proc->exit();
	c.w.model.exit();
}

/* ---- the kernel ---- */

static void swap_out(context &c)
{
	range r = c.in.pages(PAGES);

	if (!take(c, r) || !anonymous(c, r))
		return;
	for (unsigned i = r.first; i < r.last; i++)
		c.w.proc->swap_out(address(i));
}

static void migrate(context &c)
{
	range r = c.in.pages(PAGES);

	if (!take(c, r))
		return;
	for (unsigned i = r.first; i < r.last && i < r.first + 16; i++)
		c.w.proc->migrate(address(i));
}

static void collapse(context &c)
{
	unsigned table = c.in.below(TABLES);

	if (take(c, {table * TABLE, table * TABLE + TABLE}))
		c.w.proc->collapse(address(table * TABLE));
}

static void reap(context &c)
{
	range r = c.in.pages(PAGES);

	if (!take(c, r) || !anonymous(c, r))
		return;
	c.w.proc->oom_reap(address(r.first), address(r.last));
	c.w.model.reap(r);
}

static void truncate(context &c)
{
	unsigned page = c.in.page() % PAGES;

	if (!take(c, {page, page + 1}))
		return;
	c.w.proc->truncate(address(page));
	c.w.model.truncate(page);
}

static void supply(context &c)
{
	unsigned page = c.in.page() % PAGES;

	if (!take(c, {page, page + 1}))
		return;

	bool due = c.w.model.at(page).mapped && c.w.model.at(page).missing;

	AGREE("the manager's page", due ? 0 : -EEXIST, c.w.proc->supply(address(page), ++c.words));
	if (due)
		c.w.model.supply(page, c.words);
}

static void shrinker(context &c)
{
	u64 n = 1 + c.in.below(8), had = shrinkable(), freed = shrink(n);

	if (freed > n || freed > had)
		disagree("tables freed by the shrinker, at most", (long long)(n < had ? n : had), (long long)freed);
}

/* ---- what befalls the next call ---- */

static void fail_next(context &c)
{
	c.next.fail_step = 1 + c.in.below(40);
}

static void kill_next(context &c)
{
	c.next.killed = true;
}

static void reclaim_in_allocations(context &c)
{
	reclaim_on_alloc(c.in.byte() & 1);
}

const operation operations[] = {
	{"device_read", device_read},
	{"device_write", device_write},
	{"device_add", device_add},
	{"device_fault", device_fault},
	{"prefetch", prefetch},
	{"bind", bind},
	{"unbind", unbind},
	{"mmap", map},
	{"munmap", unmap},
	{"mprotect", protect},
	{"dontneed", discard},
	{"cpu_read", cpu_read},
	{"cpu_write", cpu_write},
	{"fork", fork},
	{"child_exits", child_exits},
	{"exit", exit},
	{"swap_out", swap_out},
	{"migrate", migrate},
	{"collapse", collapse},
	{"oom_reap", reap},
	{"truncate", truncate},
	{"supply", supply},
	{"shrink", shrinker},
	{"fail_next", fail_next},
	{"kill_next", kill_next},
	{"reclaim_in_allocations", reclaim_in_allocations},
	{"remake_vm", remake_vm},
	{"lose_device", lose_device},
};
const unsigned operation_count = sizeof(operations) / sizeof(operations[0]);

} // namespace svm_fuzz
