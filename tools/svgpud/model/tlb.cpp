// SPDX-License-Identifier: GPL-2.0-only
// One ordered map per size, keyed by the number of the block, so that dropping a range is one erase in each.
#include "model/tlb.hpp"

namespace svgpu {

const translation *tlb::find(std::uint64_t va) const
{
	for (unsigned lg2 = 0; lg2 < sizes; ++lg2) {
		auto it = pages_[lg2].find(va >> lg2);

		if (it != pages_[lg2].end())
			return &it->second;
	}
	return nullptr;
}

const table_link *tlb::find_link(unsigned place, std::uint64_t va) const
{
	if (place >= places)
		return nullptr;

	auto it = links_[place].words.find(va >> links_[place].lg2);

	return it == links_[place].words.end() ? nullptr : &it->second;
}

void tlb::keep(const translation &t)
{
	pages_[t.lg2].emplace(t.va >> t.lg2, t);
}

void tlb::keep_link(unsigned place, unsigned lg2, std::uint64_t va, const table_link &l)
{
	links_[place].lg2 = lg2;
	links_[place].words.emplace(va >> lg2, l);
}

namespace {

template <class Map> void drop_blocks(Map &map, unsigned lg2, std::uint64_t start, std::uint64_t end)
{
	map.erase(map.lower_bound(start >> lg2), map.upper_bound((end - 1) >> lg2));
}

} // namespace

void tlb::drop(std::uint64_t start, std::uint64_t end)
{
	for (unsigned lg2 = 0; lg2 < sizes; ++lg2)
		drop_blocks(pages_[lg2], lg2, start, end);
	for (links_at &l : links_)
		drop_blocks(l.words, l.lg2, start, end);
}

namespace {

template <class Map>
bool holds_older(const Map &map, unsigned lg2, std::uint64_t start, std::uint64_t end, flush_ledger::clock begun)
{
	auto it = map.lower_bound(start >> lg2);

	// One step back is too far by right, and costs nothing.
	if (it != map.begin())
		--it;
	for (; it != map.end() && it->first << lg2 < end; ++it) {
		if ((it->first + 1) << lg2 > start && it->second.born < begun)
			return true;
	}
	return false;
}

} // namespace

bool tlb::holds(std::uint64_t start, std::uint64_t end, flush_ledger::clock begun) const
{
	for (unsigned lg2 = 0; lg2 < sizes; ++lg2) {
		if (holds_older(pages_[lg2], lg2, start, end, begun))
			return true;
	}
	for (const links_at &l : links_) {
		if (holds_older(l.words, l.lg2, start, end, begun))
			return true;
	}
	return false;
}

void tlb::clear()
{
	for (auto &map : pages_)
		map.clear();
	for (links_at &l : links_)
		l.words.clear();
}

} // namespace svgpu
