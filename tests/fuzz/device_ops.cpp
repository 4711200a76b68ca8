// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device and its driver do. Each call into the core must answer as the model says; a
 * failed allocation may end it with -ENOMEM, a kill with -EINTR, and neither may break anything.
 */
#include "tests/fuzz/ops.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <utility>

namespace svm_fuzz
{

using namespace svm_host;

/* Makes the next call into the core fail or be killed as was asked for, until the scope's end. */
class disturbed
{
public:
	explicit disturbed(context &c)
		: fails(c.next.fail_step)
		, killed(c.next.killed)
	{
		c.next = {};
		inject.arm(fails);
		current().killed = killed;
	}
	~disturbed()
	{
		inject.arm(0);
		current().killed = false;
	}

	/* What came of a call that should come to `expected`. */
	void judge(const char *what, int expected, int got) const
	{
		if (got == -ENOMEM && fails && !inject.armed())
			return;
		if (got == -EINTR && killed)
			return;
		AGREE(what, expected, got);
	}
	bool calm() const
	{
		return !fails && !killed;
	}

private:
	unsigned fails;
	bool killed;
};

static u64 some_offset(context &c)
{
	return offsets[c.in.below(std::size(offsets))];
}

/* A device address, from that of a page of the arena and some offset: where a binding at that offset leads there. */
static u64 some_place(context &c)
{
	unsigned page = c.in.page();

	return address(page) + some_offset(c);
}

static bool is_null(context &c, u64 va)
{
	const model_span *s = c.w.model.span_at(va);

	return s && s->kind == SVM_BIND_NULL;
}

/* What is due at a device address. Of a process that is gone null stays where it was mapped, and no more of it is. */
static int due(context &c, u64 va, bool write)
{
	if (is_null(c, va) && c.w.model.exited())
		return c.w.device().look(va).what == translation::outcome::mapped ? 0 : -EFAULT;
	return c.w.model.device_access(va, write);
}

/*
 * A fault, with the manager of missing memory at hand: an odd choice and it supplies the page
 * while the fault is under way, an even one and the waiting fault is killed.
 */
static int served_fault(context &c, const disturbed &d, u64 va, svm_access how, bool supplies)
{
	int expected = due(c, va, how != SVM_READ);
	bool asked = false;

	if (expected == -EINPROGRESS) {
		hook.fault_exit = [&](const struct port_fault &f) {
			if (std::exchange(asked, true))
				return;
			if (!supplies) {
				kill(current());
				return;
			}

			unsigned page = unsigned((f.cpu - ARENA) / PAGE);

			AGREE("the manager's page", 0, c.w.proc->supply(f.cpu, ++c.words));
			c.w.model.supply(page, c.words);
		};
		expected = supplies ? 0 : -EINTR;
	}

	int err = svm_fault(c.w.vm, va, how);

	hook.fault_exit = nullptr;
	d.judge("svm_fault", expected, err);
	return err;
}

void device_fault(context &c)
{
	u64 va = some_place(c);
	u8 how = c.in.byte();

	if (c.w.lost)
		return;

	disturbed d(c);

	served_fault(c, d, va, svm_access(how % 3), how & 4);
	c.w.check_at(va);
}

/* Tries, serves the fault, tries again: must have gone through then. */
template <typename Try>
static bool access(context &c, u64 va, svm_access how, bool supplies, gpu::answer &a, Try attempt)
{
	disturbed d(c);

	a = attempt();
	if (a.what == gpu::status::fault) {
		if (served_fault(c, d, va, how, supplies))
			return false;
		a = attempt();
	}
	AGREE("the device's access, after its fault was served", int(gpu::status::ok), int(a.what));
	AGREE("an access that went through", 0, due(c, va, how != SVM_READ));
	c.w.check_at(va);
	return true;
}

/* What was there before the access: null has nothing, and keeps nothing. False: it is null. */
static bool judge_word(context &c, const char *what, u64 va, const gpu::answer &a)
{
	if (is_null(c, va)) {
		AGREE("what null reads as", 0, a.value);
		AGREE("the page behind null", NO_FRAME, a.frame);
		return false;
	}

	unsigned page = c.w.model.page_behind(va);

	c.touched = {page, page + 1};
	if (!c.w.model.saw(page, a.value))
		disagree(what, (long long)*c.w.model.value(page), (long long)a.value);
	return true;
}

void device_read(context &c)
{
	u64 va = some_place(c);
	bool supplies = c.in.byte() & 1;
	gpu::answer a;

	if (!c.w.lost && access(c, va, SVM_READ, supplies, a, [&] { return c.w.device().read(va); }))
		judge_word(c, "what the device reads", va, a);
}

void device_write(context &c)
{
	u64 va = some_place(c);
	bool supplies = c.in.byte() & 1;
	u64 word = ++c.words;
	gpu::answer a;

	if (c.w.lost || !access(c, va, SVM_WRITE, supplies, a, [&] { return c.w.device().write(va, word); }))
		return;
	if (judge_word(c, "what the device replaces", va, a))
		c.w.model.write(c.w.model.page_behind(va), word);
}

void device_add(context &c)
{
	u64 va = some_place(c);
	bool supplies = c.in.byte() & 1;
	gpu::answer a;

	if (c.w.lost || !access(c, va, SVM_ATOMIC, supplies, a, [&] { return c.w.device().add(va, 1000); }))
		return;
	if (judge_word(c, "what the device adds to", va, a))
		c.w.model.write(c.w.model.page_behind(va), a.value + 1000);
}

/* ---- the driver ---- */

void prefetch(context &c)
{
	range r = c.in.pages(REACH);
	u8 how = c.in.byte();
	u64 offset = some_offset(c), start = address(r.first) + offset, end = address(r.last) + offset, pages = 0, most = 0;
	bool write = how & 1;

	if (how >= 250)
		end += how & 1 ? 1 : 0 - (end - start);
	c.touched = r;
	if (c.w.lost)
		return;

	int expected = start >= end || end % PAGE || !c.w.model.bound(start, end) ? -EINVAL :
		       c.w.model.exited()					  ? -EFAULT :
											    0;
	disturbed d(c);

	d.judge("svm_prefetch", expected, svm_prefetch(c.w.vm, start, end, write ? SVM_WRITE : SVM_READ, &pages));
	for (u64 va = start; !expected && va < end; va += PAGE)
		most += c.w.model.device_access(va, write) == 0;
	/* Two bindings to one memory may take pages from each other while it runs. */
	const model_span *s = c.w.model.span_at(start);

	if (d.calm() && (expected || end <= s->end))
		AGREE("pages that svm_prefetch counts", most, pages);
	else if (pages > most)
		disagree("pages that svm_prefetch counts, at most", (long long)most, (long long)pages);
}

/* Mostly a good one. */
static svm_bind_op some_bind(context &c)
{
	static constexpr u32 kinds[] = {SVM_BIND_MIRROR, SVM_BIND_MIRROR, SVM_BIND_MIRROR, SVM_BIND_NULL, SVM_BIND_NULL,
					SVM_BIND_NOTHING};
	range r = c.in.pages(REACH);
	u64 offset = some_offset(c);
	u32 kind = kinds[c.in.below(std::size(kinds))];
	svm_bind_op op{address(r.first) + offset, address(r.last) + offset, kind == SVM_BIND_MIRROR ? s64(offset) : 0, kind, 0, nullptr};

	switch (u8 how = c.in.byte(); how) {
	case 0:
		op.start += 1; /* unaligned; the offset likewise */
		break;
	case 1:
		op.offset += PAGE / 2;
		break;
	case 2:
		op.end = op.start;
		break;
	case 3:
		op.end = USER_END + offset + PAGE; /* beyond the user's addresses; null may be there */
		break;
	case 4:
		op.offset = -s64(USER_END);
		break;
	case 5:
		op.kind = 3;
		break;
	case 6:
		op.flags = 1;
		break;
	case 7:
		op.end = 0; /* it wraps */
		break;
	case 8:
		op.start = 0;
		break;
	}
	return op;
}

static void bind_many(context &c, const char *what, const std::vector<svm_bind_op> &ops)
{
	if (c.w.lost)
		return;

	int expected = c.w.model.bind(ops);
	disturbed d(c);
	int err = svm_bind_many(c.w.vm, ops.data(), u32(ops.size()));

	d.judge(what, expected, err);
	for (const svm_bind_op &op : ops)
		if (c.trace)
			std::fprintf(stderr, "    %llx..%llx kind %u offset %llx\n", op.start, op.end, op.kind, u64(op.offset));
	for (const svm_bind_op &op : ops)
		if (!err)
			c.w.model.bound_to(op);
	c.w.check_bindings();
	if (err)
		return;
	/* The device asks the model whether it may reach what it reaches. */
	for (const svm_bind_op &op : ops)
		for (u64 va : {op.start - PAGE, op.start, op.start + PAGE, op.end - PAGE, op.end}) {
			(void)c.w.device().read(va);
			c.w.check_at(va);
		}
	for (const svm_bind_op &op : ops)
		for (u64 area : areas)
			for (u64 va = std::max(area, op.start); va < std::min(area + AREA_PAGES * PAGE, op.end); va += 32 * PAGE) {
				(void)c.w.device().read(va);
				c.w.check_at(va);
			}
}

void bind(context &c)
{
	static constexpr unsigned counts[] = {1, 1, 2, 4};
	std::vector<svm_bind_op> ops;

	for (unsigned n = counts[c.in.below(4)]; n; n--)
		ops.push_back(some_bind(c));
	bind_many(c, "svm_bind_many", ops);
}

/* Mostly one that is bound, or a part of it. */
void unbind(context &c)
{
	u8 which = c.in.byte();
	range r = c.in.pages(REACH);
	svm_bind_op op{address(r.first), address(r.last), 0, SVM_BIND_NOTHING, 0, nullptr};
	const auto &spans = c.w.model.spans();

	if (which < 100 && !spans.empty()) {
		op.start = spans[which % spans.size()].start;
		op.end = spans[which % spans.size()].end;
	} else if (which >= 200) {
		op.start += FAR;
		op.end += FAR;
	}
	c.touched = {0, PAGES};
	bind_many(c, "unbind", {op});
}

void remake_vm(context &c)
{
	u8 how = c.in.byte();

	if (how >= 64) /* seldom, or no input gets far */
		return;
	if (!c.w.lost)
		c.w.check_all();
	c.w.drop_vm();
	c.w.make_vm(how & 31);
	c.touched = {0, PAGES};
}

/*
 * The device is reset and its tables are garbage. The process and the kernel go on; the vm is taken down some time.
 * Which pages the device had written is lost with it, so swap may forget what was in them.
 */
void lose_device(context &c)
{
	if (c.in.below(16) != 7 || c.w.lost)
		return;
	c.w.gpus.lose();
	c.w.lost = true;
}

} // namespace svm_fuzz
