// SPDX-License-Identifier: GPL-2.0-only
/* The oracle. See oracle.hpp. */
#include "tests/sim/oracle.hpp"

#include <algorithm>
#include <cstdio>

namespace svm_sim
{

using namespace svm_host;

static constexpr u64 small = 2 * MiB; /* bytes of an invalidation: all of its pages are looked at, wherever they are */

static void accuse(const char *where, u64 va, const char *what)
{
	char text[128];

	std::snprintf(text, sizeof(text), "%s: %s at %llx", where, what, va);
	complain(text);
}

/* What is wrong with a translation that leads from va to the CPU's address; nullptr: nothing. */
const char *oracle::fault_of(u64 va, const translation &t, u64 cpu)
{
	if (std::any_of(active_.begin(), active_.end(), [=](const span &s) { return s.start <= cpu && cpu < s.end; }))
		return "a translation outlives the callbacks";

	auto there = m_.proc->peek(cpu);
	u32 frame = m_.mem->of_dma(t.addr + (va & ((1ull << t.lg2) - 1) & ~(PAGE - 1)));

	if (!there)
		return "a translation where the CPU has none";
	if (there->frame != frame || there->lent != t.vram)
		return "a translation to another page";
	return t.write && !there->write ? "may be written, but not by the CPU" : nullptr;
}

/* While an address is rebound, it may lead to two of the CPU's. */
void oracle::check(const char *where, u64 va, const translation &t)
{
	const char *wrong = "a translation where nothing is bound";

	if (t.what == translation::outcome::bad)
		return accuse(where, va, "a malformed entry");
	if (t.what != translation::outcome::mapped)
		return;
	if (t.null) {
		if (!bound_.leads(va, gpu::null))
			accuse(where, va, "null where something else is bound");
		return;
	}
	if (bound_.lent(va, m_.mem->of_dma(t.addr + (va & ((1ull << t.lg2) - 1) & ~(PAGE - 1)))))
		return;
	for (u64 offset : bound_.offsets()) {
		if (!bound_.leads(va, va - offset))
			continue;
		wrong = fault_of(va, t, va - offset);
		if (!wrong)
			return;
	}
	accuse(where, va, wrong);
}

void oracle::look(u64 va)
{
	looked_++;
	check("page table", va, m_.device().look(va));
	if (const translation *t = m_.device().cached(va))
		check("TLB", va, *t);
}

oracle::span oracle::within(u64 start, u64 end) const
{
	u64 last = end - start <= small ? far_end_ : end_;

	return {std::max(start, start_), std::max(std::max(start, start_), std::min(end, last))};
}

/* Device addresses that lead to pages of the span. */
template <typename Fn>
void oracle::each(span s, Fn fn)
{
	for (u64 offset : bound_.offsets())
		for (u64 cpu = s.start; cpu < s.end; cpu += PAGE)
			if (bound_.only_leads(cpu + offset, cpu))
				fn(cpu + offset);
}

void oracle::announced(u64 start, u64 end)
{
	span s = within(start, end);

	if (s.start == s.end)
		return;
	active_.push_back(s);
	each(s, [this](u64 va) { look(va); });
}

void oracle::ending(u64 start, u64 end)
{
	span s = within(start, end);

	if (s.start == s.end)
		return;
	each(s, [this](u64 va) {
		if (m_.device().look(va).what == translation::outcome::mapped || m_.device().cached(va))
			accuse("at its end", va, "a translation amid an invalidation");
	});
	active_.erase(std::find_if(active_.begin(), active_.end(),
				   [=](const span &a) { return a.start == s.start && a.end == s.end; }));
}

/* The pages that are used most lie in the first part of each table: they get every second look. */
void oracle::step()
{
	u64 shift = bound_.offsets().front();

	look(next_ + shift);
	next_ += 5 * PAGE;
	if (next_ >= end_)
		next_ = start_ + (next_ - end_) % (5 * PAGE);
}

} // namespace svm_sim
