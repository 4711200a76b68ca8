/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A weak memory for the core's atomics: a load may return an older store to its place, as long as C++ allows it.
 *
 * Each store gets a stamp when it reaches memory. A *view* is what a fiber knows: of each place, the oldest store that may still be
 * read there. A fiber's view grows
 *  - by what it loads and stores itself (coherence: never back to an older store of the same place);
 *  - by an acquire load of a store that carries a view: a release store carries its fiber's view, a
 *    relaxed one the view at the fiber's last full barrier, and a read-modify-write also what it replaced carried;
 *  - by a lock, a reader section's end and the like: what the last holder knew;
 *  - by a full barrier: it takes over what all full barriers before it knew, and leaves its own view to the next ones.
 * Nothing stays unseen for ever: a store is known to all after `memory` steps.
 *
 * So two fibers that each store and then load what the other stores may both miss the other's store, unless both
 * have a full barrier in between: what the barriers B1 and B2 of mm/mirror.hpp are for. Not modelled: loads that return a store
 * which comes later in program order than the load's dependants (a full barrier or acquire is never passed),
 * and plain accesses, which are ThreadSanitizer's part.
 */
#ifndef SVM_TESTS_SIM_WEAK_MEMORY_HPP
#define SVM_TESTS_SIM_WEAK_MEMORY_HPP

#include <svm/types.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace svm_sim
{

class view
{
public:
	/* The oldest store to the place that may be read; 0: any. */
	u64 of(const void *place) const;
	void raise(const void *place, u64 stamp);
	void join(const view &other);
	/* Forgets what everybody knows by now. */
	void prune(u64 settled);

private:
	std::vector<std::pair<const void *, u64>> known_; /* by place */
};

using carried = std::shared_ptr<const view>;

class weak_memory
{
public:
	/* What a load found, or a read-modify-write replaced. */
	struct found {
		u64 value;
		u64 stamp = 0;
		carried with;
	};

	/* A store reaches memory. Returns its stamp. */
	u64 commit(void *at, u64 value, u32 bytes, carried with, u64 step);
	found newest(const void *at, u32 bytes) const;
	/* One of the stores that a fiber with that view may read; pick(n): a number below n. */
	found any(const void *at, u32 bytes, const view &by, const std::function<u64(u64)> &pick) const;

	/* The memory is used for something else from now on. */
	void forget(const void *at, size_t bytes);
	/* Stores up to that step are known to all. Returns the stamp of the latest such store. */
	u64 settle(u64 step);
	u64 settled() const
	{
		return settled_;
	}

	/* What a lock's last holder knew; `barriers`: what all full barriers knew. */
	std::map<const void *, view> locks;
	view barriers;

private:
	struct store {
		u64 stamp;
		u64 value;
		carried with;
	};
	struct place {
		u64 before; /* the value that the first of them replaced */
		carried with;
		std::deque<store> stores;
	};
	struct recent {
		u64 stamp;
		u64 step;
		const void *at;
	};

	std::map<const void *, place> places_; /* stored to of late */
	std::deque<recent> recent_;
	u64 last_ = 0;
	u64 settled_ = 0;
};

} // namespace svm_sim

#endif
