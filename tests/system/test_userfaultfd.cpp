// SPDX-License-Identifier: GPL-2.0-only
/* Row 12: memory that a process of its own choosing fills. Whoever waits for it holds up nobody else. */
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

namespace {

// A userfaultfd over a span; what is missing there comes from its manager or not at all.
class manager {
public:
	explicit manager(std::span<std::byte> memory)
		: fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)))
	{
		uffdio_api api{};
		api.api = UFFD_API;
		uffdio_register span{};
		span.range = {libsvm::address(memory.data()), memory.size()};
		span.mode = UFFDIO_REGISTER_MODE_MISSING;
		if (fd_ < 0 || ioctl(fd_, UFFDIO_API, &api) || ioctl(fd_, UFFDIO_REGISTER, &span))
			throw std::system_error(errno, std::generic_category(), "userfaultfd");
	}
	manager(const manager &) = delete;
	manager &operator=(const manager &) = delete;
	~manager() { close(); }

	// The page that somebody waits for, or nothing in time.
	std::optional<std::uint64_t> asked(std::chrono::milliseconds limit = job_limit)
	{
		pollfd ready{fd_, POLLIN, 0};
		uffd_msg message;
		if (poll(&ready, 1, static_cast<int>(limit.count())) != 1 ||
		    read(fd_, &message, sizeof message) != sizeof message)
			return std::nullopt;
		return message.arg.pagefault.address & ~std::uint64_t{page - 1};
	}

	bool fill(std::uint64_t where, std::byte value)
	{
		alignas(page) static std::byte source[page];
		std::memset(source, std::to_integer<int>(value), page);
		uffdio_copy copy{};
		copy.dst = where;
		copy.src = libsvm::address(source);
		copy.len = page;
		return ioctl(fd_, UFFDIO_COPY, &copy) == 0;
	}

	// Nobody is asked any more: memory is as without it.
	void close()
	{
		if (fd_ >= 0)
			::close(fd_);
		fd_ = -1;
	}

private:
	int fd_;
};

} // namespace

SVM_TEST(Row12Userfaultfd, ManagerAnswersTheDevice)
{
	gpu gpu;
	mapping memory(2 * mib);
	manager manager(memory.bytes());
	std::jthread answers([&] {
		for (unsigned n = 0; n < 3; n++) {
			std::optional<std::uint64_t> where = manager.asked();
			ASSERT_TRUE(where);
			ASSERT_TRUE(manager.fill(*where, std::byte(0x31 + n)));
		}
	});
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(7), 0x31);
	EXPECT_DEVICE_READS(gpu.queue, &memory.at(300), 0x32);
	EXPECT_EQ(device_write(gpu.queue, &memory.at(301), std::byte{0x55}), 0);
	answers.join();
	EXPECT_EQ(memory.at(7), std::byte{0x31});
	EXPECT_EQ(memory.at(301), std::byte{0x55});
}

SVM_TEST(Row12Userfaultfd, UnbindDoesNotWaitForTheManager)
{
	libsvm::device device;
	libsvm::vm vm(device);
	mapping memory(2 * mib);
	vm.bind(memory.bytes());
	libsvm::queue queue(vm);
	manager manager(memory.bytes());
	libsvm::job job = queue.touch(memory.bytes(5, 1), page, false);
	ASSERT_TRUE(manager.asked()) << "the device's fault never reached the manager";
	auto began = std::chrono::steady_clock::now();
	vm.unbind(libsvm::address(memory.data()), memory.size());
	EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
	manager.close();
	EXPECT_EQ(finish(job).status, -EFAULT);
}

SVM_TEST(Row12Userfaultfd, PrefetchLeavesItOut)
{
	gpu gpu;
	mapping memory(4 * mib);
	memory.no_huge_pages();
	manager manager(memory.bytes(512, 512));
	EXPECT_EQ(gpu.vm.prefetch(memory.bytes(), true), 512u);
	EXPECT_FALSE(manager.asked(0ms)) << "prefetch asked the manager";
}

SVM_TEST(Row12Userfaultfd, KilledWhileTheManagerSleeps)
{
	signal_pipe waiting;
	child victim([&] {
		gpu gpu;
		mapping memory(2 * mib);
		manager manager(memory.bytes());
		libsvm::job job = gpu.queue.touch(memory.bytes(5, 1), page, false);
		if (!manager.asked())
			return 1;
		waiting.send();
		pause();
		return 2;
	});
	ASSERT_TRUE(waiting.wait());
	victim.kill();
	ASSERT_TRUE(victim.wait()) << "it cannot be killed";
	EXPECT_TRUE(nothing_held());
}
