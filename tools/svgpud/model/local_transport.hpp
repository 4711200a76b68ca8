// SPDX-License-Identifier: GPL-2.0-only
// The device inside the process that drives it: BAR and host memory are the caller's, bells and interrupts are
// semaphores that coalesce. The driver's side is ring() and wait_interrupt().
#pragma once

#include "hw/svgpu_regs.h"
#include "model/transport.hpp"

#include <array>
#include <condition_variable>
#include <mutex>

namespace svgpu {

class local_transport final : public transport {
public:
	local_transport(std::span<std::byte> bar, std::span<std::byte> ram)
		: bar_(bar)
		, ram_(ram)
	{
	}

	std::span<std::byte> bar() override { return bar_; }
	std::span<std::byte> ram() override { return ram_; }
	bool wait(unsigned bell, std::chrono::milliseconds timeout) override { return bells_[bell].wait(timeout); }
	void ring(unsigned bell) override { bells_[bell].ring(); }
	void interrupt(unsigned vector) override { vectors_[vector].ring(); }

	bool wait_interrupt(unsigned vector, std::chrono::milliseconds timeout) { return vectors_[vector].wait(timeout); }

private:
	class signal {
	public:
		void ring();
		bool wait(std::chrono::milliseconds timeout);

	private:
		std::mutex lock_;
		std::condition_variable rung_;
		bool pending_ = false;
	};

	std::span<std::byte> bar_;
	std::span<std::byte> ram_;
	std::array<signal, SVGPU_VECTORS> bells_;
	std::array<signal, SVGPU_VECTORS> vectors_;
};

} // namespace svgpu
