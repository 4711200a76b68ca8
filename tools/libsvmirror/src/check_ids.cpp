// SPDX-License-Identifier: MIT
/*
 * libsvmirror's kernel numbers are the hardware's. The two headers meet only here:
 * the hardware's own defines kernel types that the ioctl headers define as well.
 */
#include <cstddef>

#include <hw/svgpu_regs.h>

#include "svmirror_kernels.h"

static_assert(SVMIRROR_NOP == static_cast<int>(SVGPU_KERNEL_NOP));
static_assert(SVMIRROR_FILL == static_cast<int>(SVGPU_KERNEL_FILL));
static_assert(SVMIRROR_COPY == static_cast<int>(SVGPU_KERNEL_COPY));
static_assert(SVMIRROR_HISTOGRAM == static_cast<int>(SVGPU_KERNEL_HISTOGRAM));
static_assert(SVMIRROR_SUM == static_cast<int>(SVGPU_KERNEL_SUM));
static_assert(SVMIRROR_SAXPY == static_cast<int>(SVGPU_KERNEL_SAXPY));
static_assert(SVMIRROR_LIST_WALK == static_cast<int>(SVGPU_KERNEL_LIST_WALK));
static_assert(SVMIRROR_BFS == static_cast<int>(SVGPU_KERNEL_BFS));
static_assert(SVMIRROR_CAS_ADD == static_cast<int>(SVGPU_KERNEL_CAS_ADD));
static_assert(SVMIRROR_TOUCH == static_cast<int>(SVGPU_KERNEL_TOUCH));

static_assert(sizeof(svmirror_bfs_node) == sizeof(svgpu_bfs_node));
static_assert(offsetof(svmirror_bfs_node, edges) == offsetof(svgpu_bfs_node, edges));
static_assert(offsetof(svmirror_bfs_node, degree) == offsetof(svgpu_bfs_node, degree));
static_assert(offsetof(svmirror_bfs_node, level) == offsetof(svgpu_bfs_node, level));
