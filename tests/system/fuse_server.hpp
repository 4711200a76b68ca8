// SPDX-License-Identifier: GPL-2.0-only
/* A file system in userspace with one file, whose pages come when the test says so. */
#ifndef SVM_TESTS_SYSTEM_FUSE_SERVER_HPP
#define SVM_TESTS_SYSTEM_FUSE_SERVER_HPP

#include <functional>
#include <string>
#include <thread>

#include <linux/fuse.h>

#include "harness.hpp"

namespace harness {

// Mounted for as long as it lives. Its thread is one of the process that makes it.
class fuse_server {
public:
	static constexpr std::uint64_t file_bytes = mib;
	static constexpr std::byte content{0x46};

	// @before_read is called by the server's thread before it answers a read.
	explicit fuse_server(std::function<void()> before_read);
	fuse_server(const fuse_server &) = delete;
	fuse_server &operator=(const fuse_server &) = delete;
	~fuse_server();
	// Opens the file, to be read.
	int open_file() const;

private:
	void serve();
	void answer(std::uint64_t unique, int error, const void *data, std::size_t bytes) const;
	void answer_lookup(std::uint64_t unique) const;

	std::string folder_;
	int fd_;
	std::function<void()> before_read_;
	std::thread thread_;
};

} // namespace harness

#endif
