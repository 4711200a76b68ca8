// SPDX-License-Identifier: GPL-2.0-only
// The walk: from the nearest table that the TLB knows, down to a leaf, keeping what it finds on its way.
#include "model/address_space.hpp"

#include "model/ring.hpp"
#include "model/xe2.hpp"

#include <fmt/format.h>

namespace svgpu {
namespace {

constexpr std::size_t table_bytes = 4096;

std::uint64_t entry_address(const table_pointer &table, std::uint64_t va)
{
	std::uint64_t index = table.compact ? (va >> 16) & 31 : (va >> xe2::shift(table.level)) & 511;

	return table.address + index * sizeof(std::uint64_t);
}

} // namespace

bool address_space::set_root(std::uint64_t address, unsigned aperture)
{
	if (address % table_bytes || !memory_.at(aperture, address, table_bytes))
		return false;
	gate.close();
	{
		std::lock_guard hold(lock_);

		tlb_.clear();
		root_ = { .level = xe2::root_level, .address = address, .aperture = aperture };
	}
	gate.open();
	return true;
}

void address_space::invalidate(std::uint64_t start, std::uint64_t end)
{
	gate.close();
	{
		std::lock_guard hold(lock_);

		tlb_.drop(start, end);
	}
	gate.open();
}

flush_ledger::clock address_space::begin_invalidation()
{
	std::lock_guard hold(lock_);

	return ledger_.begin();
}

void address_space::acknowledge(std::uint64_t start, std::uint64_t end, flush_ledger::clock begun)
{
	std::lock_guard hold(lock_);

	ledger_.acknowledge(start, end, begun);
	if (tlb_.holds(start, end, begun))
		violated_(fmt::format("the TLB holds a part of [{:#x}, {:#x}) after its invalidation", start, end));
	// Release: pairs with acknowledged(): whoever sees the number finds the ledger's entry.
	acknowledged_.fetch_add(1, std::memory_order_release);
}

void address_space::check_locked(const char *what, std::uint64_t start, std::uint64_t end,
				 flush_ledger::clock born) const
{
	if (born < ledger_.latest(start, end))
		violated_(fmt::format("a {} of [{:#x}, {:#x}) is used after its invalidation was acknowledged", what,
				      start, end));
}

void address_space::check(const translation &page)
{
	std::lock_guard hold(lock_);

	check_locked("translation", page.va, page.va + (1ull << page.lg2), page.born);
}

bool address_space::allows(const translation &page, svgpu_access access)
{
	return access == SVGPU_READ || (page.write && (access == SVGPU_WRITE || page.atomic));
}

translated address_space::translate(std::uint64_t va, svgpu_access access)
{
	if (va >> xe2::va_bits)
		return {};

	std::lock_guard hold(lock_);

	if (const translation *page = tlb_.find(va)) {
		check_locked("translation", page->va, page->va + (1ull << page->lg2), page->born);
		return { .verdict = allows(*page, access) ? verdict::ok : verdict::fault, .hit = true, .page = *page };
	}
	return walk(va, access);
}

translated address_space::walk(std::uint64_t va, svgpu_access access)
{
	const table_pointer *known = tlb_.find_table(va);
	table_pointer table = known ? *known : root_;

	if (known)
		check_locked("table", tlb::table_start(va, known->level), tlb::table_end(va, known->level), known->born);

	// At most one round per level: each finds a table of the next lower one, or ends.
	for (;;) {
		std::uint64_t at = entry_address(table, va);
		std::byte *word = memory_.at(table.aperture, at, sizeof(std::uint64_t));

		if (!word)
			return { .verdict = verdict::bus, .address = at };

		// Acquire: pairs with the driver's release when it links a table: the table's content is there too.
		xe2::entry e = xe2::decode(shared_word<std::uint64_t>(word).load(std::memory_order_acquire),
					   table.level, table.compact, va);

		if (e.kind == xe2::kind::absent)
			return {};
		if (e.kind == xe2::kind::reserved)
			return { .verdict = verdict::bus, .address = at };
		if (e.kind == xe2::kind::leaf) {
			translation page = { .va = va >> e.lg2 << e.lg2,
					     .lg2 = e.lg2,
					     .address = e.address,
					     .aperture = e.aperture,
					     .write = e.write && table.write,
					     .atomic = e.atomic,
					     .null = e.null,
					     .born = ledger_.now() };

			tlb_.keep(page);
			return { .verdict = allows(page, access) ? verdict::ok : verdict::fault, .page = page };
		}
		table = { .level = table.level - 1,
			  .address = e.address,
			  .aperture = e.aperture,
			  .compact = e.compact,
			  .write = table.write && e.write,
			  .born = ledger_.now() };
		tlb_.keep_table(va, table);
	}
}

} // namespace svgpu
