// SPDX-License-Identifier: GPL-2.0-only
// The other end of ivshmem-doorbell: takes the server's messages and what comes with them, as QEMU does, and plays a
// guest that knows the registers and rings its bells.
#pragma once

#include "descriptor.hpp"
#include "hw/svgpu_regs.h"
#include "shared_memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <endian.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace svgpu::test {

using namespace std::chrono_literals;

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

// The guest, once connected: sees the registers, rings bells.
class guest {
public:
	guest(descriptor connection, std::size_t bar_bytes)
		: connection_(std::move(connection))
		, plug_(connection_.get())
		, bar_(plug_.bar, bar_bytes)
	{
	}

	std::uint64_t reg(unsigned offset) { return word(offset).load(std::memory_order_acquire); }

	void await(const char *what, unsigned offset, std::uint64_t value)
	{
		auto limit = std::chrono::steady_clock::now() + 20s;

		while (reg(offset) != value) {
			if (std::chrono::steady_clock::now() > limit)
				throw std::runtime_error(std::string("waited in vain for ") + what);
			std::this_thread::sleep_for(1ms);
		}
	}

	void begin_epoch(std::uint64_t epoch)
	{
		word(SVGPU_REG_EPOCH).store(epoch, std::memory_order_release);
		::eventfd_write(plug_.bells[SVGPU_BELL_SYNC].get(), 1);
		await("the epoch", SVGPU_REG_EPOCH_ACK, epoch);
	}

	// Turns the bus off (odd) or on.
	void set_bus(std::uint64_t number)
	{
		word(SVGPU_REG_BUS).store(number, std::memory_order_release);
		::eventfd_write(plug_.bells[SVGPU_BELL_BUS].get(), 1);
		await("the bus", SVGPU_REG_BUS_ACK, number);
	}

	// The next entry of a ring that has not wrapped yet.
	template <class Entry> void put(unsigned ring, unsigned bell, const Entry &entry)
	{
		std::uint32_t tail = index(ring + SVGPU_RING_TAIL).load(std::memory_order_relaxed);

		std::memcpy(bar_.bytes().data() + ring + SVGPU_RING_SLOTS + tail * sizeof(entry), &entry, sizeof(entry));
		index(ring + SVGPU_RING_TAIL).store(tail + 1, std::memory_order_release);
		::eventfd_write(plug_.bells[bell].get(), 1);
	}

	// A job in a queue that does not exist: through the job ring, back through the done ring, with its interrupt.
	void exchange_job()
	{
		auto slot = bar_.bytes().data() + SVGPU_JOB_RING + SVGPU_RING_SLOTS;
		svgpu_job job{};
		svgpu_done done;
		pollfd interrupt = { plug_.vectors[SVGPU_VECTOR_DONE].get(), POLLIN, 0 };

		job.cookie = 77;
		std::memcpy(slot, &job, sizeof(job));
		index(SVGPU_JOB_RING + SVGPU_RING_TAIL).store(1, std::memory_order_release);
		::eventfd_write(plug_.bells[SVGPU_BELL_JOB].get(), 1);
		ASSERT_EQ(::poll(&interrupt, 1, 20'000), 1);
		ASSERT_EQ(index(SVGPU_DONE_RING + SVGPU_RING_TAIL).load(std::memory_order_acquire), 1u);
		std::memcpy(&done, bar_.bytes().data() + SVGPU_DONE_RING + SVGPU_RING_SLOTS, sizeof(done));
		EXPECT_EQ(done.cookie, 77u);
		EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_INVALID });
	}

	// Whether its heart beats within that time: every 200 ms at least, later on a busy machine.
	bool beats(std::chrono::milliseconds within)
	{
		std::uint64_t beat = reg(SVGPU_REG_HEARTBEAT);
		auto limit = std::chrono::steady_clock::now() + within;

		while (reg(SVGPU_REG_HEARTBEAT) == beat) {
			if (std::chrono::steady_clock::now() > limit)
				return false;
			std::this_thread::sleep_for(1ms);
		}
		return true;
	}

	bool alive() { return beats(20s); }
	bool dead() { return !beats(400ms); }

	void leave() { connection_.close(); }

private:
	std::atomic_ref<std::uint64_t> word(unsigned offset)
	{
		return std::atomic_ref(*reinterpret_cast<std::uint64_t *>(bar_.bytes().data() + offset));
	}
	std::atomic_ref<std::uint32_t> index(unsigned offset)
	{
		return std::atomic_ref(*reinterpret_cast<std::uint32_t *>(bar_.bytes().data() + offset));
	}

	descriptor connection_;
	guest_plug plug_;
	mapping bar_;
};

} // namespace svgpu::test
