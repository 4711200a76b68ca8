// SPDX-License-Identifier: GPL-2.0-only
// Translations and pointers to page tables that a context has used. Nothing is ever evicted: an entry lives until an
// invalidation meets it, so a flush that the driver forgot is a flush that the test finds. Absent entries are not kept.
//
// The caller brings the locking (address_space.hpp).
#pragma once

#include "model/flush_ledger.hpp"

#include <array>
#include <cstdint>
#include <map>

namespace svgpu {

struct translation {
	std::uint64_t va = 0; // first byte
	unsigned lg2 = 0; // size
	std::uint64_t address = 0;
	unsigned aperture = 0;
	bool write = false;
	bool atomic = false;
	bool null = false;
	flush_ledger::clock born = 0;

	bool covers(std::uint64_t at) const { return lg2 && at >> lg2 == va >> lg2; }
};

struct table_pointer {
	unsigned level = 0; // of the table's entries
	std::uint64_t address = 0;
	unsigned aperture = 0;
	bool compact = false;
	bool write = true; // every entry on the way here had RW
	flush_ledger::clock born = 0;
};

class tlb {
public:
	const translation *find(std::uint64_t va) const;
	// The pointer to the table nearest to the leaf; nullptr when the walk must begin at the root.
	const table_pointer *find_table(std::uint64_t va) const;

	void keep(const translation &t);
	void keep_table(std::uint64_t va, const table_pointer &t);

	// Forgets all that meets [start, end), which is not empty.
	void drop(std::uint64_t start, std::uint64_t end);
	// Is there anything that meets [start, end) and was found before `begun`? For the check: drop() is not asked.
	bool holds(std::uint64_t start, std::uint64_t end, flush_ledger::clock begun) const;
	// What a table of this level covers.
	static std::uint64_t table_start(std::uint64_t va, unsigned level) { return va >> table_lg2[level] << table_lg2[level]; }
	static std::uint64_t table_end(std::uint64_t va, unsigned level) { return table_start(va, level) + (1ull << table_lg2[level]); }
	void clear();

private:
	static constexpr std::array<unsigned, 4> page_lg2 = { 12, 16, 21, 30 };
	static constexpr std::array<unsigned, 3> table_lg2 = { 21, 30, 39 }; // what a table of level 0, 1, 2 covers

	std::array<std::map<std::uint64_t, translation>, page_lg2.size()> pages_;
	std::array<std::map<std::uint64_t, table_pointer>, table_lg2.size()> tables_;
};

} // namespace svgpu
