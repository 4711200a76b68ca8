// SPDX-License-Identifier: MIT
/*
 * libsvm's kernel numbers are the hardware's. The two headers meet only here:
 * the hardware's own defines kernel types that the ioctl headers define as well.
 */
#include <cstddef>

#include <hw/svgpu_regs.h>

#include "libsvm_kernels.h"

static_assert(LIBSVM_NOP == static_cast<int>(SVGPU_KERNEL_NOP));
static_assert(LIBSVM_FILL == static_cast<int>(SVGPU_KERNEL_FILL));
static_assert(LIBSVM_COPY == static_cast<int>(SVGPU_KERNEL_COPY));
static_assert(LIBSVM_HISTOGRAM == static_cast<int>(SVGPU_KERNEL_HISTOGRAM));
static_assert(LIBSVM_SUM == static_cast<int>(SVGPU_KERNEL_SUM));
static_assert(LIBSVM_SAXPY == static_cast<int>(SVGPU_KERNEL_SAXPY));
static_assert(LIBSVM_LIST_WALK == static_cast<int>(SVGPU_KERNEL_LIST_WALK));
static_assert(LIBSVM_BFS == static_cast<int>(SVGPU_KERNEL_BFS));
static_assert(LIBSVM_CAS_ADD == static_cast<int>(SVGPU_KERNEL_CAS_ADD));
static_assert(LIBSVM_TOUCH == static_cast<int>(SVGPU_KERNEL_TOUCH));

static_assert(sizeof(libsvm_bfs_node) == sizeof(svgpu_bfs_node));
static_assert(offsetof(libsvm_bfs_node, edges) == offsetof(svgpu_bfs_node, edges));
static_assert(offsetof(libsvm_bfs_node, degree) == offsetof(svgpu_bfs_node, degree));
static_assert(offsetof(libsvm_bfs_node, level) == offsetof(svgpu_bfs_node, level));
