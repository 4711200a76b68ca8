// SPDX-License-Identifier: GPL-2.0-only
#include "process.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <malloc.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "counters.hpp"
#include "work.hpp"

namespace chaos {

namespace {

constexpr unsigned worker_threads = 2, episodes_of_a_life = 60, rounds_of_a_life = 50;

slot *mine; // for the handler

void on_crash(int number, siginfo_t *info, void *)
{
	// not safe in a handler, but this process is lost and its last words are worth the try
	mine->fail(0, "signal %d at %p", number, info->si_addr);
}

void watch_crashes(slot &out)
{
	mine = &out;
	struct sigaction action {};
	action.sa_sigaction = on_crash;
	action.sa_flags = SA_SIGINFO | SA_RESETHAND;
	for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGABRT})
		sigaction(number, &action, nullptr);
}

// Fills what is missing in the areas of one thread.
class manager {
public:
	explicit manager(slot &out) : out_(out), fd_(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)))
	{
		uffdio_api api{};
		api.api = UFFD_API;
		if (fd_ < 0 || ioctl(fd_, UFFDIO_API, &api))
			out.fail(0, "userfaultfd: %s", strerror(errno));
		thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
	}
	int fd() const { return fd_; }

private:
	void run(std::stop_token stop)
	{
		while (!stop.stop_requested()) {
			pollfd ready{fd_, POLLIN, 0};
			uffd_msg message;
			if (poll(&ready, 1, 50) == 1 && read(fd_, &message, sizeof message) == sizeof message &&
			    message.event == UFFD_EVENT_PAGEFAULT)
				fill(message.arg.pagefault.address & ~std::uint64_t{page_bytes - 1});
		}
	}

	void fill(std::uint64_t address)
	{
		alignas(page_bytes) std::uint64_t words[words_per_page];
		std::fill(words, words + words_per_page, userfault_word(address));
		uffdio_copy copy{};
		copy.dst = address;
		copy.src = reinterpret_cast<std::uintptr_t>(words);
		copy.len = page_bytes;
		while (ioctl(fd_, UFFDIO_COPY, &copy)) {
			uffdio_range there{address, page_bytes};
			if (errno == EAGAIN) // the memory is just being changed
				continue;
			// somebody else asked, too; it is unmapped again; the process ends
			if (errno != EEXIST && errno != ENOENT && errno != ESRCH)
				out_.fail(0, "UFFDIO_COPY to %#llx: %s", static_cast<unsigned long long>(address), strerror(errno));
			// not even munmap() wakes who waits here
			ioctl(fd_, UFFDIO_WAKE, &there);
			return;
		}
		out_.add(filled_by_manager);
	}

	slot &out_;
	int fd_;
	std::jthread thread_;
};

void work_in_threads(board &shared, slot &out, const process_kind &kind, unsigned index, random numbers)
{
	svmirror::device device;
	svmirror::vm vm(device);
	vm.bind_all();
	bool leave = numbers.percent(40);
	std::vector<std::thread> threads;
	std::atomic<unsigned> working{worker_threads};
	for (unsigned number = 0; number < worker_threads; number++)
		threads.emplace_back([&, number, own = random(numbers.next(), number)] {
			manager pages(out);
			worker one({out, index, number, pages.fd()}, vm, kind.backings, own);
			for (unsigned i = 0; i < episodes_of_a_life && (!i || !shared.stop.load(std::memory_order_relaxed)); i++)
				one.episode(i);
			one.finish();
			if (leave)
				one.leave_jobs_behind();
			out.rest(number);
			// the memory of one that leaves jobs must stay until the process ends with them
			if (leave && working.fetch_sub(1, std::memory_order_relaxed) > 1)
				for (;;)
					pause();
			if (leave)
				_exit(0);
		});
	for (std::thread &thread : threads)
		thread.join();
	svmirror::counters counters = vm.counters();
	out.add(device_faults, counters.faults);
	out.add(device_retries, counters.retries);
	out.add(invalidations, counters.invalidations);
	out.add(leaves_zapped, counters.ptes_zapped + counters.huge_zapped);
}

// One after the other: a program of its own that ends, or is killed, with jobs under way.
void hatch(board &shared, slot &out, random numbers)
{
	for (unsigned number = 0; number < 40 && (!number || !shared.stop.load(std::memory_order_relaxed)); number++) {
		std::uint64_t seed = numbers.next();
		unsigned delay = static_cast<unsigned>(numbers.below(400'000));
		bool kill_it = numbers.percent(50);
		std::string text = std::to_string(seed);
		out.note(0, "exec of a mayfly, seed %s%s", text.c_str(), kill_it ? ", to be killed" : "");
		pid_t child = fork();
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			execl("/proc/self/exe", "mayfly", "--mayfly", text.c_str(), "2", nullptr);
			_exit(9);
		}
		if (child < 0)
			out.fail(0, "fork: %s", strerror(errno));
		if (kill_it) {
			usleep(delay);
			kill(child, SIGKILL);
		}
		int status = 0;
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		bool killed = kill_it && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		if (!killed && (!WIFEXITED(status) || WEXITSTATUS(status)))
			out.fail(0, "mayfly of seed %s ended with wait status %#x", text.c_str(), status);
		out.add(episodes);
		out.add(forks);
	}
	out.rest(0);
}

} // namespace

const std::vector<process_kind> &process_kinds()
{
	static const std::vector<process_kind> all{
		{"Anonymous", {backing::anonymous}, process_kind::worker, false},
		{"AnonymousUnderLimit", {backing::anonymous}, process_kind::worker, true},
		{"SharedMemory", {backing::shared_memory}, process_kind::worker, false},
		{"Files", {backing::private_file, backing::shared_file}, process_kind::worker, false},
		{"Userfaultfd", {backing::userfault}, process_kind::worker, false},
		{"Counters", {}, process_kind::counters, true},
		{"Mayflies", {}, process_kind::mayflies, false},
	};
	return all;
}

void live(board &shared, slot &out, const process_kind &kind, unsigned index, std::uint64_t seed, unsigned life)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	// no mapping of malloc's own comes and goes among those that are played with
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_ARENA_MAX, 1);
	watch_crashes(out);
	random numbers(seed, index * 1000003ull + life);
	try {
		if (kind.role == process_kind::counters)
			count_together(shared, out, index, numbers, rounds_of_a_life);
		else if (kind.role == process_kind::mayflies)
			hatch(shared, out, numbers);
		else
			work_in_threads(shared, out, kind, index, numbers);
	} catch (const std::exception &error) {
		out.fail(0, "%s", error.what());
	}
	_exit(0);
}

int mayfly(char **arguments)
try {
	random numbers(std::strtoull(arguments[0], nullptr, 10), 0);
	int depth = std::atoi(arguments[1]);
	svmirror::device device;
	svmirror::vm vm(device);
	vm.bind_all();
	svmirror::queue queue(vm), second(vm);
	std::vector<std::uint64_t> from(16 * words_per_page * (1 + numbers.below(8)), numbers.next()), to(from.size());
	for (std::size_t round = 0, rounds = 1 + numbers.below(6); round < rounds; round++) {
		from[numbers.below(from.size())] = numbers.next();
		if (queue.copy(std::as_writable_bytes(std::span(to)), std::as_bytes(std::span(from))).result(job_limit).status ||
		    to != from)
			return 3;
	}
	std::vector<svmirror::job> left;
	for (unsigned i = 0; i < 4; i++) {
		left.push_back(second.touch(std::as_bytes(std::span(from)), page_bytes, true));
		left.push_back(queue.cas_add(to[0], 100'000));
	}
	if (depth && numbers.percent(40)) {
		std::string seed = std::to_string(numbers.next()), rest = std::to_string(depth - 1);
		execl("/proc/self/exe", "mayfly", "--mayfly", seed.c_str(), rest.c_str(), nullptr);
		return 4;
	}
	if (numbers.percent(30))
		munmap(reinterpret_cast<void *>(svmirror::address(from.data()) & ~(page_bytes - 1)), page_bytes);
	_exit(0); // amid the jobs
} catch (const std::exception &error) {
	dprintf(2, "mayfly: %s\n", error.what());
	return 5;
}

} // namespace chaos
