// SPDX-License-Identifier: GPL-2.0-only
// Sending the protocol's messages.
#include "ivshmem_server.hpp"

#include "shared_memory.hpp"

#include <cerrno>
#include <cstring>
#include <endian.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>

namespace svgpu {
namespace {

constexpr int no_descriptor = -1;

void send_message(int socket, std::int64_t value, int fd)
{
	std::uint64_t wire = htole64(static_cast<std::uint64_t>(value));
	alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
	iovec data = { &wire, sizeof(wire) };
	msghdr message{};
	ssize_t sent;

	message.msg_iov = &data;
	message.msg_iovlen = 1;
	if (fd != no_descriptor) {
		message.msg_control = control.data();
		message.msg_controllen = control.size();

		cmsghdr *header = CMSG_FIRSTHDR(&message);

		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	do {
		sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent != sizeof(wire))
		throw std::system_error(sent < 0 ? errno : EIO, std::generic_category(), "cannot greet the guest");
}

eventfd_set make_eventfds()
{
	eventfd_set set;

	for (descriptor &d : set) {
		d = descriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		if (!d)
			throw std::system_error(errno, std::generic_category(), "cannot create an eventfd");
	}
	return set;
}

} // namespace

ivshmem_plug make_plug(std::size_t bar_bytes)
{
	return { create_memory("svgpu-bar", bar_bytes), make_eventfds(), make_eventfds() };
}

void welcome_guest(int socket, const ivshmem_plug &plug)
{
	send_message(socket, ivshmem_version, no_descriptor);
	send_message(socket, ivshmem_guest_peer, no_descriptor);
	send_message(socket, -1, plug.bar.get());
	for (const descriptor &d : plug.bells)
		send_message(socket, SVGPU_DEVICE_PEER, d.get());
	for (const descriptor &d : plug.vectors)
		send_message(socket, ivshmem_guest_peer, d.get());
}

} // namespace svgpu
