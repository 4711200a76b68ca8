// SPDX-License-Identifier: GPL-2.0-only
// Reporting, waiting, answering; nobody sleeps with the lock held except in the condition variable.
#include "model/fault_unit.hpp"

#include <vector>

namespace svgpu {

using namespace std::chrono_literals;

fault_unit::fault_unit(transport &machine, const log &log, unsigned copies, const liar &liar)
	: machine_(machine)
	, log_(log)
	, copies_(copies)
	, liar_(liar)
	, ring_(machine.bar().data() + SVGPU_FAULT_RING, liar, stream::fault)
{
}

// The driver rings no bell when it takes an entry out, so a full ring is looked at again every millisecond.
bool fault_unit::post(std::unique_lock<std::mutex> &hold, const svgpu_fault &fault, pending &mine)
{
	while (!ring_.say(fault)) {
		if (mine.canceled.load(std::memory_order_acquire))
			return false;
		if (ring_.garbled() && !complained_) {
			complained_ = true;
			log_("fault ring: head is ahead of tail; no more faults until the next epoch");
		}
		mine.changed.wait_for(hold, 1ms);
	}
	return true;
}

answer fault_unit::await(svgpu_fault fault, const std::atomic<bool> &canceled)
{
	std::unique_lock hold(lock_);
	std::vector<std::uint32_t> ids;
	pending mine{ .canceled = canceled };
	bool posted = true;

	for (unsigned i = 0; i < copies_ && posted; ++i) {
		fault.id = next_id_++;
		ids.push_back(fault.id);
		waiting_.emplace(fault.id, &mine);
		++mine.unanswered;
		posted = post(hold, fault, mine);
		if (!ring_.quiet())
			machine_.interrupt(SVGPU_VECTOR_FAULT);
	}
	// Acquire: pairs with the release of whoever cancels, who then calls wake().
	mine.changed.wait(hold, [&] { return !mine.unanswered || canceled.load(std::memory_order_acquire); });
	for (std::uint32_t id : ids)
		waiting_.erase(id);
	if (mine.unanswered)
		return answer::canceled;
	return mine.failed ? answer::fail : answer::retry;
}

void fault_unit::reply(const svgpu_reply &reply)
{
	std::lock_guard hold(lock_);
	auto it = waiting_.find(reply.id);
	bool failed = reply.status != SVGPU_REPLY_RETRY;

	if (liar_.tells(lie::reply, stream::reply, replies_++))
		failed = !failed;
	if (it == waiting_.end())
		return;
	if (reply.status > SVGPU_REPLY_FAIL)
		log_("reply to fault {} has unknown status {}: taken for FAIL", reply.id, reply.status);
	it->second->failed |= failed;
	--it->second->unanswered;
	it->second->changed.notify_one();
	waiting_.erase(it);
}

void fault_unit::wake()
{
	// The lock makes sure that a waiter is either not yet testing its condition or already asleep.
	std::lock_guard hold(lock_);

	for (auto &[id, fault] : waiting_) {
		// Acquire: as in await().
		if (fault->canceled.load(std::memory_order_acquire))
			fault->changed.notify_one();
	}
}

void fault_unit::tick()
{
	std::lock_guard hold(lock_);

	if (ring_.tick())
		machine_.interrupt(SVGPU_VECTOR_FAULT);
}

bool fault_unit::dying()
{
	std::lock_guard hold(lock_);

	return ring_.dying();
}

void fault_unit::reset()
{
	std::lock_guard hold(lock_);

	ring_.reset();
	waiting_.clear();
	complained_ = false;
}

} // namespace svgpu
