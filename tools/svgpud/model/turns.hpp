// SPDX-License-Identifier: GPL-2.0-only
// A fair order of queues that want an engine. Queues come in groups (one for each owner), so that a group of many queues
// gets no more than a group of one:
//
//  - The next turn goes to the group that has the fewest turns now; among those, to the one whose last turn began
//    longest ago.
//  - In a group, turns go round: first come, first served.
//
// Why nothing starves: every turn ends, because the caller ends a turn that is too long while anything waits. So the
// turns of a waiting group end, after which no group has fewer; and each turn of another group moves that group behind.
//
// The caller brings the locking.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>

namespace svgpu {

class turns {
public:
	using group = std::uint32_t;

	bool empty() const { return !waiting_; }

	// The queue does not wait yet.
	void want(group of, unsigned queue)
	{
		find_or_add(of).waiting.push_back(queue);
		++waiting_;
	}

	// The queue wants no turn any more. One that does not wait may be named.
	void forget(group of, unsigned queue)
	{
		auto it = find(of);

		if (it == shares_.end())
			return;
		waiting_ -= std::erase(it->waiting, queue);
		drop_if_unused(it);
	}

	// The queue whose turn begins now; end() ends it.
	std::optional<unsigned> next()
	{
		auto best = shares_.end();

		for (auto it = shares_.begin(); it != shares_.end(); ++it) {
			if (!it->waiting.empty() && (best == shares_.end() || it->under_way < best->under_way))
				best = it;
		}
		if (best == shares_.end())
			return {};

		unsigned queue = best->waiting.front();

		best->waiting.pop_front();
		--waiting_;
		++best->under_way;
		shares_.splice(shares_.end(), shares_, best);
		return queue;
	}

	void end(group of)
	{
		auto it = find(of);

		--it->under_way;
		drop_if_unused(it);
	}

private:
	struct share {
		group of;
		unsigned under_way = 0; // turns
		std::deque<unsigned> waiting;
	};
	using shares = std::list<share>;

	shares::iterator find(group of)
	{
		return std::find_if(shares_.begin(), shares_.end(), [&](const share &s) { return s.of == of; });
	}

	share &find_or_add(group of)
	{
		auto it = find(of);

		return it != shares_.end() ? *it : shares_.emplace_back(share{ .of = of });
	}

	void drop_if_unused(shares::iterator it)
	{
		if (!it->under_way && it->waiting.empty())
			shares_.erase(it);
	}

	shares shares_; // the one whose last turn began longest ago comes first
	std::size_t waiting_ = 0; // queues
};

} // namespace svgpu
