// SPDX-License-Identifier: GPL-2.0-only
/* System sleep, as far as the kernel's own test of it goes: devices are put to sleep and woken up. */
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "lifetime.hpp"
#include "objects.hpp"

using namespace harness;
using namespace lifetime;

namespace {

// 0 or the errno.
int write_once(const char *path, std::string_view text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = write(fd, text.data(), text.size()) < 0 ? errno : 0;
	close(fd);
	return error;
}

int sleep_and_wake()
{
	return write_once("/sys/power/state", "freeze");
}

class Sleep : public testing::Test {
	void SetUp() override
	{
		if (write_once("/sys/power/pm_test", "devices"))
			GTEST_SKIP() << "this kernel has no /sys/power/pm_test";
		// how long it stays asleep, 5 s if nothing is said
		write_once("/sys/module/suspend/parameters/pm_test_delay", "1");
	}
	void TearDown() override { write_once("/sys/power/pm_test", "none"); }
};

} // namespace

TEST_F(Sleep, IsRefusedWhileThereIsAVm)
{
	isolated(
		[] {
			gpu gpu;
			mapping memory(page);
			EXPECT_EQ(device_write(gpu.queue, memory.data(), std::byte{1}), 0);
			EXPECT_EQ(sleep_and_wake(), EBUSY);
			EXPECT_EQ(device_write(gpu.queue, memory.data(), std::byte{2}), 0);
			EXPECT_EQ(memory.at(0), std::byte{2});
		},
		std::chrono::seconds(90));
}

// An open file goes on, and the device begins anew: its rings count from zero on both sides.
TEST_F(Sleep, TheDeviceWorksAfterwards)
{
	isolated(
		[] {
			for (unsigned round = 1; round <= 2; round++) {
				svmirror::device device;
				expect_working();
				ASSERT_TRUE(nothing_held());
				ASSERT_EQ(sleep_and_wake(), 0);
				svmirror::vm vm(device);
				vm.bind_all();
				svmirror::queue queue(vm);
				mapping memory(2 * mib);
				EXPECT_EQ(device_fill(queue, memory.bytes(), std::byte(round)), 0);
				EXPECT_EQ(memory.at(511), std::byte(round));
			}
		},
		std::chrono::seconds(120));
}

// VRAM loses its content when the device begins anew; buffers do not.
TEST_F(Sleep, BuffersKeepTheirContent)
{
	isolated(
		[] {
			svmirror::device device;
			svmirror::buffer buffer(device, 256 * page, place::vram);
			svmirror::buffer_view view = buffer.map();
			for (std::size_t i = 0; i < 256; i++)
				view.bytes()[i * page] = std::byte(i + 1);
			ASSERT_EQ(buffer.where(), place_of(device, place::vram));
			ASSERT_EQ(sleep_and_wake(), 0);
			for (std::size_t i = 0; i < 256; i++)
				ASSERT_EQ(view.bytes()[i * page], std::byte(i + 1)) << "page " << i;
			EXPECT_TRUE(eventually([&] { return buffer.where() == place_of(device, place::vram); })) << "it does not come back";
			for (std::size_t i = 0; i < 256; i++)
				ASSERT_EQ(view.bytes()[i * page], std::byte(i + 1)) << "page " << i;
		},
		std::chrono::seconds(90));
}
