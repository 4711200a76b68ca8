// SPDX-License-Identifier: GPL-2.0-only
// Handing jobs to engines, and taking them away again.
#include "model/scheduler.hpp"

#include <exception>

namespace svgpu {

// A job on an engine: what its memory view stalls on.
struct scheduler::running final : stall_port {
	running(const svgpu_job &what, std::shared_ptr<context> with, fault_unit &unit)
		: job(what)
		, where(std::move(with))
		, faults(unit)
	{
	}

	void check() override
	{
		// Acquire: pairs with the release in end_jobs().
		if (canceled.load(std::memory_order_acquire))
			throw job_ended{ SVGPU_DONE_CANCELED };
	}

	void stall(std::uint64_t va, svgpu_access access) override
	{
		svgpu_fault fault{};

		fault.va = va;
		fault.cookie = job.cookie;
		fault.context = where->id;
		fault.queue = job.queue;
		fault.access = access;
		switch (faults.await(fault, canceled)) {
		case answer::retry:
			return;
		case answer::fail:
			throw job_ended{ SVGPU_DONE_FAULT, va, access };
		case answer::canceled:
			throw job_ended{ SVGPU_DONE_CANCELED };
		}
	}

	const svgpu_job job;
	const std::shared_ptr<context> where;
	fault_unit &faults;
	std::atomic<bool> canceled{ false };
	bool silent = false; // under the scheduler's lock
};

scheduler::scheduler(unsigned engines, unsigned queues, program_set programs, fault_unit &faults, const log &log,
		     done_callback done)
	: programs_(std::move(programs))
	, faults_(faults)
	, log_(log)
	, done_(std::move(done))
	, queues_(queues)
{
	for (unsigned i = 0; i < engines; ++i)
		engines_.emplace_back([this, i] { engine(i); });
}

scheduler::~scheduler()
{
	drop_all();
	{
		std::lock_guard hold(lock_);

		stop_ = true;
	}
	work_.notify_all();
	for (std::thread &t : engines_)
		t.join();
}

void scheduler::list(unsigned number)
{
	queue &q = queues_[number];

	if (q.listed || q.current || q.waiting.empty())
		return;
	q.listed = true;
	ready_.push_back(number);
	work_.notify_one();
}

bool scheduler::set_queue(unsigned number, std::shared_ptr<context> where)
{
	std::lock_guard hold(lock_);

	if (number >= queues_.size())
		return false;

	queue &q = queues_[number];

	if (q.current || !q.waiting.empty())
		return false;
	q.set = true;
	q.where = std::move(where);
	return true;
}

bool scheduler::submit(const svgpu_job &job)
{
	std::lock_guard hold(lock_);

	if (job.queue >= queues_.size() || !queues_[job.queue].where)
		return false;
	queues_[job.queue].waiting.push_back(job);
	list(job.queue);
	return true;
}

// All are told before the first is waited for.
template <class Match> void scheduler::end_jobs(std::unique_lock<std::mutex> &hold, Match match, bool silent)
{
	for (queue &q : queues_) {
		if (!match(q))
			continue;
		for (const svgpu_job &job : q.waiting) {
			if (!silent)
				done_({ .cookie = job.cookie, .status = SVGPU_DONE_CANCELED });
		}
		q.waiting.clear();
		q.where.reset();
		if (q.current) {
			q.current->silent |= silent;
			// Release: pairs with the acquire loads in check() and in the fault unit.
			q.current->canceled.store(true, std::memory_order_release);
		}
	}
	faults_.wake();
	for (queue &q : queues_)
		ended_.wait(hold, [&] { return !match(q) || !q.current; });
}

bool scheduler::clear_queue(unsigned number)
{
	std::unique_lock hold(lock_);

	if (number >= queues_.size() || !queues_[number].set)
		return false;
	end_jobs(hold, [&](const queue &q) { return &q == &queues_[number]; }, false);
	queues_[number].set = false;
	return true;
}

void scheduler::clear_context(const context &which)
{
	std::unique_lock hold(lock_);
	std::vector<const queue *> its;

	for (const queue &q : queues_) {
		if (q.where.get() == &which)
			its.push_back(&q);
	}
	end_jobs(
		hold,
		[&](const queue &q) {
			for (const queue *one : its) {
				if (one == &q)
					return true;
			}
			return false;
		},
		false);
}

void scheduler::drop_all()
{
	std::unique_lock hold(lock_);

	end_jobs(hold, [](const queue &) { return true; }, true);
	for (queue &q : queues_)
		q.set = false;
}

void scheduler::engine(unsigned number)
{
	std::unique_lock hold(lock_);

	for (;;) {
		work_.wait(hold, [&] { return stop_ || !ready_.empty(); });
		if (stop_)
			return;

		unsigned next = ready_.front();

		ready_.pop_front();
		queues_[next].listed = false;
		run_next(hold, number, next);
	}
}

void scheduler::run_next(std::unique_lock<std::mutex> &hold, unsigned engine, unsigned number)
{
	queue &q = queues_[number];

	// Cleared since it was listed.
	if (q.waiting.empty() || q.current)
		return;

	running job(q.waiting.front(), q.where, faults_);
	svgpu_done result;

	q.waiting.pop_front();
	q.current = &job;
	hold.unlock();
	result = execute(job, engine);
	hold.lock();
	if (!job.silent)
		done_(result);
	q.current = nullptr;
	list(number);
	ended_.notify_all();
}

svgpu_done scheduler::execute(running &run, unsigned engine)
{
	svgpu_done result{ .cookie = run.job.cookie, .status = SVGPU_DONE_OK };
	memory_view view(run.where->space, engine, run);

	try {
		if (run.job.kernel >= programs_.size() || !programs_[run.job.kernel])
			throw job_ended{};
		programs_[run.job.kernel](view, run.job.args);
	} catch (const job_ended &end) {
		result.status = end.status;
		result.va = end.va;
		result.access = end.access;
		result.address = end.address;
		if (end.status == SVGPU_DONE_BUS)
			log_("queue {}: bus error at va {:#x}, access {}, address {:#x}", run.job.queue, end.va,
			     static_cast<unsigned>(end.access), end.address);
	} catch (const std::exception &e) {
		log_("kernel {} failed: {}", run.job.kernel, e.what());
		result.status = SVGPU_DONE_INVALID;
	}
	result.bytes = view.count().bytes;
	result.tlb_hits = view.count().hits;
	result.tlb_misses = view.count().misses;
	return result;
}

} // namespace svgpu
