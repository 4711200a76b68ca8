// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demo's job over memory of all kinds in one vm and one 2 MiB: the process's own
 * memory, buffers in VRAM and in system memory, a buffer that came as a dma-buf, memory
 * of the process at other addresses, and NULL.
 */
#ifndef SVMCTL_DEMO_MIXED_HPP
#define SVMCTL_DEMO_MIXED_HPP

#include <string>

#include "workload.hpp"

namespace svmctl {

// @path names the device, of which the workload opens a second file; empty: the first one there is.
workload make_mixed(const svmirror::device &gpu, const std::string &path, bytes seed);

} // namespace svmctl

#endif
