// SPDX-License-Identifier: GPL-2.0-only
// What an engine runs. A program sees memory through its view only; it ends by returning (done), or by job_ended. The
// device looks programs up by the job's kernel number, so a set of one's own makes another kind of engine.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/memory_view.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace svgpu {

using program_args = std::span<const __u64, SVGPU_ARGS>;
using program = std::function<void(memory_view &, program_args)>;

// Indexed by kernel number; empty entries do not exist.
using program_set = std::vector<program>;

// All of enum svgpu_kernel.
program_set builtin_programs();

} // namespace svgpu
