/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Atomics that stop after each load, so that a test decides what happens between a load and what follows from it.
 * Not for threads. It is included under another name of the namespace: see scratch_meeting_test.cpp.
 */
#ifndef SVM_TESTS_UNIT_HOOKED_ATOMIC_HPP
#define SVM_TESTS_UNIT_HOOKED_ATOMIC_HPP

#include <functional>

namespace svm
{

inline std::function<void()> after_load;

template <typename T>
class atomic
{
public:
	constexpr explicit atomic(T v)
		: value(v)
	{
	}
	T load_relaxed() const
	{
		T v = value;

		if (after_load)
			after_load();
		return v;
	}
	T fetch_or_acquire(T v)
	{
		T was = value;

		value |= v;
		return was;
	}
	T fetch_and_release(T v)
	{
		T was = value;

		value &= v;
		return was;
	}

private:
	T value;
};

} // namespace svm

#endif
