// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault ring and the groups that its entries are sorted into.
 *
 * A group is the faults of one table of one context. It exists from the first
 * such fault until its worker finds it empty; groups are worked on in parallel.
 * Where one fault takes long, those behind it go on in a group of their own.
 * Records and groups come from pools made at probe: taking in a fault allocates
 * nothing. A record brings the group along that it may need; when either runs
 * out, the ring waits until one comes back.
 *
 * drain lock (mutex): the ring. fault lock (spin): lists. Both are described in svgpu.h.
 */
#include <linux/slab.h>

#include "fault.h"

#define FAULT_RECORDS	256
#define PATIENCE	msecs_to_jiffies(50)	/* of faults behind another one of their table */

static void pass_overdue(struct work_struct *work);

static void drain_again(struct work_struct *work)
{
	struct svgpu_device *dev =
		container_of(work, struct svgpu_device, faults.drain_work);

	svgpu_faults_drain(dev);
}

/* Return: 0 or -ENOMEM. svgpu_faults_fini() must follow in both cases. */
int svgpu_faults_init(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;
	struct svgpu_fault_group *group;
	struct svgpu_fault_rec *rec;
	int i;

	mutex_init(&f->drain_lock);
	mutex_init(&f->reply_lock);
	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->idle);
	INIT_LIST_HEAD(&f->idle_groups);
	INIT_LIST_HEAD(&f->groups);
	INIT_WORK(&f->drain_work, drain_again);
	INIT_DELAYED_WORK(&f->overdue, pass_overdue);
	svgpu_ring_init(&f->ring, dev->bar, SVGPU_FAULT_RING,
			SVGPU_FAULT_ENTRIES, sizeof(struct svgpu_fault));
	svgpu_ring_init(&f->reply, dev->bar, SVGPU_REPLY_RING,
			SVGPU_REPLY_ENTRIES, sizeof(struct svgpu_reply));

	f->records = kvcalloc(FAULT_RECORDS, sizeof(*rec), GFP_KERNEL);
	f->group_pool = kvcalloc(FAULT_RECORDS, sizeof(*group), GFP_KERNEL);
	if (!f->records || !f->group_pool)
		return -ENOMEM;
	rec = f->records;
	group = f->group_pool;
	for (i = 0; i < FAULT_RECORDS; i++, rec++, group++) {
		list_add(&rec->link, &f->idle);
		INIT_LIST_HEAD(&group->recs);
		INIT_WORK(&group->work, svgpu_fault_work);
		group->dev = dev;
		list_add(&group->link, &f->idle_groups);
	}
	return 0;
}

/* The device has an error, which stays: nobody is looked after any more. */
void svgpu_faults_stop(struct svgpu_device *dev)
{
	/* Whoever did not see the error in look_after() has armed the work before this. */
	spin_lock(&dev->faults.lock);
	spin_unlock(&dev->faults.lock);
	cancel_delayed_work_sync(&dev->faults.overdue);
}

/* The workqueues are gone. */
void svgpu_faults_fini(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;

	kvfree(f->records);
	kvfree(f->group_pool);
	mutex_destroy(&f->drain_lock);
	mutex_destroy(&f->reply_lock);
}

/* An idle group, on no list; or NULL. Under the fault lock. */
static struct svgpu_fault_group *group_get(struct svgpu_faults *f)
{
	struct svgpu_fault_group *group =
		list_first_entry_or_null(&f->idle_groups,
					 struct svgpu_fault_group, link);

	if (group)
		list_del(&group->link);
	return group;
}

/* A record or a group has become idle. Under the fault lock. */
static void feed(struct svgpu_device *dev)
{
	if (dev->faults.starved)
		queue_work(dev->wq, &dev->faults.drain_work);
	dev->faults.starved = false;
}

static void group_put(struct svgpu_fault_group *group)
{
	list_add(&group->link, &group->dev->faults.idle_groups);
	feed(group->dev);
}

/* An idle record with its group, or NULL; then the ring is drained again when there are both. */
static struct svgpu_fault_rec *rec_get(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;
	struct svgpu_fault_rec *rec;

	spin_lock(&f->lock);
	rec = list_first_entry_or_null(&f->idle, struct svgpu_fault_rec, link);
	if (rec && !list_empty(&f->idle_groups)) {
		list_del(&rec->link);
		rec->spare = group_get(f);
	} else {
		rec = NULL;
		f->starved = true;
	}
	spin_unlock(&f->lock);
	if (!rec)
		return NULL;
	rec->vm = NULL;
	rec->queue_id = 0;
	rec->injected = false;
	atomic_inc(&dev->fault_total);
	return rec;
}

/* The record has been answered. */
void svgpu_fault_done(struct svgpu_device *dev, struct svgpu_fault_rec *rec)
{
	struct svgpu_faults *f = &dev->faults;
	struct svgpu_vm *vm = rec->vm;

	atomic_dec(&dev->fault_total);
	spin_lock(&f->lock);
	list_add(&rec->link, &f->idle);
	if (rec->spare)
		group_put(rec->spare);
	feed(dev);
	spin_unlock(&f->lock);
	if (vm) {
		svgpu_vm_unuse(vm);
		svgpu_vm_put(vm);
	}
}

/**
 * svgpu_faults_drain() - take in all that the device has reported
 * @dev: the device
 *
 * On return each entry that was in the ring has been answered or is in a group,
 * unless the pool was empty. A ring that fills as fast as it is emptied is left to a worker.
 * Context: process; sleeps.
 */
void svgpu_faults_drain(struct svgpu_device *dev)
{
	struct svgpu_faults *f = &dev->faults;
	struct svgpu_fault_rec *rec;
	int got = 1, budget = SVGPU_FAULT_ENTRIES;

	mutex_lock(&f->drain_lock);
	while (got > 0 && budget-- && !svgpu_error(dev)) {
		rec = rec_get(dev);
		if (!rec)
			break;
		got = svgpu_ring_pop(&f->ring, &rec->entry);
		if (got > 0)
			svgpu_fault_take(dev, rec);
		else
			svgpu_fault_done(dev, rec);
	}
	mutex_unlock(&f->drain_lock);
	if (got < 0)
		svgpu_device_wedge(dev, "impossible index of the fault ring");
	else if (budget < 0)
		queue_work(dev->wq, &f->drain_work);
}

/**
 * svgpu_fault_inject() - as if the device had reported @entry
 * @dev: the device
 * @entry: anything
 *
 * The device gets no answer to it.
 * Return: 0, -EBUSY (too many under way), -EIO, -ENODEV.
 */
int svgpu_fault_inject(struct svgpu_device *dev,
		       const struct svgpu_fault *entry)
{
	struct svgpu_fault_rec *rec;

	if (svgpu_error(dev))
		return svgpu_error(dev);
	rec = rec_get(dev);
	if (!rec)
		return -EBUSY;
	rec->entry = *entry;
	rec->injected = true;
	atomic64_inc(&dev->faults.stats.injected);
	svgpu_fault_take(dev, rec);
	return 0;
}

static struct svgpu_fault_group *find_group(struct svgpu_faults *f,
					    u32 context, u64 table)
{
	struct svgpu_fault_group *group;

	/* As many as faults under way: of engines, few, and of those that nobody answers. */
	list_for_each_entry(group, &f->groups, link) {
		if (group->context == context && group->table == table &&
		    !group->passed)
			return group;
	}
	return NULL;
}

/* A worker for @table's faults, which are yet to be put in. Under the fault lock. */
static void group_start(struct svgpu_fault_group *group, u32 context, u64 table)
{
	struct svgpu_faults *f = &group->dev->faults;

	group->context = context;
	group->table = table;
	group->serving = false;
	group->passed = false;
	list_add_tail(&group->link, &f->groups);
	queue_work(group->dev->fault_wq, &group->work);
	atomic64_inc(&f->stats.groups);
}

/* Some fault waits behind another: not for long. Under the fault lock. */
static void look_after(struct svgpu_device *dev)
{
	if (!svgpu_error(dev))
		queue_delayed_work(dev->wq, &dev->faults.overdue, PATIENCE);
}

/*
 * A fault may have to wait for another process, a userfaultfd's manager. It keeps its
 * worker; the faults behind it, which need not wait for anybody, and which that process
 * may itself be waiting for, get another: after PATIENCE, or twice that.
 */
static void pass_overdue(struct work_struct *work)
{
	struct svgpu_device *dev = container_of(to_delayed_work(work),
						struct svgpu_device,
						faults.overdue);
	struct svgpu_faults *f = &dev->faults;
	struct svgpu_fault_group *group, *next;

	spin_lock(&f->lock);
	/* What is started in here comes last and has faults that wait. */
	list_for_each_entry(group, &f->groups, link) {
		if (list_empty(&group->recs))
			continue;
		look_after(dev);
		if (!group->serving ||
		    time_before(jiffies, group->since + PATIENCE))
			continue;
		next = group_get(f);
		if (!next)
			break;
		group->passed = true;
		group_start(next, group->context, group->table);
		list_splice_tail_init(&group->recs, &next->recs);
	}
	spin_unlock(&f->lock);
}

/* Puts a checked record into the group of its table, which is made and started if need be. */
void svgpu_fault_enqueue(struct svgpu_device *dev, struct svgpu_fault_rec *rec)
{
	struct svgpu_faults *f = &dev->faults;
	u64 table = rec->entry.va >> dev->table_lg2;
	struct svgpu_fault_group *group;

	spin_lock(&f->lock);
	group = find_group(f, rec->entry.context, table);
	if (group) {
		group_put(rec->spare);
		look_after(dev);
	} else {
		group = rec->spare;
		group_start(group, rec->entry.context, table);
	}
	rec->spare = NULL;
	list_add_tail(&rec->link, &group->recs);
	spin_unlock(&f->lock);
}

/*
 * For the worker: in @same the group's next fault and those that ask the same of the
 * same page. What asks less of it is a fault of its own: where a write fails or waits,
 * a read may not. False: the group is empty and no more the worker's.
 */
bool svgpu_fault_next(struct svgpu_fault_group *group, struct list_head *same)
{
	struct svgpu_faults *f = &group->dev->faults;
	struct svgpu_fault_rec *rec, *other, *next;

	spin_lock(&f->lock);
	rec = list_first_entry_or_null(&group->recs, struct svgpu_fault_rec,
				       link);
	if (!rec) {
		list_del(&group->link);
		group_put(group);
		spin_unlock(&f->lock);
		return false;
	}
	list_move(&rec->link, same);
	list_for_each_entry_safe(other, next, &group->recs, link) {
		if (other->entry.va >> PAGE_SHIFT ==
			    rec->entry.va >> PAGE_SHIFT &&
		    other->entry.access == rec->entry.access) {
			list_move_tail(&other->link, same);
			atomic64_inc(&f->stats.duplicates);
		}
	}
	group->serving = true;
	group->since = jiffies;
	if (!list_empty(&group->recs))
		look_after(group->dev);
	spin_unlock(&f->lock);
	return true;
}
