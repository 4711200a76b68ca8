// SPDX-License-Identifier: GPL-2.0-only
// Atomics with the order in the name. Each release names its acquire where it is used.
#pragma once

#ifdef SVM_ATOMIC_HEADER // the seeded simulation's: each access is a point where another thread may run
#include SVM_ATOMIC_HEADER
#else

namespace svm {

template <typename T>
class atomic {
public:
	constexpr atomic() = default;
	constexpr explicit atomic(T v) : value(v) {}
	atomic(const atomic &) = delete;
	atomic &operator=(const atomic &) = delete;

	T load_relaxed() const { return load(__ATOMIC_RELAXED); }
	T load_acquire() const { return load(__ATOMIC_ACQUIRE); }
	void store_relaxed(T v) { __atomic_store(&value, &v, __ATOMIC_RELAXED); }
	void store_release(T v) { __atomic_store(&value, &v, __ATOMIC_RELEASE); }
	T fetch_add_relaxed(T v) { return __atomic_fetch_add(&value, v, __ATOMIC_RELAXED); }
	T fetch_add_release(T v) { return __atomic_fetch_add(&value, v, __ATOMIC_RELEASE); }
	T fetch_or_acquire(T v) { return __atomic_fetch_or(&value, v, __ATOMIC_ACQUIRE); }
	T fetch_and_release(T v) { return __atomic_fetch_and(&value, v, __ATOMIC_RELEASE); }

	// Where it succeeds, release and acquire, and ordered among its like; an acquire of the other's value where not.
	bool exchange_if(T &expected, T desired)
	{
		return __atomic_compare_exchange_n(&value, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
	}

private:
	T load(int order) const
	{
		T v;

		__atomic_load(&value, &v, order); // the generic form: enums too
		return v;
	}

	T value{};
};

// Orders everything before it, loads and stores alike, before everything after it.
inline void full_barrier()
{
#ifdef __SANITIZE_THREAD__
#define SVM_BARRIER_BY_RMW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SVM_BARRIER_BY_RMW 1
#endif
#endif
#if defined(SVM_BARRIER_BY_RMW) && !defined(__KERNEL__)
	// The host's ThreadSanitizer knows no fences, but it does know a read-modify-write.
	static unsigned int everyone;
	__atomic_fetch_add(&everyone, 1u, __ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

} // namespace svm

#endif
