// SPDX-License-Identifier: GPL-2.0-only
// Memory for a device under test, and page tables in it. Entries are spelled in plain bits, as the layout's description
// has them: neither the driver's encoder nor the model's decoder is used to make them.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/physical.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>

namespace svgpu::test {

using u64 = std::uint64_t;

constexpr u64 kib = 1024;
constexpr u64 mib = 1024 * kib;
constexpr u64 gib = 1024 * mib;
constexpr u64 page = 4 * kib;

// Bits of an entry.
constexpr u64 PRESENT = 1u << 0;
constexpr u64 RW = 1u << 1;
constexpr u64 PDE_64K = 1u << 6;
constexpr u64 PS = 1u << 7;
constexpr u64 PS64 = 1u << 8;
constexpr u64 NIL = 1u << 9;
constexpr u64 AE = 1u << 10;
constexpr u64 DM = 1u << 11;

class block {
public:
	explicit block(std::size_t bytes)
		: bytes_(bytes)
		, memory_(static_cast<std::byte *>(std::aligned_alloc(page, bytes)), std::free)
	{
		if (!memory_)
			throw std::bad_alloc();
		std::memset(memory_.get(), 0, bytes);
	}

	std::span<std::byte> all() { return { memory_.get(), bytes_ }; }

private:
	std::size_t bytes_;
	std::unique_ptr<std::byte, void (*)(void *)> memory_;
};

class memory_rig {
public:
	static constexpr std::size_t ram_bytes = 8 * mib;
	static constexpr std::size_t bar_bytes = 8 * mib;

	std::span<std::byte> ram() { return ram_.all(); }
	std::span<std::byte> bar() { return bar_.all(); }
	std::span<std::byte> vram() { return bar().subspan(SVGPU_VRAM_OFFSET); }
	std::span<std::byte> aperture(unsigned which) { return which == SVGPU_VRAM ? vram() : ram(); }

	// Fresh memory, aligned to its own size if that is a power of two.
	u64 take(std::size_t bytes, unsigned which = SVGPU_SYSTEM)
	{
		u64 &next = next_[which];
		u64 at = (next + bytes - 1) / bytes * bytes;

		if (at + bytes > aperture(which).size())
			throw std::runtime_error("the rig is out of memory");
		next = at + bytes;
		return at;
	}

	template <class T> T *at(u64 address, unsigned which = SVGPU_SYSTEM)
	{
		return reinterpret_cast<T *>(aperture(which).data() + address);
	}

	// As a driver writes entries: the device may be walking.
	void put(u64 address, unsigned which, u64 word)
	{
		std::atomic_ref<u64>(*at<u64>(address, which)).store(word, std::memory_order_release);
	}

	u64 get(u64 address, unsigned which)
	{
		return std::atomic_ref<u64>(*at<u64>(address, which)).load(std::memory_order_acquire);
	}

private:
	block ram_{ ram_bytes };
	block bar_{ bar_bytes };
	std::array<u64, 2> next_{ page, page };
};

// A tree of tables. Where it needs a table on its way it makes one, linked RW.
class tables {
public:
	explicit tables(memory_rig &rig, unsigned aperture = SVGPU_SYSTEM)
		: rig_(rig)
		, aperture_(aperture)
		, root_(new_table())
	{
	}

	u64 root() const { return root_; }
	unsigned aperture() const { return aperture_; }

	static unsigned shift(unsigned level) { return 12 + 9 * level; }

	// Where the entry for `va` in the table of this level lies; the tables above are made if need be.
	u64 entry(u64 va, unsigned level, u64 link_bits = PRESENT | RW)
	{
		u64 table = root_;

		for (unsigned l = 3; l > level; --l) {
			u64 at = table + (va >> shift(l)) % 512 * 8;
			u64 word = rig_.get(at, aperture_);

			if (!word) {
				word = new_table() | link_bits | (aperture_ == SVGPU_VRAM ? DM : 0);
				rig_.put(at, aperture_, word);
			}
			table = word & 0x000ffffffffff000;
		}
		return table + (va >> shift(level)) % 512 * 8;
	}

	void set(u64 va, unsigned level, u64 word) { rig_.put(entry(va, level), aperture_, word); }

	void map(u64 va, u64 address, u64 bits = PRESENT | RW | AE) { set(va, 0, address | bits); }
	void unmap(u64 va) { set(va, 0, 0); }

	// Fresh pages for [va, va + bytes), not contiguous: neighbours lie in descending order.
	void map_fresh(u64 va, u64 bytes, u64 bits = PRESENT | RW | AE)
	{
		for (u64 at = (va + bytes - 1) & ~(page - 1); at + page > va; at -= page)
			map(at, rig_.take(page), bits);
	}

	u64 new_table()
	{
		u64 table = rig_.take(page, aperture_);

		std::memset(rig_.at<std::byte>(table, aperture_), 0, page);
		return table;
	}

	// The host's own view of a virtual address that map() mapped in system memory.
	template <class T> T *look(u64 va)
	{
		u64 word = rig_.get(entry(va, 0), aperture_);

		return rig_.at<T>((word & 0x000ffffffffff000) + va % page);
	}

	void write(u64 va, std::span<const std::byte> from)
	{
		for (std::size_t i = 0; i < from.size(); ++i)
			*look<std::byte>(va + i) = from[i];
	}

	void read(u64 va, std::span<std::byte> to)
	{
		for (std::size_t i = 0; i < to.size(); ++i)
			to[i] = *look<std::byte>(va + i);
	}

private:
	memory_rig &rig_;
	unsigned aperture_;
	u64 root_;
};

} // namespace svgpu::test
