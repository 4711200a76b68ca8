// SPDX-License-Identifier: GPL-2.0-only
/* Row 19: pages that somebody else in the kernel holds: direct I/O, registered buffers, pipes. */
#include <cerrno>
#include <cstring>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "files.hpp"
#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

constexpr std::size_t size = 64 * page;

// A file on the disk, past the page cache.
class direct_file {
public:
	direct_file()
	{
		std::string folder = disk_folder();
		fd_ = folder.empty() ? -1 : open(folder.c_str(), O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
		if (fd_ < 0)
			throw std::system_error(errno, std::generic_category(), "a file with O_DIRECT");
	}
	~direct_file() { close(fd_); }
	direct_file(const direct_file &) = delete;
	direct_file &operator=(const direct_file &) = delete;
	int fd() const { return fd_; }

private:
	int fd_;
};

// Pages held for as long as it lives, as a registered buffer of an io_uring: a long-term pin.
class pinned {
public:
	explicit pinned(std::span<std::byte> memory)
	{
		io_uring_params params{};
		fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 2, &params));
		iovec buffer{memory.data(), memory.size()};
		if (fd_ < 0 || syscall(SYS_io_uring_register, fd_, IORING_REGISTER_BUFFERS, &buffer, 1))
			throw std::system_error(errno, std::generic_category(), "a registered buffer");
	}
	~pinned() { close(fd_); }
	pinned(const pinned &) = delete;
	pinned &operator=(const pinned &) = delete;

private:
	int fd_;
};

bool all(std::span<const std::byte> memory, std::byte value)
{
	return std::all_of(memory.begin(), memory.end(), [&](std::byte at) { return at == value; });
}

} // namespace

SVM_TEST(Row19Pins, DirectWriteTakesTheDevicesData)
{
	gpu gpu;
	direct_file file;
	mapping memory(size), back(size);
	hammer busy(gpu.vm, memory.bytes(), false);
	for (unsigned round = 1; round <= 4; round++) {
		ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte(round)), 0);
		ASSERT_EQ(pwrite(file.fd(), memory.data(), size, 0), ssize_t(size)) << strerrorname_np(errno);
		ASSERT_EQ(pread(file.fd(), back.data(), size, 0), ssize_t(size));
		EXPECT_TRUE(all(back.bytes(), std::byte(round))) << "round " << round;
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row19Pins, DirectReadIsSeenByTheDevice)
{
	gpu gpu;
	direct_file file;
	mapping source(size), memory(size), copy(size);
	hammer busy(gpu.vm, memory.bytes(), false);
	for (unsigned round = 1; round <= 4; round++) {
		ASSERT_EQ(device_fill(gpu.queue, source.bytes(), std::byte(round)), 0);
		ASSERT_EQ(pwrite(file.fd(), source.data(), size, 0), ssize_t(size)) << strerrorname_np(errno);
		// into pages that the device has, or (every other round) into none that anybody has
		if (round % 2) {
			ASSERT_EQ(madvise(memory.data(), size, MADV_DONTNEED), 0);
		}
		ASSERT_EQ(pread(file.fd(), memory.data(), size, 0), ssize_t(size)) << strerrorname_np(errno);
		ASSERT_EQ(finish(gpu.queue.copy(copy.bytes(), memory.bytes())).status, 0);
		EXPECT_TRUE(all(copy.bytes(), std::byte(round))) << "round " << round;
	}
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}

SVM_TEST(Row19Pins, PinnedPagesStayPut)
{
	swap space(64 * mib);
	gpu gpu;
	mapping memory(16 * page), free(page);
	memory.no_huge_pages();
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(), std::byte{0}), 0);
	ASSERT_EQ(device_fill(gpu.queue, free.bytes(), std::byte{1}), 0);
	pinned holder(memory.bytes());
	std::vector<std::uint64_t> frames = frames_of(memory.bytes());
	adder adds(gpu.vm, memory.bytes());
	for (unsigned round = 0; round < 2; round++) {
		// each of these moves or drops a page that is not held
		page_out(memory.bytes());
		write_file("/proc/sys/vm/compact_memory", "1");
		child forked([] { return 0; });
		EXPECT_TRUE(forked.succeeded());
		adds.wait_for(16);
	}
	EXPECT_TRUE(adds.exact());
	EXPECT_TRUE(eventually([&] {
		page_out(free.bytes());
		return swapped_out(&free.at(0));
	})) << "nothing is moved here";
	EXPECT_EQ(frames_of(memory.bytes()), frames) << "a pinned page has moved";
}

SVM_TEST(Row19Pins, HeldPageOutlivesItsMapping)
{
	gpu gpu;
	mapping memory(4 * page);
	memory.no_huge_pages();
	int ends[2];
	ASSERT_EQ(pipe(ends), 0);
	hammer busy(gpu.vm, memory.bytes(2, 2), true);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(0, 1), std::byte{0x11}), 0);
	// the pipe has the page itself: what the device writes to it is in the pipe
	iovec part{memory.data(), page};
	ASSERT_EQ(vmsplice(ends[1], &part, 1, 0), ssize_t(page));
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(0, 1), std::byte{0x22}), 0);
	// and goes on having it; the device has another from here on
	ASSERT_EQ(madvise(memory.data(), page, MADV_DONTNEED), 0);
	ASSERT_EQ(device_fill(gpu.queue, memory.bytes(0, 1), std::byte{0x33}), 0);
	std::vector<std::byte> piped(page);
	ASSERT_EQ(read(ends[0], piped.data(), page), ssize_t(page));
	EXPECT_TRUE(all(piped, std::byte{0x22})) << "the pipe's page shows " << std::to_integer<int>(piped[0]);
	EXPECT_EQ(memory.at(0), std::byte{0x33});
	close(ends[0]);
	close(ends[1]);
	hammer::report report = busy.stop();
	EXPECT_EQ(report.ok, report.jobs) << "first other status " << report.first_other;
}
