/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host port watches: one `task` per thread says what that thread is doing (table
 * locks held, inside a callback, inside a reader section), so that each port function can
 * complain when it is called where the kernel would dead-lock or sleep in atomic context.
 *
 * A complaint is a broken rule of the core or of a test. Complaints are collected, not
 * thrown: the thread goes on, and whoever runs the test asks for them at its end.
 */
#ifndef SVM_TESTS_HOST_CHECK_HPP
#define SVM_TESTS_HOST_CHECK_HPP

#include <svm/types.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

struct port_domain;
struct port_fault;

namespace svm_host
{

struct task {
	std::atomic<bool> killed{false};

	/* context, written by its own thread only */
	unsigned table_locks = 0;
	unsigned callbacks = 0;
	unsigned atomic_callbacks = 0;
	unsigned readers = 0;
	unsigned reclaims = 0;
	/* whose process it works for; a session is cancelled by another thread */
	port_domain *session = nullptr;
	std::atomic<bool> session_cancelled{false};

	/* what this thread did, for tests that assert "took no lock" */
	u64 lock_count = 0; /* table locks */
	u64 domain_lock_count = 0;
	u64 mmap_lock_count = 0;
	u64 alloc_count = 0; /* port_alloc, interval, index, table memory */
	u64 fault_count = 0; /* port_fault */
	u64 sync_count = 0; /* port_synchronize */
};

task &current();
void kill(task &t);

void complain(const std::string &what);
std::vector<std::string> take_complaints();

/* Complain when the calling thread may not sleep, or not allocate, here. */
void might_sleep(const char *where);
void might_alloc(const char *where);
/* Complain when the calling thread does not work for this domain's process. */
void in_session(const port_domain *d, const char *where);

/* Makes the nth fallible step from now on fail, once, on whichever thread gets there. */
class injector
{
public:
	void arm(u64 nth)
	{
		left_.store(nth, std::memory_order_relaxed);
	}
	bool armed() const
	{
		return left_.load(std::memory_order_relaxed) != 0;
	}
	/* true: this step is to fail */
	bool step()
	{
		u64 n = left_.load(std::memory_order_relaxed);

		while (n && !left_.compare_exchange_weak(n, n - 1, std::memory_order_relaxed))
			;
		return n == 1;
	}

private:
	std::atomic<u64> left_{0};
};

extern injector inject;

/* Set and cleared only while no other thread runs in the core. */
struct hooks {
	std::function<void(const struct port_fault &)> fault_entry; /* before the port's own work */
	std::function<void(const struct port_fault &)>
		fault_exit; /* before it returns: pages are mapped for DMA, no lock is held */
	std::function<void()> alloc; /* where the kernel could enter reclaim */
	/* Of an invalidation: all callbacks have returned; the CPU's entries have changed and it ends. */
	std::function<void(u64 start, u64 end)> announced, ending;
	std::function<void(const std::string &)> complaint; /* under no lock */
};

extern hooks hook;

/* What is alive; all zero when every vm and mm is gone. */
struct live_counts {
	std::atomic<u64> heap{0};
	std::atomic<u64> domains{0};
	std::atomic<u64> intervals{0};
	std::atomic<u64> mms{0};
};

extern live_counts live;

/* What port_now_ms() says; 0: the time. */
extern std::atomic<u64> stopped_clock;

/* One step that allocates: context check, hook, count, injected failure. true: fail it. */
bool alloc_step(const char *where);

} // namespace svm_host

#endif
