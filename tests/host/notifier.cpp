// SPDX-License-Identifier: GPL-2.0-only
/* Interval notifiers. See notifier.hpp. */
#include "tests/host/notifier.hpp"

#include "mm/port.h"
#include "tests/host/check.hpp"

#include <algorithm>

namespace svm_host
{

static void call_back(interval &i, u64 seq, const event &e)
{
	task &t = current();

	if (t.table_locks)
		complain("an invalidation starts under a table lock");
	t.callbacks++;
	t.atomic_callbacks += !e.may_sleep;
	if (e.may_sleep)
		svm_port_approach(i.owner, seq, e.start, e.end);
	/* The glue's half: the interval's sequence first, then the core. */
	i.seq.store_relaxed(seq);
	svm_port_invalidate(i.owner, seq, e.start, e.end, e.may_sleep, e.forking);
	t.atomic_callbacks -= !e.may_sleep;
	t.callbacks--;
	if (t.table_locks)
		complain("the callback returned with a table lock held");
}

void subscriptions::start(const event &e)
{
	std::vector<interval *> met;
	u64 seq;

	{
		std::lock_guard hold(lock_);

		active_++;
		for (interval *i : tree_)
			if (i->start < e.end && i->last >= e.start)
				met.push_back(i);
		if (!met.empty())
			seq_ |= 1;
		seq = seq_;
	}
	/* The set is frozen while seq_ is odd, so these stay until our end(). */
	for (interval *i : met)
		if (!e.by || e.by != i->domain)
			call_back(*i, seq, e);
}

void subscriptions::end()
{
	std::lock_guard hold(lock_);

	if (--active_ || !(seq_ & 1))
		return;
	seq_++;
	for (interval *i : to_insert_)
		tree_.push_back(i);
	for (interval *i : to_remove_)
		std::erase(tree_, i);
	to_insert_.clear();
	to_remove_.clear();
	cv_.notify_all();
}

u64 subscriptions::read_begin(u64 seq)
{
	std::unique_lock hold(lock_);

	cv_.wait(hold, [&] { return seq_ != seq; });
	return seq;
}

void subscriptions::insert(interval &i)
{
	std::lock_guard hold(lock_);

	if (!active_) {
		/* Odd, and not the current one. */
		i.seq.store_relaxed(seq_ - 1);
		tree_.push_back(&i);
		return;
	}
	if (seq_ & 1) {
		to_insert_.push_back(&i);
	} else {
		seq_ |= 1;
		tree_.push_back(&i);
	}
	i.seq.store_relaxed(seq_);
}

void subscriptions::remove(interval &i)
{
	std::unique_lock hold(lock_);

	if (!(seq_ & 1)) {
		std::erase(tree_, &i);
		return;
	}
	if (std::erase(to_insert_, &i))
		return;
	to_remove_.push_back(&i);
	cv_.wait(hold, [&, seq = seq_] { return seq_ != seq; });
}

} // namespace svm_host
