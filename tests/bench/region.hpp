// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region that is counted, and that the host writes down on demand. The host sees the addresses of all instructions: where
 * they begin and end to count, two empty functions mark, here and in the module.
 */
#ifndef SVM_TESTS_BENCH_REGION_HPP
#define SVM_TESTS_BENCH_REGION_HPP

#include <cstdint>
#include <string>
#include <utility>
#include <x86intrin.h>

namespace bench {

// From now on the host writes down regions, into a file of this name; with an empty name it does not.
void trace_as(const std::string &name);

// Around a region, outside of what is counted.
class traced {
public:
	traced();
	~traced();
	traced(const traced &) = delete;
	traced &operator=(const traced &) = delete;
};

void mark_begin();
void mark_end();

// What an empty region counts.
std::uint64_t empty_region();

// Instructions of @call.
template <class Call> std::uint64_t counted(Call &&call)
{
	const traced here;

	mark_begin();
	const std::uint64_t begin = __rdtsc();
	std::forward<Call>(call)();
	const std::uint64_t count = __rdtsc() - begin - empty_region();
	mark_end();
	return count;
}

} // namespace bench

#endif
