// SPDX-License-Identifier: GPL-2.0-only
// The greeting of the ivshmem server, message by message, and the transport over the descriptors that it hands out.
#include "guest_rig.hpp"
#include "ivshmem_server.hpp"
#include "ivshmem_transport.hpp"
#include "shared_memory.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <thread>

using namespace svgpu;
using namespace svgpu::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t bar_bytes = 2 << 20;

class ivshmem : public testing::Test {
protected:
	ivshmem()
		: plug(make_plug(bar_bytes))
	{
		int ends[2];

		EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
		server = descriptor(ends[0]);
		client = descriptor(ends[1]);
	}

	// Both descriptors lead to one eventfd.
	void same_eventfd(const descriptor &a, const descriptor &b)
	{
		eventfd_t count = 0;

		ASSERT_TRUE(a && b);
		EXPECT_EQ(::eventfd_write(a.get(), 7), 0);
		EXPECT_EQ(::eventfd_read(b.get(), &count), 0);
		EXPECT_EQ(count, 7u);
	}

	ivshmem_plug plug;
	descriptor server;
	descriptor client;
};

TEST_F(ivshmem, greeting)
{
	struct stat status;

	welcome_guest(server.get(), plug);
	server.close();

	auto version = receive_message(client.get());
	auto own = receive_message(client.get());
	auto memory = receive_message(client.get());

	ASSERT_TRUE(version && own && memory);
	EXPECT_EQ(version->value, 0);
	EXPECT_FALSE(version->fd);
	EXPECT_EQ(own->value, 1);
	EXPECT_FALSE(own->fd);
	EXPECT_EQ(memory->value, -1);
	ASSERT_TRUE(memory->fd);
	ASSERT_EQ(::fstat(memory->fd.get(), &status), 0);
	EXPECT_EQ(static_cast<std::size_t>(status.st_size), bar_bytes);
	for (unsigned v = 0; v < 4; ++v) {
		auto bell = receive_message(client.get());

		ASSERT_TRUE(bell);
		EXPECT_EQ(bell->value, SVGPU_DEVICE_PEER);
		same_eventfd(bell->fd, plug.bells[v]);
	}
	for (unsigned v = 0; v < 4; ++v) {
		auto vector = receive_message(client.get());

		ASSERT_TRUE(vector);
		EXPECT_EQ(vector->value, 1);
		same_eventfd(plug.vectors[v], vector->fd);
	}
	EXPECT_FALSE(receive_message(client.get())) << "QEMU takes exactly `vectors` descriptors of each peer";
}

TEST_F(ivshmem, greeting_somebody_who_has_gone)
{
	client.close();
	EXPECT_THROW(welcome_guest(server.get(), plug), std::system_error);
}

TEST_F(ivshmem, bells_coalesce_and_wake)
{
	mapping bar(plug.bar, bar_bytes);
	ivshmem_transport machine(bar.bytes(), {}, plug);

	EXPECT_FALSE(machine.wait(SVGPU_BELL_JOB, 0ms));
	machine.ring(SVGPU_BELL_JOB);
	machine.ring(SVGPU_BELL_JOB);
	EXPECT_FALSE(machine.wait(SVGPU_BELL_SYNC, 0ms));
	EXPECT_TRUE(machine.wait(SVGPU_BELL_JOB, 0ms));
	EXPECT_FALSE(machine.wait(SVGPU_BELL_JOB, 1ms));

	std::thread guest([&] {
		std::this_thread::sleep_for(10ms);
		::eventfd_write(plug.bells[SVGPU_BELL_SYNC].get(), 1);
	});

	EXPECT_TRUE(machine.wait(SVGPU_BELL_SYNC, transport::for_ever));
	guest.join();
}

TEST_F(ivshmem, interrupts_reach_the_guest)
{
	mapping bar(plug.bar, bar_bytes);
	ivshmem_transport machine(bar.bytes(), {}, plug);
	eventfd_t count;

	machine.interrupt(SVGPU_VECTOR_DONE);
	EXPECT_EQ(::eventfd_read(plug.vectors[SVGPU_VECTOR_DONE].get(), &count), 0);
	EXPECT_NE(::eventfd_read(plug.vectors[SVGPU_VECTOR_FAULT].get(), &count), 0);
}

TEST(shared_memory, ram_is_opened_only_once_it_is_long_enough)
{
	std::string path = testing::TempDir() + "svgpud-ram-" + std::to_string(::getpid());
	descriptor file;

	EXPECT_FALSE(open_when_ready(path, 4096));
	file = descriptor(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	ASSERT_TRUE(file);
	EXPECT_FALSE(open_when_ready(path, 4096));
	ASSERT_EQ(::ftruncate(file.get(), 4096), 0);
	EXPECT_TRUE(open_when_ready(path, 4096));
	EXPECT_FALSE(open_when_ready(path, 8192));
	::unlink(path.c_str());
	EXPECT_THROW(open_when_ready("/proc/self/mem/none", 1), std::system_error);
}

} // namespace
