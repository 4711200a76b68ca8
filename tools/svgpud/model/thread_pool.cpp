// SPDX-License-Identifier: GPL-2.0-only
// A thread that ends cannot join itself: it moves its handle to ended_, and the next new thread's maker joins it.
#include "model/thread_pool.hpp"

#include <system_error>
#include <utility>

namespace svgpu {

thread_pool::~thread_pool()
{
	std::unique_lock hold(lock_);

	stop_ = true;
	changed_.notify_all();
	changed_.wait(hold, [&] { return threads_.empty(); });
	join_ended();
}

void thread_pool::run(std::function<void()> task)
{
	std::lock_guard hold(lock_);

	tasks_.push_back(std::move(task));
	if (tasks_.size() <= idle_) {
		changed_.notify_one();
		return;
	}
	join_ended();

	auto self = threads_.emplace(threads_.end());

	try {
		*self = std::thread([this, self] { serve(self); });
	} catch (const std::system_error &) {
		threads_.erase(self);
		if (threads_.empty())
			throw;
	}
}

std::size_t thread_pool::size()
{
	std::lock_guard hold(lock_);

	return threads_.size();
}

void thread_pool::join_ended()
{
	for (std::thread &t : ended_)
		t.join();
	ended_.clear();
}

void thread_pool::serve(threads::iterator self)
{
	std::unique_lock hold(lock_);

	for (;;) {
		++idle_;
		changed_.wait_for(hold, idle_limit_, [&] { return stop_ || !tasks_.empty(); });
		--idle_;
		if (tasks_.empty())
			break;

		std::function<void()> task = std::move(tasks_.front());

		tasks_.pop_front();
		hold.unlock();
		task();
		hold.lock();
	}
	ended_.splice(ended_.end(), threads_, self);
	if (threads_.empty())
		changed_.notify_all();
}

} // namespace svgpu
