// SPDX-License-Identifier: GPL-2.0-only
// Threads for tasks that may wait for each other: a task never waits for a thread that another task has. A task gets an
// idle thread or a new one; a thread that was idle for a while ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

namespace svgpu {

class thread_pool {
public:
	explicit thread_pool(std::chrono::milliseconds idle_limit = std::chrono::milliseconds(500))
		: idle_limit_(idle_limit)
	{
	}
	// Waits until all tasks have ended.
	~thread_pool();

	// Throws std::system_error when there is no thread at all and none can be made. When one cannot be made and
	// others exist, the task waits for the first that is idle.
	void run(std::function<void()> task);

	// Threads that exist now.
	std::size_t size();

private:
	using threads = std::list<std::thread>;

	void serve(threads::iterator self);
	void join_ended();

	const std::chrono::milliseconds idle_limit_;

	std::mutex lock_; // all below
	std::condition_variable changed_;
	std::deque<std::function<void()>> tasks_;
	threads threads_;
	threads ended_; // they have let go of the lock for good, or are about to
	std::size_t idle_ = 0;
	bool stop_ = false;
};

} // namespace svgpu
