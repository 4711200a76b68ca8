// SPDX-License-Identifier: GPL-2.0-only
// The process that is the device: it can be killed at any time and started again on the same plug.
#pragma once

#include "ivshmem_server.hpp"
#include "model/device.hpp"
#include "model/log.hpp"

#include <cstddef>
#include <filesystem>

namespace svgpu {

struct worker_options {
	std::filesystem::path ram;
	std::size_t ram_bytes = 0;
	std::size_t bar_bytes = 0;
	device_options device;
	// Read at each start of the device: SEED[:LIE,…], or empty for an honest one. No path: `device` says it.
	std::filesystem::path evil_file;
	// Read then, too: the name of its format. Empty or not there: `device` says it.
	std::filesystem::path mmu_file;
};

// Waits for the guest's RAM to appear, then is the device until the process is killed.
[[noreturn]] void run_worker(const worker_options &options, const ivshmem_plug &plug, const log &log);

} // namespace svgpu
