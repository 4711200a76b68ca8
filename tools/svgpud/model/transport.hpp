// SPDX-License-Identifier: GPL-2.0-only
// All that the device knows about the machine it is plugged into: its BAR2, the host's memory, bells that the driver
// rings and interrupts that it raises. One implementation talks to QEMU, one lives inside the caller's process.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>

namespace svgpu {

class transport {
public:
	static constexpr std::chrono::milliseconds for_ever{ -1 };

	virtual ~transport() = default;

	virtual std::span<std::byte> bar() = 0;
	// The host's memory as the device addresses it: bus address 0 is the first byte.
	virtual std::span<std::byte> ram() = 0;

	// Waits until the bell was rung since the last wait on it that returned true; false: nobody did in time.
	// Rings coalesce, so whoever waits looks at all of its work afterwards.
	virtual bool wait(unsigned bell, std::chrono::milliseconds timeout) = 0;
	// Rings a bell: the driver's doorbell, also used by the device itself to end its own waits.
	virtual void ring(unsigned bell) = 0;
	virtual void interrupt(unsigned vector) = 0;
};

} // namespace svgpu
