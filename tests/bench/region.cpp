// SPDX-License-Identifier: GPL-2.0-only
#include "region.hpp"

#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "contender.hpp"

namespace bench {

namespace {

std::string trace_name;

// One line to the host over the control port, and its answer, which must be "ok".
void ask_host(const std::string &line)
{
	static const int port = open("/dev/ttyS1", O_RDWR | O_CLOEXEC);
	std::string answer;

	must(port, "/dev/ttyS1");
	must(write(port, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : -1, "question to the host");
	for (char letter; read(port, &letter, 1) == 1 && letter != '\n';)
		answer += letter;
	if (answer == "ok")
		return;
	std::printf("svm_bench: the host says: %s\n", answer.c_str());
	std::fflush(stdout);
	std::_Exit(1);
}

std::string address(void (*function)())
{
	char text[32];

	std::snprintf(text, sizeof(text), " %llx", static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(function)));
	return text;
}

} // namespace

// Two bodies that differ, or the compiler makes one function of them.
[[gnu::noinline]] void mark_begin()
{
	asm volatile("# begin");
}

[[gnu::noinline]] void mark_end()
{
	asm volatile("# end");
}

std::uint64_t empty_region()
{
	static const std::uint64_t count = [] {
		const std::uint64_t begin = __rdtsc();
		return __rdtsc() - begin;
	}();
	return count;
}

void trace_as(const std::string &name)
{
	trace_name = name;
}

traced::traced()
{
	empty_region(); // is measured before it is needed
	if (!trace_name.empty())
		ask_host("trace begin " + trace_name + address(mark_begin) + address(mark_end) + "\n");
}

traced::~traced()
{
	if (!trace_name.empty())
		ask_host("trace end\n");
}

} // namespace bench
