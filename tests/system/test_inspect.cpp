// SPDX-License-Identifier: GPL-2.0-only
/* Row 18: others who look into the process's memory, and write to it, while the device works there. */
#include <cerrno>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine.hpp"

using namespace harness;
using namespace machine;

namespace {

// A process whose memory the device has filled with 0x5a and keeps adding to, in the last page. The memory is
// mapped before the fork, so that its address is known here.
class inspected {
public:
	using body = std::function<int(inspected &, gpu &)>;
	// @then runs in it once it was told to go on; the read-only page is at(0) of @constant.
	explicit inspected(const body &then)
		: memory(64 * page), constant(page, PROT_READ), process_([this, then] { return live(then); })
	{
		EXPECT_TRUE(ready_.wait()) << "the process does not get on";
	}
	pid_t pid() const { return process_.pid(); }
	void go_on() { go_on_.send(); }
	bool succeeded() { return process_.succeeded(); }

	mapping memory, constant;

private:
	signal_pipe ready_, go_on_;

	int live(const body &then)
	{
		gpu gpu;
		if (device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}))
			return 1;
		if (device_read(gpu.queue, &constant.at(0)).value != std::byte{0})
			return 2;
		adder adds(gpu.vm, memory.bytes(63, 1));
		hammer reads(gpu.vm, memory.bytes(0, 63), false);
		adds.wait_for(2);
		ready_.send();
		if (!go_on_.wait())
			return 3;
		int rc = then(*this, gpu);
		return rc ? rc : adds.exact() ? 0 : 4;
	}

	child process_;
};

// /proc/PID/mem.
class memory_file {
public:
	explicit memory_file(pid_t pid)
		: fd_(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDWR | O_CLOEXEC))
	{
		if (fd_ < 0)
			throw std::system_error(errno, std::generic_category(), "/proc/PID/mem");
	}
	~memory_file() { close(fd_); }
	memory_file(const memory_file &) = delete;
	memory_file &operator=(const memory_file &) = delete;
	ssize_t read(void *to, std::size_t size, const void *at) { return pread64(fd_, to, size, where(at)); }
	ssize_t write(const void *from, std::size_t size, const void *at) { return pwrite64(fd_, from, size, where(at)); }

private:
	static off64_t where(const void *at) { return static_cast<off64_t>(svmirror::address(at)); }
	int fd_;
};

} // namespace

SVM_TEST(Row18Inspect, ReadersSeeDeviceData)
{
	inspected other([](inspected &, gpu &) { return 0; });
	std::vector<std::byte> copy(63 * page), want(63 * page, std::byte{0x5a});
	iovec here{copy.data(), copy.size()}, there{other.memory.data(), copy.size()};
	ASSERT_EQ(process_vm_readv(other.pid(), &here, 1, &there, 1, 0), ssize_t(copy.size())) << strerrorname_np(errno);
	EXPECT_EQ(copy, want);
	std::fill(copy.begin(), copy.end(), std::byte{0});
	ASSERT_EQ(memory_file(other.pid()).read(copy.data(), copy.size(), other.memory.data()), ssize_t(copy.size()));
	EXPECT_EQ(copy, want);
	// a debugger: the process stands still, the device does not
	ASSERT_EQ(ptrace(PTRACE_ATTACH, other.pid(), nullptr, nullptr), 0);
	ASSERT_EQ(waitpid(other.pid(), nullptr, __WALL), other.pid());
	errno = 0;
	EXPECT_EQ(ptrace(PTRACE_PEEKDATA, other.pid(), &other.memory.at(17), nullptr), 0x5a5a5a5a5a5a5a5al);
	EXPECT_EQ(errno, 0);
	ASSERT_EQ(ptrace(PTRACE_DETACH, other.pid(), nullptr, nullptr), 0);
	other.go_on();
	EXPECT_TRUE(other.succeeded());
}

SVM_TEST(Row18Inspect, WritersAreSeenByTheDevice)
{
	inspected other([](inspected &self, gpu &gpu) {
		const mapping &memory = self.memory;
		if (device_read(gpu.queue, &memory.at(3)).value != std::byte{0x31})
			return 10;
		if (device_read(gpu.queue, &memory.at(5)).value != std::byte{0x35})
			return 11;
		return device_read(gpu.queue, &memory.at(7)).value == std::byte{0x37} ? 0 : 12;
	});
	std::byte one{0x31}, two{0x35};
	iovec here{&one, 1}, there{&other.memory.at(3), 1};
	EXPECT_EQ(process_vm_writev(other.pid(), &here, 1, &there, 1, 0), 1);
	EXPECT_EQ(memory_file(other.pid()).write(&two, 1, &other.memory.at(5)), 1);
	ASSERT_EQ(ptrace(PTRACE_ATTACH, other.pid(), nullptr, nullptr), 0);
	ASSERT_EQ(waitpid(other.pid(), nullptr, __WALL), other.pid());
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, other.pid(), &other.memory.at(7), 0x3737373737373737l), 0);
	ASSERT_EQ(ptrace(PTRACE_DETACH, other.pid(), nullptr, nullptr), 0);
	other.go_on();
	EXPECT_TRUE(other.succeeded());
}

SVM_TEST(Row18Inspect, ForcedWriteMakesTheDeviceRefault)
{
	// the device has the zero page there, read-only; FOLL_FORCE puts another in its place
	inspected other([](inspected &self, gpu &gpu) {
		std::byte *constant = self.constant.data();
		if (device_read(gpu.queue, constant).value != std::byte{0x77})
			return 10;
		if (device_write(gpu.queue, constant, std::byte{1}) != EPERM)
			return 11;
		return *constant == std::byte{0x77} ? 0 : 12;
	});
	std::byte forced{0x77};
	ASSERT_EQ(memory_file(other.pid()).write(&forced, 1, other.constant.data()), 1) << strerrorname_np(errno);
	other.go_on();
	EXPECT_TRUE(other.succeeded());
}

namespace {

// The first byte of @at in an ELF core file, or nothing if it is not in there.
std::optional<std::byte> in_core(const std::string &path, std::uint64_t at)
{
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr head;
	std::optional<std::byte> found;
	if (fd >= 0 && pread(fd, &head, sizeof(head), 0) == sizeof(head) && !std::memcmp(head.e_ident, ELFMAG, SELFMAG))
		for (unsigned i = 0; i < head.e_phnum && !found; i++) {
			Elf64_Phdr part;
			std::byte value;
			off_t where = static_cast<off_t>(head.e_phoff + i * sizeof(part));
			if (pread(fd, &part, sizeof(part), where) == sizeof(part) && part.p_type == PT_LOAD &&
			    at >= part.p_vaddr && at - part.p_vaddr < part.p_filesz &&
			    pread(fd, &value, 1, static_cast<off_t>(part.p_offset + at - part.p_vaddr)) == 1)
				found = value;
		}
	if (fd >= 0)
		close(fd);
	return found;
}

} // namespace

SVM_TEST(Row18Inspect, CoreDumpHasDeviceData)
{
	setting pattern("/proc/sys/kernel/core_pattern", "/tmp/svm-core.%p");
	mapping memory(64 * page);
	child crashes([&] {
		rlimit all{RLIM_INFINITY, RLIM_INFINITY};
		setrlimit(RLIMIT_CORE, &all);
		gpu gpu;
		if (device_fill(gpu.queue, memory.bytes(), std::byte{0x5a}))
			return 1;
		hammer busy(gpu.vm, memory.bytes(), true);
		busy.wait_for(2);
		signal(SIGABRT, SIG_DFL);
		abort();
		return 2;
	});
	std::string core = "/tmp/svm-core." + std::to_string(crashes.pid());
	std::optional<int> status = crashes.wait();
	ASSERT_TRUE(status.has_value()) << "a process that dumps core does not end";
	EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGABRT) << "status " << *status;
	for (std::size_t i : {0, 31, 63})
		EXPECT_EQ(in_core(core, svmirror::address(&memory.at(i))), std::byte{0x5a}) << "page " << i << " of " << core;
	unlink(core.c_str());
	EXPECT_TRUE(nothing_held());
}
