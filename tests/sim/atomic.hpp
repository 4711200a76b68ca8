/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's atomics under the seeded scheduler: mm/base/atomic.hpp's class once more, in
 * which each access is a step, each store goes through the fiber's store buffer, and a load may return an older store.
 */
#ifndef SVM_TESTS_SIM_ATOMIC_HPP
#define SVM_TESTS_SIM_ATOMIC_HPP

#include "tests/sim/scheduler.hpp"

#include <cstring>
#include <type_traits>

namespace svm
{

template <typename T>
class atomic
{
public:
	constexpr atomic()
		: atomic(T{})
	{
	}
	constexpr explicit atomic(T v)
		: value(v)
	{
		if (!std::is_constant_evaluated())
			forget();
	}
	atomic(const atomic &) = delete;
	atomic &operator=(const atomic &) = delete;

	~atomic()
	{
		forget();
	}

	T load_relaxed() const
	{
		return load(false);
	}
	T load_acquire() const
	{
		return load(true);
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
		return change(false, false, [=](T was) { return T(was + v); });
	}
	T fetch_add_release(T v)
	{
		return change(false, true, [=](T was) { return T(was + v); });
	}
	T fetch_or_acquire(T v)
	{
		return change(true, false, [=](T was) { return T(was | v); });
	}
	T fetch_and_release(T v)
	{
		return change(false, true, [=](T was) { return T(was & v); });
	}
	bool exchange_if(T &expected, T desired)
	{
		T was = value;

		if (svm_sim::scheduler *s = svm_sim::scheduler::here()) {
			s->point();
			was = from(s->change(&value, sizeof(T), true, true, [&](u64 now, u64 *becomes) {
				*becomes = bits(desired);
				return from(now) == expected;
			}));
		} else if (was == expected) {
			value = desired;
		}
		if (was == expected)
			return true;
		expected = was;
		return false;
	}

private:
	/* The place was something else before, or will be. */
	void forget()
	{
		if (svm_sim::scheduler *s = svm_sim::scheduler::here())
			s->forget(&value, sizeof(T));
	}

	static u64 bits(T v)
	{
		u64 all = 0;

		std::memcpy(&all, &v, sizeof(T)); /* little endian */
		return all;
	}

	static T from(u64 bits)
	{
		T v;

		std::memcpy(&v, &bits, sizeof(T));
		return v;
	}

	T load(bool acquire) const
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();

		if (!s)
			return value;
		s->point();
		return from(s->load(&value, sizeof(T), acquire));
	}

	void store(T v, bool release)
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();

		if (!s) {
			value = v;
			return;
		}
		s->point();
		s->store(&value, bits(v), sizeof(T), release);
	}

	template <typename Fn>
	T change(bool acquire, bool release, Fn fn)
	{
		svm_sim::scheduler *s = svm_sim::scheduler::here();

		if (!s) {
			T was = value;

			value = fn(was);
			return was;
		}
		s->point();
		return from(s->change(&value, sizeof(T), acquire, release, [&](u64 was, u64 *becomes) {
			*becomes = bits(fn(from(was)));
			return true;
		}));
	}

	T value;
};

inline void full_barrier()
{
	if (svm_sim::scheduler *s = svm_sim::scheduler::here()) {
		s->point();
		s->full_barrier();
	}
}

} // namespace svm

#endif
