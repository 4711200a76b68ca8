// SPDX-License-Identifier: GPL-2.0-only
// Eventfds are non-blocking, as QEMU wants them; waiting is poll's.
#include "ivshmem_transport.hpp"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>

namespace svgpu {
namespace {

void signal(const descriptor &d)
{
	// Fails only where the counter is at its top (EAGAIN), and then the other side has a ring to see anyway.
	(void)::eventfd_write(d.get(), 1);
}

} // namespace

bool ivshmem_transport::wait(unsigned bell, std::chrono::milliseconds timeout)
{
	pollfd one = { plug_.bells[bell].get(), POLLIN, 0 };
	eventfd_t rings;

	if (::poll(&one, 1, static_cast<int>(timeout.count())) < 0 && errno != EINTR)
		throw std::system_error(errno, std::generic_category(), "cannot wait for a bell");
	return !::eventfd_read(one.fd, &rings);
}

void ivshmem_transport::ring(unsigned bell)
{
	signal(plug_.bells[bell]);
}

void ivshmem_transport::interrupt(unsigned vector)
{
	signal(plug_.vectors[vector]);
}

} // namespace svgpu
