// SPDX-License-Identifier: GPL-2.0-only
// Queues of jobs, and the engines that run them.
//
//  - Jobs of one queue run one after the other, in order, also where the one before failed; jobs of several queues run
//    on as many engines as there are. A queue is in ready_ at most once and never while one of its jobs runs.
//  - Each job that submit() took is reported done exactly once, unless drop_all() takes it away in silence.
//  - clear_queue() and clear_context() return when all jobs concerned have ended and were reported.
//
// Lock order: lock_, then the fault unit's lock or that of the done callback.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/address_space.hpp"
#include "model/fault_unit.hpp"
#include "model/log.hpp"
#include "model/program.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace svgpu {

struct context {
	unsigned id;
	address_space space;

	context(unsigned number, const physical &memory, unsigned slots, const violation_report &violated)
		: id(number)
		, space(memory, slots, violated)
	{
	}
};

class scheduler {
public:
	using done_callback = std::function<void(const svgpu_done &)>;

	// `done` is called with the scheduler's lock held, in the order in which jobs end; it must not wait.
	scheduler(unsigned engines, unsigned queues, program_set programs, fault_unit &faults, const log &log,
		  done_callback done);
	~scheduler();

	// False: no such queue, or one that still has jobs.
	bool set_queue(unsigned queue, std::shared_ptr<context> context);
	// False: no such queue, or not set, or its context is gone.
	bool submit(const svgpu_job &job);
	// False: no such queue, or not set.
	bool clear_queue(unsigned queue);
	// Its queues stay set but lead nowhere until they are cleared or set anew.
	void clear_context(const context &which);
	// Ends everything without a report and unsets all queues.
	void drop_all();

private:
	struct running;

	struct queue {
		bool set = false;
		bool listed = false; // in ready_
		std::shared_ptr<context> where;
		std::deque<svgpu_job> waiting;
		running *current = nullptr;
	};

	void engine(unsigned number);
	void run_next(std::unique_lock<std::mutex> &hold, unsigned engine, unsigned queue);
	svgpu_done execute(running &job, unsigned engine);
	void list(unsigned queue);
	template <class Match> void end_jobs(std::unique_lock<std::mutex> &hold, Match match, bool silent);

	const program_set programs_;
	fault_unit &faults_;
	const log &log_;
	const done_callback done_;

	std::mutex lock_; // all below
	std::condition_variable work_;
	std::condition_variable ended_;
	std::vector<queue> queues_;
	std::deque<unsigned> ready_;
	bool stop_ = false;

	std::vector<std::thread> engines_;
};

} // namespace svgpu
