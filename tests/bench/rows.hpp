// SPDX-License-Identifier: GPL-2.0-only
/* The rows of the benchmark: each one piece of work, done by a process and a device that shares its memory. */
#ifndef SVM_TESTS_BENCH_ROWS_HPP
#define SVM_TESTS_BENCH_ROWS_HPP

#include <cstdint>
#include <vector>

#include "contender.hpp"

namespace bench {

// Of the process's own system calls, and of the device's faults. A row of bytes has them in @device.
struct cost {
	std::uint64_t process;
	std::uint64_t device;
};

struct row {
	const char *id;
	const char *title;
	const char *unit;    // what one figure is of
	std::uint64_t units; // that are in one turn
	unsigned turns;
	unsigned warm_ups;   // turns before them that do not count
	bool added;	     // of the process's calls only what they cost more than without a device
	cost (*turn)(const device &gpu);
};

const std::vector<row> &rows();

} // namespace bench

#endif
