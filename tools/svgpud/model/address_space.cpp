// SPDX-License-Identifier: GPL-2.0-only
// The walk: the format's walker on memory, with the links that the TLB knows, and keeping what it finds on its way.
#include "model/address_space.hpp"

#include "mmu/mmu.h"
#include "model/ring.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace svgpu {
namespace {

constexpr std::size_t smallest_root = 4096;

static_assert(unsigned{ MMU_SYSTEM } == SVGPU_SYSTEM && unsigned{ MMU_VRAM } == SVGPU_VRAM);

// What the walker reads, and from where.
class walk_reader {
public:
	walk_reader(const physical &memory, const tlb &known, std::uint64_t va)
		: memory_(memory)
		, tlb_(known)
		, va_(va)
	{
	}

	mmu_memory functions() { return { .read = read, .context = this, .kept = kept }; }

	// Entries that led on and were not known.
	void keep_links(std::uint32_t links, flush_ledger::clock now, tlb &to) const
	{
		for (unsigned n = 0; n < tlb::places; ++n) {
			if ((links >> n & 1) && words_[n].fresh)
				to.keep_link(n, words_[n].lg2, va_, { words_[n].word, now });
		}
	}

	// Of the known links that the walk used, the one for the smallest block.
	const table_link *nearest() const { return nearest_; }
	unsigned nearest_lg2() const { return nearest_lg2_; }
	std::uint64_t last() const { return last_; } // bus address of the entry that was read last
	std::optional<std::uint64_t> outside() const { return outside_; } // of the first one that lies nowhere

private:
	static bool kept(void *self, u32 n, u32 lg2, ::u64 *entry)
	{
		auto &r = *static_cast<walk_reader *>(self);

		r.now_ = n;
		if (n < tlb::places)
			r.words_[n].lg2 = lg2;
		if (const table_link *link = r.tlb_.find_link(n, r.va_)) {
			r.nearest_ = link;
			r.nearest_lg2_ = lg2;
			*entry = link->word;
			return true;
		}
		return false;
	}

	static ::u64 read(void *self, ::u64 address, u32 aperture)
	{
		auto &r = *static_cast<walk_reader *>(self);
		std::byte *entry = address % sizeof(::u64) ? nullptr : r.memory_.at(aperture, address, sizeof(::u64));

		r.last_ = address;
		if (!entry) {
			if (!r.outside_)
				r.outside_ = address;
			return 0;
		}

		// Acquire: pairs with the driver's release when it links a table: the table's content is there too.
		std::uint64_t word = shared_word<std::uint64_t>(entry).load(std::memory_order_acquire);

		if (r.now_ < tlb::places) {
			r.words_[r.now_].word = word;
			r.words_[r.now_].fresh = true;
		}
		return word;
	}

	struct entry {
		std::uint64_t word = 0;
		unsigned lg2 = 0;
		bool fresh = false;
	};

	const physical &memory_;
	const tlb &tlb_;
	const std::uint64_t va_;
	std::array<entry, tlb::places> words_;
	unsigned now_ = 0;
	const table_link *nearest_ = nullptr;
	unsigned nearest_lg2_ = 0;
	std::uint64_t last_ = 0;
	std::optional<std::uint64_t> outside_;
};

} // namespace

bool address_space::set_root(std::uint64_t address, unsigned aperture)
{
	if (address % smallest_root || !memory_.at(aperture, address, smallest_root))
		return false;
	gate.close();
	{
		std::lock_guard hold(lock_);

		tlb_.clear();
		root_ = address;
		root_aperture_ = aperture;
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

void address_space::set_stopped(bool stopped)
{
	gate.close();
	stopped_ = stopped;
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
	if (access == SVGPU_READ)
		return page.read;
	return page.write && (access == SVGPU_WRITE || page.atomic);
}

translated address_space::translate(std::uint64_t va, svgpu_access access)
{
	if (va >> format_.va_bits)
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
	walk_reader reader(memory_, tlb_, va);
	mmu_memory functions = reader.functions();
	mmu_translation found{};

	format_.walk(&functions, root_, root_aperture_, va, &found);
	if (const table_link *link = reader.nearest()) {
		std::uint64_t start = va >> reader.nearest_lg2() << reader.nearest_lg2();

		check_locked("table", start, start + (1ull << reader.nearest_lg2()), link->born);
	}
	if (reader.outside())
		return { .verdict = verdict::bus, .address = *reader.outside() };
	if (found.what == MMU_MALFORMED)
		return { .verdict = verdict::bus, .address = reader.last() };
	reader.keep_links(found.links, ledger_.now(), tlb_);
	if (found.what == MMU_ABSENT)
		return {};

	translation page = { .va = va >> found.lg2 << found.lg2,
			     .lg2 = found.lg2,
			     .address = found.address,
			     .aperture = found.aperture,
			     .read = found.read,
			     .write = found.write,
			     .atomic = found.atomic,
			     .null = found.null,
			     .born = ledger_.now() };

	tlb_.keep(page);
	return { .verdict = allows(page, access) ? verdict::ok : verdict::fault, .page = page };
}

} // namespace svgpu
