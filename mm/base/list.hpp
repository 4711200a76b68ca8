// SPDX-License-Identifier: GPL-2.0-only
// A list that is read without a lock: readers inside a reader section see an element either whole or not at all.
// Writers hold the window lock. An element taken out stays readable until port_synchronize() has returned.
#pragma once

#include "mm/base/atomic.hpp"

namespace svm {

// T has a member `atomic<T *> next`.
template <typename T>
class shared_list {
public:
	T *first() const { return head.load_acquire(); } // with the release in push()
	static T *after(const T &t) { return t.next.load_acquire(); } // likewise

	void push(T &t)
	{
		t.next.store_relaxed(head.load_relaxed());
		head.store_release(&t); // with the acquire in first(), after()
	}

	// Bounded by the list's length.
	void remove(T &t)
	{
		atomic<T *> *link = &head;

		while (T *at = link->load_relaxed()) {
			if (at == &t) {
				link->store_release(t.next.load_relaxed()); // with the acquire in after()
				return;
			}
			link = &at->next;
		}
	}

private:
	atomic<T *> head;
};

} // namespace svm
