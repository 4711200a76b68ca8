// SPDX-License-Identifier: GPL-2.0-only
#include "machine.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

using namespace harness;

namespace machine {

namespace {

constexpr const char *swap_device = "/dev/zram0";
constexpr const char *swap_settings = "/sys/block/zram0/";
constexpr const char *groups = "/sys/fs/cgroup";

[[noreturn]] void fail(const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

void must_write(const std::string &path, const std::string &text)
{
	// without a stream: its buffer would hide the errno
	int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
	ssize_t put = fd < 0 ? -1 : write(fd, text.data(), text.size());
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	if (put != static_cast<ssize_t>(text.size()))
		fail("write of '" + text + "' to " + path);
}

// Of "always [madvise] never": the one that holds.
std::string chosen(const std::string &line)
{
	std::size_t from = line.find('['), to = line.find(']');
	return from == std::string::npos || to == std::string::npos ? line : line.substr(from + 1, to - from - 1);
}

} // namespace

setting::setting(std::string path, const std::string &value) : path_(std::move(path)), before_(chosen(read_line(path_)))
{
	must_write(path_, value);
}

setting::~setting()
{
	if (!write_file(path_, before_))
		ADD_FAILURE() << path_ << " cannot be set back to " << before_;
}

swap::swap(std::size_t bytes)
{
	// what a test that was killed has left on
	swapoff(swap_device);
	write_file(swap_settings + std::string("reset"), "1");
	must_write(swap_settings + std::string("disksize"), std::to_string(bytes));
	if (command({"/bin/mkswap", swap_device}) || swapon(swap_device, 0))
		fail("swap on zram");
}

swap::~swap()
{
	EXPECT_EQ(swapoff(swap_device), 0);
	write_file(swap_settings + std::string("reset"), "1");
}

memory_group::memory_group(const std::string &name, std::size_t limit, bool swaps)
	: folder_(std::string(groups) + "/" + name)
{
	if (access((std::string(groups) + "/cgroup.procs").c_str(), F_OK) &&
	    mount("cgroup2", groups, "cgroup2", 0, nullptr))
		fail("mount of cgroup2");
	must_write(std::string(groups) + "/cgroup.subtree_control", "+memory");
	if (mkdir(folder_.c_str(), 0755) && errno != EEXIST)
		fail(folder_);
	must_write(folder_ + "/memory.max", limit ? std::to_string(limit) : "max");
	if (!swaps)
		must_write(folder_ + "/memory.swap.max", "0");
}

memory_group::~memory_group()
{
	EXPECT_TRUE(eventually([&] { return !rmdir(folder_.c_str()); })) << folder_ << " is still in use";
}

void memory_group::join() const
{
	must_write(folder_ + "/cgroup.procs", "0");
}

void memory_group::leave()
{
	must_write(std::string(groups) + "/cgroup.procs", "0");
}

std::uint64_t memory_group::charged() const
{
	return std::strtoull(read_line(folder_ + "/memory.current").c_str(), nullptr, 10);
}

std::uint64_t memory_group::events(const std::string &what) const
{
	return value_in(folder_ + "/memory.events", what).value_or(0);
}

kernel_log::kernel_log() : fd_(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC))
{
	if (fd_ < 0 || lseek(fd_, 0, SEEK_END) < 0)
		fail("/dev/kmsg");
}

kernel_log::~kernel_log()
{
	close(fd_);
}

std::string kernel_log::line_with(const std::string &text, std::chrono::milliseconds limit)
{
	std::string found;
	eventually(
		[&] {
			char record[8192];
			for (;;) {
				ssize_t got = read(fd_, record, sizeof(record));
				if (got < 0 && errno == EPIPE) // records were overwritten before we came
					continue;
				if (got <= 0)
					return false;
				std::string line(record, static_cast<std::size_t>(got));
				if (line.find(text) == std::string::npos)
					continue;
				found = line;
				return true;
			}
		},
		limit);
	return found;
}

std::optional<std::uint64_t> value_in(const std::string &path, const std::string &name)
{
	std::ifstream in(path);
	std::string field;
	std::uint64_t value;
	while (in >> field >> value)
		if (field == name)
			return value;
	return {};
}

void page_out(std::span<std::byte> memory)
{
	// From each CPU: a page that one of them has just brought in waits in a batch of its own for the LRU, and is passed
	// over unless that CPU asks.
	cpu_set_t before;
	if (sched_getaffinity(0, sizeof before, &before))
		fail("sched_getaffinity");
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &before) &&
		    (sched_setaffinity(0, sizeof one, &one) || madvise(memory.data(), memory.size(), MADV_PAGEOUT)))
			fail("madvise(MADV_PAGEOUT)");
	}
	if (sched_setaffinity(0, sizeof before, &before))
		fail("sched_setaffinity");
}

bool swapped_out(const void *at)
{
	return harness::state_of(at).swapped;
}

bool in_memory(const void *at)
{
	unsigned char resident = 0;
	if (mincore(const_cast<void *>(at), page, &resident))
		fail("mincore");
	return resident & 1;
}

std::string smaps(const void *at, const std::string &field)
{
	std::ifstream smaps("/proc/self/smaps");
	std::string line;
	bool here = false;
	while (std::getline(smaps, line)) {
		unsigned long long start, end;
		if (std::sscanf(line.c_str(), "%llx-%llx ", &start, &end) == 2)
			here = start <= libsvm::address(at) && libsvm::address(at) < end;
		if (here && line.starts_with(field + ":"))
			return line.substr(field.size() + 1);
	}
	return {};
}

std::uint64_t huge_kib(const void *at)
{
	return std::strtoull(smaps(at, "AnonHugePages").c_str(), nullptr, 10);
}

} // namespace machine
