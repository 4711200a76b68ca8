// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workloads over flat memory. Work is cut in one piece per queue; pieces start
 * at 64-byte borders, so that queues never write into one cache line.
 */
#include "workload.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

namespace svmctl {

namespace {

constexpr std::chrono::seconds job_limit{120};

struct piece {
	std::size_t begin;
	std::size_t end;
};

// Piece @index of @count of [0, size), in units of @align.
piece cut(std::size_t size, std::size_t index, std::size_t count, std::size_t align)
{
	auto border = [&](std::size_t i) { return i == count ? size : size / count * i / align * align; };
	return {border(index), border(index + 1)};
}

// Starts one job per queue and waits for all of them, also where one fails.
template <typename Start>
void on_each(std::span<svmirror::queue> queues, std::size_t size, std::size_t align, Start start)
{
	std::vector<svmirror::job> jobs;
	for (std::size_t i = 0; i < queues.size(); i++) {
		piece part = cut(size, i, queues.size(), align);
		if (part.begin < part.end)
			jobs.push_back(start(queues[i], part, i));
	}
	std::vector<svmirror::job_result> results;
	for (const svmirror::job &job : jobs)
		results.push_back(job.result(job_limit));
	for (const svmirror::job_result &result : results)
		if (result.status)
			throw std::system_error(-result.status, std::generic_category(),
						fmt::format("job failed at {:#x}", result.va));
}

std::byte fill_value(unsigned pass)
{
	return std::byte(0xa5 ^ pass);
}

} // namespace

workload make_fill(std::span<std::byte> to)
{
	auto pass = std::make_shared<unsigned>(0);
	return {
		"fill", to.size(),
		[to, pass](std::span<svmirror::queue> queues) {
			std::byte value = fill_value(++*pass);
			on_each(queues, to.size(), 64, [&](svmirror::queue &queue, piece part, std::size_t) {
				return queue.fill(to.subspan(part.begin, part.end - part.begin), value);
			});
		},
		[to](unsigned passes) -> verdict {
			auto wrong = std::find_if(to.begin(), to.end(),
						  [&](std::byte b) { return b != fill_value(passes); });
			if (wrong != to.end())
				return {false, fmt::format("byte {} was not filled", wrong - to.begin())};
			return {true, fmt::format("{} bytes", to.size())};
		},
	};
}

// Each pass wipes by the GPU, then copies: a stale byte cannot pass for a copied one.
workload make_copy(std::span<std::byte> to, bytes from)
{
	to = to.first(std::min(to.size(), from.size()));
	from = from.first(to.size());
	return {
		"copy", to.size(),
		[to, from](std::span<svmirror::queue> queues) {
			on_each(queues, to.size(), 64, [&](svmirror::queue &queue, piece part, std::size_t) {
				return queue.fill(to.subspan(part.begin, part.end - part.begin), std::byte{0xee});
			});
			on_each(queues, to.size(), 64, [&](svmirror::queue &queue, piece part, std::size_t) {
				std::size_t length = part.end - part.begin;
				return queue.copy(to.subspan(part.begin, length), from.subspan(part.begin, length));
			});
		},
		[to, from](unsigned) -> verdict {
			auto [wrong, right] = std::mismatch(to.begin(), to.end(), from.begin());
			if (wrong != to.end())
				return {false, fmt::format("byte {}: {:#x}, not {:#x}", wrong - to.begin(), *wrong, *right)};
			return {true, fmt::format("{} bytes", to.size())};
		},
	};
}

workload make_histogram(bytes of)
{
	using bins = std::array<std::uint64_t, 256>;
	auto per_queue = std::make_shared<std::vector<std::unique_ptr<bins>>>();
	return {
		"histogram", of.size(),
		[of, per_queue](std::span<svmirror::queue> queues) {
			while (per_queue->size() < queues.size())
				per_queue->push_back(std::make_unique<bins>());
			on_each(queues, of.size(), 64, [&](svmirror::queue &queue, piece part, std::size_t i) {
				return queue.histogram(of.subspan(part.begin, part.end - part.begin), *(*per_queue)[i]);
			});
		},
		[of, per_queue](unsigned passes) -> verdict {
			bins own{};
			for (std::byte b : of)
				own[std::to_integer<std::size_t>(b)]++;
			for (std::size_t bin = 0; bin < own.size(); bin++) {
				std::uint64_t got = 0;
				for (const auto &part : *per_queue)
					got += (*part)[bin];
				if (got != own[bin] * passes)
					return {false, fmt::format("bin {}: {}, not {}", bin, got, own[bin] * passes)};
			}
			return {true, "256 bins"};
		},
	};
}

workload make_sum(bytes seed)
{
	if (seed.size() < sizeof(std::uint64_t))
		throw std::invalid_argument("sum needs 8 bytes or more");
	struct state {
		std::vector<std::uint64_t> numbers;
		std::vector<std::unique_ptr<std::uint64_t>> results;
	};
	auto own = std::make_shared<state>();
	own->numbers.resize(seed.size() / sizeof(std::uint64_t));
	std::memcpy(own->numbers.data(), seed.data(), own->numbers.size() * sizeof(std::uint64_t));
	return {
		"sum", own->numbers.size() * sizeof(std::uint64_t),
		[own](std::span<svmirror::queue> queues) {
			own->results.clear();
			while (own->results.size() < queues.size())
				own->results.push_back(std::make_unique<std::uint64_t>(0));
			on_each(queues, own->numbers.size(), 8, [&](svmirror::queue &queue, piece part, std::size_t i) {
				std::span<const std::uint64_t> all(own->numbers);
				return queue.sum(all.subspan(part.begin, part.end - part.begin), *own->results[i]);
			});
		},
		[own](unsigned) -> verdict {
			std::uint64_t got = 0, want = 0;
			for (const auto &part : own->results)
				got += *part;
			for (std::uint64_t number : own->numbers)
				want += number;
			if (got != want)
				return {false, fmt::format("{:#x}, not {:#x}", got, want)};
			return {true, fmt::format("{} numbers", own->numbers.size())};
		},
	};
}

// Every step of y = a * x + y rounded to float, on the GPU and here: equal bit by bit.
workload make_saxpy(bytes seed, std::size_t count)
{
	constexpr float a = 1.0009765625f;
	struct state {
		std::vector<float> x, y, first;
	};
	auto own = std::make_shared<state>();
	own->x.resize(count);
	own->y.resize(count);
	for (std::size_t i = 0; i < count; i++) {
		own->x[i] = std::to_integer<int>(seed[i % seed.size()]) / 7.0f - 16.0f;
		own->y[i] = std::to_integer<int>(seed[(i * 3 + 1) % seed.size()]) / 3.0f;
	}
	own->first = own->y;
	return {
		"saxpy", 2 * count * sizeof(float),
		[own](std::span<svmirror::queue> queues) {
			on_each(queues, own->y.size(), 16, [&](svmirror::queue &queue, piece part, std::size_t) {
				std::size_t length = part.end - part.begin;
				return queue.saxpy(a, std::span(own->x).subspan(part.begin, length),
						   std::span(own->y).subspan(part.begin, length));
			});
		},
		[own](unsigned passes) -> verdict {
			for (std::size_t i = 0; i < own->y.size(); i++) {
				float want = own->first[i];
				for (unsigned pass = 0; pass < passes; pass++) {
					float product = a * own->x[i];
					want = product + want;
				}
				if (std::bit_cast<std::uint32_t>(want) != std::bit_cast<std::uint32_t>(own->y[i]))
					return {false, fmt::format("element {}: {}, not {}", i, own->y[i], want)};
			}
			return {true, fmt::format("{} floats", own->y.size())};
		},
	};
}

// The GPU by compare-and-swap and the CPU by its own atomics, on one word at once.
workload make_counter(std::uint64_t times)
{
	struct alignas(64) cell {
		std::uint64_t value = 0;
	};
	auto counter = std::make_shared<cell>();
	auto added = std::make_shared<std::uint64_t>(0);
	return {
		"cas", sizeof(std::uint64_t),
		[counter, added, times](std::span<svmirror::queue> queues) {
			std::vector<svmirror::job> jobs;
			for (svmirror::queue &queue : queues)
				jobs.push_back(queue.cas_add(counter->value, times));
			std::atomic_ref<std::uint64_t> value(counter->value);
			// relaxed: only the sum matters, and result() orders it before check
			for (std::uint64_t i = 0; i < times; i++)
				value.fetch_add(1, std::memory_order_relaxed);
			*added += times * (queues.size() + 1);
			for (const svmirror::job &job : jobs)
				job.wait(job_limit);
		},
		[counter, added](unsigned) -> verdict {
			if (counter->value != *added)
				return {false, fmt::format("{}, not {}", counter->value, *added)};
			return {true, fmt::format("{} additions", *added)};
		},
	};
}

const std::vector<std::string> &workload_names()
{
	static const std::vector<std::string> names = {"fill",	"copy", "histogram", "sum",
						       "saxpy", "list", "bfs",	     "cas"};
	return names;
}

workload make_workload(const std::string &name, bytes seed, std::size_t size)
{
	auto owning = [&](auto make) {
		auto memory = std::make_shared<std::vector<std::byte>>(size);
		workload made = make(std::span<std::byte>(*memory));
		made.check = [memory, inner = std::move(made.check)](unsigned passes) { return inner(passes); };
		return made;
	};
	if (name == "fill")
		return owning([](std::span<std::byte> to) { return make_fill(to); });
	if (name == "copy")
		return owning([&](std::span<std::byte> to) { return make_copy(to, seed); });
	if (name == "histogram")
		return make_histogram(seed);
	if (name == "sum")
		return make_sum(seed);
	if (name == "saxpy")
		return make_saxpy(seed, std::max<std::size_t>(size / (2 * sizeof(float)), 1));
	if (name == "list")
		return make_list(seed, std::max<std::size_t>(size / 64, 1));
	if (name == "bfs")
		return make_graph(seed, std::max<std::size_t>(size / 64, 1));
	if (name == "cas")
		return make_counter(size);
	throw std::invalid_argument("no workload of name " + name);
}

} // namespace svmctl
