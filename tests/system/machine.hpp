// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine around a process: kernel settings for a while, swap, a memory
 * limit, the kernel's log, nodes. All of it is as before when its owner goes; what
 * cannot be had throws and says so, for the lanes' kernels have it all.
 */
#ifndef SVM_TESTS_SYSTEM_MACHINE_HPP
#define SVM_TESTS_SYSTEM_MACHINE_HPP

#include <cstdint>
#include <string>

#include "harness.hpp"

namespace machine {

// A file of /proc or /sys with another content.
class setting {
public:
	setting(std::string path, const std::string &value);
	setting(const setting &) = delete;
	setting &operator=(const setting &) = delete;
	~setting();

private:
	std::string path_, before_;
};

// Swap space in compressed memory (zram).
class swap {
public:
	explicit swap(std::size_t bytes);
	swap(const swap &) = delete;
	swap &operator=(const swap &) = delete;
	~swap();
};

// A control group of the memory controller.
class memory_group {
public:
	// @limit 0: none. Nothing of it is swapped unless @swaps.
	explicit memory_group(const std::string &name, std::size_t limit = 0, bool swaps = false);
	memory_group(const memory_group &) = delete;
	memory_group &operator=(const memory_group &) = delete;
	// Its processes must be gone.
	~memory_group();
	// Moves the caller in; what it has by then stays charged to where it was.
	void join() const;
	// Back to the root.
	static void leave();
	std::uint64_t charged() const;
	// Of one of its files.
	std::string path(const std::string &file) const { return folder_ + "/" + file; }
	// Of memory.events: "max", "oom_kill", …
	std::uint64_t events(const std::string &what) const;

private:
	std::string folder_;
};

// What the kernel logs from now on.
class kernel_log {
public:
	kernel_log();
	kernel_log(const kernel_log &) = delete;
	kernel_log &operator=(const kernel_log &) = delete;
	~kernel_log();
	// The first line with @text in it since the last such call, or empty if none came in time.
	std::string line_with(const std::string &text, std::chrono::milliseconds limit = harness::job_limit);

private:
	int fd_;
};

// "name value" lines: the value, or nothing.
std::optional<std::uint64_t> value_in(const std::string &path, const std::string &name);

// Has these pages written out or dropped at once, as pressure would.
void page_out(std::span<std::byte> memory);
bool swapped_out(const void *at);
// As mincore says: for pages of files and shared memory.
bool in_memory(const void *at);

// What /proc/self/smaps says in this field of the mapping at this address, or empty.
std::string smaps(const void *at, const std::string &field);
// KiB of huge pages that the CPU has in the mapping at this address.
std::uint64_t huge_kib(const void *at);

} // namespace machine

#endif
