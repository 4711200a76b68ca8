// SPDX-License-Identifier: GPL-2.0-only
/* The kinds of processes, and one life of each. */
#ifndef SVM_TESTS_CHAOS_PROCESS_HPP
#define SVM_TESTS_CHAOS_PROCESS_HPP

#include <cstdint>
#include <vector>

#include "area.hpp"
#include "board.hpp"

namespace chaos {

struct process_kind {
	const char *name;
	std::vector<backing> backings; // of a worker; empty: see role
	enum { worker, counters, mayflies } role;
	bool limited; // lives under the memory limit
};

const std::vector<process_kind> &process_kinds();

// Lives once and ends the calling process. What it does is decided by seed, index and life.
[[noreturn]] void live(board &shared, slot &out, const process_kind &kind, unsigned index, std::uint64_t seed, unsigned life);

// What a mayfly becomes by exec: it has a few rounds, and in the end its way of ending. Returns the exit status.
int mayfly(char **arguments);

} // namespace chaos

#endif
