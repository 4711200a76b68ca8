// SPDX-License-Identifier: GPL-2.0-only
/* Domains. See domain.hpp. */
#include "tests/host/domain.hpp"

#include "tests/host/check.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

using namespace svm_host;

port_domain::port_domain(void *owner, mm_struct *mm, device *dma)
	: owner_(owner)
	, mm_(mm)
	, dma_(dma)
	, worker_([this] { work(); })
{
	live.domains++;
}

port_domain::~port_domain()
{
	drain();
	{
		std::lock_guard hold(lock_);

		stop_ = true;
		cv_.notify_all();
	}
	worker_.join();
	if (intervals)
		complain("a domain is destroyed with intervals left");
	if (inside_[0] || inside_[1])
		complain("a domain is destroyed with readers inside");
	live.domains--;
}

bool port_domain::lock(port_mutex which)
{
	const task &self = current();

	while (!mutexes_[which].try_lock()) {
		if (self.killed.load(std::memory_order_relaxed))
			return false;
		sleep_for(std::chrono::microseconds(100));
	}
	return true;
}

void port_domain::unlock(port_mutex which)
{
	mutexes_[which].unlock();
}

int port_domain::read_enter()
{
	unsigned g = generation_.load(std::memory_order_relaxed) & 1;

	inside_[g].fetch_add(1, std::memory_order_relaxed);
	/*
	 * Pairs with the one in synchronize(): it sees us, or we see what it unlinked. Not a barrier that the core
	 * may lean on, so the scheduler's store buffers stay as they are.
	 */
	std::atomic_thread_fence(std::memory_order_seq_cst);
	acquired(&generation_);
	return int(g);
}

void port_domain::read_exit(int cookie)
{
	released(&inside_); /* with acquired() in wait_for_readers(), before nodes are freed */
	inside_[cookie].fetch_sub(1, std::memory_order_release);
}

void port_domain::wait_for_readers(unsigned generation)
{
	while (inside_[generation & 1].load(std::memory_order_acquire))
		sleep_for(std::chrono::microseconds(20));
	acquired(&inside_);
}

/* Orders what comes before against what comes after, for the machine but not in ThreadSanitizer's model. */
void port_domain::fence()
{
	released(&generation_);
	std::atomic_thread_fence(std::memory_order_seq_cst);
}

void port_domain::synchronize()
{
	std::lock_guard hold(synchronize_);
	unsigned g = generation_.load(std::memory_order_relaxed);

	fence(); /* pairs with the one in read_enter() */
	wait_for_readers(g + 1);
	generation_.store(g + 1, std::memory_order_relaxed);
	fence();
	wait_for_readers(g);
}

void port_domain::defer(port_deferred *link, void *node)
{
	std::lock_guard hold(lock_);

	link->opaque[0] = node; /* the memory must be writable, and ours */
	nodes_.push_back(node);
	cv_.notify_all();
}

void port_domain::drain()
{
	std::unique_lock hold(lock_);

	cv_.wait(hold, [this] { return nodes_.empty() && !busy_; });
}

void port_domain::work()
{
	std::unique_lock hold(lock_);

	for (;;) {
		cv_.wait(hold, [this] { return stop_ || !nodes_.empty(); });
		if (nodes_.empty())
			return;

		std::vector<void *> nodes = std::exchange(nodes_, {});

		busy_ = true;
		hold.unlock();
		synchronize();
		bool room = false;

		for (void *node : nodes)
			room |= svm_port_deferred(node);
		if (room)
			dma_->frees.fetch_add(1, std::memory_order_release); /* with the acquire in port_frees() */
		hold.lock();
		busy_ = false;
		cv_.notify_all();
	}
}
