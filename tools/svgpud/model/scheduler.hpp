// SPDX-License-Identifier: GPL-2.0-only
// Queues of jobs, and the engines that run them.
//
//  - Jobs of one queue run one after the other, in order, also where the one before failed.
//  - A job runs while it has an engine, and no two jobs have the same one. It gives the engine up when it ends, while it
//    stalls on a fault or its context is stopped, and when it had the engine for a slice and another queue waits for one.
//  - Engines are given to owners in turn, and to the queues of an owner in turn (turns.hpp).
//  - Each job that submit() took is reported done exactly once, unless drop_all() takes it away in silence.
//  - clear_queue() and clear_context() return when all jobs concerned have ended and were reported, whether they ran,
//    stalled or waited.
//
// A job has a thread of its own from its first engine to its end. A queue waits for an engine exactly once, in turns_, if
// its current job has begun and wants to go on, or if it has jobs and none is current.
//
// A job may get another engine each time. What an engine had in use is safe from that: a job gives an engine up outside
// of the gate only (stall_port's calls are made there), and the job that gets it is ordered behind that by lock_.
//
// Lock order: lock_, then the fault unit's lock, the pool's, or that of the done callback.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/address_space.hpp"
#include "model/fault_unit.hpp"
#include "model/log.hpp"
#include "model/program.hpp"
#include "model/thread_pool.hpp"
#include "model/turns.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace svgpu {

struct context {
	unsigned id;
	address_space space;
	std::atomic<bool> no_fault{ false }; // SVGPU_CONTEXT_NO_FAULT. Relaxed: it orders nothing
	bool stopped = false; // the scheduler's lock

	context(unsigned number, const physical &memory, unsigned slots, const violation_report &violated, unsigned format)
		: id(number)
		, space(memory, slots, violated, format)
	{
	}
};

class scheduler {
public:
	using done_callback = std::function<void(const svgpu_done &)>;

	// `done` is called with the scheduler's lock held, in the order in which jobs end; it must not wait.
	scheduler(unsigned engines, unsigned queues, std::chrono::microseconds slice, program_set programs,
		  fault_unit &faults, const log &log, done_callback done);
	~scheduler();

	// False: no such queue, or one that still has jobs.
	bool set_queue(unsigned queue, std::shared_ptr<context> context, turns::group owner);
	// False: no such queue, or not set, or its context is gone.
	bool submit(const svgpu_job &job);
	// False: no such queue, or not set.
	bool clear_queue(unsigned queue);
	// Its queues stay set but lead nowhere until they are cleared or set anew.
	void clear_context(const context &which);
	// No job of it makes an access from here on, until resume_context() or its end; it has no engine meanwhile.
	void stop_context(context &which);
	void resume_context(context &which);
	// Ends everything without a report and unsets all queues.
	void drop_all();

private:
	struct running;

	struct queue {
		bool set = false;
		std::shared_ptr<context> where;
		turns::group owner = 0; // stays as long as there are jobs
		std::deque<svgpu_job> waiting;
		std::unique_ptr<running> current;
	};

	void run(running *job);
	svgpu_done execute(running &job);
	running *finish(running &job, const svgpu_done &result);

	// With lock_ held. A job that begins is given to a thread, or left in *mine if that is given and empty.
	void hand_out(running **mine = nullptr);
	void give_up(running &job);
	void await_engine(std::unique_lock<std::mutex> &hold, running &job);

	template <class Match> std::vector<unsigned> queues_that(Match match) const;
	void end_jobs(std::unique_lock<std::mutex> &hold, const std::vector<unsigned> &numbers, bool silent);

	const std::chrono::microseconds slice_;
	const program_set programs_;
	fault_unit &faults_;
	const log &log_;
	const done_callback done_;

	std::mutex lock_; // all below, but for wanted_
	std::condition_variable ended_;
	std::vector<queue> queues_;
	std::vector<unsigned> free_; // engines
	turns turns_;
	// Does a queue wait for an engine? Written under lock_. Jobs read it without the lock, relaxed: it decides only
	// whether they take the lock and look.
	std::atomic<bool> wanted_{ false };

	thread_pool threads_; // its destructor comes first and waits until no job has a thread
};

} // namespace svgpu
