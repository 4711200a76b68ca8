// SPDX-License-Identifier: GPL-2.0-only
#include "board.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include "harness.hpp"

namespace chaos {

namespace {

std::uint64_t now_s()
{
	timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return static_cast<std::uint64_t>(now.tv_sec) + 1; // never 0, which says that nobody is watched
}

} // namespace

void slot::begin(const char *kind, unsigned process, std::uint64_t seed)
{
	kind_ = kind;
	process_ = process;
	seed_ = seed;
}

void slot::note(unsigned thread, const char *format, ...)
{
	std::uint64_t now = now_s();
	beats_[thread].store(now, std::memory_order_relaxed);
	char *line = history_[thread][lines_[thread].fetch_add(1, std::memory_order_relaxed) % kept];
	int used = snprintf(line, line_bytes, "%4llu s: ", static_cast<unsigned long long>(now - 1));
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line + used, line_bytes - static_cast<unsigned>(used), format, arguments);
	va_end(arguments);
}

void slot::write_failure(const char *text)
{
	int none = 0;
	if (!failed_.compare_exchange_strong(none, 1, std::memory_order_relaxed))
		return;
	snprintf(failure_, sizeof failure_, "%s", text);
	failed_.store(2, std::memory_order_release); // with the acquire in failed()
}

void slot::fail(unsigned thread, const char *format, ...)
{
	char text[sizeof failure_];
	int used = snprintf(text, sizeof text, "thread %u of process %u (pid %d, %s), seed %llu: ", thread, process_, getpid(),
			    kind_, static_cast<unsigned long long>(seed_));
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text + used, sizeof text - static_cast<unsigned>(used), format, arguments);
	va_end(arguments);
	write_failure(text);
	_exit(2);
}

void slot::fail_hung(unsigned thread, const char *what, std::chrono::seconds limit)
{
	fprintf(stderr, "%s hangs%s", what, harness::kernel_stacks().c_str());
	fail(thread, "%s did not end within %lld s", what, static_cast<long long>(limit.count()));
}

void slot::complain(const std::string &text)
{
	write_failure((std::string(kind_) + ": " + text).c_str());
}

std::string slot::story() const
{
	std::string text = failure_;
	for (unsigned thread = 0; thread < max_threads; thread++) {
		std::uint64_t end = lines_[thread].load(std::memory_order_relaxed);
		if (end)
			text += fmt::format("\nwhat thread {} did before, oldest first, at the machine's time:", thread);
		for (std::uint64_t line = end > shown ? end - shown : 0; line < end; line++)
			text += std::string("\n  ") + history_[thread][line % kept];
	}
	return text;
}

unsigned slot::silence() const
{
	std::uint64_t longest = 0, now = now_s();
	for (const auto &beat : beats_) {
		std::uint64_t then = beat.load(std::memory_order_relaxed);
		if (then && now > then)
			longest = std::max(longest, now - then);
	}
	return static_cast<unsigned>(longest);
}

board &make_board()
{
	// zero is the initial state of all that is in it
	void *at = mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED) {
		perror("mmap of the board");
		_exit(2);
	}
	return *static_cast<board *>(at);
}

} // namespace chaos
