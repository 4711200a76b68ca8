// SPDX-License-Identifier: GPL-2.0-only
// Scopes that hold something: a table's lock, a domain's locks, a reader section, a session. None is ever released by hand.
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

// One of a domain's two sleeping locks. Waiting can be killed, so ask whether it was taken.
template <port_mutex which>
class mutex_guard {
public:
	explicit mutex_guard(port_domain *d) : domain(d), taken(port_domain_lock(d, which)) {}
	~mutex_guard()
	{
		if (taken == 0)
			port_domain_unlock(domain, which);
	}
	mutex_guard(const mutex_guard &) = delete;
	mutex_guard &operator=(const mutex_guard &) = delete;
	status held() const { return status::from(taken); }

private:
	port_domain *domain;
	int taken;
};

using bind_guard = mutex_guard<PORT_BIND>;
using interval_guard = mutex_guard<PORT_INTERVALS>;

// The process's mmap_lock, for reading. Waiting can be killed, so ask whether it was taken.
class mmap_guard {
public:
	explicit mmap_guard(port_domain *d) : domain(d), taken(port_mmap_lock(d)) {}
	~mmap_guard()
	{
		if (taken == 0)
			port_mmap_unlock(domain);
	}
	mmap_guard(const mmap_guard &) = delete;
	mmap_guard &operator=(const mmap_guard &) = delete;
	status held() const { return status::from(taken); }

private:
	port_domain *domain;
	int taken;
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
