// SPDX-License-Identifier: GPL-2.0-only
// Translations and links to page tables that a context has used. Nothing is ever evicted: an entry lives until an
// invalidation meets it, so a flush that the driver forgot is a flush that the test finds. Absent entries are not kept.
//
// A link is kept as the word that led on, by its place in the walk and the addresses that it stands for. So it serves
// all formats, and a walk through kept links reads no memory.
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
	bool read = false;
	bool write = false;
	bool atomic = false;
	bool null = false;
	flush_ledger::clock born = 0;

	bool covers(std::uint64_t at) const { return lg2 && at >> lg2 == va >> lg2; }
};

struct table_link {
	std::uint64_t word = 0;
	flush_ledger::clock born = 0;
};

class tlb {
public:
	const translation *find(std::uint64_t va) const;
	// The entry that walks to `va` read as their number `place`, if it led on; nullptr: not known.
	const table_link *find_link(unsigned place, std::uint64_t va) const;

	void keep(const translation &t);
	// An entry for 2^lg2 bytes. Those of one place are for as many.
	void keep_link(unsigned place, unsigned lg2, std::uint64_t va, const table_link &l);

	// Forgets all that meets [start, end), which is not empty.
	void drop(std::uint64_t start, std::uint64_t end);
	// Is there anything that meets [start, end) and was found before `begun`? For the check: drop() is not asked.
	bool holds(std::uint64_t start, std::uint64_t end, flush_ledger::clock begun) const;
	void clear();

	static constexpr unsigned places = 8; // entries that lead on, of the longest walk: nv_v3 reads six

private:
	static constexpr unsigned sizes = 58; // of blocks: none is larger than an address space

	struct links_at {
		unsigned lg2 = 0;
		std::map<std::uint64_t, table_link> words;
	};

	std::array<std::map<std::uint64_t, translation>, sizes> pages_; // by lg2
	std::array<links_at, places> links_;
};

} // namespace svgpu
