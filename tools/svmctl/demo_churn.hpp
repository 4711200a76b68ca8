// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread that keeps the address space moving: munmap and mmap, mprotect,
 * MADV_DONTNEED and fork, on the neighbours of the jobs' data and never on the
 * data. It also checks that its own pages hold what they must.
 */
#ifndef SVMCTL_DEMO_CHURN_HPP
#define SVMCTL_DEMO_CHURN_HPP

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "demo_memory.hpp"

namespace svmctl {

struct churn_report {
	std::uint64_t rounds, remaps, protects, discards, forks;
	std::string error; // the first thing that was not as it must be
};

class churn {
public:
	explicit churn(neighbourhood &near);
	~churn();
	// Rounds ended so far; a round meets every page and forks once.
	std::uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }
	churn_report stop();

private:
	void run();
	void round(std::uint64_t number);
	void remap(std::size_t index);
	void protect(std::size_t index);
	void discard(std::size_t index);
	void fork_once();
	void expect(std::size_t index, std::byte value, const char *after);

	neighbourhood &near_; // this thread's alone while it runs
	churn_report report_{};
	// relaxed, both: a count and a request; joining the thread orders the rest
	std::atomic<std::uint64_t> rounds_{0};
	std::atomic<bool> stopping_{false};
	std::thread thread_;
};

} // namespace svmctl

#endif
