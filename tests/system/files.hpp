// SPDX-License-Identifier: GPL-2.0-only
/* Files of tests' own. */
#ifndef SVM_TESTS_SYSTEM_FILES_HPP
#define SVM_TESTS_SYSTEM_FILES_HPP

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "harness.hpp"

namespace harness {

inline constexpr long ext4_magic = 0xef53;

// A file without a name, of @size bytes that are all @value; closed at the end.
class file {
public:
	// In memory.
	file(std::size_t size, std::byte value) : fd_(memfd_create("svm", MFD_CLOEXEC)) { write_all(size, value); }
	// In a folder of a file system.
	file(const std::string &folder, std::size_t size, std::byte value)
		: fd_(open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600))
	{
		write_all(size, value);
	}
	file(const file &) = delete;
	file &operator=(const file &) = delete;
	~file() { close(fd_); }
	int fd() const { return fd_; }
	std::byte byte_at(std::size_t offset) const
	{
		std::byte value{0xff};
		EXPECT_EQ(pread(fd_, &value, 1, static_cast<off_t>(offset)), 1);
		return value;
	}

private:
	void write_all(std::size_t size, std::byte value)
	{
		if (fd_ < 0)
			throw std::system_error(errno, std::generic_category(), "open of a test file");
		std::vector<std::byte> chunk(64 * 1024, value);
		for (std::size_t at = 0; at < size; at += chunk.size())
			if (pwrite(fd_, chunk.data(), chunk.size(), static_cast<off_t>(at)) != ssize_t(chunk.size()))
				throw std::system_error(errno, std::generic_category(), "write of a test file");
		if (ftruncate(fd_, static_cast<off_t>(size)))
			throw std::system_error(errno, std::generic_category(), "ftruncate");
	}
	int fd_;
};

// A folder on ext4 that can be written; empty if there is none.
inline std::string disk_folder()
{
	for (const char *folder : {"/var/tmp", "/results", "/root", "/"}) {
		struct statfs fs;
		if (!statfs(folder, &fs) && fs.f_type == ext4_magic && !access(folder, W_OK))
			return folder;
	}
	return {};
}

} // namespace harness

#endif
