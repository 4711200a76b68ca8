/* SPDX-License-Identifier: GPL-2.0-only */
/* The vocabulary of tests/host/threads.hpp, spoken by the seeded scheduler. Outside of a run nothing ever waits. */
#ifndef SVM_TESTS_SIM_THREADS_HPP
#define SVM_TESTS_SIM_THREADS_HPP

#include "tests/sim/scheduler.hpp"

#include <chrono>
#include <mutex>
#include <utility>

namespace svm_host
{

using svm_sim::scheduler;

inline void point()
{
	if (scheduler *s = scheduler::here())
		s->point();
}

inline void give_way()
{
	if (scheduler *s = scheduler::here())
		s->give_way();
}

inline void sleep_for(std::chrono::microseconds time)
{
	if (scheduler *s = scheduler::here())
		s->sleep(u64(time.count()));
}

/* A stall is no longer than 4000 steps; a thread may be stalled a few times on its way. */
constexpr unsigned enough_turns = 500;

inline void wait_turn(unsigned turn)
{
	if (turn > 100)
		sleep_for(std::chrono::microseconds(100));
}

inline void released(const void *what)
{
	if (scheduler *s = scheduler::here())
		s->released(what);
}

inline void acquired(const void *what)
{
	if (scheduler *s = scheduler::here())
		s->acquired(what);
}

inline void publish_entries()
{
	if (scheduler *s = scheduler::here())
		s->publish();
}

inline void forget(const void *at, unsigned long bytes)
{
	if (scheduler *s = scheduler::here())
		s->forget(at, bytes);
}

class mutex
{
public:
	mutex() = default;
	~mutex()
	{
		forget(this, sizeof(*this));
	}
	void lock()
	{
		/* Held for a few lines by most, and taken for every page: not each time is worth a step. */
		if (scheduler *s = scheduler::here(); s && s->draw(8) == 0)
			s->point();
		while (held_)
			scheduler::here()->wait(queue_);
		held_ = true;
		acquired(this);
	}
	bool try_lock()
	{
		bool mine = !std::exchange(held_, true);

		if (mine)
			acquired(this);
		return mine;
	}
	void unlock()
	{
		released(this);
		held_ = false;
		if (scheduler *s = scheduler::here())
			s->wake(queue_);
	}

private:
	bool held_ = false;
	svm_sim::wait_queue queue_;
};

class condition_variable
{
public:
	template <typename Cond>
	void wait(std::unique_lock<mutex> &hold, Cond cond)
	{
		while (!cond()) {
			/* Nobody comes between the two: only the wait itself changes over. */
			hold.unlock();
			scheduler::here()->wait(queue_);
			hold.lock();
		}
	}
	void wait_for(std::unique_lock<mutex> &hold, std::chrono::microseconds time)
	{
		hold.unlock();
		scheduler::here()->wait_for(queue_, u64(time.count()));
		hold.lock();
	}
	void notify_all()
	{
		if (scheduler *s = scheduler::here())
			s->wake(queue_);
	}

private:
	svm_sim::wait_queue queue_;
};

class thread
{
public:
	thread() = default;
	template <typename Fn>
	explicit thread(Fn fn)
		: fiber_(scheduler::here()->start(std::move(fn)))
	{
	}
	thread(thread &&other)
		: fiber_(std::exchange(other.fiber_, nullptr))
	{
	}
	thread &operator=(thread &&other)
	{
		fiber_ = std::exchange(other.fiber_, nullptr);
		return *this;
	}
	bool joinable() const
	{
		return fiber_;
	}
	void join()
	{
		scheduler::here()->join(std::exchange(fiber_, nullptr));
	}

private:
	svm_sim::fiber *fiber_ = nullptr;
};

template <typename T>
T &own()
{
	static const unsigned kind = svm_sim::next_kind();
	static T outside;
	scheduler *s = scheduler::here();

	if (!s)
		return outside;

	std::shared_ptr<void> &mine = s->own(kind);

	if (!mine)
		mine = std::make_shared<T>();
	return *static_cast<T *>(mine.get());
}

inline unsigned thread_number()
{
	scheduler *s = scheduler::here();

	return s ? s->number() : 0;
}

} // namespace svm_host

#endif
