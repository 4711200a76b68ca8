// SPDX-License-Identifier: GPL-2.0-only
// The virtual GPU: registers, rings and their threads, on whatever transport it is plugged into. It lives from
// construction, which ends with the device up, to destruction, which leaves the BAR as a dead device would.
//
// Threads: one each for the sync ring and the epoch, the job ring, the reply ring and the heartbeat, and one for each job
// that has begun.
//
// Rings are only looked at while live_ is set, that is, with an acknowledged epoch. A thread that takes an entry holds
// the ring's lock from the look at live_ until it is done with the entry, so a new epoch, which clears live_ under all
// of these locks, knows that nothing of the old one goes on.
//
// The done ring never overflows and no engine ever waits for room in it: a job is taken out of the job ring only when
// the done ring has room for the ends of all jobs that were taken. So a driver that wants its jobs ended goes on taking
// entries out of the done ring, also while it waits for a QUEUE_CLEAR or CONTEXT_CLEAR: these look through the job ring,
// and wait there if the driver gave the device more jobs than there is room for.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/evil.hpp"
#include "model/fault_unit.hpp"
#include "model/log.hpp"
#include "model/physical.hpp"
#include "model/program.hpp"
#include "model/ring.hpp"
#include "model/scheduler.hpp"
#include "model/sync_unit.hpp"
#include "model/transport.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace svgpu {

// How the process ends where it found itself out.
constexpr int broken_device = 43;

// Every queue may have a job on the device that stalls on a fault, and an answer to it.
constexpr unsigned queues_offered = 1024;

static_assert(queues_offered <= SVGPU_JOB_ENTRIES && queues_offered <= SVGPU_FAULT_ENTRIES &&
	      queues_offered <= SVGPU_REPLY_ENTRIES && 2 * SVGPU_JOB_ENTRIES <= SVGPU_DONE_ENTRIES);

struct device_options {
	unsigned engines = 4;
	unsigned contexts = 256;
	unsigned queues = queues_offered;
	// How long a job keeps its engine while another queue waits for one.
	std::chrono::microseconds slice = std::chrono::milliseconds(2);
	bool duplicate_faults = false;
	unsigned format = SVGPU_FORMAT_XE2; // of page tables
	program_set programs = builtin_programs();
	evil_plan evil; // none: an honest device
	bool patient = false; // a liar that is: see evil.hpp
	// How it ends when it dies as a lie, and when a translation has outlived an acknowledged invalidation.
	std::function<void()> die;
	std::function<void()> broken;
};

class device {
public:
	device(transport &machine, const log &log, device_options options = {});
	~device();
	device(const device &) = delete;
	device &operator=(const device &) = delete;

private:
	enum class step {
		empty,
		taken,
		no_room, // in the done ring
	};

	template <class Word> std::atomic_ref<Word> reg(unsigned offset);
	void come_up(const device_options &options);
	unsigned announced(unsigned format) const;

	void serve_sync();
	void serve_epoch();
	void enter_epoch(std::uint64_t epoch);
	bool serve_sync_entry();
	void acknowledge(const svgpu_sync &op, unsigned status);
	bool breaks_off(const svgpu_sync &op, std::uint64_t message);
	bool refuses(const svgpu_sync &op, std::uint64_t message) const;
	unsigned answer(const svgpu_sync &op, unsigned status, std::uint64_t message) const;
	void drain_jobs_of(const svgpu_sync &op);

	void serve_jobs();
	step serve_job_entry();
	bool room_for_done();
	void report_done(const svgpu_done &done);

	void serve_replies();
	bool serve_reply_entry();
	void beat();
	void lie_in_time(std::uint64_t tick);
	bool stopping() const { return stop_.load(std::memory_order_acquire); }

	transport &machine_;
	const log &log_;
	liar liar_;
	const std::function<void()> die_;
	const violation_report violated_;
	std::span<std::byte> bar_;
	std::span<std::byte> vram_;
	physical memory_;
	std::atomic<bool> stop_{ false };

	std::uint64_t epoch_ = 0; // the sync thread's
	std::uint64_t sync_messages_ = 0; // the sync thread's
	bool deaf_ = false; // the sync thread's: a liar that listens to nothing any more
	std::uint64_t stale_epoch_ = 0; // what an older generation acknowledged last: not to be acknowledged again

	// Lock order: job_lock_, reply_lock_, the scheduler's, done_lock_.
	std::mutex job_lock_; // jobs_in_, taken_
	std::mutex reply_lock_; // replies_
	std::mutex done_lock_; // dones_
	bool live_ = false; // written under job_lock_ and reply_lock_, read under either
	std::uint32_t taken_ = 0; // jobs, of this epoch
	std::uint64_t job_messages_ = 0; // job_lock_
	std::uint64_t reply_messages_ = 0; // reply_lock_
	bool done_complained_ = false; // job_lock_

	consumer<svgpu_sync, SVGPU_SYNC_ENTRIES> syncs_;
	consumer<svgpu_job, SVGPU_JOB_ENTRIES> jobs_in_;
	consumer<svgpu_reply, SVGPU_REPLY_ENTRIES> replies_;
	mouth<svgpu_done, SVGPU_DONE_ENTRIES> dones_;

	fault_unit faults_;
	scheduler scheduler_;
	sync_unit sync_;
	std::vector<std::thread> threads_;
};

} // namespace svgpu
