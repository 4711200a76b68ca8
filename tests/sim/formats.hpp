// SPDX-License-Identifier: GPL-2.0-only
// What the simulation compiles in: the real formats, whose stores are steps now and then, so that the device walks
// through tables that are half changed, and reach the device (and other CPUs) by publish().
#pragma once

#include "mm/fmt/vendors.hpp"
#include "tests/sim/scheduler.hpp"

namespace svm {

template <format F>
struct simulated : F {
	static constexpr u32 words(unsigned lv) { return 1u << (F::levels[lv].entry_lg2 - 3); }

	// One word of a table, at one step.
	static void put(u64 *at, u64 word)
	{
		auto *s = svm_sim::scheduler::here();

		if (s && s->draw(16) == 0)
			s->point();
		if (s)
			s->store_entry(at, word);
		else
			__atomic_store_n(at, word, __ATOMIC_RELAXED);
	}

	static u64 load(const void *entry)
	{
		auto *s = svm_sim::scheduler::here();
		u64 word = s ? s->load_entry(static_cast<const u64 *>(entry)) : __atomic_load_n(static_cast<const u64 *>(entry), __ATOMIC_RELAXED);

		return F::load(&word);
	}

	// The format says what its words are, and that the first goes first in store() and last in link().
	static void store(void *entry, unsigned lv, u64 word)
	{
		u64 image[2] = {};

		F::store(image, lv, word);
		for (u32 i = 0; i < words(lv); i++)
			put(static_cast<u64 *>(entry) + i, image[i]);
	}

	static void link(void *entry, unsigned lv, u64 addr, svm_aperture where)
	{
		u64 image[2] = {};

		F::link(image, lv, addr, where);
		for (u32 i = words(lv); i--;)
			put(static_cast<u64 *>(entry) + i, image[i]);
	}

	static void set_side(void *table, unsigned group, u64 leaf)
	{
		if constexpr (F::side_bytes > 0)
			put(reinterpret_cast<u64 *>(static_cast<char *>(table) + F::small_bytes) + group, leaf);
	}
	static void clear_side(void *table, unsigned group) { set_side(table, group, 0); }
};

template <typename List>
struct simulated_list;
template <typename... F>
struct simulated_list<format_list<F...>> {
	using type = format_list<simulated<F>...>;
};

using formats = simulated_list<vendor_formats>::type;

} // namespace svm
