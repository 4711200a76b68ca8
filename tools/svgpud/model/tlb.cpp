// SPDX-License-Identifier: GPL-2.0-only
// One ordered map per size, keyed by the number of the block, so that dropping a range is one erase in each.
#include "model/tlb.hpp"

namespace svgpu {

const translation *tlb::find(std::uint64_t va) const
{
	for (std::size_t i = 0; i < pages_.size(); ++i) {
		auto it = pages_[i].find(va >> page_lg2[i]);

		if (it != pages_[i].end())
			return &it->second;
	}
	return nullptr;
}

const table_pointer *tlb::find_table(std::uint64_t va) const
{
	for (std::size_t i = 0; i < tables_.size(); ++i) {
		auto it = tables_[i].find(va >> table_lg2[i]);

		if (it != tables_[i].end())
			return &it->second;
	}
	return nullptr;
}

void tlb::keep(const translation &t)
{
	for (std::size_t i = 0; i < pages_.size(); ++i) {
		if (page_lg2[i] == t.lg2)
			pages_[i].emplace(t.va >> t.lg2, t);
	}
}

void tlb::keep_table(std::uint64_t va, const table_pointer &t)
{
	tables_[t.level].emplace(va >> table_lg2[t.level], t);
}

namespace {

template <class Map> void drop_blocks(Map &map, unsigned lg2, std::uint64_t start, std::uint64_t end)
{
	map.erase(map.lower_bound(start >> lg2), map.upper_bound((end - 1) >> lg2));
}

} // namespace

void tlb::drop(std::uint64_t start, std::uint64_t end)
{
	for (std::size_t i = 0; i < pages_.size(); ++i)
		drop_blocks(pages_[i], page_lg2[i], start, end);
	for (std::size_t i = 0; i < tables_.size(); ++i)
		drop_blocks(tables_[i], table_lg2[i], start, end);
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
	for (std::size_t i = 0; i < pages_.size(); ++i) {
		if (holds_older(pages_[i], page_lg2[i], start, end, begun))
			return true;
	}
	for (std::size_t i = 0; i < tables_.size(); ++i) {
		if (holds_older(tables_[i], table_lg2[i], start, end, begun))
			return true;
	}
	return false;
}

void tlb::clear()
{
	for (auto &map : pages_)
		map.clear();
	for (auto &map : tables_)
		map.clear();
}

} // namespace svgpu
