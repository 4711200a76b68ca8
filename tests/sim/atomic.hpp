/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's atomics under the seeded scheduler: mm/base/atomic.hpp's class once more, in
 * which each access is a step and each store goes through the fiber's store buffer.
 */
#ifndef SVM_TESTS_SIM_ATOMIC_HPP
#define SVM_TESTS_SIM_ATOMIC_HPP

#include "tests/sim/scheduler.hpp"

#include <cstring>

namespace svm
{

template <typename T>
class atomic
{
public:
	constexpr atomic() = default;
	constexpr explicit atomic(T v)
		: value(v)
	{
	}
	atomic(const atomic &) = delete;
	atomic &operator=(const atomic &) = delete;

	T load_relaxed() const
	{
		return load();
	}
	T load_acquire() const
	{
		return load();
	}
	void store_relaxed(T v)
	{
		store(v, false);
	}
	void store_release(T v)
	{
		store(v, true);
	}
	T fetch_add_relaxed(T v)
	{
		return change(false, [=](T was) { return T(was + v); });
	}
	T fetch_add_release(T v)
	{
		return change(true, [=](T was) { return T(was + v); });
	}
	T fetch_or_acquire(T v)
	{
		return change(false, [=](T was) { return T(was | v); });
	}
	T fetch_and_release(T v)
	{
		return change(true, [=](T was) { return T(was & v); });
	}
	bool exchange_if(T &expected, T desired)
	{
		if (svm_sim::scheduler *s = svm_sim::scheduler::here()) {
			s->point();
			s->drain();
		}
		if (value != expected) {
			expected = value;
			return false;
		}
		value = desired;
		return true;
	}

private:
	T load() const
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();
		u64 bits = 0;

		if (!s)
			return value;
		s->point();
		if (!s->buffered(&value, &bits))
			return value;

		T mine;

		std::memcpy(&mine, &bits, sizeof(T));
		return mine;
	}

	void store(T v, bool release)
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();
		u64 bits = 0;

		if (!s) {
			value = v;
			return;
		}
		s->point();
		std::memcpy(&bits, &v, sizeof(T));
		s->store(&value, bits, sizeof(T), release);
	}

	template <typename Fn>
	T change(bool release, Fn fn)
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();
		u64 bits;

		if (s) {
			s->point();
			/* It may pass stores to other places, but not those to its own. */
			if (release || s->buffered(&value, &bits))
				s->drain();
		}

		T was = value;

		value = fn(was);
		return was;
	}

	T value{};
};

inline void full_barrier()
{
	if (svm_sim::scheduler *s = svm_sim::scheduler::here()) {
		s->point();
		s->drain();
	}
}

} // namespace svm

#endif
