// SPDX-License-Identifier: GPL-2.0-only
// The sync operations: what each does to contexts, queues and VRAM. Contexts are created and dropped here, by one
// thread; engines hold references of their own to those that they run in.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/log.hpp"
#include "model/physical.hpp"
#include "model/scheduler.hpp"

#include <memory>
#include <span>
#include <vector>

namespace svgpu {

class sync_unit {
public:
	// `format` walks, and `announced` is its number for the driver.
	sync_unit(const physical &memory, std::span<std::byte> vram, unsigned contexts, unsigned engines, unsigned format,
		  unsigned announced, scheduler &jobs, const violation_report &violated, const log &log);

	// Returns when the operation is over. Entries come one more than the other in .seq. `pretend`: an invalidation
	// is not done.
	svgpu_sync_status execute(const svgpu_sync &op, bool pretend = false);
	// The driver is going to see that the operation is over.
	void acknowledge();
	void refuse(const svgpu_sync &op, const char *why);
	// After the scheduler has dropped all jobs.
	void reset();

private:
	// nullptr, or why not.
	const char *dispatch(const svgpu_sync &op, bool pretend);
	const char *invalidate(const svgpu_sync &op, bool pretend);
	const char *set_context(const svgpu_sync &op);
	const char *clear_context(const svgpu_sync &op);
	const char *stop_context(const svgpu_sync &op, bool stop);
	const char *set_queue(const svgpu_sync &op);
	const char *poison(const svgpu_sync &op);
	const char *translate(const svgpu_sync &op);
	const char *copy(const svgpu_sync &op);
	context *find(unsigned id);

	const physical &memory_;
	std::span<std::byte> vram_;
	unsigned engines_;
	unsigned format_;
	unsigned announced_;
	scheduler &jobs_;
	const violation_report &violated_;
	const log &log_;
	std::vector<std::shared_ptr<context>> contexts_;
	std::uint64_t last_seq_ = 0;

	struct {
		std::shared_ptr<context> where; // empty: the last operation was no invalidation
		std::uint64_t start, end;
		flush_ledger::clock begun;
	} flushed_{};
};

} // namespace svgpu
