/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fair reader/writer lock: a waiting writer keeps new readers out, and the readers that wait for a writer are let in
 * before the next one, much as in the kernel's rw_semaphore. (pthread's default prefers readers, under which munmap would
 * starve.) Not recursive.
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
		lock_shared_unless([] { return false; });
	}
	/* Gives up when stop() says so; true: locked. */
	template <typename Stop>
	bool lock_shared_unless(Stop stop)
	{
		std::unique_lock hold(m_);
		bool locked = true;

		readers_waiting_++;
		while (writer_ || (writers_waiting_ && !admitted_)) {
			if (stop()) {
				locked = false;
				break;
			}
			cv_.wait_for(hold, std::chrono::milliseconds(1));
		}
		readers_waiting_--;
		readers_ += locked;
		if (admitted_)
			admitted_--;
		if (!locked)
			cv_.notify_all();
		return locked;
	}
	bool written()
	{
		std::lock_guard hold(m_);

		return writer_ || writers_waiting_;
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
		cv_.wait(hold, [this] { return !writer_ && !readers_ && !admitted_; });
		writers_waiting_--;
		writer_ = true;
	}
	void unlock()
	{
		std::lock_guard hold(m_);

		writer_ = false;
		admitted_ = readers_waiting_;
		cv_.notify_all();
	}

private:
	mutex m_;
	condition_variable cv_;
	unsigned readers_ = 0;
	unsigned readers_waiting_ = 0;
	unsigned writers_waiting_ = 0;
	unsigned admitted_ = 0; /* readers that come before the next writer */
	bool writer_ = false;
};

} // namespace svm_host

#endif
