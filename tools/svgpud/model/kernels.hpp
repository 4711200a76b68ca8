// SPDX-License-Identifier: GPL-2.0-only
// The programs of enum svgpu_kernel, one function each; the arguments are described there.
#pragma once

#include "model/program.hpp"

namespace svgpu::kernels {

void nop(memory_view &, program_args);
void fill(memory_view &, program_args);
void copy(memory_view &, program_args);
void histogram(memory_view &, program_args);
void sum(memory_view &, program_args);
void saxpy(memory_view &, program_args);
void cas_add(memory_view &, program_args);
void touch(memory_view &, program_args);

void list_walk(memory_view &, program_args);
void bfs(memory_view &, program_args);

} // namespace svgpu::kernels
