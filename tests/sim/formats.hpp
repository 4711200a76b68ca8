// SPDX-License-Identifier: GPL-2.0-only
// What the simulation compiles in: a real format, whose stores are steps now and then, so that the device walks
// through tables that are half changed, and reach the device (and other CPUs) by publish().
#pragma once

#include "drivers/mmu/xe2.hpp"
#include "mm/pt/page_table.hpp"
#include "tests/sim/scheduler.hpp"

namespace svm {

struct simulated_xe2 : xe2 {
	static void maybe_point()
	{
		if (auto *s = svm_sim::scheduler::here(); s && s->draw(16) == 0)
			s->point();
	}

	static u64 load(const void *entry)
	{
		if (auto *s = svm_sim::scheduler::here())
			return s->load_entry(static_cast<const u64 *>(entry));
		return xe2::load(entry);
	}

	static void store(void *entry, unsigned lv, u64 word)
	{
		maybe_point();
		if (auto *s = svm_sim::scheduler::here())
			s->store_entry(static_cast<u64 *>(entry), word);
		else
			xe2::store(entry, lv, word);
	}

	static void link(void *entry, unsigned lv, u64 addr, svm_aperture where)
	{
		u64 word = 0;

		xe2::link(&word, lv, addr, where);
		store(entry, lv, word);
	}
};

using formats = format_list<simulated_xe2>;

} // namespace svm
