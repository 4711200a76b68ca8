// SPDX-License-Identifier: GPL-2.0-only
/*
 * What processes tell the one that watches them: memory that all share, so that
 * the last words of a process that died, or was killed because it hung, remain.
 */
#ifndef SVM_TESTS_CHAOS_BOARD_HPP
#define SVM_TESTS_CHAOS_BOARD_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace chaos {

inline constexpr unsigned max_processes = 8;
inline constexpr unsigned max_threads = 4;

// What is counted over a run, each under its name in count_names.
enum count : unsigned {
	episodes,
	cpu_ops,
	refused_ops, // that the kernel may refuse, and did
	jobs,
	jobs_failed, // with an error that the memory called for
	forks,
	pages_by_device, // that the device read, each word checked
	pages_by_cpu,
	exact_results,
	filled_by_manager,
	lives, // processes that did their share and ended
	device_faults,
	device_retries,
	invalidations,
	leaves_zapped,
	binds,
	count_kinds
};
inline constexpr std::array<const char *, count_kinds> count_names{
	"episodes", "CPU operations", "refused", "jobs", "failed as they must", "forks", "pages read by device", "by CPU",
	"exact results", "filled by manager", "lives", "faults", "retries", "invalidations", "leaves zapped", "binds"};

class slot {
public:
	static constexpr unsigned kept = 40, shown = 30; // of each thread

	void begin(const char *kind, unsigned process, std::uint64_t seed);
	const char *kind() const { return kind_; }

	void add(count what, std::uint64_t n = 1) { counts_[what].fetch_add(n, std::memory_order_relaxed); }
	std::uint64_t get(count what) const { return counts_[what].load(std::memory_order_relaxed); }

	// One line of the history; it also says that the thread is alive.
	void note(unsigned thread, const char *format, ...) __attribute__((format(printf, 3, 4)));
	// Ends the process. The first failure counts.
	[[noreturn]] void fail(unsigned thread, const char *format, ...) __attribute__((format(printf, 3, 4)));
	// As fail(); says also who sleeps where in the kernel.
	[[noreturn]] void fail_hung(unsigned thread, const char *what, std::chrono::seconds limit);
	// For the watcher, about a process that says nothing itself.
	void complain(const std::string &text);
	bool failed() const { return failed_.load(std::memory_order_acquire) == 2; }
	// The failure and what went before it.
	std::string story() const;

	// A thread that waits for nothing is not watched.
	void rest(unsigned thread) { beats_[thread].store(0, std::memory_order_relaxed); }
	// Seconds since the thread that is silent longest said something.
	unsigned silence() const;

private:
	static constexpr std::size_t line_bytes = 112;

	void write_failure(const char *text);

	const char *kind_;
	unsigned process_;
	std::uint64_t seed_;
	// relaxed, all: counts, and hints for a watcher
	std::array<std::atomic<std::uint64_t>, count_kinds> counts_;
	std::array<std::atomic<std::uint64_t>, max_threads> beats_;
	std::array<std::atomic<std::uint64_t>, max_threads> lines_;
	char history_[max_threads][kept][line_bytes];
	std::atomic<int> failed_; // 0; 1: being written; 2: the text below is whole (release, acquire)
	char failure_[1024];
};

struct board {
	std::atomic<bool> stop; // relaxed: a request
	slot slots[max_processes];
};

// Shared by all processes forked from now on.
board &make_board();

} // namespace chaos

#endif
