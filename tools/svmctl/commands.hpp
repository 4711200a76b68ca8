// SPDX-License-Identifier: GPL-2.0-only
/* The subcommands. Each returns a document with "ok"; print functions show it to people. */
#ifndef SVMCTL_COMMANDS_HPP
#define SVMCTL_COMMANDS_HPP

#include <cstdint>
#include <optional>
#include <string>

#include "output.hpp"

namespace svmctl {

struct run_options {
	std::string kernel;
	std::string input; // empty: numbers of its own
	std::size_t size = 4 << 20; // cas: how many additions per party
	unsigned passes = 1;
	unsigned queues = 1;
	unsigned granule_lg2 = 0;
};

struct faults_options {
	std::optional<std::uint64_t> address; // none: one bad access of each kind
	bool write = false;
};

json info(const svmirror::device &gpu);
// Passes of one kernel, checked by the CPU.
json run(const svmirror::device &gpu, const run_options &options);
// What the counters do: first touch, touch again, after the CPU took a page away.
json stat(const svmirror::device &gpu, const run_options &options);
// Jobs with bad pointers, and what the vm's log says of them.
json faults(const svmirror::device &gpu, const faults_options &options);

void print_run(const json &report);
void print_stat(const json &report);
void print_faults(const json &report);

} // namespace svmctl

#endif
