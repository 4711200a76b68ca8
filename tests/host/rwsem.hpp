/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fair reader/writer lock: a waiting writer keeps new readers out, as in the kernel's
 * rw_semaphore. (pthread's default prefers readers, under which munmap would starve.)
 * Not recursive.
 */
#ifndef SVM_TESTS_HOST_RWSEM_HPP
#define SVM_TESTS_HOST_RWSEM_HPP

#include "tests/host/threads.hpp"

namespace svm_host
{

class rwsem
{
public:
	void lock_shared()
	{
		std::unique_lock hold(m_);

		cv_.wait(hold, [this] { return !writer_ && !writers_waiting_; });
		readers_++;
	}
	/* Gives up when stop() says so; true: locked. */
	template <typename Stop>
	bool lock_shared_unless(Stop stop)
	{
		std::unique_lock hold(m_);

		while (writer_ || writers_waiting_) {
			if (stop())
				return false;
			cv_.wait_for(hold, std::chrono::milliseconds(1));
		}
		readers_++;
		return true;
	}
	void unlock_shared()
	{
		std::lock_guard hold(m_);

		if (!--readers_)
			cv_.notify_all();
	}
	void lock()
	{
		std::unique_lock hold(m_);

		writers_waiting_++;
		cv_.wait(hold, [this] { return !writer_ && !readers_; });
		writers_waiting_--;
		writer_ = true;
	}
	void unlock()
	{
		std::lock_guard hold(m_);

		writer_ = false;
		cv_.notify_all();
	}

private:
	mutex m_;
	condition_variable cv_;
	unsigned readers_ = 0;
	unsigned writers_waiting_ = 0;
	bool writer_ = false;
};

} // namespace svm_host

#endif
