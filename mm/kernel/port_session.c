// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions: a kernel thread works for the process that a vm mirrors.
 *
 * A fault of the device must come out as the CPU's own would. Core mm takes from
 * `current` what belongs to the process that faults: the loaded page tables (the
 * copy-on-write of a private DAX mapping reads its source through them), the
 * memory cgroup that page cache, page tables and our own tables are charged to,
 * the nodes of its cpuset, the NUMA policy where a mapping has none of its own,
 * and the signal that ends a wait. A worker has none of these. In a session it
 * has those of the process; afterwards it has its own again.
 *
 * The process's main thread (mm->owner) is asked for the cpuset and the policy:
 * no thread of the process made the device's access, and this is the one that
 * programs such as numactl set up. Without CONFIG_MEMCG there is no mm->owner,
 * and both stay the worker's.
 *
 * A session holds mm_users, so the memory of a process that was killed stays until
 * the session ends. Sessions are short, but a fault in one may wait for another
 * process (a userfaultfd's manager, a file system's server). svm_session_cancel() ends
 * such a wait with SIGKILL to the worker, which nothing else sends to a kernel
 * thread. A driver calls it when nobody wants the fault's answer any more. While any
 * thread waits, the domain's watch looks for two reasons to end all waits: no task uses
 * the memory any more, since nothing else tells of the death of a process whose memory
 * is held; and the device goes, whose removal would wait for the one who waits.
 *
 * A signal would kill a thread of the process, so it never waits itself: svm_wait()
 * has a kernel thread do it, in a session that can be cancelled.
 */
#include <linux/completion.h>
#include <linux/cpuset.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mempolicy.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include <svm/svm.h>

#include "port_kernel.h"

#define WATCH_MS	100	/* between two looks whether the process still lives */

/**
 * struct session - what struct svm_session holds
 * @d: the vm's; NULL: the thread had the process's context already
 * @link: in @d->sessions, under its lock
 * @task: the thread
 * @memcg: the process's
 * @outer_memcg: what the thread charged to before
 * @outer_mems: nodes that the thread could use before
 * @policy: copy of the process's
 * @outer_policy: what @policy stands in for
 * @has_policy: @policy is in use
 */
struct session {
	struct port_domain *d;
	struct list_head link;
	struct task_struct *task;
	struct mem_cgroup *memcg;
	struct mem_cgroup *outer_memcg;
#ifdef CONFIG_CPUSETS
	nodemask_t outer_mems;
#endif
#ifdef CONFIG_NUMA
	struct mempolicy policy;
	struct mempolicy *outer_policy;
	bool has_policy;
#endif
};

static_assert(sizeof(struct session) <= sizeof(struct svm_session));

static struct session *to_session(struct svm_session *s)
{
	return (struct session *)s->opaque;
}

/* The process's main thread, with a reference, or NULL. */
static struct task_struct *get_owner(struct mm_struct *mm)
{
	struct task_struct *owner = NULL;

#ifdef CONFIG_MEMCG
	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		get_task_struct(owner);
	rcu_read_unlock();
#endif
	return owner;
}

/* A limit of the process's; none where the process is not known. */
unsigned long svm_process_rlimit(struct mm_struct *mm, unsigned int which)
{
	struct task_struct *owner = get_owner(mm);
	unsigned long limit = RLIM_INFINITY;

	if (owner) {
		limit = task_rlimit(owner, which);
		put_task_struct(owner);
	}
	return limit;
}

/* Does no task but kernel threads use the memory any more? */
static bool process_is_gone(struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	/* Core mm looks for the next owner when one exits; kernel threads are none. */
	return !rcu_access_pointer(mm->owner);
#else
	struct task_struct *p, *t;
	bool gone = true;

	rcu_read_lock();
	for_each_process_thread(p, t) {
		if (READ_ONCE(t->mm) == mm && !(t->flags & PF_KTHREAD)) {
			gone = false;
			break;
		}
	}
	rcu_read_unlock();
	return gone;
#endif
}

#ifdef CONFIG_CPUSETS
static void take_mems(struct session *s, nodemask_t mems)
{
	s->outer_mems = current->mems_allowed;
	set_mems_allowed(mems);
}

static void leave_mems(struct session *s)
{
	set_mems_allowed(s->outer_mems);
}

#define mems_of(task)	((task)->mems_allowed)
#else
static void take_mems(struct session *s, nodemask_t mems)
{
}

static void leave_mems(struct session *s)
{
}

static nodemask_t mems_of(struct task_struct *task)
{
	return NODE_MASK_ALL;
}
#endif

#ifdef CONFIG_NUMA
/* Under task_lock(@owner), which keeps its policy: a copy, in use until the session ends. */
static void copy_policy(struct session *s, struct task_struct *owner)
{
	s->has_policy = owner->mempolicy;
	if (!s->has_policy)
		return;
	/* Core mm rebinds a policy in place when a cpuset changes: the copy may be a mixture. */
	data_race(s->policy = *owner->mempolicy);
	atomic_set(&s->policy.refcnt, 1);
}

/* The lock is for those who look at other tasks' policies: the OOM killer, /proc. */
static void swap_policy(struct mempolicy *policy, struct mempolicy **old)
{
	task_lock(current);
	if (old)
		*old = current->mempolicy;
	current->mempolicy = policy;
	task_unlock(current);
}

static void take_policy(struct session *s)
{
	if (s->has_policy)
		swap_policy(&s->policy, &s->outer_policy);
}

static void leave_policy(struct session *s)
{
	if (s->has_policy)
		swap_policy(s->outer_policy, NULL);
}
#else
static void copy_policy(struct session *s, struct task_struct *owner)
{
}

static void take_policy(struct session *s)
{
}

static void leave_policy(struct session *s)
{
}
#endif

/* Where the thread's allocations go: to the process's nodes, by its policy, at its expense. */
static void take_placement(struct session *s, struct mm_struct *mm)
{
	struct task_struct *owner = get_owner(mm);
	nodemask_t mems;

	s->memcg = get_mem_cgroup_from_mm(mm);
	s->outer_memcg = set_active_memcg(s->memcg);
#ifdef CONFIG_NUMA
	s->has_policy = false;
#endif
	if (!owner) {
		take_mems(s, mems_of(current));
		return;
	}
	task_lock(owner);
	mems = mems_of(owner);
	copy_policy(s, owner);
	task_unlock(owner);
	put_task_struct(owner);
	take_mems(s, mems);
	take_policy(s);
}

static void leave_placement(struct session *s)
{
	leave_policy(s);
	leave_mems(s);
	set_active_memcg(s->outer_memcg);
	mem_cgroup_put(s->memcg);
}

/**
 * port_session_begin() - this thread works for the process of @d from now on
 * @d: domain
 * @session: until port_session_end()
 *
 * Nothing changes where the thread has the process's memory already: it is one of
 * the process's own, or in a session.
 * Context: process; sleeps. A kernel thread, or a thread of the process.
 * Return: 0; -EFAULT: the process's memory is gone; -EPERM: the thread has the
 * memory of another process.
 */
int port_session_begin(struct port_domain *d, struct svm_session *session)
{
	struct session *s = to_session(session);

	s->d = NULL;
	if (current->mm == d->mm)
		return 0;
	if (current->mm || !(current->flags & PF_KTHREAD))
		return -EPERM;
	if (!mmget_not_zero(d->mm))
		return -EFAULT;
	s->d = d;
	s->task = current;
	kthread_use_mm(d->mm);
	take_placement(s, d->mm);
	allow_signal(SIGKILL);
	spin_lock(&d->session_lock);
	list_add(&s->link, &d->sessions);
	spin_unlock(&d->session_lock);
	return 0;
}

/**
 * port_session_end() - the thread is its own again
 * @session: begun by the same thread; may have been cancelled
 *
 * Context: process; never sleeps.
 */
void port_session_end(struct svm_session *session)
{
	struct session *s = to_session(session);
	struct port_domain *d = s->d;
	struct mm_struct *mm;

	if (!d)
		return;
	mm = d->mm;
	spin_lock(&d->session_lock);
	list_del(&s->link);
	spin_unlock(&d->session_lock);
	/* Nobody cancels any more; what was sent is forgotten. */
	disallow_signal(SIGKILL);
	leave_placement(s);
	kthread_unuse_mm(mm);
	/* The last reference would end the mm, and call our own notifier, right here. */
	mmput_async(mm);
}

/* Under the session lock, which keeps the thread in its session. */
static void cancel(struct session *s)
{
	send_sig(SIGKILL, s->task, 1);
}

/**
 * port_session_cancel() - what the session's thread waits for is not waited for any more
 * @session: begun, and not ended before this returns
 *
 * Calls of port_fault() and port_wait() that are under way return as if the thread had
 * been killed, and so do those that follow in the session. Nothing happens where the
 * thread is one of the process's own.
 * Context: any but interrupts; never sleeps.
 */
void port_session_cancel(struct svm_session *session)
{
	struct session *s = to_session(session);

	if (!s->d)
		return;
	spin_lock(&s->d->session_lock);
	cancel(s);
	spin_unlock(&s->d->session_lock);
}

/*
 * The same, if the session has begun and has not ended. One that begins later is not cancelled:
 * it sees what this thread wrote before.
 */
void svm_session_cancel_begun(struct port_domain *d, const struct svm_session *session)
{
	struct session *s;

	spin_lock(&d->session_lock);
	list_for_each_entry(s, &d->sessions, link) {
		if ((const struct svm_session *)s == session)
			cancel(s);
	}
	spin_unlock(&d->session_lock);
}

static void watch(struct work_struct *work)
{
	struct port_domain *d =
		container_of(to_delayed_work(work), struct port_domain, watch);
	struct session *s;

	if (!atomic_read(&d->waiting))
		return;
	if (process_is_gone(d->mm) || svm_port_gone(d->owner)) {
		spin_lock(&d->session_lock);
		list_for_each_entry(s, &d->sessions, link)
			cancel(s);
		spin_unlock(&d->session_lock);
	}
	svm_work_later(&d->watch, WATCH_MS);
}

/* The domain's share. */
void svm_sessions_init(struct port_domain *d)
{
	spin_lock_init(&d->session_lock);
	INIT_LIST_HEAD(&d->sessions);
	INIT_DELAYED_WORK(&d->watch, watch);
	atomic_set(&d->waiting, 0);
}

/* No session is left. Sleeps. */
void svm_sessions_exit(struct port_domain *d)
{
	WARN_ON_ONCE(!list_empty(&d->sessions));
	cancel_delayed_work_sync(&d->watch);
}

/* The thread is about to wait: the watch may end that from now on. */
void svm_wait_begin(struct port_domain *d)
{
	/* Before the work is queued: one that runs now sees it, or is queued again. */
	atomic_inc(&d->waiting);
	svm_work_later(&d->watch, WATCH_MS);
}

void svm_wait_end(struct port_domain *d)
{
	atomic_dec(&d->waiting);
}

/* What a kernel thread waits for in place of a thread of the process. */
struct wait_apart {
	struct port_domain *d;
	int (*wait)(struct port_domain *d, void *arg);
	void *arg;
	int err;
	bool cancelled;
	struct svm_session session;
	struct completion done;
};

static int wait_thread(void *arg)
{
	struct wait_apart *w = arg;

	w->err = port_session_begin(w->d, &w->session);
	if (!w->err) {
		/* Not set: the session was in the list before the other thread looked there. */
		if (READ_ONCE(w->cancelled))
			w->err = -EINTR;
		else
			w->err = w->wait(w->d, w->arg);
		port_session_end(&w->session);
	}
	complete(&w->done);
	return 0;
}

static int wait_apart(struct port_domain *d,
		      int (*wait)(struct port_domain *d, void *arg), void *arg)
{
	struct wait_apart w = { .d = d, .wait = wait, .arg = arg, .err = -EINTR };
	struct task_struct *task;

	init_completion(&w.done);
	/* -ENOMEM, or -EINTR where this thread is killed. */
	task = kthread_create(wait_thread, &w, "svm-wait");
	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	if (wait_for_completion_killable(&w.done)) {
		WRITE_ONCE(w.cancelled, true);
		svm_session_cancel_begun(d, &w.session);
	}
	/* It has left this module's code when this returns. */
	kthread_stop(task);
	put_task_struct(task);
	return w.err;
}

/**
 * svm_wait() - call a function that waits for a process or for storage
 * @d: domain
 * @wait: the function; a signal that kills ends it. It runs in a session
 * @arg: for @wait
 *
 * The wait ends when this thread is killed, when its session is cancelled, when the process
 * has died and when the device goes.
 * Context: in a session; sleeps.
 * Return: what @wait returned; -EFAULT: the process's memory is gone; -ENOMEM, -EINTR.
 */
int svm_wait(struct port_domain *d, int (*wait)(struct port_domain *d, void *arg),
	     void *arg)
{
	int err;

	svm_wait_begin(d);
	err = current->flags & PF_KTHREAD ? wait(d, arg) :
					    wait_apart(d, wait, arg);
	svm_wait_end(d);
	return err;
}
