// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workloads over data that malloc built and that holds together by pointers
 * alone. What it must become is kept apart, by index, and never followed
 * through the pointers that the GPU sees.
 */
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "workload.hpp"

namespace svmctl {

namespace {

constexpr std::chrono::seconds job_limit{120};
constexpr std::size_t hook_every = 512;

struct free_memory {
	void operator()(void *memory) const { std::free(memory); }
};

template <typename T>
using malloced = std::unique_ptr<T, free_memory>;

template <typename T>
malloced<T> allocate(std::size_t size)
{
	void *memory = std::malloc(size);
	if (!memory)
		throw std::bad_alloc();
	return malloced<T>(static_cast<T *>(memory));
}

// Numbers that the seed decides.
class stream {
public:
	explicit stream(bytes seed) : seed_(seed) {}
	std::uint64_t next()
	{
		// multiply and mix per byte: neighbouring bytes give numbers far apart
		state_ = (state_ ^ std::to_integer<std::uint64_t>(seed_[at_])) * 0x9e3779b97f4a7c15ull + 0x632be5ab;
		at_ = (at_ + 1) % seed_.size();
		return state_ >> 24;
	}

private:
	bytes seed_;
	std::size_t at_ = 0;
	std::uint64_t state_ = 0x123456789abcdefull;
};

struct list_node {
	std::uint64_t tag; // its index; the GPU must leave it alone
	list_node *next;
	std::uint64_t value;
};

struct list {
	std::vector<malloced<list_node>> nodes;
	std::vector<std::size_t> order; // of the walk
	std::vector<std::uint64_t> first; // values as built, by index
	std::array<std::uint64_t, 2> result{};
};

constexpr std::uint64_t addend = 1000003;

std::shared_ptr<list> build_list(bytes seed, std::size_t count, const between &hook)
{
	auto own = std::make_shared<list>();
	stream random(seed);
	for (std::size_t i = 0; i < count; i++) {
		// of many sizes, so that nodes share pages and straddle nothing in step
		auto node = allocate<list_node>(sizeof(list_node) + random.next() % 96);
		*node = {i, nullptr, random.next()};
		own->first.push_back(node->value);
		own->nodes.push_back(std::move(node));
		if (hook && i % hook_every == 0)
			hook();
	}
	own->order.resize(count);
	std::iota(own->order.begin(), own->order.end(), 0);
	for (std::size_t i = count; i > 1; i--)
		std::swap(own->order[i - 1], own->order[random.next() % i]);
	for (std::size_t i = 0; i + 1 < count; i++)
		own->nodes[own->order[i]]->next = own->nodes[own->order[i + 1]].get();
	return own;
}

verdict check_list(const list &own, unsigned passes)
{
	std::uint64_t sum = 0;
	for (std::size_t i = 0; i < own.nodes.size(); i++) {
		const list_node &node = *own.nodes[i];
		std::uint64_t want = own.first[i] + passes * addend;
		if (node.value != want)
			return {false, fmt::format("node {}: {}, not {}", i, node.value, want)};
		if (node.tag != i)
			return {false, fmt::format("node {}: overwritten", i)};
		sum += want;
	}
	for (std::size_t i = 0; i < own.order.size(); i++) {
		const list_node *next = i + 1 < own.order.size() ? own.nodes[own.order[i + 1]].get() : nullptr;
		if (own.nodes[own.order[i]]->next != next)
			return {false, fmt::format("node {}: link overwritten", own.order[i])};
	}
	if (own.result[0] != own.nodes.size() || own.result[1] != sum)
		return {false, fmt::format("result {} nodes, sum {}, not {}, {}", own.result[0], own.result[1],
					   own.nodes.size(), sum)};
	return {true, fmt::format("{} nodes", own.nodes.size())};
}

struct graph {
	std::vector<malloced<svmirror::bfs_node>> nodes;
	std::vector<malloced<std::uint64_t>> edges;
	std::vector<std::vector<std::uint32_t>> neighbours; // the same by index, for the CPU
	std::vector<std::uint64_t> scratch;
	std::uint64_t visited = 0;
};

std::shared_ptr<graph> build_graph(bytes seed, std::size_t count, const between &hook)
{
	auto own = std::make_shared<graph>();
	stream random(seed);
	for (std::size_t i = 0; i < count; i++) {
		own->nodes.push_back(allocate<svmirror::bfs_node>(sizeof(svmirror::bfs_node)));
		// 0 too: some nodes are dead ends, but not the root
		std::size_t degree = i ? random.next() % 6 : 5;
		own->edges.push_back(allocate<std::uint64_t>((degree + 1) * sizeof(std::uint64_t)));
		auto &out = own->neighbours.emplace_back(degree);
		for (std::uint32_t &to : out)
			to = static_cast<std::uint32_t>(random.next() % count);
		if (hook && i % hook_every == 0)
			hook();
	}
	for (std::size_t i = 0; i < count; i++) {
		const auto &out = own->neighbours[i];
		*own->nodes[i] = {svmirror::address(own->edges[i].get()), static_cast<std::uint32_t>(out.size()),
				  SVMIRROR_UNVISITED};
		for (std::size_t j = 0; j < out.size(); j++)
			own->edges[i].get()[j] = svmirror::address(own->nodes[out[j]].get());
	}
	own->scratch.resize(count);
	return own;
}

std::vector<std::uint32_t> levels_by_cpu(const graph &own)
{
	std::vector<std::uint32_t> level(own.nodes.size(), SVMIRROR_UNVISITED);
	std::vector<std::uint32_t> queue{0};
	level[0] = 0;
	for (std::size_t head = 0; head < queue.size(); head++)
		for (std::uint32_t to : own.neighbours[queue[head]])
			if (level[to] == SVMIRROR_UNVISITED) {
				level[to] = level[queue[head]] + 1;
				queue.push_back(to);
			}
	return level;
}

verdict check_graph(const graph &own)
{
	std::vector<std::uint32_t> want = levels_by_cpu(own);
	std::uint64_t reached = 0;
	for (std::size_t i = 0; i < want.size(); i++) {
		if (own.nodes[i]->level != want[i])
			return {false, fmt::format("node {}: level {}, not {}", i, own.nodes[i]->level, want[i])};
		reached += want[i] != SVMIRROR_UNVISITED;
	}
	if (own.visited != reached)
		return {false, fmt::format("{} nodes visited, not {}", own.visited, reached)};
	return {true, fmt::format("{} of {} nodes", reached, want.size())};
}

} // namespace

workload make_list(bytes seed, std::size_t nodes, const between &hook)
{
	auto own = build_list(seed, nodes, hook);
	return {
		"list", nodes * sizeof(list_node),
		[own](std::span<svmirror::queue> queues) {
			// a list is walked from its head: one queue, and one more node than there is as the limit
			queues[0]
				.list_walk(own->nodes[own->order[0]].get(), offsetof(list_node, next),
					   offsetof(list_node, value), addend, own->nodes.size() + 1, own->result)
				.wait(job_limit);
		},
		[own](unsigned passes) { return check_list(*own, passes); },
	};
}

workload make_graph(bytes seed, std::size_t nodes, const between &hook)
{
	auto own = build_graph(seed, nodes, hook);
	std::size_t size = nodes * sizeof(svmirror::bfs_node);
	for (const auto &out : own->neighbours)
		size += out.size() * sizeof(std::uint64_t);
	return {
		"bfs", size,
		[own](std::span<svmirror::queue> queues) {
			// the CPU resets what the GPU wrote in the pass before
			for (const auto &node : own->nodes)
				node->level = SVMIRROR_UNVISITED;
			own->visited = 0;
			queues.back().bfs(*own->nodes[0], own->visited, own->scratch).wait(job_limit);
		},
		[own](unsigned) { return check_graph(*own); },
	};
}

} // namespace svmctl
