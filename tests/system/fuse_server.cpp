// SPDX-License-Identifier: GPL-2.0-only
/* As much of the FUSE protocol as it takes to have one file read; see linux/fuse.h. */
#include "fuse_server.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <system_error>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace harness {

namespace {

constexpr std::uint64_t file_node = 2; // the root has 1
constexpr std::size_t request_bytes = 128 * 1024;

fuse_attr attributes(std::uint64_t node)
{
	fuse_attr attr{};
	attr.ino = node;
	attr.nlink = 1;
	attr.mode = node == file_node ? S_IFREG | 0444 : S_IFDIR | 0555;
	attr.size = node == file_node ? fuse_server::file_bytes : 0;
	attr.blksize = page;
	return attr;
}

} // namespace

fuse_server::fuse_server(std::function<void()> before_read)
	: folder_("/tmp/svm-fuse-" + std::to_string(getpid())), fd_(open("/dev/fuse", O_RDWR | O_CLOEXEC)),
	  before_read_(std::move(before_read))
{
	std::string options = "rootmode=40000,user_id=0,group_id=0,fd=" + std::to_string(fd_);
	mkdir("/tmp", 0777);
	mkdir(folder_.c_str(), 0755);
	if (fd_ < 0 || mount("svm", folder_.c_str(), "fuse", MS_NODEV | MS_NOSUID, options.c_str()))
		throw std::system_error(errno, std::generic_category(), "mount of a FUSE file system");
	thread_ = std::thread([this] { serve(); });
}

fuse_server::~fuse_server()
{
	umount2(folder_.c_str(), MNT_DETACH | MNT_FORCE);
	thread_.join();
	close(fd_);
	rmdir(folder_.c_str());
}

int fuse_server::open_file() const
{
	return open((folder_ + "/data").c_str(), O_RDONLY | O_CLOEXEC);
}

void fuse_server::answer(std::uint64_t unique, int error, const void *data, std::size_t bytes) const
{
	fuse_out_header head{static_cast<std::uint32_t>(sizeof head + bytes), -error, unique};
	iovec parts[] = {{&head, sizeof head}, {const_cast<void *>(data), bytes}};
	// a request that was interrupted has no one to answer to
	if (writev(fd_, parts, bytes ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV)
		std::perror("fuse answer");
}

void fuse_server::answer_lookup(std::uint64_t unique) const
{
	fuse_entry_out entry{};
	entry.nodeid = file_node;
	entry.attr_valid = entry.entry_valid = 3600;
	entry.attr = attributes(file_node);
	answer(unique, 0, &entry, sizeof entry);
}

void fuse_server::serve()
{
	std::vector<char> request(request_bytes + page);
	std::vector<std::byte> bytes(request_bytes, content);
	for (;;) {
		ssize_t got = read(fd_, request.data(), request.size());
		if (got < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (got < static_cast<ssize_t>(sizeof(fuse_in_header)))
			return; // unmounted
		fuse_in_header in;
		std::memcpy(&in, request.data(), sizeof in);
		const char *body = request.data() + sizeof in;
		switch (in.opcode) {
		case FUSE_INIT: {
			fuse_init_out out{};
			out.major = FUSE_KERNEL_VERSION;
			out.minor = 31;
			out.flags = FUSE_ASYNC_READ;
			out.max_readahead = request_bytes;
			out.max_write = page;
			answer(in.unique, 0, &out, sizeof out);
			break;
		}
		case FUSE_LOOKUP:
			answer_lookup(in.unique);
			break;
		case FUSE_GETATTR: {
			fuse_attr_out out{};
			out.attr_valid = 3600;
			out.attr = attributes(in.nodeid);
			answer(in.unique, 0, &out, sizeof out);
			break;
		}
		case FUSE_OPEN: {
			fuse_open_out out{};
			answer(in.unique, 0, &out, sizeof out);
			break;
		}
		case FUSE_READ: {
			fuse_read_in read_in;
			std::memcpy(&read_in, body, sizeof read_in);
			before_read_();
			std::uint64_t left = read_in.offset < file_bytes ? file_bytes - read_in.offset : 0;
			answer(in.unique, 0, bytes.data(),
			       std::min<std::uint64_t>({left, read_in.size, bytes.size()}));
			break;
		}
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break; // no answer is expected
		case FUSE_RELEASE:
		case FUSE_FLUSH:
			answer(in.unique, 0, nullptr, 0);
			break;
		default:
			answer(in.unique, ENOSYS, nullptr, 0);
		}
	}
}

} // namespace harness
