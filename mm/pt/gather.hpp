// SPDX-License-Identifier: GPL-2.0-only
// One batch of taking away: retire leaves, flush the device's TLB once, then give the pages back.
//
// The list of what was taken is the tables themselves (retired leaves), so a gather is two spans. It must be
// finished before it goes out of scope. Two gathers may overlap: each that meets a retired leaf flushes for
// itself before it returns, and one of them gives the page back, under the table's lock.
#pragma once

#include "mm/base/assert.hpp"
#include "mm/pt/page_table.hpp"

namespace svm {

class gather {
public:
	// alone: it retires in tables of that interval alone, and finishes in no others; null: in all.
	gather(page_table &of, bool sleep, const struct interval *alone = nullptr) : pt(of), may_sleep(sleep), of_interval(alone) {}
	~gather() { SVM_ASSERT(owed.empty()); }
	gather(const gather &) = delete;
	gather &operator=(const gather &) = delete;

	// Retires the part of the table; its lock is held.
	void retire(table &tb, va_span part) SVM_REQUIRES(tb.lock)
	{
		va_span flush = pt.retire(tb, part);

		if (!flush.empty())
			owe(tb, flush, part);
	}

	// A flush of one span is owed, and then the leaves of `part` of it may be finished. Not more than `part`: what
	// another gather retired beside it, after our flush, waits for that one's flush.
	void owe(table &tb, va_span flush, va_span part)
	{
		only = owed.empty() || only == &tb ? &tb : nullptr;
		owed.join(flush);
		walked.join(part);
	}

	// The device has forgotten all of it and the pages are given back. Before it, no table lock is held. In the same reader
	// section as retire().
	void finish()
	{
		if (owed.empty())
			return;
		pt.flush(owed, may_sleep);
		if (only) // no walk: the reader section keeps it
			finish_table(*only, walked, this);
		else
			pt.visit(walked, finish_table, this);
		owed = walked = {};
	}

private:
	static bool finish_table(table &tb, va_span part, void *arg)
	{
		auto *g = static_cast<gather *>(arg);

		if (g->may_sleep)
			port_relax();
		table_guard lock(tb.lock);

		// What is retired in another interval's table waits for that one's flush; and one that is alone no more owes nothing.
		if (!g->of_interval || tb.interval.load_relaxed() == g->of_interval) // written under the lock
			g->pt.finish(tb, part);
		return true;
	}

	page_table &pt;
	table *only = nullptr; // the table, while there is one
	va_span owed{};	  // what the device is to forget
	va_span walked{}; // what was retired in it: parts of one contiguous span, so their hull is too
	bool may_sleep;
	const struct interval *of_interval;
};

} // namespace svm
