// SPDX-License-Identifier: GPL-2.0-only
// The model's check of itself: what was found before an invalidation began may not be used, nor lie in the TLB, once it
// is acknowledged. It knows nothing of how translations are dropped: a clock counts invalidations that began, each
// translation remembers the clock at its walk, and a map has for every address the latest acknowledged invalidation.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace svgpu {

class flush_ledger {
public:
	using clock = std::uint64_t;

	// Of a translation that is found now.
	clock now() const { return now_; }
	// An invalidation begins; what is found from now on is newer than it.
	clock begin() { return ++now_; }

	// It is acknowledged. Those that began later come later. [start, end) is not empty.
	void acknowledge(std::uint64_t start, std::uint64_t end, clock begun)
	{
		cut(start);
		cut(end);
		flushed_.erase(flushed_.lower_bound(start), flushed_.lower_bound(end));
		flushed_.emplace(start, piece{ end, begun });
	}

	// The latest acknowledged one that meets [start, end), or 0.
	clock latest(std::uint64_t start, std::uint64_t end) const
	{
		auto it = flushed_.upper_bound(start);
		clock found = 0;

		if (it != flushed_.begin() && std::prev(it)->second.end > start)
			--it;
		for (; it != flushed_.end() && it->first < end; ++it)
			found = it->second.begun > found ? it->second.begun : found;
		return found;
	}

private:
	struct piece {
		std::uint64_t end;
		clock begun;
	};

	// No piece reaches across `at`.
	void cut(std::uint64_t at)
	{
		auto it = flushed_.lower_bound(at);

		if (it == flushed_.begin())
			return;
		--it;
		if (it->second.end <= at)
			return;
		flushed_.emplace(at, it->second);
		it->second.end = at;
	}

	clock now_ = 1;
	std::map<std::uint64_t, piece> flushed_; // by start; they do not meet
};

} // namespace svgpu
