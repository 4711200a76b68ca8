// SPDX-License-Identifier: GPL-2.0-only
/* On which NUMA node memory lies. */
#ifndef SVM_TESTS_SYSTEM_NODES_HPP
#define SVM_TESTS_SYSTEM_NODES_HPP

#include <algorithm>
#include <span>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include "harness.hpp"

namespace harness {

// How many pages of the memory are present on a node.
inline std::size_t pages_on_node(std::span<std::byte> memory, int node)
{
	std::size_t pages = memory.size() / page;
	std::vector<void *> at(pages);
	std::vector<int> nodes(pages, -1);
	for (std::size_t i = 0; i < pages; i++)
		at[i] = &memory[i * page];
	if (syscall(SYS_move_pages, 0, pages, at.data(), nullptr, nodes.data(), 0))
		return 0;
	return static_cast<std::size_t>(std::count(nodes.begin(), nodes.end(), node));
}

} // namespace harness

#endif
