// SPDX-License-Identifier: GPL-2.0-only
/* A userfaultfd's manager. */
#ifndef SVM_TESTS_SYSTEM_MANAGER_HPP
#define SVM_TESTS_SYSTEM_MANAGER_HPP

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.hpp"

// Since 7.3, and in no libc's headers yet.
#ifndef UFFD_FEATURE_RWP
#define UFFD_FEATURE_RWP (1 << 17)
#define UFFDIO_REGISTER_MODE_RWP (std::uint64_t{1} << 3)
#define UFFDIO_RWPROTECT_MODE_RWP (std::uint64_t{1} << 0)
struct uffdio_rwprotect {
	struct uffdio_range range;
	std::uint64_t mode;
};
#define UFFDIO_RWPROTECT _IOWR(UFFDIO, 0x09, struct uffdio_rwprotect)
#endif

namespace harness {

// A userfaultfd over a span; what is missing there comes from its manager or not at all. @flags: UFFD_USER_MODE_ONLY.
class manager {
public:
	explicit manager(std::span<std::byte> memory, int flags = 0, std::uint64_t mode = UFFDIO_REGISTER_MODE_MISSING)
		: fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags)))
	{
		uffdio_api api{};
		api.api = UFFD_API;
		api.features = mode & UFFDIO_REGISTER_MODE_RWP ? UFFD_FEATURE_RWP : 0;
		uffdio_register span{};
		span.range = {libsvm::address(memory.data()), memory.size()};
		span.mode = mode;
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

	// Whoever waits for the page looks again.
	bool wake(std::uint64_t where)
	{
		uffdio_range span{where, page};
		return ioctl(fd_, UFFDIO_WAKE, &span) == 0;
	}

	// In mode RWP: each access to the page waits from now on; @on false: accesses go on.
	bool protect(std::uint64_t where, bool on)
	{
		uffdio_rwprotect page_of{{where, page}, on ? UFFDIO_RWPROTECT_MODE_RWP : 0};
		return ioctl(fd_, UFFDIO_RWPROTECT, &page_of) == 0;
	}

	// Nobody is asked any more: memory is as without it.
	void close()
	{
		if (fd_ >= 0)
			::close(fd_);
		fd_ = -1;
	}

	// What the kernel's userfaultfd can do, as UFFD_FEATURE_*.
	static std::uint64_t features()
	{
		int fd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
		uffdio_api api{};
		api.api = UFFD_API;
		if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
			throw std::system_error(errno, std::generic_category(), "userfaultfd");
		::close(fd);
		return api.features;
	}

private:
	int fd_;
};

} // namespace harness

#endif
