/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cooperative scheduler: fibers that run one at a time, and a seed that decides who is next.
 *
 * Every point() is a step. There the running fiber may be exchanged for another, be stalled
 * for a while (as a thread is that lost its CPU at the worst moment), and stores that sit in
 * some fiber's store buffer may become visible. Nothing else changes between two steps, so
 * the same seed and the same program give the same run: trace() tells whether they did.
 *
 * The store buffers give the core's atomics the order that they name and no more: relaxed
 * stores reach the others late and out of order, a release store after all before it, and a
 * full barrier after everything. Loads may return older stores: see weak_memory.hpp. Page table
 * entries sit in buffers of their own, as those of write-combining memory do: publish() empties the caller's, and
 * nothing else does, though an entry may reach memory earlier. Plain loads and stores are
 * not delayed: those are ThreadSanitizer's part.
 *
 * Time is counted in steps; where everybody sleeps it jumps.
 */
#ifndef SVM_TESTS_SIM_SCHEDULER_HPP
#define SVM_TESTS_SIM_SCHEDULER_HPP

#include "tests/sim/weak_memory.hpp"

#include <svm/types.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace svm_sim
{

struct fiber;

/* Those who wait for one thing. */
struct wait_queue {
	std::vector<fiber *> waiting;
};

/* For own(): a number for each kind of data. */
unsigned next_kind();

class scheduler
{
public:
	explicit scheduler(u64 seed);
	~scheduler();
	scheduler(const scheduler &) = delete;

	/* Runs fn as the first fiber, and all that it starts, to their end. */
	void run(std::function<void()> fn);

	/* The one whose fiber is running; nullptr: none is. */
	static scheduler *here();

	fiber *start(std::function<void()> fn);
	void join(fiber *f);

	void point();
	/* In a loop that waits for others: somebody else runs now if anybody can. */
	void give_way();
	void sleep(u64 steps);
	void wait(wait_queue &q);
	/* Likewise, at most for so long. */
	void wait_for(wait_queue &q, u64 steps);
	void wake(wait_queue &q);

	/* One of n, by the seed. */
	u64 draw(u64 n);

	u64 steps() const
	{
		return steps_;
	}
	u64 trace() const
	{
		return trace_;
	}

	/* Calls fn as one who only looks: here() is nullptr meanwhile, so that nothing in it waits or is a step. */
	void watch(const std::function<void()> &fn);
	/* Watched on each step. */
	std::function<void()> on_step;
	/* Nobody can ever run again, or the run does not end: what is the matter. Must not return. */
	std::function<void(const std::string &why)> on_hang;
	/* As a bound for what should end by itself. */
	u64 max_steps = ~0ull;

	/* ---- the core's atomics, for atomic.hpp: a value's bits ---- */
	u64 load(const void *at, u32 bytes, bool acquire);
	void store(void *at, u64 value, u32 bytes, bool release);
	/* Always of the newest store. Returns what it replaced; fn's answer takes its place, or nothing does. */
	u64 change(void *at, u32 bytes, bool acquire, bool release, const std::function<bool(u64 was, u64 *becomes)> &fn);
	void full_barrier();
	/* All that the running fiber stored has reached memory. */
	void drain();
	void forget(const void *at, size_t bytes)
	{
		memory_.forget(at, bytes);
	}

	/* ---- what else orders: the running fiber releases a lock, or acquires it after the fiber that released it ---- */
	void released(const void *what);
	void acquired(const void *what);

	/* ---- entries of page tables, for formats.hpp and publish() ---- */
	u64 load_entry(const u64 *at) const;
	void store_entry(u64 *at, u64 value);
	void publish();

	/* The running fiber's: the same in each run of a seed. */
	unsigned number() const;
	/* The running fiber's own data, by kind. */
	std::shared_ptr<void> &own(unsigned kind);

private:
	friend struct fiber;

	void step();
	void drain_somebody();
	void drain_one(fiber &f);
	void drain_entry(fiber &f);
	void carry_out(fiber &f, size_t i);
	bool buffered(const void *at, u64 *value) const;
	void wake_sleepers();
	fiber *choose();
	void change_to(fiber *next);
	void leave();
	void park();
	static void enter();

	std::mt19937_64 random_;
	u64 steps_ = 0;
	u64 time_ = 0;
	u64 trace_ = 0;
	unsigned change_in_; /* a step changes over once in so many */
	unsigned stall_in_;
	unsigned store_in_; /* and a buffered store becomes visible */
	unsigned stale_in_; /* a load may return an older store once in so many */
	u64 unseen_for_; /* steps, at most */
	weak_memory memory_;
	u64 started_ = 0;
	fiber *running_ = nullptr;
	bool watching_ = false;
	std::vector<std::unique_ptr<fiber>> fibers_;
	std::vector<fiber *> ready_;
	std::set<std::pair<u64, u64>> asleep_; /* until when, whose number */
	std::vector<std::unique_ptr<char[]>> stacks_; /* for the next ones */
	fiber *done_ = nullptr; /* ended, still on its stack */
	struct outside;
	std::unique_ptr<outside> outside_;
};

} // namespace svm_sim

#endif
