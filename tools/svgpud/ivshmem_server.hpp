// SPDX-License-Identifier: GPL-2.0-only
// The server's side of QEMU's ivshmem-doorbell protocol, for exactly two peers: the device, peer 0, which is this
// program, and the guest, peer 1.
//
// Messages are 8-byte little-endian integers, at most one descriptor with each, and only the server speaks: version 0;
// the client's own id; -1 with the shared memory; the id of each other peer once per vector, each time with the
// eventfd that rings that peer; the client's own id once per vector, with the eventfds that others ring.
//
// A disconnect of the device is never sent: QEMU would free eventfds that a restarted device goes on using.
#pragma once

#include "descriptor.hpp"
#include "hw/svgpu_regs.h"

#include <array>
#include <cstdint>

namespace svgpu {

constexpr std::int64_t ivshmem_version = 0;
constexpr std::int64_t ivshmem_guest_peer = 1;

using eventfd_set = std::array<descriptor, SVGPU_VECTORS>;

// What outlives each run of the device.
struct ivshmem_plug {
	descriptor bar;
	eventfd_set bells; // guest to device
	eventfd_set vectors; // device to guest
};

ivshmem_plug make_plug(std::size_t bar_bytes);

// Tells a client that has just connected all that it needs. Throws std::system_error.
void welcome_guest(int socket, const ivshmem_plug &plug);

} // namespace svgpu
