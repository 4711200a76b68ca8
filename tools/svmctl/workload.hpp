// SPDX-License-Identifier: GPL-2.0-only
/*
 * A workload: data of this process, a pass of the GPU over it, and a check by
 * the CPU that knows what the data must be after any number of passes. The data
 * lives as long as the workload; the GPU gets nothing but pointers into it.
 */
#ifndef SVMCTL_WORKLOAD_HPP
#define SVMCTL_WORKLOAD_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <svmirror.hpp>

namespace svmctl {

using bytes = std::span<const std::byte>;

struct verdict {
	bool ok;
	std::string text; // what was checked, or the first difference
};

struct workload {
	std::string name;
	std::uint64_t size; // bytes of data
	// One pass, split over the queues where it can be. Throws if a job fails.
	std::function<void(std::span<svmirror::queue>)> pass;
	// Against the CPU's own result after that many passes.
	std::function<verdict(unsigned passes)> check;
	// What else the vm needs before the first pass; it has it until the pointer is dropped. May be empty.
	std::function<std::shared_ptr<void>(svmirror::vm &)> move_in = {};
};

// Called between allocations of linked data, so that others' memory lies amid it.
using between = std::function<void()>;

workload make_fill(std::span<std::byte> to);
workload make_copy(std::span<std::byte> to, bytes from);
workload make_histogram(bytes of);
workload make_sum(bytes seed);
workload make_saxpy(bytes seed, std::size_t count);
workload make_list(bytes seed, std::size_t nodes, const between &hook = {});
workload make_graph(bytes seed, std::size_t nodes, const between &hook = {});
workload make_counter(std::uint64_t times);

const std::vector<std::string> &workload_names();

// One by name with data of about @size bytes; @seed decides the values (and is the data where it is only read).
workload make_workload(const std::string &name, bytes seed, std::size_t size);

} // namespace svmctl

#endif
