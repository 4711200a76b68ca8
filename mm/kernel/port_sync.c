// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks, reader sections, deferred frees and threads.
 *
 * Order, outermost first: bind lock, interval lock, mmap_lock, core mm's own, the list of vms
 * (tried), table lock, what the backend's flush takes. All table locks are one lockdep class,
 * "svm_table"; svm_prime_lockdep() shows lockdep at load time that reclaim takes
 * it (by way of the notifier), so that an allocation below it is reported at once
 * and not only when memory is short.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <svm/svm.h>

#include "port_kernel.h"

/*
 * A queue runs so many works at a time, and these wait: helpers for mmap_lock and the
 * interval lock, which processes can hold up; insertions, made under the interval lock,
 * for mmap_lock; frees, which reclaim counts on, for nothing. So none stands behind
 * another kind.
 */
static struct workqueue_struct *helper_wq, *insert_wq, *free_wq;

/* Module load. Return: 0 or -ENOMEM. */
int svm_work_init(void)
{
	helper_wq = alloc_workqueue("svmirror-helper", WQ_UNBOUND, 0);
	insert_wq = alloc_workqueue("svmirror-insert", WQ_UNBOUND, 0);
	free_wq = alloc_workqueue("svmirror-free",
				  WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (helper_wq && insert_wq && free_wq)
		return 0;
	svm_work_exit();
	return -ENOMEM;
}

/* No domain is left. */
void svm_work_exit(void)
{
	struct workqueue_struct *all[] = { helper_wq, insert_wq, free_wq };
	int i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i])
			destroy_workqueue(all[i]);
}

/* Has a worker do an insertion, and waits for it. */
void svm_work_insert(struct work_struct *work)
{
	queue_work(insert_wq, work);
	flush_work(work);
}

/* Has a worker do what may wait for a while. */
void svm_work_queue(struct work_struct *work)
{
	queue_work(helper_wq, work);
}

/* Has a worker do what waits for nothing, after @ms; nothing where it is queued already. */
void svm_work_later(struct delayed_work *work, unsigned int ms)
{
	queue_delayed_work(free_wq, work, msecs_to_jiffies(ms));
}

static struct lock_class_key svm_table_key;

static spinlock_t *table_lock(struct port_lock *lock)
{
	BUILD_BUG_ON(sizeof(spinlock_t) > sizeof(lock->opaque));
	return (spinlock_t *)lock->opaque;
}

/**
 * port_lock_init() - make a table lock
 * @lock: needs no destructor
 *
 * Context: any.
 */
void port_lock_init(struct port_lock *lock)
{
	spin_lock_init(table_lock(lock));
	lockdep_set_class_and_name(table_lock(lock), &svm_table_key,
				   "svm_table");
}

/**
 * port_lock() - take a table lock
 * @lock: not two of them at a time
 *
 * Context: any but interrupts; until port_unlock() nothing may sleep, nor
 * allocate in a way that reclaims.
 */
void port_lock(struct port_lock *lock) __acquires(lock)
{
	spin_lock(table_lock(lock));
}

/**
 * port_unlock() - let it go
 * @lock: taken by port_lock()
 *
 * Context: as port_lock().
 */
void port_unlock(struct port_lock *lock) __releases(lock)
{
	spin_unlock(table_lock(lock));
}

/* Reclaim takes table locks: it unmaps pages, and that calls our notifier. */
void svm_prime_lockdep(void)
{
	struct port_lock lock;

	port_lock_init(&lock);
	fs_reclaim_acquire(GFP_KERNEL);
	port_lock(&lock);
	port_unlock(&lock);
	fs_reclaim_release(GFP_KERNEL);
}

static struct mutex *mutex_of(struct port_domain *d, enum port_mutex which)
{
	return which == PORT_BIND ? &d->bind_lock : &d->interval_lock;
}

/**
 * port_domain_lock() - take one of the domain's sleeping locks
 * @d: domain
 * @which: the bind lock: outermost, and not in a reader section. The interval lock:
 *	under nothing but the bind lock, and in a reader section or not
 *
 * Context: sleeps; no mmap_lock is held.
 * Return: 0, or -EINTR when the thread was killed.
 */
int port_domain_lock(struct port_domain *d, enum port_mutex which)
{
	return mutex_lock_killable(mutex_of(d, which));
}

/**
 * port_domain_unlock() - let it go
 * @d: domain
 * @which: which of them
 *
 * Context: process.
 */
void port_domain_unlock(struct port_domain *d, enum port_mutex which)
{
	mutex_unlock(mutex_of(d, which));
}

/**
 * port_read_enter() - begin a reader section: nodes reached in it stay
 * @d: domain
 *
 * Context: process; the section may sleep.
 * Return: a cookie for port_read_exit().
 */
int port_read_enter(struct port_domain *d)
{
	return srcu_read_lock(&d->srcu);
}

/**
 * port_read_exit() - end it
 * @d: domain
 * @cookie: from port_read_enter()
 *
 * Context: the same thread.
 */
void port_read_exit(struct port_domain *d, int cookie)
{
	srcu_read_unlock(&d->srcu, cookie);
}

/**
 * port_synchronize() - wait until all who are in a reader section now have left
 * @d: domain
 *
 * Context: sleeps; not in a reader section, not under mmap_lock (a reader may wait for that).
 */
void port_synchronize(struct port_domain *d)
{
	synchronize_srcu(&d->srcu);
}

/* What port_defer() makes of the memory that its caller lends it. */
struct deferred {
	union {
		struct rcu_head rcu;	/* until the grace period is over */
		struct llist_node freed; /* then, in port_domain.freed */
	};
	struct port_domain *d;
	void *node;
};

static_assert(sizeof(struct deferred) <= sizeof(struct port_deferred));

/* Called with bottom halves off, so the freeing itself is left to a worker. */
static void deferred_ready(struct rcu_head *head)
{
	struct deferred *x = container_of(head, struct deferred, rcu);
	struct port_domain *d = x->d;

	/* Pairs with llist_del_all() in svm_free_work(). */
	llist_add(&x->freed, &d->freed);
	queue_work(free_wq, &d->free_work);
}

void svm_free_work(struct work_struct *work)
{
	struct port_domain *d = container_of(work, typeof(*d), free_work);
	struct llist_node *list = llist_del_all(&d->freed);
	struct deferred *x, *next;
	bool room = false;

	llist_for_each_entry_safe(x, next, list, freed) {
		room |= svm_port_deferred(x->node);
		atomic_long_dec(&d->deferred);
		cond_resched();
	}
	if (room)
		svm_room_freed(d->dev);
}

/**
 * port_defer() - free a node once no reader can still hold it
 * @d: domain
 * @link: inside the node; the port's until svm_port_deferred(@node) runs
 * @node: handed to that hook, in process context, once
 *
 * Context: any, also under a table lock; never sleeps.
 */
void port_defer(struct port_domain *d, struct port_deferred *link, void *node)
{
	struct deferred *x = (struct deferred *)link;

	x->d = d;
	x->node = node;
	atomic_long_inc(&d->deferred);
	call_srcu(&d->srcu, &x->rcu, deferred_ready);
}

/* What the helpers of one call share. */
struct parallel {
	struct port_domain *d;
	void (*fn)(void *arg);
	void *arg;
	atomic_t busy; /* helpers that have begun */
	wait_queue_head_t idle;
};

struct parallel_work {
	struct work_struct work;
	struct svm_session session;
	struct parallel *all;
};

static void parallel_run(struct work_struct *work)
{
	struct parallel_work *w = container_of(work, typeof(*w), work);
	struct parallel *all = w->all;

	atomic_inc(&all->busy);
	/* A process that is gone needs no helper. */
	if (!port_session_begin(all->d, &w->session)) {
		all->fn(all->arg);
		port_session_end(&w->session);
	}
	if (atomic_dec_and_test(&all->busy))
		wake_up(&all->idle);
}

/*
 * Waits for helpers that have begun. When this thread is killed, they need not wait for
 * anything; one that begins later finds nothing to do.
 */
static void await_helpers(struct parallel *all, struct parallel_work *works, u32 helpers)
{
	u32 i;

	if (!wait_event_killable(all->idle, !atomic_read(&all->busy)))
		return;
	for (i = 0; i < helpers; i++)
		svm_session_cancel_begun(all->d, &works[i].session);
}

/**
 * port_parallel() - call a function on several threads and wait for all
 * @d: domain
 * @threads: at most so many, this one among them; fewer when memory is short or all
 *	workers are busy
 * @fn: called with @arg on each; once it has returned on one thread nothing is left
 *	for one that begins
 * @arg: for @fn
 *
 * Context: in a session, and so are all calls of @fn; sleeps; holds no lock that @fn
 * takes. Kills are seen by the calling thread only: @fn shares the news through @arg, and
 * what the other threads wait for then is not waited for any more.
 */
void port_parallel(struct port_domain *d, u32 threads, void (*fn)(void *arg),
		   void *arg)
{
	struct parallel all = { .d = d, .fn = fn, .arg = arg };
	struct parallel_work *works = NULL;
	u32 helpers, i;

	init_waitqueue_head(&all.idle);
	helpers = min_t(u32, threads, num_online_cpus());
	helpers = helpers ? helpers - 1 : 0;
	if (helpers)
		works = kcalloc(helpers, sizeof(*works), GFP_KERNEL);
	if (!works)
		helpers = 0;
	for (i = 0; i < helpers; i++) {
		INIT_WORK(&works[i].work, parallel_run);
		works[i].all = &all;
		queue_work(helper_wq, &works[i].work);
	}
	fn(arg);
	await_helpers(&all, works, helpers);
	/* One that has not begun finds nothing left to do, and may stand behind others'. */
	for (i = 0; i < helpers; i++)
		cancel_work_sync(&works[i].work);
	kfree(works);
}

/**
 * port_cpu() - number of this CPU, for striping counters; may be old at once
 *
 * Context: any.
 * Return: 0 and up.
 */
u32 port_cpu(void)
{
	return raw_smp_processor_id();
}

/**
 * port_relax() - let others run, in a long loop
 *
 * Context: sleeps; holds no spinlock.
 */
void port_relax(void)
{
	cond_resched();
}

/**
 * port_pause() - sleep for about a millisecond
 *
 * Context: sleeps.
 */
void port_pause(void)
{
	usleep_range(500, 1000);
}

/**
 * port_now_ms() - what time it is
 *
 * Context: any.
 * Return: milliseconds since some time before.
 */
u64 port_now_ms(void)
{
	return ktime_to_ms(ktime_get());
}

/**
 * port_self() - this thread
 *
 * Context: any.
 * Return: what can be compared with what it returned elsewhere.
 */
const void *port_self(void)
{
	return current;
}

/**
 * port_killed() - has this thread a fatal signal?
 *
 * Context: any.
 * Return: true: give up with -EINTR.
 */
bool port_killed(void)
{
	return fatal_signal_pending(current);
}

/**
 * port_warn() - report with a backtrace that an invariant broke, and go on
 * @what: constant text; not repeated while it is the same as the last
 *
 * Context: any.
 */
void port_warn(const char *what)
{
	static const char *last;

	if (xchg(&last, what) != what)
		WARN(1, "svmirror: %s\n", what);
}
