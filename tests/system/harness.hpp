// SPDX-License-Identifier: GPL-2.0-only
/*
 * What system tests share. Each test body runs in a child process with a time
 * limit: a hang or a crash is a failure of that test with a message, and its vms
 * end with it. Every wait in here has a limit too.
 */
#ifndef SVM_TESTS_SYSTEM_HARNESS_HPP
#define SVM_TESTS_SYSTEM_HARNESS_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <sys/types.h>

#include <gtest/gtest.h>

#include <svmirror.hpp>

namespace harness {

using namespace std::chrono_literals;

inline constexpr std::size_t page = 4096;
inline constexpr std::size_t mib = 1 << 20;
inline constexpr std::size_t table_span = 2 * mib;
inline constexpr std::chrono::seconds job_limit{30};

// Runs @body in a child; its failures, its crash and its hang become this test's failures.
void isolated(const std::function<void()> &body, std::chrono::seconds limit);

#define SVM_TEST_WITHIN(suite, name, limit)                                        \
	static void suite##_##name##_body();                                       \
	TEST(suite, name)                                                          \
	{                                                                          \
		harness::isolated(suite##_##name##_body, std::chrono::seconds(limit)); \
	}                                                                          \
	static void suite##_##name##_body()

#define SVM_TEST(suite, name) SVM_TEST_WITHIN(suite, name, 120)

// A vm over the whole address space and one queue; what most tests need.
struct gpu {
	explicit gpu(svmirror_vm_options options = {}) : vm(device, options), queue(bound(vm)) {}

	svmirror::device device;
	svmirror::vm vm;
	svmirror::queue queue;

private:
	static const svmirror::vm &bound(svmirror::vm &space)
	{
		space.bind_all();
		return space;
	}
};

// Memory of the test's own, aligned to a table, with a free table's span before and behind it.
class mapping {
public:
	explicit mapping(std::size_t size, int protection = PROT_READ | PROT_WRITE,
			 int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1, off_t offset = 0);
	mapping(const mapping &) = delete;
	mapping &operator=(const mapping &) = delete;
	~mapping();

	std::byte *data() const { return data_; }
	std::size_t size() const { return size_; }
	std::size_t pages() const { return size_ / page; }
	std::span<std::byte> bytes() const { return {data_, size_}; }
	std::span<std::byte> bytes(std::size_t first_page, std::size_t count) const
	{
		return bytes().subspan(first_page * page, count * page);
	}
	// The byte that page @index begins with.
	std::byte &at(std::size_t index) const { return data_[index * page]; }
	void no_huge_pages() const;

private:
	std::byte *reserved_;
	std::size_t reserved_size_;
	std::byte *data_;
	std::size_t size_;
};

// A vm that mirrors one mapping and nothing else: no other event of the process counts there.
struct window {
	explicit window(const mapping &memory, svmirror_vm_options options = {}) : vm(device, options), queue(bound(vm, memory))
	{
	}
	svmirror::device device;
	svmirror::vm vm;
	svmirror::queue queue;

private:
	static const svmirror::vm &bound(svmirror::vm &space, const mapping &memory)
	{
		space.bind(memory.bytes());
		return space;
	}
};

// What one job did. wait: throws after job_limit.
svmirror::job_result finish(const svmirror::job &job);

// One byte read by the device, or the errno (positive) that it got.
struct read_result {
	int error;
	std::byte value;
};
read_result device_read(svmirror::queue &queue, const void *at);
// 0 or the errno (positive).
int device_write(svmirror::queue &queue, void *at, std::byte value);
int device_fill(svmirror::queue &queue, std::span<std::byte> memory, std::byte value);

// The device reads this value there.
::testing::AssertionResult device_reads(svmirror::queue &queue, const void *at, std::byte want);
#define EXPECT_DEVICE_READS(queue, at, want) EXPECT_TRUE(harness::device_reads(queue, at, std::byte(want)))

// Keeps the device busy on a span from a thread of its own, and counts how jobs ended.
class hammer {
public:
	struct report {
		std::uint64_t jobs = 0, ok = 0, fault = 0, denied = 0, other = 0;
		int first_other = 0;
	};
	hammer(svmirror::vm &vm, std::span<std::byte> memory, bool write);
	~hammer();
	// Jobs ended so far.
	std::uint64_t jobs() const { return jobs_.load(std::memory_order_relaxed); }
	// Returns after @more jobs have ended, or fails the test after job_limit.
	void wait_for(std::uint64_t more) const;
	report stop();

private:
	void run();

	svmirror::queue queue_;
	std::span<std::byte> memory_;
	bool write_;
	// relaxed, both: a count and a request; joining the thread orders the rest
	std::atomic<std::uint64_t> jobs_{0};
	std::atomic<bool> stopping_{false};
	report report_;
	std::thread thread_;
};

// Has the device add to the first word of each page, over and over, from a thread of its own. An entry or a TLB
// that still leads to a page's former place loses additions, and the sums are exact.
class adder {
public:
	adder(svmirror::vm &vm, std::span<std::byte> memory, std::uint64_t times = 200);
	~adder();
	// Returns after @more jobs have ended, or fails the test after job_limit.
	void wait_for(std::uint64_t more) const;
	// Ends it: every job went well, and the CPU sees every addition in every page.
	::testing::AssertionResult exact();

private:
	std::uint64_t &word(std::size_t index) const;
	void run();
	void stop();

	svmirror::queue queue_;
	std::span<std::byte> memory_;
	std::uint64_t times_;
	std::vector<std::uint64_t> made_; // per page
	int failed_ = 0;		  // the first status that was not 0
	// relaxed, both: a count and a request; joining the thread orders the rest
	std::atomic<std::uint64_t> jobs_{0};
	std::atomic<bool> stopping_{false};
	std::thread thread_;
};

// A child process of a test.
class child {
public:
	// It exits with what @body returns.
	explicit child(const std::function<int()> &body);
	child(const child &) = delete;
	child &operator=(const child &) = delete;
	// Kills it if it still runs.
	~child();
	pid_t pid() const { return pid_; }
	void kill();
	// Its wait status, or nothing if it is not gone in time.
	std::optional<int> wait(std::chrono::milliseconds limit = job_limit);
	// Exited by itself with 0, in time.
	bool succeeded(std::chrono::milliseconds limit = job_limit);

private:
	pid_t pid_;
	std::optional<int> status_;
};

// One-way signals between processes: each side waits with a limit.
class signal_pipe {
public:
	signal_pipe();
	signal_pipe(const signal_pipe &) = delete;
	signal_pipe &operator=(const signal_pipe &) = delete;
	~signal_pipe();
	void send();
	bool wait(std::chrono::milliseconds limit = job_limit);

private:
	int ends_[2];
};

// Waits until @done holds; false if it never did.
bool eventually(const std::function<bool()> &done, std::chrono::milliseconds limit = job_limit);

svmirror::counters operator-(svmirror::counters a, const svmirror::counters &b);

// Of /proc/self/pagemap, for root: the frame (0: none), bit 62 (in swap) and bit 61 (page of a file, or shared).
struct page_state {
	std::uint64_t frame;
	bool present;
	bool swapped;
	bool of_file;
};
// Of each page of @memory, which begins with one.
std::vector<page_state> states_of(std::span<const std::byte> memory);
std::vector<std::uint64_t> frames_of(std::span<const std::byte> memory);
// Of the page that @at lies in.
page_state state_of(const void *at);

// First line of a file without its end; empty if it cannot be read.
std::string read_line(const std::string &path);
bool write_file(const std::string &path, const std::string &text);

// Runs an external command; its exit status, or -1 if it did not end in time.
int command(const std::vector<std::string> &arguments, std::chrono::seconds limit = job_limit);

// Who sleeps in the driver, or where nothing but memory or a disk wakes him, and in which of the kernel's functions:
// for the message of a test whose job or body did not end. One line per task and per function.
std::string kernel_stacks();

// "name value" lines of a file in the driver's debugfs; nothing if there is no such file.
using numbers = std::map<std::string, std::uint64_t>;
std::optional<numbers> driver_file(const std::string &name);
bool write_driver_file(const std::string &name, const std::string &text);
// All that the driver's svm_leaks counts becomes zero in time.
::testing::AssertionResult nothing_held(std::chrono::milliseconds limit = 20s);

} // namespace harness

#endif
