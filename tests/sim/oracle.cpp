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

void oracle::check(const char *where, u64 va, const translation &t)
{
	if (t.what == translation::outcome::bad)
		return accuse(where, va, "a malformed entry");
	if (t.what != translation::outcome::mapped)
		return;
	if (std::any_of(active_.begin(), active_.end(), [=](const span &s) { return s.start <= va && va < s.end; }))
		return accuse(where, va, "a translation outlives the callbacks");

	auto cpu = m_.proc->peek(va);
	u32 frame = m_.mem->of_dma(t.addr + ((va + shift_) & ((1ull << t.lg2) - 1) & ~(PAGE - 1)));

	if (!cpu)
		accuse(where, va, "a translation where the CPU has none");
	else if (cpu->frame != frame)
		accuse(where, va, "a translation to another page");
	else if (t.write && !cpu->write)
		accuse(where, va, "may be written, but not by the CPU");
}

void oracle::look(u64 va)
{
	looked_++;
	check("page table", va, m_.device().look(va + shift_));
	if (const translation *t = m_.device().cached(va + shift_))
		check("TLB", va, *t);
}

oracle::span oracle::within(u64 start, u64 end) const
{
	u64 last = end - start <= small ? far_end_ : end_;

	return {std::max(start, start_), std::max(std::max(start, start_), std::min(end, last))};
}

void oracle::announced(u64 start, u64 end)
{
	span s = within(start, end);

	if (s.start == s.end)
		return;
	active_.push_back(s);
	for (u64 va = s.start; va < s.end; va += PAGE)
		look(va);
}

void oracle::ending(u64 start, u64 end)
{
	span s = within(start, end);

	if (s.start == s.end)
		return;
	for (u64 va = s.start; va < s.end; va += PAGE)
		if (m_.device().look(va + shift_).what == translation::outcome::mapped || m_.device().cached(va + shift_))
			accuse("at its end", va, "a translation amid an invalidation");
	active_.erase(std::find_if(active_.begin(), active_.end(),
				   [=](const span &a) { return a.start == s.start && a.end == s.end; }));
}

/* The pages that are used most lie in the first part of each table: they get every second look. */
void oracle::step()
{
	look(next_);
	next_ += 5 * PAGE;
	if (next_ >= end_)
		next_ = start_ + (next_ - end_) % (5 * PAGE);
}

} // namespace svm_sim
