// SPDX-License-Identifier: GPL-2.0-only
// Handing engines to jobs, and taking both away again.
#include "model/scheduler.hpp"

#include <exception>
#include <optional>

namespace svgpu {
namespace {

// A job looks whether its slice is over once in so many accesses.
constexpr unsigned accesses_per_look = 16;

} // namespace

// A job that has begun: what its memory view stalls on.
struct scheduler::running final : stall_port {
	running(scheduler &its, const svgpu_job &what, std::shared_ptr<context> with)
		: owner(its)
		, job(what)
		, where(std::move(with))
	{
	}

	unsigned engine() const override { return *slot; }

	void check() override
	{
		// Acquire: pairs with the release in end_jobs().
		if (canceled.load(std::memory_order_acquire))
			throw job_ended{ SVGPU_DONE_CANCELED };
		if (++accesses % accesses_per_look == 0 && owner.wanted_.load(std::memory_order_relaxed) &&
		    std::chrono::steady_clock::now() - begun >= owner.slice_) {
			std::unique_lock hold(owner.lock_);

			owner.give_up(*this);
			owner.await_engine(hold, *this);
		}
	}

	void stall(std::uint64_t va, svgpu_access access) override
	{
		svgpu_fault fault{};

		if (where->no_fault.load(std::memory_order_relaxed))
			throw job_ended{ SVGPU_DONE_FAULT, va, access };
		fault.va = va;
		fault.cookie = job.cookie;
		fault.context = where->id;
		fault.queue = job.queue;
		fault.access = access;
		{
			std::lock_guard hold(owner.lock_);

			owner.give_up(*this);
			owner.hand_out();
		}
		switch (owner.faults_.await(fault, canceled)) {
		case answer::retry:
			break;
		case answer::fail:
			throw job_ended{ SVGPU_DONE_FAULT, va, access };
		case answer::canceled:
			throw job_ended{ SVGPU_DONE_CANCELED };
		}

		std::unique_lock hold(owner.lock_);

		owner.await_engine(hold, *this);
	}

	void pause() override
	{
		std::unique_lock hold(owner.lock_);

		if (!where->stopped) // it was resumed just now
			return;
		owner.give_up(*this);
		owner.hand_out();
		// Relaxed: written under the lock.
		granted.wait(hold, [&] { return !where->stopped || canceled.load(std::memory_order_relaxed); });
		owner.await_engine(hold, *this);
	}

	scheduler &owner;
	const svgpu_job job;
	const std::shared_ptr<context> where;
	std::atomic<bool> canceled{ false };

	// Under the scheduler's lock; the job itself reads `slot` without it, since only the job takes it away.
	bool silent = false;
	std::optional<unsigned> slot;
	std::condition_variable granted; // `slot` was set, `canceled`, or the context resumed

	// The job's own.
	std::chrono::steady_clock::time_point begun; // its slice
	unsigned accesses = 0;
};

scheduler::scheduler(unsigned engines, unsigned queues, std::chrono::microseconds slice, program_set programs,
		     fault_unit &faults, const log &log, done_callback done)
	: slice_(slice)
	, programs_(std::move(programs))
	, faults_(faults)
	, log_(log)
	, done_(std::move(done))
	, queues_(queues)
{
	for (unsigned i = engines; i; --i)
		free_.push_back(i - 1);
}

scheduler::~scheduler()
{
	drop_all();
}

bool scheduler::set_queue(unsigned number, std::shared_ptr<context> where, turns::group owner)
{
	std::lock_guard hold(lock_);

	if (number >= queues_.size())
		return false;

	queue &q = queues_[number];

	if (q.current || !q.waiting.empty())
		return false;
	q.set = true;
	q.where = std::move(where);
	q.owner = owner;
	return true;
}

bool scheduler::submit(const svgpu_job &job)
{
	std::lock_guard hold(lock_);

	if (job.queue >= queues_.size() || !queues_[job.queue].where)
		return false;

	queue &q = queues_[job.queue];
	bool waits = q.current || !q.waiting.empty();

	q.waiting.push_back(job);
	if (!waits) {
		turns_.want(q.owner, job.queue);
		hand_out();
	}
	return true;
}

void scheduler::hand_out(running **mine)
{
	while (!free_.empty()) {
		std::optional<unsigned> number = turns_.next();

		if (!number)
			break;

		queue &q = queues_[*number];
		bool begins = !q.current;

		if (begins) {
			q.current = std::make_unique<running>(*this, q.waiting.front(), q.where);
			q.waiting.pop_front();
		}

		running &job = *q.current;

		job.slot = free_.back();
		free_.pop_back();
		if (!begins)
			job.granted.notify_one();
		else if (mine && !*mine)
			*mine = &job;
		else
			threads_.run([this, &job] { run(&job); });
	}
	wanted_.store(!turns_.empty(), std::memory_order_relaxed);
}

// The caller hands out what is free now.
void scheduler::give_up(running &job)
{
	if (!job.slot)
		return;
	free_.push_back(*job.slot);
	job.slot.reset();
	turns_.end(queues_[job.job.queue].owner);
}

void scheduler::await_engine(std::unique_lock<std::mutex> &hold, running &job)
{
	auto canceled = [&] { return job.canceled.load(std::memory_order_relaxed); };

	// Written under the lock, and only once: end_jobs() has been here, and would not look for us again.
	if (!canceled())
		turns_.want(queues_[job.job.queue].owner, job.job.queue);
	hand_out();
	job.granted.wait(hold, [&] { return job.slot || canceled(); });
	if (!job.slot)
		throw job_ended{ SVGPU_DONE_CANCELED };
	job.begun = std::chrono::steady_clock::now();
}

template <class Match> std::vector<unsigned> scheduler::queues_that(Match match) const
{
	std::vector<unsigned> numbers;

	for (unsigned i = 0; i < queues_.size(); ++i) {
		if (match(queues_[i]))
			numbers.push_back(i);
	}
	return numbers;
}

// All are told before the first is waited for.
void scheduler::end_jobs(std::unique_lock<std::mutex> &hold, const std::vector<unsigned> &numbers, bool silent)
{
	for (unsigned number : numbers) {
		queue &q = queues_[number];

		turns_.forget(q.owner, number);
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
			q.current->granted.notify_one();
		}
	}
	wanted_.store(!turns_.empty(), std::memory_order_relaxed);
	faults_.wake();
	for (unsigned number : numbers)
		ended_.wait(hold, [&] { return !queues_[number].current; });
}

bool scheduler::clear_queue(unsigned number)
{
	std::unique_lock hold(lock_);

	if (number >= queues_.size() || !queues_[number].set)
		return false;
	end_jobs(hold, { number }, false);
	queues_[number].set = false;
	return true;
}

void scheduler::clear_context(const context &which)
{
	std::unique_lock hold(lock_);

	end_jobs(hold, queues_that([&](const queue &q) { return q.where.get() == &which; }), false);
}

void scheduler::stop_context(context &which)
{
	{
		std::lock_guard hold(lock_);

		which.stopped = true;
	}
	which.space.set_stopped(true); // a job that sees this finds the other, or was resumed
}

void scheduler::resume_context(context &which)
{
	which.space.set_stopped(false);

	std::lock_guard hold(lock_);

	which.stopped = false;
	for (queue &q : queues_) {
		if (q.where.get() == &which && q.current)
			q.current->granted.notify_one();
	}
}

void scheduler::drop_all()
{
	std::unique_lock hold(lock_);

	end_jobs(hold, queues_that([](const queue &) { return true; }), true);
	for (queue &q : queues_)
		q.set = false;
}

// A thread of the pool: one job, and then those that get the engine of the one before.
void scheduler::run(running *job)
{
	while (job)
		job = finish(*job, execute(*job));
}

scheduler::running *scheduler::finish(running &job, const svgpu_done &result)
{
	std::lock_guard hold(lock_);
	unsigned number = job.job.queue;
	queue &q = queues_[number];
	running *next = nullptr;

	if (!job.silent)
		done_(result);
	give_up(job);
	q.current.reset();
	if (!q.waiting.empty())
		turns_.want(q.owner, number);
	hand_out(&next);
	ended_.notify_all();
	return next;
}

svgpu_done scheduler::execute(running &run)
{
	svgpu_done result{ .cookie = run.job.cookie, .status = SVGPU_DONE_OK };
	memory_view view(run.where->space, run);

	run.begun = std::chrono::steady_clock::now();
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
