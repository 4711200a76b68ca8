// SPDX-License-Identifier: GPL-2.0-only
// The other end of ivshmem-doorbell, as QEMU plays it: takes the server's messages and what comes with them.
#pragma once

#include "descriptor.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <endian.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <vector>

namespace svgpu::test {

struct ivshmem_message {
	std::int64_t value;
	descriptor fd; // empty: none came along
};

// Nothing: the other side closed the connection.
inline std::optional<ivshmem_message> receive_message(int socket)
{
	std::uint64_t wire;
	alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
	iovec data = { &wire, sizeof(wire) };
	msghdr message{};
	pollfd ready = { socket, POLLIN, 0 };
	ivshmem_message result;
	ssize_t got;

	message.msg_iov = &data;
	message.msg_iovlen = 1;
	message.msg_control = control.data();
	message.msg_controllen = control.size();
	if (::poll(&ready, 1, 20'000) != 1)
		throw std::runtime_error("waited in vain for a message");
	got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	if (got == 0)
		return {};
	if (got != sizeof(wire))
		throw std::runtime_error("a message of another length than 8");
	result.value = static_cast<std::int64_t>(le64toh(wire));
	for (cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
		int fd;

		std::memcpy(&fd, CMSG_DATA(h), sizeof(fd));
		result.fd = descriptor(fd);
	}
	return result;
}

// What QEMU knows after the greeting.
struct guest_plug {
	descriptor bar;
	std::vector<descriptor> bells; // rings the device
	std::vector<descriptor> vectors; // the device rings

	explicit guest_plug(int socket)
	{
		std::int64_t own = 0;

		for (unsigned n = 0; n < 3 + 2 * 4; ++n) {
			auto m = receive_message(socket);

			if (!m)
				throw std::runtime_error("the server hung up amid its greeting");
			if (n == 0 && m->value != 0)
				throw std::runtime_error("unknown protocol version");
			if (n == 1)
				own = m->value;
			if (n == 2)
				bar = std::move(m->fd);
			if (n > 2)
				(m->value == own ? vectors : bells).push_back(std::move(m->fd));
		}
	}
};

} // namespace svgpu::test
