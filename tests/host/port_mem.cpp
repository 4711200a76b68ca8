// SPDX-License-Identifier: GPL-2.0-only
/* The port over the simulated machine: memory, locks, domains, the shrinker, and the rest. */
#include "tests/host/check.hpp"
#include "tests/host/domain.hpp"

#include <svm/svm.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <malloc.h>

using namespace svm_host;

/* ---- memory ---- */

void *port_alloc(unsigned long bytes)
{
	point();
	if (alloc_step("port_alloc"))
		return nullptr;
	live.heap.fetch_add(1, std::memory_order_relaxed);

	void *p = std::calloc(1, bytes);

	forget(p, bytes);
	return p;
}

#ifdef SVM_THREADS_HEADER
/*
 * Kept back for a while, so that a stale pointer meets the poison. No lock: fibers run one at a time. Under real
 * threads the sanitizers look after that.
 */
static void give_back(void *p)
{
	static std::deque<void *> freed;

	freed.push_back(p);
	if (freed.size() > 4096) {
		std::free(freed.front());
		freed.pop_front();
	}
}
#else
static void give_back(void *p)
{
	std::free(p);
}
#endif

void port_free(void *p)
{
	point();
	if (!p)
		return;
	live.heap.fetch_sub(1, std::memory_order_relaxed);
	std::memset(p, 0x6b, malloc_usable_size(p));
	forget(p, malloc_usable_size(p));
	give_back(p);
}

/* ---- table locks ---- */

void port_lock_init(struct port_lock *lock)
{
	std::atomic_ref<unsigned>(lock->opaque[0]).store(0, std::memory_order_relaxed);
}

void port_lock(struct port_lock *lock)
{
	point();
	std::atomic_ref<unsigned> word(lock->opaque[0]);
	task &t = current();

	/* Two table locks at once would need an order among tables; there is none. */
	if (t.table_locks)
		complain("a second table lock is taken");
	while (word.exchange(1, std::memory_order_acquire))
		give_way();
	acquired(lock);
	t.table_locks++;
	t.lock_count++;
}

void port_unlock(struct port_lock *lock)
{
	point();
	std::atomic_ref<unsigned> word(lock->opaque[0]);

	released(lock);
	current().table_locks--;
	if (!word.exchange(0, std::memory_order_release))
		complain("a table lock is released that nobody holds");
}

/* ---- domain ---- */

/* Guards the list against a domain that goes while the shrinker looks at it. */
static rwsem domains_lock;
static std::vector<port_domain *> domains;

port_domain *port_domain_create(void *owner, mm_struct *mm, device *dma, svm_memory *)
{
	point();
	if (alloc_step("port_domain_create"))
		return nullptr;

	auto *d = new port_domain(owner, mm, dma);

	domains_lock.lock();
	domains.push_back(d);
	domains_lock.unlock();
	return d;
}

void port_domain_destroy(port_domain *d)
{
	point();
	might_sleep("port_domain_destroy");
	domains_lock.lock();
	std::erase(domains, d);
	domains_lock.unlock();
	delete d;
}

int port_domain_lock(port_domain *d, port_mutex which)
{
	point();
	might_sleep("port_domain_lock");
	if (current().callbacks)
		complain("a lock of the domain is taken in a callback");
	/* The holder waits for readers. */
	if (which == PORT_BIND && current().readers)
		complain("the bind lock is taken in a reader section");
	current().domain_lock_count++;
	return d->lock(which) ? 0 : -EINTR;
}

void port_domain_unlock(port_domain *d, port_mutex which)
{
	point();
	d->unlock(which);
}

int port_read_enter(port_domain *d)
{
	point();
	current().readers++;
	return d->read_enter();
}

void port_read_exit(port_domain *d, int cookie)
{
	point();
	current().readers--;
	d->read_exit(cookie);
}

void port_synchronize(port_domain *d)
{
	point();
	might_sleep("port_synchronize");
	if (current().readers)
		complain("port_synchronize inside a reader section");
	if (current().callbacks)
		complain("port_synchronize in a callback");
	current().sync_count++;
	d->synchronize();
}

void port_defer(port_domain *d, port_deferred *link, void *node)
{
	point();
	d->defer(link, node);
}

/* Not secret here: runs are repeatable. */
u64 port_secret()
{
	return 0x9e3779b97f4a7c15;
}

/* ---- shrinker ---- */

u64 svm_host::shrinkable()
{
	u64 n = 0;

	domains_lock.lock_shared();
	for (port_domain *d : domains)
		n += svm_port_count(d->owner());
	domains_lock.unlock_shared();
	return n;
}

/* As in mm/kernel/port_shrink.c: each by its share of what is idle. */
u64 svm_host::shrink(u64 n)
{
	u64 freed = 0, looked = 0, total = 0;

	might_sleep("the shrinker");
	domains_lock.lock_shared();
	current().reclaims++;
	for (port_domain *d : domains)
		total += svm_port_count(d->owner());
	for (port_domain *d : domains) {
		u64 has = svm_port_count(d->owner()), seen = 0;

		if (!has || looked >= n)
			continue;

		u64 share = n >= total ? n - looked : std::max<u64>(1, std::min(n - looked, n * has / total));

		freed += svm_port_shrink(d->owner(), share, &seen);
		looked += seen;
	}
	current().reclaims--;
	domains_lock.unlock_shared();
	return freed;
}

void svm_host::reclaim_on_alloc(bool on)
{
	if (on)
		hook.alloc = [] { shrink(1); };
	else
		hook.alloc = nullptr;
}

/* ---- where memory for tables ran out ---- */

void port_each_domain(device *dma, void (*fn)(void *owner, void *arg), void *arg)
{
	point();
	might_sleep("port_each_domain");
	if (current().readers)
		complain("port_each_domain inside a reader section");
	domains_lock.lock_shared();
	current().reclaims++;
	for (port_domain *d : domains)
		if (d->dma() == dma)
			fn(d->owner(), arg);
	current().reclaims--;
	domains_lock.unlock_shared();
}

std::atomic<int> svm_host::free_wait_steps{1000};
std::atomic<unsigned> svm_host::free_waiters{0};
std::atomic<u64> svm_host::pauses{0};

u64 port_frees(device *dma)
{
	point();
	return dma->frees.load(std::memory_order_acquire); /* with the release in port_domain::work() */
}

bool port_wait_frees(device *dma, port_domain *d, u64 seen)
{
	if (d)
		in_session(d, "port_wait_frees");
	might_sleep("port_wait_frees");
	if (current().readers)
		complain("port_wait_frees inside a reader section");
	free_waiters++;
	for (int turn = 0; turn < free_wait_steps && port_frees(dma) == seen && !port_killed(); turn++)
		sleep_for(std::chrono::microseconds(100));
	free_waiters--;
	return port_frees(dma) != seen;
}

bool port_evict_begin(device *dma)
{
	point();
	return !dma->evicting.exchange(true, std::memory_order_acquire); /* with the release in port_evict_end() */
}

void port_evict_end(device *dma)
{
	point();
	dma->evicting.store(false, std::memory_order_release);
}

/* ---- the rest ---- */

u32 port_cpu(void)
{
	point();
	return thread_number();
}

void port_relax(void)
{
	point();
	might_sleep("port_relax");
	give_way();
}

void port_pause(void)
{
	point();
	might_sleep("port_pause");
	svm_host::pauses++;
	sleep_for(std::chrono::milliseconds(1));
}

u64 port_now_ms(void)
{
	if (u64 stopped = svm_host::stopped_clock.load(std::memory_order_relaxed))
		return stopped;

	auto since = std::chrono::steady_clock::now().time_since_epoch();

	return u64(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

const void *port_self(void)
{
	return &current();
}

bool port_killed(void)
{
	point();
	const task &t = current();

	return t.killed.load(std::memory_order_relaxed) || t.session_cancelled.load(std::memory_order_relaxed);
}

/* ---- sessions ---- */

/* opaque[0]: the task, or null where the thread had the process's context already. */
int port_session_begin(port_domain *d, svm_session *s)
{
	point();
	task &t = current();

	might_sleep("port_session_begin");
	s->opaque[0] = nullptr;
	if (t.session == d)
		return 0;
	if (t.session)
		return -EPERM;
	if (!d->mm().get_user())
		return -EFAULT;
	t.session = d;
	s->opaque[0] = &t;
	return 0;
}

void port_session_end(svm_session *s)
{
	point();
	task *t = static_cast<task *>(s->opaque[0]);

	if (!t)
		return;
	if (t != &current())
		complain("a session is ended by another thread");
	t->session->mm().put_user_async();
	t->session = nullptr;
	t->session_cancelled.store(false, std::memory_order_relaxed);
}

void port_session_cancel(svm_session *s)
{
	point();
	if (task *t = static_cast<task *>(s->opaque[0]))
		t->session_cancelled.store(true, std::memory_order_relaxed);
}

void svm_host::in_session(const port_domain *d, const char *where)
{
	if (current().session != d)
		complain(std::string(where) + " outside of a session: it would act for another process");
}

void port_parallel(port_domain *d, u32 threads, void (*fn)(void *arg), void *arg)
{
	point();
	std::vector<thread> others;

	might_sleep("port_parallel");
	in_session(d, "port_parallel");
	for (u32 i = 1; i < threads; i++)
		others.emplace_back([=] {
			svm_session own;

			if (port_session_begin(d, &own))
				return;
			fn(arg);
			port_session_end(&own);
		});
	fn(arg);
	for (auto &t : others)
		t.join();
}

void port_warn(const char *what)
{
	point();
	complain(std::string("port_warn: ") + what);
}
