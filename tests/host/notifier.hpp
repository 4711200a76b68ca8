/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interval notifiers of one simulated mm, with the kernel's sequence rules:
 *
 *  - The mm's sequence is odd while an invalidation that met an interval is under way.
 *  - start() calls back each interval that meets the span, with that odd sequence; the
 *    owner stores it. There is no callback at the end: read_begin() takes an interval
 *    (or a table) as "in progress" while its stored sequence is the mm's current one.
 *  - While the sequence is odd the set of intervals is frozen: insertions and removals
 *    wait in a list for end(). A deferred insertion is born with the current sequence.
 *
 * The sequences are relaxed atomics (the core's own kind), as READ_ONCE/WRITE_ONCE are; the lock gives the same
 * ordering as the kernel's subscriptions->lock and no more.
 */
#ifndef SVM_TESTS_HOST_NOTIFIER_HPP
#define SVM_TESTS_HOST_NOTIFIER_HPP

#include "mm/base/atomic.hpp"
#include "tests/host/check.hpp"
#include "tests/host/threads.hpp"

#include <svm/types.h>

#include <vector>

namespace svm_host
{

struct interval {
	u64 start;
	u64 last;
	svm::atomic<u64> seq{0};
	void *owner;
	const void *domain = nullptr;
};

struct event {
	u64 start;
	u64 end; /* exclusive; ~0: everything */
	bool may_sleep = true;
	bool forking = false;
	const void *by = nullptr; /* the domain that takes a page away from the CPU: it is not called */
};

class subscriptions
{
public:
	/* One invalidation: callbacks done on return of start, CPU entries may change until end. */
	void start(const event &e);
	void end();

	/* Waits while seq is the one in progress; returns seq. */
	u64 read_begin(u64 seq);

	void insert(interval &i);
	void remove(interval &i);

	/* A change of [start, end) by change(), announced first. */
	template <typename Change>
	void during(const event &e, Change change)
	{
		start(e);
		if (hook.announced && !e.by)
			hook.announced(e.start, e.end);
		change();
		if (hook.ending && !e.by)
			hook.ending(e.start, e.end);
		end();
	}

private:
	mutex lock_;
	condition_variable cv_;
	u64 seq_ = 2;
	u64 active_ = 0;
	std::vector<interval *> tree_;
	std::vector<interval *> to_insert_;
	std::vector<interval *> to_remove_;
};

} // namespace svm_host

#endif
