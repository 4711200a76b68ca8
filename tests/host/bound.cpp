// SPDX-License-Identifier: GPL-2.0-only
/* The record of bindings. See bound.hpp. */
#include "tests/host/bound.hpp"

namespace svm_host
{

void bound::start_at(u64 start, std::vector<u64> offsets, lenders lent)
{
	lent_ = lent;
	start_ = start;
	offsets_ = std::move(offsets);
	changed({0, PAGES, MIRRORS}, true);
}

bool bound::is(unsigned what, u64 va, u64 cpu) const
{
	if (what < LENT)
		return what == NULLS && cpu == gpu::null;
	if (what < MIRRORS)
		return cpu == lent_[what - LENT]->home(page(va));
	return cpu == gpu::some_page || cpu == va - offsets_[what - MIRRORS];
}

bool bound::leads(u64 va, u64 cpu) const
{
	if (!holds(va))
		return is(MIRRORS, va, cpu);

	u32 both = state(va);

	return is(both & 0xff, va, cpu) || is(both >> 8, va, cpu);
}

bool bound::lent(u64 va, u32 frame) const
{
	for (const buffer *b : lent_)
		if (holds(va) && b->placed() && b->frame(page(va)) == frame && leads(va, b->home(page(va))))
			return true;
	return false;
}

svm_bind_op bound::op(const part &p) const
{
	constexpr u32 kind[] = {SVM_BIND_NOTHING, SVM_BIND_NULL};
	svm_bind_op o{at(p.first), at(p.last), 0, SVM_BIND_MIRROR, 0, nullptr};

	if (p.what < LENT) {
		o.kind = kind[p.what];
	} else if (p.what < MIRRORS) {
		o.kind = SVM_BIND_OBJECT;
		o.offset = s64(p.first * PAGE);
		o.flags = p.what + 1 == MIRRORS ? SVM_BIND_ON_DEMAND : 0;
		o.object = lent_[p.what - LENT]->object();
	} else {
		o.offset = s64(offsets_[p.what - MIRRORS]);
	}
	return o;
}

void bound::changing(const part &p)
{
	for (unsigned i = p.first; i < p.last; i++)
		state_[i] = (state_[i] & 0xff) | p.what << 8;
}

void bound::changed(const part &p, bool done)
{
	for (unsigned i = p.first; i < p.last; i++) {
		u32 what = done ? p.what : state_[i] & 0xff;

		state_[i] = what | what << 8;
	}
}

bool bound::agrees(svm_vm *vm) const
{
	std::vector<svm_bind_op> list(PAGES + 1);
	size_t i = 0;

	list.resize(svm_bindings(vm, start_, list.data(), u32(list.size())));
	for (unsigned page = 0; page < PAGES; page++) {
		u64 va = at(page);

		while (i < list.size() && list[i].end <= va)
			i++;

		bool listed = i < list.size() && list[i].start <= va;
		svm_bind_op due = op({page, page + 1, now(va)});

		if (!listed) {
			if (due.kind != SVM_BIND_NOTHING)
				return false;
			continue;
		}
		if (due.kind == SVM_BIND_OBJECT)
			due.offset -= s64(va - list[i].start);
		if (list[i].kind != due.kind || list[i].offset != due.offset || list[i].flags != due.flags || list[i].object != due.object)
			return false;
	}
	return true;
}

} // namespace svm_host
