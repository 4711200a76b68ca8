// SPDX-License-Identifier: GPL-2.0-only
#include "demo_churn.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/mman.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

namespace svmctl {

namespace {

constexpr std::size_t burst = 8;

void must(int rc, const char *what)
{
	if (rc)
		throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

churn::churn(neighbourhood &near)
	: near_(near), thread_([this] { run(); })
{
}

churn::~churn()
{
	if (thread_.joinable())
		stop();
}

churn_report churn::stop()
{
	stopping_.store(true, std::memory_order_relaxed);
	thread_.join();
	report_.rounds = rounds();
	return report_;
}

void churn::run()
try {
	while (!stopping_.load(std::memory_order_relaxed)) {
		round(rounds());
		rounds_.fetch_add(1, std::memory_order_relaxed);
	}
} catch (const std::exception &error) {
	report_.error = error.what();
}

void churn::round(std::uint64_t number)
{
	for (std::size_t i = 0; i < near_.pages().size() && !stopping_.load(std::memory_order_relaxed); i++) {
		if (near_.lost(i))
			continue;
		switch ((i + number) % 3) {
		case 0:
			remap(i);
			break;
		case 1:
			protect(i);
			break;
		case 2:
			discard(i);
			break;
		}
		if (i == near_.pages().size() / 2)
			fork_once();
		// bursts with gaps, as programs make them: one that never pauses measures only itself
		if (i % burst == burst - 1)
			std::this_thread::sleep_for(std::chrono::milliseconds(2));
	}
}

void churn::expect(std::size_t index, std::byte value, const char *after)
{
	page memory = near_.pages()[index];
	auto wrong = std::find_if(memory.begin(), memory.end(), [&](std::byte b) { return b != value; });
	if (wrong != memory.end())
		throw std::runtime_error(fmt::format("neighbour {} after {}: {:#x}, not {:#x}",
						     static_cast<void *>(&*wrong), after, *wrong, value));
}

/*
 * Between the two calls the gap is anybody's: without NOREPLACE a mapping that
 * another thread got there would be lost.
 */
void churn::remap(std::size_t index)
{
	page memory = near_.pages()[index];
	must(munmap(memory.data(), memory.size()), "munmap");
	void *at = mmap(memory.data(), memory.size(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	report_.remaps++;
	if (at == MAP_FAILED && errno == EEXIST) {
		near_.lose(index);
		return;
	}
	must(at == MAP_FAILED, "mmap");
	expect(index, std::byte{0}, "munmap and mmap");
}

void churn::protect(std::size_t index)
{
	page memory = near_.pages()[index];
	auto value = static_cast<std::byte>(index | 1);
	std::fill(memory.begin(), memory.end(), value);
	must(mprotect(memory.data(), memory.size(), index % 2 ? PROT_READ : PROT_NONE), "mprotect");
	must(mprotect(memory.data(), memory.size(), PROT_READ | PROT_WRITE), "mprotect");
	report_.protects++;
	expect(index, value, "mprotect");
}

void churn::discard(std::size_t index)
{
	page memory = near_.pages()[index];
	memory[0] = std::byte{0xdd};
	must(madvise(memory.data(), memory.size(), MADV_DONTNEED), "madvise(MADV_DONTNEED)");
	report_.discards++;
	expect(index, std::byte{0}, "MADV_DONTNEED");
}

// The child shares every page until one side writes: the GPU's writes must stay the parent's.
void churn::fork_once()
{
	pid_t child = fork();
	if (child < 0)
		must(-1, "fork");
	if (!child) {
		for (std::size_t i = 0; i < near_.pages().size(); i++)
			if (!near_.lost(i))
				near_.pages()[i][1] = std::byte{0xcc};
		_exit(0);
	}
	int status = 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			must(-1, "waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		throw std::runtime_error(fmt::format("child of fork ended with status {:#x}", status));
	report_.forks++;
}

} // namespace svmctl
