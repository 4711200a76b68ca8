// SPDX-License-Identifier: GPL-2.0-only
// Programs that follow pointers: linked lists and graphs, built in the address space, checked on the CPU.
#include "driver_rig.hpp"
#include "../unit/seeded.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <numeric>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 heap_va = 0x5555'0000'0000;
constexpr u64 result_va = 0x6666'0000'0000;
constexpr u64 scratch_va = 0x7777'0000'0000;

class graph_kernels : public testing::Test {
protected:
	graph_kernels()
	{
		rig.set_up();
		rig.pages.map_fresh(result_va, page);
	}

	u64 &word(u64 va) { return *rig.pages.look<u64>(va); }

	driver_rig rig;
	svm_test::seeded random{ 4711 };
};

class list_walk : public graph_kernels {
protected:
	static constexpr u64 nodes = 500;
	static constexpr u64 node_bytes = 48;
	static constexpr u64 next_offset = 8;
	static constexpr u64 value_offset = 24;

	// Nodes in random order; returns the head.
	u64 build()
	{
		std::vector<u64> order(nodes);

		rig.pages.map_fresh(heap_va, nodes * node_bytes);
		std::iota(order.begin(), order.end(), 0);
		std::shuffle(order.begin(), order.end(), random);
		for (u64 i = 0; i < nodes; ++i) {
			u64 at = heap_va + order[i] * node_bytes;

			word(at + next_offset) = i + 1 < nodes ? heap_va + order[i + 1] * node_bytes : 0;
			word(at + value_offset) = order[i] * 3;
		}
		return heap_va + order[0] * node_bytes;
	}

	svgpu_done walk(u64 head, u64 addend, u64 limit)
	{
		return rig.run(SVGPU_KERNEL_LIST_WALK, { head, next_offset, value_offset, addend, limit, result_va });
	}
};

TEST_F(list_walk, adds_and_sums)
{
	u64 head = build();
	u64 sum = 0;

	EXPECT_EQ(walk(head, 1000, nodes).status, unsigned{ SVGPU_DONE_OK });
	for (u64 i = 0; i < nodes; ++i) {
		EXPECT_EQ(word(heap_va + i * node_bytes + value_offset), i * 3 + 1000);
		sum += i * 3 + 1000;
	}
	EXPECT_EQ(word(result_va), nodes);
	EXPECT_EQ(word(result_va + 8), sum);
}

TEST_F(list_walk, empty_list)
{
	word(result_va) = 99;
	EXPECT_EQ(walk(0, 1, 10).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(word(result_va), 0u);
}

TEST_F(list_walk, one_node_too_many)
{
	EXPECT_EQ(walk(build(), 1, nodes - 1).status, unsigned{ SVGPU_DONE_LIMIT });
}

TEST_F(list_walk, cycle_ends_at_the_limit)
{
	u64 head = build();

	word(head + next_offset) = head;
	EXPECT_EQ(walk(head, 1, 12345).status, unsigned{ SVGPU_DONE_LIMIT });
	EXPECT_EQ((word(head + value_offset) - 12345) % 3, 0u);
}

TEST_F(list_walk, misaligned_node)
{
	u64 head = build();

	EXPECT_EQ(walk(head + 1, 1, 10).status, unsigned{ SVGPU_DONE_INVALID });
}

TEST_F(list_walk, wild_pointer_fails_with_its_address)
{
	u64 head = build();
	svgpu_done done;

	word(head + next_offset) = 0xdead'0000;
	rig.submit(SVGPU_KERNEL_LIST_WALK, { head, next_offset, value_offset, 1, 10, result_va });
	done = rig.serve_until_done([](const svgpu_fault &) { return false; });
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_FAULT });
	EXPECT_EQ(done.va, 0xdead'0000u + value_offset);
	EXPECT_EQ(done.access, unsigned{ SVGPU_READ });
}

class bfs : public graph_kernels {
protected:
	static constexpr unsigned nodes = 400;

	u64 node_va(unsigned i) { return heap_va + i * sizeof(svgpu_bfs_node); }
	svgpu_bfs_node &node(unsigned i) { return *rig.pages.look<svgpu_bfs_node>(node_va(i)); }

	// A random graph. Each node of the first quarter leads to the next one, so that more than a quarter is visited
	// whatever the seed; no edge leads to the last tenth.
	void build()
	{
		u64 edges = heap_va + page * 4;

		rig.pages.map_fresh(heap_va, 64 * page);
		rig.pages.map_fresh(scratch_va, nodes * 8);
		neighbours.resize(nodes);
		for (unsigned i = 0; i < nodes; ++i) {
			bool first_quarter = i < nodes / 4;
			unsigned degree = (random() % 20 ? random() % 4 : 150) + first_quarter;

			node(i) = { edges, degree, ~0u };
			for (unsigned e = 0; e < degree; ++e) {
				neighbours[i].push_back(first_quarter && !e ? i + 1 : random() % (nodes * 9 / 10));
				word(edges) = node_va(neighbours[i].back());
				edges += 8;
			}
		}
	}

	std::vector<unsigned> expected_levels(unsigned &visited)
	{
		std::vector<unsigned> level(nodes, ~0u);
		std::deque<unsigned> queue = { 0 };

		level[0] = 0;
		for (visited = 0; !queue.empty(); ++visited) {
			unsigned at = queue.front();

			queue.pop_front();
			for (unsigned n : neighbours[at]) {
				if (level[n] != ~0u)
					continue;
				level[n] = level[at] + 1;
				queue.push_back(n);
			}
		}
		return level;
	}

	std::vector<std::vector<unsigned>> neighbours;
};

TEST_F(bfs, levels_and_count)
{
	unsigned visited;

	build();

	auto level = expected_levels(visited);

	EXPECT_GT(visited, nodes / 4);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0), result_va, scratch_va, visited }).status,
		  unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(word(result_va), visited);
	for (unsigned i = 0; i < nodes; ++i)
		EXPECT_EQ(node(i).level, level[i]) << i;
}

TEST_F(bfs, scratch_too_small)
{
	unsigned visited;

	build();
	expected_levels(visited);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0), result_va, scratch_va, visited - 1 }).status,
		  unsigned{ SVGPU_DONE_LIMIT });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0), result_va, scratch_va, 0 }).status,
		  unsigned{ SVGPU_DONE_LIMIT });
}

TEST_F(bfs, misaligned_arguments)
{
	build();
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0) + 2, result_va, scratch_va, 1 }).status,
		  unsigned{ SVGPU_DONE_INVALID });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0), result_va + 4, scratch_va, 1 }).status,
		  unsigned{ SVGPU_DONE_INVALID });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_BFS, { node_va(0), result_va, scratch_va + 4, 1 }).status,
		  unsigned{ SVGPU_DONE_INVALID });
}

} // namespace
