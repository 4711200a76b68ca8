// SPDX-License-Identifier: GPL-2.0-only
/* Context checks and their complaints. See check.hpp. */
#include "tests/host/check.hpp"

#include "tests/host/threads.hpp"

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <mutex>

namespace svm_host
{

injector inject;
hooks hook;
live_counts live;
std::atomic<u64> stopped_clock{0};

static std::mutex complaints_lock;
static std::vector<std::string> complaints;

task &current()
{
	return own<task>();
}

void kill(task &t)
{
	t.killed.store(true, std::memory_order_relaxed);
}

void complain(const std::string &what)
{
	std::lock_guard hold(complaints_lock);

	if (hook.complaint)
		hook.complaint(what);
	/* The first few say what broke; a storm of them would only hide it. */
	if (complaints.size() < 20) {
		std::fprintf(stderr, "host port: %s\n", what.c_str());
		complaints.push_back(what);
	}
	if (std::getenv("SVM_HOST_ABORT"))
		std::abort();
}

std::vector<std::string> take_complaints()
{
	std::lock_guard hold(complaints_lock);

	return std::exchange(complaints, {});
}

void might_sleep(const char *where)
{
	const task &t = current();

	if (t.table_locks)
		complain(std::string(where) + ": may sleep, called under a table lock");
	if (t.atomic_callbacks)
		complain(std::string(where) + ": may sleep, called in a non-blockable callback");
}

void might_alloc(const char *where)
{
	const task &t = current();

	might_sleep(where);
	if (t.callbacks)
		complain(std::string(where) + ": allocates in an invalidation callback");
	if (t.reclaims)
		complain(std::string(where) + ": allocates in the shrinker");
}

bool alloc_step(const char *where)
{
	might_alloc(where);
	current().alloc_count++;
	if (hook.alloc)
		hook.alloc();
	return inject.step();
}

} // namespace svm_host
