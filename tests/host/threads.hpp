/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the simulated machine waits with. Two flavours of one vocabulary: real threads, or the
 * fibers of the seeded scheduler, whose header the build names in SVM_THREADS_HEADER.
 *
 * point() is where another thread may run: the scheduler's chance to change over, nothing
 * between real threads. Each port function has one, and so has each mutex that is taken.
 */
#ifndef SVM_TESTS_HOST_THREADS_HPP
#define SVM_TESTS_HOST_THREADS_HPP

#ifdef SVM_THREADS_HEADER
#include SVM_THREADS_HEADER
#else

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace svm_host
{

using std::condition_variable;
using std::mutex;
using std::thread;

inline void point()
{
}

/* In a loop that waits for another thread. */
inline void give_way()
{
	std::this_thread::yield();
}

inline void sleep_for([[maybe_unused]] std::chrono::microseconds time)
{
#ifdef SVM_HOST_NO_SLEEP
	give_way();
#else
	std::this_thread::sleep_for(time);
#endif
}

/* After so many turns of a loop, with wait_turn() in each, every other thread has had its chance to run. */
constexpr unsigned enough_turns = 3000;

inline void wait_turn(unsigned turn)
{
	if (turn > 100)
		sleep_for(std::chrono::milliseconds(1));
}

/* What the simulated machine's own atomics order, for a scheduler that delays stores; real machines know it by themselves. */
inline void released([[maybe_unused]] const void *what)
{
}

inline void acquired([[maybe_unused]] const void *what)
{
}

/* Memory is given out or given back: what was stored there before says nothing about what is there next. */
inline void forget([[maybe_unused]] const void *at, [[maybe_unused]] unsigned long bytes)
{
}

/* The calling thread's stores to page tables have reached memory. */
inline void publish_entries()
{
}

/* One T of the calling thread's own. */
template <typename T>
T &own()
{
	static thread_local T mine;

	return mine;
}

/* Another one for each thread. */
inline unsigned thread_number()
{
	static std::atomic<unsigned> next{0};
	static thread_local unsigned mine = next.fetch_add(1, std::memory_order_relaxed);

	return mine;
}

} // namespace svm_host

#endif

#endif
