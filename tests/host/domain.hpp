/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vm's part of the host port: its two locks, reader sections, deferred frees.
 *
 * Reader sections are counted in two generations, as in SRCU: synchronize() waits out the
 * older one, starts a new one and waits out the one before. Entering and leaving order
 * nothing between two readers (relaxed counters and a fence that ThreadSanitizer does not
 * see), so that a missing release or acquire in the core is not hidden by the port.
 *
 * Deferred frees run on a thread of the domain, after a synchronize().
 */
#ifndef SVM_TESTS_HOST_DOMAIN_HPP
#define SVM_TESTS_HOST_DOMAIN_HPP

#include "mm/port.h"
#include "tests/host/mm.hpp"

#include <vector>

struct port_domain {
public:
	port_domain(void *owner, mm_struct *mm, device *dma);
	~port_domain();
	port_domain(const port_domain &) = delete;

	mm_struct &mm()
	{
		return *mm_;
	}
	void *owner()
	{
		return owner_;
	}

	bool lock(port_mutex which);
	void unlock(port_mutex which);

	int read_enter();
	void read_exit(int cookie);
	void synchronize();
	void defer(port_deferred *link, void *node);
	/* Waits until nothing that was deferred is left. */
	void drain();

	device *dma()
	{
		return dma_;
	}

	/* The thread that holds mmap_lock by port_mmap_lock(). Others compare it with themselves, and are never equal. */
	std::atomic<const svm_host::task *> mmap_holder{nullptr};

	/* Counted so that destroy can complain. */
	std::atomic<unsigned> intervals{0};

private:
	void fence();
	void wait_for_readers(unsigned generation);
	void work();

	void *owner_;
	mm_struct *mm_;
	device *dma_;
	svm_host::mutex mutexes_[2]; /* by port_mutex */

	std::atomic<unsigned> generation_{0};
	std::atomic<unsigned> inside_[2] = {0, 0};
	svm_host::mutex synchronize_;

	svm_host::mutex lock_; /* what follows */
	svm_host::condition_variable cv_;
	std::vector<void *> nodes_;
	bool busy_ = false;
	bool stop_ = false;
	svm_host::thread worker_;
};

namespace svm_host
{

/*
 * The shrinker, over all domains: looks at up to n that are idle, returns how many it freed.
 * Called with nothing held, or through `reclaim_on_alloc` from inside an allocation.
 */
u64 shrink(u64 n);
u64 shrinkable();

/* How long port_wait_frees() waits for memory, in steps of 100 µs. */
extern std::atomic<int> free_wait_steps;
/* Threads that wait there now. */
extern std::atomic<unsigned> free_waiters;
/* Calls of port_pause(). */
extern std::atomic<u64> pauses;

/* Every allocation of the core enters the shrinker, as a real one may. */
void reclaim_on_alloc(bool on);

} // namespace svm_host

#endif
