// SPDX-License-Identifier: GPL-2.0-only
// The formats of page tables, by their numbers in the programming interface (SVGPU_FORMAT_*).
#pragma once

#include "hw/svgpu_regs.h"

#include <string>

struct mmu;

namespace svgpu {

// The walker of format `number`, which is one of them.
const mmu &format_of(unsigned number);
const char *format_name(unsigned number);
// Throws std::invalid_argument, which says which names there are.
unsigned parse_format(const std::string &name);

} // namespace svgpu
