// SPDX-License-Identifier: GPL-2.0-only
// Programs that follow pointers. What the memory says is not to be trusted: a cycle ends at the limit, a pointer into
// nowhere ends in a fault, a misaligned one in SVGPU_DONE_INVALID.
#include "model/kernels.hpp"

#include <algorithm>
#include <array>

namespace svgpu::kernels {

void list_walk(memory_view &view, program_args args)
{
	auto [node, next_offset, value_offset, addend, limit, result] =
		std::array{ args[0], args[1], args[2], args[3], args[4], args[5] };
	std::uint64_t nodes = 0;
	std::uint64_t total = 0;

	view.need_aligned(result, sizeof(std::uint64_t));
	while (node) {
		if (nodes == limit)
			throw job_ended{ SVGPU_DONE_LIMIT, node };

		std::uint64_t value = view.load<std::uint64_t>(node + value_offset) + addend;

		view.store(node + value_offset, value);
		total += value;
		++nodes;
		node = view.load<std::uint64_t>(node + next_offset);
	}
	view.store(result, nodes);
	view.store(result + sizeof(std::uint64_t), total);
}

namespace {

constexpr std::uint64_t word = sizeof(std::uint64_t);
constexpr std::uint32_t unvisited = ~0u;

// Every visited node takes one slot of the scratch queue, in the order of the visit.
class visit_queue {
public:
	visit_queue(memory_view &view, std::uint64_t base, std::uint64_t capacity)
		: view_(view)
		, base_(base)
		, capacity_(capacity)
	{
	}

	void visit(std::uint64_t node, std::uint32_t level)
	{
		if (pushed_ == capacity_)
			throw job_ended{ SVGPU_DONE_LIMIT, node };
		view_.store(node + offsetof(svgpu_bfs_node, level), level);
		view_.store(base_ + pushed_++ * word, node);
	}

	bool empty() const { return popped_ == pushed_; }
	std::uint64_t take() { return view_.load<std::uint64_t>(base_ + popped_++ * word); }
	std::uint64_t visited() const { return pushed_; }

private:
	memory_view &view_;
	std::uint64_t base_;
	std::uint64_t capacity_;
	std::uint64_t pushed_ = 0;
	std::uint64_t popped_ = 0;
};

void visit_neighbours(memory_view &view, visit_queue &queue, std::uint64_t node)
{
	std::uint64_t edges = view.load<std::uint64_t>(node + offsetof(svgpu_bfs_node, edges));
	std::uint64_t left = view.load<std::uint32_t>(node + offsetof(svgpu_bfs_node, degree));
	std::uint32_t level = view.load<std::uint32_t>(node + offsetof(svgpu_bfs_node, level));
	std::array<std::uint64_t, 64> batch;

	view.need_span(edges, left, word);
	view.need_aligned(edges, word);
	while (left) {
		auto now = std::span(batch).first(std::min<std::uint64_t>(left, batch.size()));

		view.read(edges, std::as_writable_bytes(now));
		for (std::uint64_t neighbour : now) {
			if (view.load<std::uint32_t>(neighbour + offsetof(svgpu_bfs_node, level)) == unvisited)
				queue.visit(neighbour, level + 1);
		}
		edges += now.size_bytes();
		left -= now.size();
	}
}

} // namespace

void bfs(memory_view &view, program_args args)
{
	auto [root, visited_count, scratch, capacity] = std::array{ args[0], args[1], args[2], args[3] };
	visit_queue queue(view, scratch, capacity);

	view.need_span(scratch, capacity, word);
	view.need_aligned(scratch, word);
	view.need_aligned(visited_count, word);
	queue.visit(root, 0);
	while (!queue.empty())
		visit_neighbours(view, queue, queue.take());
	view.store(visited_count, queue.visited());
}

} // namespace svgpu::kernels
