// SPDX-License-Identifier: GPL-2.0-only
/* Older stores for loads. See weak_memory.hpp. */
#include "tests/sim/weak_memory.hpp"

#include <algorithm>
#include <cstring>

namespace svm_sim
{

static constexpr size_t max_stores = 8; /* of one place */

static bool before(const std::pair<const void *, u64> &entry, const void *place)
{
	return entry.first < place;
}

u64 view::of(const void *place) const
{
	auto it = std::lower_bound(known_.begin(), known_.end(), place, before);

	return it != known_.end() && it->first == place ? it->second : 0;
}

void view::raise(const void *place, u64 stamp)
{
	auto it = std::lower_bound(known_.begin(), known_.end(), place, before);

	if (it != known_.end() && it->first == place)
		it->second = std::max(it->second, stamp);
	else
		known_.insert(it, {place, stamp});
}

void view::join(const view &other)
{
	for (const auto &[place, stamp] : other.known_)
		raise(place, stamp);
}

void view::prune(u64 settled)
{
	std::erase_if(known_, [=](const auto &entry) { return entry.second <= settled; });
}

static u64 read(const void *at, u32 bytes)
{
	u64 value = 0;

	std::memcpy(&value, at, bytes); /* little endian */
	return value;
}

u64 weak_memory::commit(void *at, u64 value, u32 bytes, carried with, u64 step)
{
	auto [it, fresh] = places_.try_emplace(at, place{read(at, bytes), nullptr, {}});
	auto &stores = it->second.stores;

	stores.push_back({++last_, value, std::move(with)});
	if (stores.size() > max_stores) {
		it->second.before = stores.front().value;
		it->second.with = stores.front().with;
		stores.pop_front();
	}
	recent_.push_back({last_, step, at});
	std::memcpy(at, &value, bytes);
	return last_;
}

weak_memory::found weak_memory::newest(const void *at, u32 bytes) const
{
	auto it = places_.find(at);

	if (it == places_.end())
		return {read(at, bytes), 0, nullptr};

	const store &last = it->second.stores.back();

	return {last.value, last.stamp, last.with};
}

weak_memory::found weak_memory::any(const void *at, u32 bytes, const view &by, const std::function<u64(u64)> &pick) const
{
	auto it = places_.find(at);

	if (it == places_.end())
		return {read(at, bytes), 0, nullptr};

	const auto &stores = it->second.stores;
	u64 floor = by.of(at);
	size_t first = 0;

	while (first < stores.size() && stores[first].stamp < floor)
		first++;
	if (first == stores.size()) /* it knows one that is no longer kept */
		first--;

	bool oldest = floor < stores.front().stamp; /* also what was there before all of them */
	u64 n = pick(stores.size() - first + (oldest ? 1 : 0));

	if (n == stores.size() - first)
		return {it->second.before, 0, it->second.with};

	const store &s = stores[stores.size() - 1 - n];

	return {s.value, s.stamp, s.with};
}

void weak_memory::forget(const void *at, size_t bytes)
{
	const void *end = static_cast<const char *>(at) + bytes;

	places_.erase(places_.lower_bound(at), places_.lower_bound(end));
	locks.erase(locks.lower_bound(at), locks.lower_bound(end));
}

u64 weak_memory::settle(u64 step)
{
	while (!recent_.empty() && recent_.front().step <= step) {
		auto it = places_.find(recent_.front().at);

		settled_ = recent_.front().stamp;
		recent_.pop_front();
		if (it == places_.end())
			continue;

		auto &stores = it->second.stores;

		while (!stores.empty() && stores.front().stamp <= settled_) {
			it->second.before = stores.front().value;
			it->second.with = stores.front().with;
			stores.pop_front();
		}
		if (stores.empty())
			places_.erase(it);
	}
	return settled_;
}

} // namespace svm_sim
