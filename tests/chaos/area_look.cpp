// SPDX-License-Identifier: GPL-2.0-only
/* What the CPU finds in an area, here and in a child, against what the oracle allows. */
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "area.hpp"

namespace chaos {

namespace {

bool readable(const page_state &page)
{
	return page.access == reach::read || page.access == reach::write;
}

std::uint64_t digest(const std::uint64_t *words)
{
	std::uint64_t out = 0;
	for (std::size_t i = 0; i < words_per_page; i++)
		out = (out ^ words[i]) * 0x100000001b3;
	return out;
}

} // namespace

// Whether the page holds more than one word; one that it may not hold ends the process.
bool area::mixed(std::size_t index, const values &allowed, const char *who)
{
	const volatile std::uint64_t *word = words(index);
	std::uint64_t last = word[0];
	bool several = false;
	for (std::size_t i = 0; i < words_per_page; i++) {
		std::uint64_t value = word[i];
		several |= value != last;
		if ((!i || value != last) && !allowed.holds(value))
			me_.out.fail(me_.thread, "%s finds %016llx in word %zu of page %zu at %p; expected: %s", who,
				     static_cast<unsigned long long>(value), i, index, static_cast<void *>(words(index)),
				     allowed.text().c_str());
		last = value;
	}
	return several;
}

void area::look(std::size_t first, std::size_t count)
{
	each_run(first, count, readable, [&](std::size_t at, std::size_t n) {
		for (std::size_t i = at; i < at + n; i++)
			mixed(i, model_.now(i), "the CPU amid jobs");
		me_.out.add(pages_by_cpu, n);
	});
}

void area::verify(std::size_t first, std::size_t count)
{
	each_run(first, count, readable, [&](std::size_t at, std::size_t n) {
		for (std::size_t i = at; i < at + n; i++) {
			values allowed = model_.now(i);
			page_state &state = page(i);
			if (mixed(i, allowed, "the CPU")) {
				if (state.access == reach::write)
					store(i, 1);
				continue;
			}
			if (!state.lazy) // else it may still go
				state.rest.only(*const_cast<volatile std::uint64_t *>(words(i)));
		}
		me_.out.add(pages_by_cpu, n);
	});
}

void area::heal()
{
	map(0, size());
	protect(0, size(), reach::write);
	lock(0, size(), false);
}

int area::look_as_child(unsigned pause_us)
{
	static std::uint64_t before[2048];
	for (unsigned turn = 0; turn < 2; turn++) {
		for (std::size_t i = 0; i < size(); i++) {
			values allowed = model_.now(i);
			if (kind_ == backing::userfault) // the child's copy has no manager
				allowed.add(0);
			if (!readable(page(i)))
				continue;
			mixed(i, allowed, "a child");
			// its copy is its own from the fork on, whatever the device does in the parent
			std::uint64_t now = digest(words(i));
			if (turn && is_private() && !page(i).lazy && before[i] != now)
				me_.out.fail(me_.thread, "a child sees page %zu change under it", i);
			before[i] = now;
		}
		usleep(pause_us);
	}
	for (std::size_t i = 0; is_private() && i < std::min<std::size_t>(size(), 64); i++)
		if (page(i).access == reach::write)
			std::fill(words(i), words(i) + words_per_page, 0xbadbadbadbadbadb);
	return 0;
}

void area::fork_child(unsigned pause_us)
{
	me_.out.add(forks);
	pid_t child = fork();
	if (child < 0)
		must(-1, "fork", 0, size());
	if (!child)
		_exit(look_as_child(pause_us));
	int status = 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			must(-1, "waitpid", 0, size());
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		_exit(2); // it has said why
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		me_.out.fail(me_.thread, "a child of fork ended with wait status %#x", status);
}

} // namespace chaos
