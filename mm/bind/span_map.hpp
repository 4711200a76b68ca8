// SPDX-License-Identifier: GPL-2.0-only
// A map from spans of device addresses to what is bound there, or to what is told of them, read without a lock.
//
// It is a treap whose published nodes never change. A change copies the nodes on its way, about log2(n) of them, and one
// store of the root makes the new version visible. So a reader sees all of a change or nothing of it, however many spans
// the change replaces, and a change that runs out of memory leaves no trace. That is why this is not a maple tree: of
// several stores into one, readers see each by itself, and a later one may fail after an earlier one succeeded.
//
// Readers are inside a reader section. What a change replaced is freed after a grace period. Writers of one map
// hold one lock: see where the map is declared.
// A node's rank is a hash of its start with a secret, so no process can choose spans that make the treap deep.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/base/deferred.hpp"
#include "mm/base/result.hpp"
#include "mm/base/span.hpp"

namespace svm {

class span_map {
	struct node;

public:
	struct piece {
		va_span span{};
		void *of = nullptr;

		explicit operator bool() const { return of; }
	};

	span_map() : secret(port_secret()) {}
	~span_map() { free_all(root.load_relaxed()); } // no reader is left
	span_map(const span_map &) = delete;
	span_map &operator=(const span_map &) = delete;

	// One version of the map. It stays until the reader section ends, or as long as the change that replaced it.
	class view {
	public:
		// The piece that holds va, if there is one.
		piece at(u64 va) const
		{
			piece p = next(va);

			return p.span.holds(va) ? p : piece{};
		}

		// The first piece that ends above va, if there is one.
		piece next(u64 va) const;

	private:
		friend class span_map;

		explicit view(const node *n) : top(n) {}

		const node *top;
	};

	view now() const { return view(root.load_acquire()); } // with the release in publish()
	piece at(u64 va) const { return now().at(va); }
	piece next(u64 va) const { return now().next(va); }
	// Has it no piece? For those who act on one and look it up then: nothing is ordered by the answer.
	bool empty() const { return !root.load_relaxed(); }

	// Frees a node that a change replaced.
	static void free_deferred(deferred &d);

	class change;

private:
	u64 rank(u64 start) const;
	static void free_all(node *n);

	u64 secret;
	u64 version = 0;	     // of the last change; under the writers' lock
	atomic<node *> root{ nullptr };
};

// Builds the next version. What is not committed is forgotten.
class span_map::change {
public:
	explicit change(span_map &of) : map(of), old(of.root.load_relaxed()), top(old), version(++of.version) {}
	~change();
	change(const change &) = delete;
	change &operator=(const change &) = delete;

	// From now on the span leads to `of`, and to nothing else; null: to nothing. Pieces that it cuts keep what lies
	// outside, and neighbours that lead to the same become one piece with it. err::nomem: the change is as it was before the call.
	status replace(va_span span, void *of);

	// Makes the new version visible to readers.
	void publish();
	// After publish(): the old version is freed after a grace period of the domain. No reader finds it any more.
	void drop_old(port_domain *domain);
	void commit(port_domain *domain)
	{
		publish();
		drop_old(domain);
	}

	view before() const { return view(old); }	     // the version that it replaces
	piece next(u64 va) const { return view(top).next(va); } // of the version that is being built
	piece at(u64 va) const { return view(top).at(va); }

private:
	friend class span_map;

	va_span with_neighbours(va_span span, void *of) const;
	unsigned depth(u64 va) const;
	bool reserve(unsigned n);
	node *take_spare(const piece &p);
	node *own(node *n);
	void split(node *n, u64 va, node *&below, node *&above);
	node *merge(node *below, node *above);
	void discard(node *n);
	static void free_list(node *n);

	span_map &map;
	node *old;
	node *top;
	u64 version;
	node *spare = nullptr;	  // allocated, not in use
	node *replaced = nullptr; // of older versions
	node *made = nullptr;	  // in this version, or discarded by it again
};

// The same, for pieces that lead to a T.
template <typename T>
class span_map_of : public span_map {
public:
	T *at(u64 va) const { return static_cast<T *>(span_map::at(va).of); }
};

} // namespace svm
