// SPDX-License-Identifier: GPL-2.0-only
/* Files in persistent memory, mapped without a page cache. Needs /dev/pmem0. */
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.hpp"

using namespace harness;

namespace {

// An ext4 file system on persistent memory, made anew.
class dax_folder {
public:
	dax_folder()
	{
		mkdir("/tmp", 0777);
		mkdir(path, 0755);
		if (command({"mke2fs", "-q", "-F", "-b", "4096", "/dev/pmem0"}) ||
		    mount("/dev/pmem0", path, "ext4", 0, "dax"))
			throw std::system_error(errno, std::generic_category(), "a DAX file system on /dev/pmem0");
	}
	dax_folder(const dax_folder &) = delete;
	dax_folder &operator=(const dax_folder &) = delete;
	~dax_folder() { EXPECT_EQ(umount(path), 0); }

	static constexpr const char *path = "/tmp/svm-dax";
};

// A file of @size bytes with one value.
int file_of(std::size_t size, std::byte value)
{
	int fd = open((std::string(dax_folder::path) + "/data").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	std::vector<std::byte> bytes(size, value);
	if (fd < 0 || write(fd, bytes.data(), size) != static_cast<ssize_t>(size) || fsync(fd))
		throw std::system_error(errno, std::generic_category(), "a DAX file");
	return fd;
}

} // namespace

SVM_TEST(Row10Dax, SharedFileIsWrittenInPlace)
{
	dax_folder folder;
	int fd = file_of(mib, std::byte{0x11});
	{
		gpu gpu;
		mapping file(mib, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
		EXPECT_DEVICE_READS(gpu.queue, &file.at(9), 0x11);
		EXPECT_EQ(device_fill(gpu.queue, file.bytes(), std::byte{0x22}), 0);
		std::byte value{};
		EXPECT_EQ(pread(fd, &value, 1, 200 * page), 1);
		EXPECT_EQ(value, std::byte{0x22});
	}
	close(fd);
}

// There is no struct page to copy from that core mm would use: it reads the source by its address, through the page
// tables that are loaded. Other processes are busy meanwhile, with other memory at the same address.
SVM_TEST(Row10Dax, PrivateCopyHasTheFilesContent)
{
	dax_folder folder;
	constexpr std::size_t size = mib;
	int fd = file_of(size, std::byte{0x11});
	{
		gpu gpu;
		mapping file(size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
		auto busy = [&] {
			void *at = mmap(file.data(), size, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			std::memset(at, 0xbb, size);
			for (volatile unsigned turn = 0;;)
				turn = turn + 1;
			return 1;
		};
		child one(busy), two(busy), three(busy), four(busy);
		std::this_thread::sleep_for(300ms);
		// read first: the write then finds the file's page and copies it
		ASSERT_EQ(finish(gpu.queue.touch(file.bytes(), page, false)).status, 0);
		for (std::size_t i = 0; i < file.pages(); i++)
			ASSERT_EQ(device_write(gpu.queue, &file.at(i), std::byte{0x33}), 0);
		for (std::size_t i = 0; i < file.pages(); i++) {
			ASSERT_EQ(file.at(i), std::byte{0x33}) << "page " << i;
			for (std::size_t at = 1; at < page; at++)
				ASSERT_EQ((&file.at(i))[at], std::byte{0x11}) << "page " << i << ", byte " << at;
		}
		std::byte value{};
		EXPECT_EQ(pread(fd, &value, 1, 0), 1);
		EXPECT_EQ(value, std::byte{0x11}) << "a private write reached the file";
	}
	close(fd);
}
