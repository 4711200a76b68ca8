// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device and its driver do. Each call into the core must answer as the model says; a
 * failed allocation may end it with -ENOMEM, a kill with -EINTR, and neither may break anything.
 */
#include "tests/fuzz/ops.hpp"

#include <cerrno>
#include <utility>

namespace svm_fuzz
{

using namespace svm_host;

constexpr u64 GiB = 1ull << 30, MiB = 1ull << 20;

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

/* Windows lie where the CPU's addresses are, far above them, or a table beside them. */
static u64 some_offset(context &c)
{
	static constexpr u64 offsets[] = {0, 0, 0, 64 * GiB, 2 * MiB, 0 - 2 * MiB};

	return offsets[c.in.below(6)];
}

/* A page of the arena, by way of some window or of none. */
struct place {
	unsigned page;
	u64 va;
};

static place some_place(context &c)
{
	unsigned page = c.in.page();
	u64 offset = some_offset(c);

	c.touched = {page, page + 1};
	c.w.device().set_offset(offset);
	return {page, address(page) + offset};
}

/* The window at va may have another offset than was asked for: then it is another page's. */
static unsigned page_behind(context &c, const place &p)
{
	const model_window *w = c.w.model.window_at(p.va);

	if (!w)
		return p.page;
	c.w.device().set_offset(w->offset);

	u64 cpu = p.va - w->offset;

	return cpu >= ARENA && cpu < address(REACH) ? unsigned((cpu - ARENA) / PAGE) : REACH;
}

/*
 * A fault, with the manager of missing memory at hand: an odd choice and it supplies the page
 * while the fault is under way, an even one and the waiting fault is killed.
 */
static int served_fault(context &c, const disturbed &d, u64 va, svm_access how, bool supplies)
{
	int expected = c.w.model.device_access(va, how != SVM_READ);
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
	place p = some_place(c);
	u8 how = c.in.byte();

	if (c.w.lost)
		return;

	disturbed d(c);

	served_fault(c, d, p.va, svm_access(how % 3), how & 4);
}

/* Tries, serves the fault, tries again: must have gone through then. */
template <typename Try>
static bool access(context &c, const place &p, svm_access how, bool supplies, gpu::answer &a, Try attempt)
{
	disturbed d(c);

	a = attempt();
	if (a.what == gpu::status::fault) {
		if (served_fault(c, d, p.va, how, supplies))
			return false;
		a = attempt();
	}
	AGREE("the device's access, after its fault was served", int(gpu::status::ok), int(a.what));
	AGREE("an access that went through", 0, c.w.model.device_access(p.va, how != SVM_READ));
	return true;
}

void device_read(context &c)
{
	place p = some_place(c);
	bool supplies = c.in.byte() & 1;
	unsigned page = page_behind(c, p);
	gpu::answer a;

	if (c.w.lost || !access(c, p, SVM_READ, supplies, a, [&] { return c.w.device().read(p.va); }))
		return;
	if (!c.w.model.saw(page, a.value))
		disagree("what the device reads", (long long)*c.w.model.value(page), (long long)a.value);
}

void device_write(context &c)
{
	place p = some_place(c);
	bool supplies = c.in.byte() & 1;
	unsigned page = page_behind(c, p);
	u64 word = ++c.words;
	gpu::answer a;

	if (c.w.lost || !access(c, p, SVM_WRITE, supplies, a, [&] { return c.w.device().write(p.va, word); }))
		return;
	if (!c.w.model.saw(page, a.value))
		disagree("what the device replaces", (long long)*c.w.model.value(page), (long long)a.value);
	c.w.model.write(page, word);
}

void device_add(context &c)
{
	place p = some_place(c);
	bool supplies = c.in.byte() & 1;
	unsigned page = page_behind(c, p);
	gpu::answer a;

	if (c.w.lost || !access(c, p, SVM_ATOMIC, supplies, a, [&] { return c.w.device().add(p.va, 1000); }))
		return;
	if (!c.w.model.saw(page, a.value))
		disagree("what the device adds to", (long long)*c.w.model.value(page), (long long)a.value);
	c.w.model.write(page, a.value + 1000);
}

/* ---- the driver ---- */

void prefetch(context &c)
{
	range r = c.in.pages(REACH);
	u8 how = c.in.byte();
	u64 offset = some_offset(c), start = address(r.first) + offset, end = address(r.last) + offset, pages = 0, due = 0;
	bool write = how & 1;

	if (how >= 250)
		end += how & 1 ? 1 : 0 - (end - start);
	c.touched = r;
	if (c.w.lost)
		return;

	int expected = start >= end || end % PAGE || !c.w.model.inside_windows(start, end) ? -EINVAL :
		       c.w.model.exited()							   ? -EFAULT :
												     0;
	disturbed d(c);

	d.judge("svm_prefetch", expected, svm_prefetch(c.w.vm, start, end, write ? SVM_WRITE : SVM_READ, &pages));
	for (u64 va = start; !expected && va < end; va += PAGE)
		due += c.w.model.device_access(va, write) == 0;
	/* Two windows on one memory may take pages from each other while it runs. */
	const model_window *w = c.w.model.window_at(start);

	if (d.calm() && (expected || end <= w->end))
		AGREE("pages that svm_prefetch counts", due, pages);
	else if (pages > due)
		disagree("pages that svm_prefetch counts, at most", (long long)due, (long long)pages);
}

void bind(context &c)
{
	range r = c.in.pages(REACH);
	u8 how = c.in.byte();
	u64 offset = some_offset(c), start = address(r.first) + offset, end = address(r.last) + offset;

	if (how < 8)
		start += 1ull << how; /* unaligned */
	else if (how < 16)
		offset += PAGE << (how & 7);
	else if (how < 20)
		end = how & 1 ? start : USER_END + offset + (how & 2 ? PAGE : 0);
	if (c.w.lost)
		return;

	int expected = c.w.model.bind(start, end, offset);
	disturbed d(c);
	int err = svm_bind(c.w.vm, start, end, s64(offset));

	d.judge("svm_bind", expected, err);
	if (!err)
		c.w.model.windows.push_back({start, end, offset});
}

/* Mostly one that is bound. */
void unbind(context &c)
{
	u8 which = c.in.byte();
	range r = c.in.pages(REACH);
	u64 start = address(r.first), end = address(r.last);
	auto &windows = c.w.model.windows;

	if (which < 200 && !windows.empty()) {
		start = windows[which % windows.size()].start;
		end = windows[which % windows.size()].end;
	}
	c.touched = {0, PAGES};
	if (c.w.lost)
		return;

	int expected = c.w.model.window_of(start, end) ? 0 : -ENOENT;
	disturbed d(c);
	int err = svm_unbind(c.w.vm, start, end);

	d.judge("svm_unbind", expected, err);
	if (err)
		return;
	std::erase_if(windows, [=](const model_window &w) { return w.start == start && w.end == end; });
	for (unsigned i = 0; i < PAGES; i += 32) {
		u64 va = start / (TABLE * PAGE) * (TABLE * PAGE) + i * PAGE;

		if (va >= start && va < end && c.w.device().read(va).what == gpu::status::ok)
			wrong_at("the device", "an access through an unbound window", va);
	}
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
