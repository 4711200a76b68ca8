// SPDX-License-Identifier: GPL-2.0-only
// Scopes that hold something: a table's lock, the window lock, a reader section, a session. None is ever released by hand.
// clang checks the annotations on the host (-Wthread-safety); elsewhere they are nothing.
#pragma once

#include "mm/port.h"
#include "svm/svm.h"
#include "mm/base/result.hpp"

#ifdef __clang__
#define SVM_CAPABILITY(x) __attribute__((capability(x)))
#define SVM_SCOPED __attribute__((scoped_lockable))
#define SVM_GUARDED_BY(x) __attribute__((guarded_by(x)))
#define SVM_REQUIRES(x) __attribute__((requires_capability(x)))
#define SVM_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define SVM_RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#else
#define SVM_CAPABILITY(x)
#define SVM_SCOPED
#define SVM_GUARDED_BY(x)
#define SVM_REQUIRES(x)
#define SVM_ACQUIRE(...)
#define SVM_RELEASE(...)
#endif

namespace svm {

class SVM_CAPABILITY("table lock") table_lock {
public:
	table_lock() { port_lock_init(&raw); }
	void acquire() SVM_ACQUIRE() { port_lock(&raw); }
	void release() SVM_RELEASE() { port_unlock(&raw); }

private:
	struct port_lock raw;
};

class SVM_SCOPED table_guard {
public:
	explicit table_guard(table_lock &l) SVM_ACQUIRE(l) : lock(l) { lock.acquire(); }
	~table_guard() SVM_RELEASE() { lock.release(); }
	table_guard(const table_guard &) = delete;
	table_guard &operator=(const table_guard &) = delete;

private:
	table_lock &lock;
};

// The window lock: outermost of all; sleeps. Waiting can be killed, so ask whether it was taken.
class window_guard {
public:
	explicit window_guard(port_domain *d) : domain(d), taken(port_domain_lock(d)) {}
	~window_guard()
	{
		if (taken == 0)
			port_domain_unlock(domain);
	}
	window_guard(const window_guard &) = delete;
	window_guard &operator=(const window_guard &) = delete;
	status held() const { return status::from(taken); }

private:
	port_domain *domain;
	int taken;
};

// The same for teardown, which must go through.
class window_guard_force {
public:
	explicit window_guard_force(port_domain *d) : domain(d) { port_domain_lock_force(d); }
	~window_guard_force() { port_domain_unlock(domain); }
	window_guard_force(const window_guard_force &) = delete;
	window_guard_force &operator=(const window_guard_force &) = delete;

private:
	port_domain *domain;
};

// Nodes found inside the section are not freed before it ends. It may sleep.
class reader {
public:
	explicit reader(port_domain *d) : domain(d), cookie(port_read_enter(d)) {}
	~reader() { port_read_exit(domain, cookie); }
	reader(const reader &) = delete;
	reader &operator=(const reader &) = delete;

private:
	port_domain *domain;
	int cookie;
};

// This thread works for the process that the domain mirrors. Ask whether it began.
class session {
public:
	explicit session(port_domain *d) : began(port_session_begin(d, &raw)) {}
	~session()
	{
		if (began == 0)
			port_session_end(&raw);
	}
	session(const session &) = delete;
	session &operator=(const session &) = delete;
	status held() const { return status::from(began); }

private:
	struct svm_session raw;
	int began;
};

} // namespace svm
