// SPDX-License-Identifier: GPL-2.0-only
/*
 * Intervals: the mmu_interval_notifiers through which the CPU's side tells us.
 *
 * The callback sets the interval's sequence and hands the span to the core as it
 * came: `end` may be ~0 and is never rounded. One event of our own is left out,
 * see is_ours(). It serves callers that must not block (the OOM reaper) like all
 * others, so it always returns true: the core takes table spinlocks only,
 * allocates nothing and polls the device.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "port_kernel.h"
#include "svm_trace.h"

struct port_interval {
	struct mmu_interval_notifier sub;
	struct port_domain *d;
	void *owner;
};

/*
 * Is it fork that write-protects a mapping, one of many? It holds mmap_lock for writing.
 * Write-back, which has the same event for a page or a few, does not; where another thread
 * holds it meanwhile, more is taken than had to be.
 */
static bool is_fork(struct port_domain *d, const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_PROTECTION_PAGE &&
	       mmu_notifier_range_blockable(range) && port_mmap_written(d);
}

/*
 * Is it this domain that takes a page away from the CPU (port_alone.c)? Its leaf and the sequence
 * may stay: (23) of mirror.hpp. The event comes first: others need not have an owner that is set.
 */
static bool is_ours(const struct port_domain *d, const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_EXCLUSIVE && range->owner == d;
}

static bool interval_invalidate(struct mmu_interval_notifier *sub,
				const struct mmu_notifier_range *range,
				unsigned long seq)
{
	struct port_interval *i = container_of(sub, typeof(*i), sub);

	trace_svm_invalidate(i->d, range->start, range->end, range->event, seq);
	if (is_ours(i->d, range))
		return true;
	if (mmu_notifier_range_blockable(range))
		svm_port_approach(i->owner, seq, range->start, range->end);
	/*
	 * The core's full barrier after this store, before it walks its tables,
	 * pairs with the one of a table's first user (B1 and B2 of mirror.hpp): either
	 * we see the new table, or that user sees this sequence.
	 */
	mmu_interval_set_seq(sub, seq);
	svm_port_invalidate(i->owner, seq, range->start, range->end,
			    mmu_notifier_range_blockable(range), is_fork(i->d, range));
	return true;
}

static const struct mmu_interval_notifier_ops interval_ops = {
	.invalidate = interval_invalidate,
};

/* An insertion that a worker does for a thread with a pending signal. */
struct insert_work {
	struct work_struct work;
	struct port_interval *i;
	u64 start;
	u64 length;
	int err;
};

static void insert_in_worker(struct work_struct *work)
{
	struct insert_work *w = container_of(work, typeof(*w), work);

	w->err = mmu_interval_notifier_insert(&w->i->sub, w->i->d->mm, w->start,
					      w->length, &interval_ops);
}

/*
 * The first insertion into an mm gives up on any signal, also on one that does
 * not kill (a profiler's timer): then it is left to a thread that has none.
 */
static int interval_insert(struct port_interval *i, u64 start, u64 length)
{
	struct insert_work w = { .i = i, .start = start, .length = length };
	int err;

	err = mmu_interval_notifier_insert(&i->sub, i->d->mm, start, length,
					   &interval_ops);
	if (err != -EINTR || fatal_signal_pending(current))
		return err;
	INIT_WORK_ONSTACK(&w.work, insert_in_worker);
	svm_work_insert(&w.work);
	destroy_work_on_stack(&w.work);
	return w.err;
}

/**
 * port_interval_create() - be told of changes in CPU [@cpu_start, @cpu_end)
 * @d: domain
 * @cpu_start: page-aligned
 * @cpu_end: page-aligned
 * @owner: comes back in svm_port_invalidate()
 * @out: the interval
 *
 * Context: in a session; sleeps; takes mmap_lock for writing and all rmap locks the first
 * time in an mm.
 * Return: 0, -ENOMEM, -EINTR (killed).
 */
int port_interval_create(struct port_domain *d, u64 cpu_start, u64 cpu_end,
			 void *owner, struct port_interval **out)
{
	struct port_interval *i;
	int err;

	if (WARN_ON_ONCE(current->mm != d->mm))
		return -EFAULT;
	i = port_alloc(sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->d = d;
	i->owner = owner;
	err = interval_insert(i, cpu_start, cpu_end - cpu_start);
	if (err) {
		port_free(i);
		return err;
	}
	atomic_long_inc(&svm_live.intervals);
	*out = i;
	return 0;
}

/**
 * port_interval_destroy() - stop being told
 * @i: from port_interval_create()
 *
 * Context: sleeps until no callback of it runs or will run; not in a callback,
 * not under mmap_lock nor any lock that a callback takes.
 */
void port_interval_destroy(struct port_interval *i)
{
	mmu_interval_notifier_remove(&i->sub);
	port_free(i);
	atomic_long_dec(&svm_live.intervals);
}

/**
 * port_interval_seq() - the sequence of the last callback, or of the insertion
 * @i: interval
 *
 * Context: any. The caller orders it after its publishing of a table.
 * Return: as svm_port_invalidate() gets it.
 */
u64 port_interval_seq(const struct port_interval *i)
{
	/* Pairs with the WRITE_ONCE in mmu_interval_set_seq(). */
	return READ_ONCE(i->sub.invalidate_seq);
}
