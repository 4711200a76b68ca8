// SPDX-License-Identifier: GPL-2.0-only
/* The harness's memory, device and file helpers; processes are in processes.cpp. */
#include "harness.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <unistd.h>

namespace harness {

namespace {

std::size_t round_up(std::size_t value, std::size_t to)
{
	return (value + to - 1) / to * to;
}

[[noreturn]] void fail(const char *what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

mapping::mapping(std::size_t size, int protection, int flags, int fd, off_t offset)
	: reserved_size_(round_up(size, table_span) + 3 * table_span), size_(size)
{
	void *at = mmap(nullptr, reserved_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		fail("mmap of a reservation");
	reserved_ = static_cast<std::byte *>(at);
	data_ = reinterpret_cast<std::byte *>(round_up(svmirror::address(at), table_span) + table_span);
	if (mmap(data_, size, protection, flags | MAP_FIXED, fd, offset) == MAP_FAILED) {
		int error = errno;
		munmap(reserved_, reserved_size_);
		errno = error;
		fail("mmap");
	}
}

mapping::~mapping()
{
	munmap(reserved_, reserved_size_);
}

void mapping::no_huge_pages() const
{
	// EINVAL: a kernel without huge pages, where there is nothing to turn off
	if (madvise(data_, size_, MADV_NOHUGEPAGE) && errno != EINVAL)
		fail("madvise(MADV_NOHUGEPAGE)");
}

svmirror::job_result finish(const svmirror::job &job)
{
	if (!job.done().wait(job_limit))
		throw std::system_error(ETIME, std::generic_category(), "a job did not end in time" + kernel_stacks());
	return job.result();
}

read_result device_read(svmirror::queue &queue, const void *at)
{
	std::byte value{0xff};
	svmirror::job_result result =
		finish(queue.copy({&value, 1}, {static_cast<const std::byte *>(at), 1}));
	return {-result.status, value};
}

::testing::AssertionResult device_reads(svmirror::queue &queue, const void *at, std::byte want)
{
	read_result got = device_read(queue, at);
	if (got.error)
		return ::testing::AssertionFailure() << "the device gets " << strerrorname_np(got.error) << " at " << at;
	if (got.value != want)
		return ::testing::AssertionFailure() << "the device reads " << std::to_integer<int>(got.value) << " at "
						     << at << ", not " << std::to_integer<int>(want);
	return ::testing::AssertionSuccess();
}

int device_write(svmirror::queue &queue, void *at, std::byte value)
{
	return device_fill(queue, {static_cast<std::byte *>(at), 1}, value);
}

int device_fill(svmirror::queue &queue, std::span<std::byte> memory, std::byte value)
{
	return -finish(queue.fill(memory, value)).status;
}

bool eventually(const std::function<bool()> &done, std::chrono::milliseconds limit)
{
	auto end = std::chrono::steady_clock::now() + limit;
	while (!done()) {
		if (std::chrono::steady_clock::now() > end)
			return false;
		std::this_thread::sleep_for(2ms);
	}
	return true;
}

svmirror::counters operator-(svmirror::counters a, const svmirror::counters &b)
{
	// all fields are u64: the same as one by one
	constexpr std::size_t count = sizeof(a) / sizeof(std::uint64_t);
	std::uint64_t left[count], right[count];
	std::memcpy(left, &a, sizeof(a));
	std::memcpy(right, &b, sizeof(b));
	for (std::size_t i = 0; i < count; i++)
		left[i] -= right[i];
	std::memcpy(&a, left, sizeof(a));
	return a;
}

std::vector<page_state> states_of(std::span<const std::byte> memory)
{
	std::vector<std::uint64_t> entries(memory.size() / page);
	std::size_t size = entries.size() * sizeof(std::uint64_t);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail("/proc/self/pagemap");
	off_t where = static_cast<off_t>(svmirror::address(memory.data()) / page * sizeof(std::uint64_t));
	ssize_t got = pread(fd, entries.data(), size, where);
	close(fd);
	if (got != static_cast<ssize_t>(size))
		fail("read of /proc/self/pagemap");
	std::vector<page_state> states;
	for (std::uint64_t entry : entries) {
		bool present = entry >> 63 & 1;
		states.push_back({.frame = present ? entry & ((1ull << 55) - 1) : 0, .present = present,
				  .swapped = (entry >> 62 & 1) != 0, .of_file = (entry >> 61 & 1) != 0});
	}
	return states;
}

page_state state_of(const void *at)
{
	auto *first = reinterpret_cast<const std::byte *>(svmirror::address(at) / page * page);
	return states_of({first, page}).front();
}

std::vector<std::uint64_t> frames_of(std::span<const std::byte> memory)
{
	std::vector<std::uint64_t> frames;
	for (const page_state &state : states_of(memory))
		frames.push_back(state.frame);
	return frames;
}

std::string read_line(const std::string &path)
{
	std::ifstream in(path);
	std::string line;
	std::getline(in, line);
	return line;
}

namespace {

bool is_number(const std::string &text)
{
	return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "pid (name) state" and the stack of a task that sleeps in the driver or in state D; of others nothing.
std::string stack_of(const std::filesystem::path &task)
{
	std::ifstream stat(task / "stat"), in(task / "stack");
	std::string head, stack;
	std::getline(stat, head, '\0');
	std::getline(in, stack, '\0');
	std::size_t end = head.rfind(')'); // a name may have any letters
	if (end == std::string::npos)
		return {};
	bool ours = false;
	for (const char *module : {"[svmirror]", "[svm_drm]", "[svgpu]"})
		ours = ours || stack.find(module) != std::string::npos;
	return ours || head.compare(end, 3, ") D") == 0 ? head.substr(0, end + 3) + '\n' + stack : "";
}

struct stacks {
	std::mutex lock;
	std::string found;
	std::promise<void> done;

	void collect()
	{
		std::error_code error;
		for (const auto &process : std::filesystem::directory_iterator("/proc", error)) {
			if (!is_number(process.path().filename()))
				continue;
			for (const auto &task : std::filesystem::directory_iterator(process.path() / "task", error)) {
				std::string one = stack_of(task.path());
				std::lock_guard guard(lock);
				found += one;
			}
		}
		done.set_value();
	}
};

} // namespace

std::string kernel_stacks()
{
	// in a thread: the kernel makes the reader wait for a process that is in the middle of exec
	auto all = std::make_shared<stacks>();
	std::thread([all] { all->collect(); }).detach();
	bool whole = all->done.get_future().wait_for(10s) == std::future_status::ready;
	std::lock_guard guard(all->lock);
	return "\nasleep in the kernel:\n" + all->found + (whole ? "" : "and one whose stack cannot be had\n");
}

bool write_file(const std::string &path, const std::string &text)
{
	std::ofstream out(path);
	out << text;
	return bool(out.flush());
}

namespace {

// A file that the driver has put into its device's folder; empty if there is none.
std::string driver_path(const std::string &name)
{
	// where it was found last; a module that went and came back may have another folder
	static std::map<std::string, std::string> known;
	std::error_code error;
	if (std::filesystem::exists(known[name], error))
		return known[name];
	for (const auto &entry : std::filesystem::directory_iterator("/sys/kernel/debug/dri", error))
		if (std::filesystem::exists(entry.path() / name, error))
			return known[name] = entry.path() / name;
	return {};
}

} // namespace

std::optional<numbers> driver_file(const std::string &name)
{
	std::string path = driver_path(name), field;
	if (path.empty())
		return {};
	std::ifstream in(path);
	numbers out;
	std::uint64_t value;
	while (in >> field >> value)
		out[field] = value;
	return out;
}

bool write_driver_file(const std::string &name, const std::string &text)
{
	std::string path = driver_path(name);
	return !path.empty() && write_file(path, text);
}

::testing::AssertionResult nothing_held(std::chrono::milliseconds limit)
{
	std::optional<numbers> held;
	auto none = [&] {
		held = driver_file("svm_leaks");
		// a file without these lines says nothing about them
		for (const char *what : {"vms", "buffers", "queues", "jobs", "tables"})
			if (!held || !held->contains(what))
				return false;
		return std::all_of(held->begin(), held->end(), [](const auto &line) { return line.second == 0; });
	};
	if (eventually(none, limit))
		return ::testing::AssertionSuccess();
	if (!held)
		return ::testing::AssertionFailure() << "no svm_leaks under /sys/kernel/debug/dri";
	auto result = ::testing::AssertionFailure() << "the driver holds";
	for (const auto &[what, count] : *held)
		result << ' ' << count << ' ' << what;
	return result;
}

} // namespace harness
