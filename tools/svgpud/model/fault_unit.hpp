// SPDX-License-Identifier: GPL-2.0-only
// Faults that await the driver's answer. The job that met one sleeps in await(); replies find it by the fault's id.
// An id is answered once; answers to ids that nobody waits for (any more) are dropped, since a canceled job leaves its
// faults behind in the ring.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/evil.hpp"
#include "model/log.hpp"
#include "model/ring.hpp"
#include "model/transport.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace svgpu {

enum class answer {
	retry,
	fail,
	canceled,
};

class fault_unit {
public:
	// `copies`: how often each fault is reported, under an id each; all of them must be answered.
	fault_unit(transport &machine, const log &log, unsigned copies, const liar &liar);

	// Reports the fault (its id is filled in here) and waits. Does not return before `canceled`, once set and
	// followed by wake(), is noticed, or every copy is answered; one FAIL among the answers is a FAIL.
	answer await(svgpu_fault fault, const std::atomic<bool> &canceled);
	void reply(const svgpu_reply &reply);
	void wake();
	// Every 50 ms: what a lying device held back may be due.
	void tick();
	bool dying();
	// Only while nobody waits.
	void reset();

private:
	struct pending {
		const std::atomic<bool> &canceled;
		unsigned unanswered = 0;
		bool failed = false;
		std::condition_variable changed{}; // one for each, so that a reply wakes one job only
	};

	bool post(std::unique_lock<std::mutex> &hold, const svgpu_fault &fault, pending &mine);

	transport &machine_;
	const log &log_;
	const unsigned copies_;
	const liar &liar_;

	std::mutex lock_; // all below; also orders the ring's producers
	mouth<svgpu_fault, SVGPU_FAULT_ENTRIES> ring_;
	std::unordered_map<std::uint32_t, pending *> waiting_;
	std::uint32_t next_id_ = 1;
	std::uint64_t replies_ = 0;
	bool complained_ = false;
};

} // namespace svgpu
