// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm's faults, sorted into groups.
 *
 * A group is the faults of one table and the worker that serves them. It is busy from
 * the first such fault until its worker finds it empty; groups are worked on in
 * parallel. Where one fault takes long, those behind it go on in a group of their own.
 *
 * Nothing here is shared between vms, and nothing runs out:
 *
 * - A queue has one job on the device at a time, and a job stalls on one fault at a
 *   time. So a fault's record is part of its queue, and taking it in allocates nothing.
 * - A vm has a group for each of its queues, made with it, and a workqueue that runs all
 *   of them at a time. So if all faults but one wait for a process, that one is still
 *   served: the process may itself be waiting for it.
 *
 * When a queue ends, its fault needs no answer. svm_drm_fault_cancel() ends the wait of
 * the worker, which then drops its references to vm and queue.
 *
 * fault lock (spin), one per vm: all of struct svm_drm_faults.
 */
#include <linux/export.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "fault.h"

#define PATIENCE	msecs_to_jiffies(50)	/* of faults behind another one of their table */

static void pass_overdue(struct work_struct *work);

/**
 * svm_drm_faults_init() - a new vm's share; it has no group yet
 * @vm: the vm, which has its context
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM. svm_drm_faults_fini() must follow in both cases.
 */
int svm_drm_faults_init(struct svm_drm_vm *vm)
{
	struct svm_drm_faults *f = &vm->faults;

	spin_lock_init(&f->lock);
	INIT_LIST_HEAD(&f->idle);
	INIT_LIST_HEAD(&f->busy);
	INIT_LIST_HEAD(&f->waiting);
	INIT_DELAYED_WORK(&f->overdue, pass_overdue);
	f->wq = alloc_workqueue("%s-fault/%u", WQ_UNBOUND, WQ_UNBOUND_MAX_ACTIVE,
				vm->dev->drm->driver->name, vm->context);
	return f->wq ? 0 : -ENOMEM;
}

/**
 * svm_drm_faults_fini() - end of it
 * @vm: the vm; no fault of it is left but its worker's last steps
 *
 * Context: process; sleeps.
 */
void svm_drm_faults_fini(struct svm_drm_vm *vm)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_group *group, *next;

	cancel_delayed_work_sync(&f->overdue);
	if (f->wq)
		destroy_workqueue(f->wq);
	WARN_ON_ONCE(!list_empty(&f->busy) || !list_empty(&f->waiting));
	list_for_each_entry_safe(group, next, &f->idle, link)
		kfree(group);
}

int svm_drm_faults_grow(struct svm_drm_vm *vm)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_group *group;

	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return -ENOMEM;
	group->vm = vm;
	INIT_LIST_HEAD(&group->recs);
	INIT_LIST_HEAD(&group->same);
	INIT_WORK(&group->work, svm_drm_fault_work);
	spin_lock(&f->lock);
	if (f->groups < ++f->queues) {
		f->groups++;
		list_add(&group->link, &f->idle);
		group = NULL;
	}
	spin_unlock(&f->lock);
	/* There is one that an ended queue left. */
	kfree(group);
	return 0;
}
EXPORT_SYMBOL_GPL(svm_drm_faults_grow);

void svm_drm_faults_shrink(struct svm_drm_vm *vm)
{
	spin_lock(&vm->faults.lock);
	vm->faults.queues--;
	spin_unlock(&vm->faults.lock);
}
EXPORT_SYMBOL_GPL(svm_drm_faults_shrink);

static u64 table_of(const struct svm_drm_vm *vm,
		    const struct svm_drm_fault_rec *rec)
{
	return rec->fault.va >> vm->dev->table_lg2;
}

/* A busy group that takes what comes for the table. Under the fault lock. */
static struct svm_drm_fault_group *find_group(struct svm_drm_faults *f, u64 table)
{
	struct svm_drm_fault_group *group;

	/* No more than the vm has queues. */
	list_for_each_entry(group, &f->busy, link) {
		if (group->table == table && !group->passed)
			return group;
	}
	return NULL;
}

/*
 * An idle group is set to the faults of @table, which are yet to be put in; or NULL. Its worker
 * uses the vm until it has ended its session. Under the fault lock.
 */
static struct svm_drm_fault_group *start_group(struct svm_drm_vm *vm, u64 table)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_group *group =
		list_first_entry_or_null(&f->idle, struct svm_drm_fault_group, link);

	/* The fault that is about to be put in holds a use, so this is never the first. */
	if (!group || !svm_drm_vm_use(vm))
		return NULL;
	kref_get(&vm->ref);
	group->table = table;
	group->passed = false;
	list_move_tail(&group->link, &f->busy);
	queue_work(f->wq, &group->work);
	atomic64_inc(&vm->dev->fault_groups);
	return group;
}

/* Some fault waits behind another: not for long. Under the fault lock. */
static void look_after(struct svm_drm_vm *vm)
{
	queue_delayed_work(vm->dev->wq, &vm->faults.overdue, PATIENCE);
}

/* Puts a record into a group, or where it waits for one. Under the fault lock. */
static void put_in(struct svm_drm_vm *vm, struct svm_drm_fault_rec *rec)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_group *group = find_group(f, table_of(vm, rec));

	if (group)
		look_after(vm);
	else
		group = start_group(vm, table_of(vm, rec));
	list_move_tail(&rec->link, group ? &group->recs : &f->waiting);
}

/* A worker has found its group empty. Those that had none go on. Under the fault lock. */
static void end_group(struct svm_drm_vm *vm, struct svm_drm_fault_group *group)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_rec *rec;

	list_move(&group->link, &f->idle);
	rec = list_first_entry_or_null(&f->waiting, struct svm_drm_fault_rec, link);
	if (rec)
		put_in(vm, rec);
}

/*
 * A fault may have to wait for another process, a userfaultfd's manager. It keeps its
 * worker; the faults behind it, which need not wait for anybody, and which that process
 * may itself be waiting for, get another: after PATIENCE, or twice that.
 */
static void pass_overdue(struct work_struct *work)
{
	struct svm_drm_faults *f = container_of(to_delayed_work(work),
						 struct svm_drm_faults, overdue);
	struct svm_drm_vm *vm = container_of(f, struct svm_drm_vm, faults);
	struct svm_drm_fault_group *group, *next;

	spin_lock(&f->lock);
	/* What is started in here comes last and has faults that wait. */
	list_for_each_entry(group, &f->busy, link) {
		if (list_empty(&group->recs))
			continue;
		look_after(vm);
		if (list_empty(&group->same) ||
		    time_before(jiffies, group->since + PATIENCE))
			continue;
		next = start_group(vm, group->table);
		if (!next)
			break;
		group->passed = true;
		list_splice_tail_init(&group->recs, &next->recs);
	}
	spin_unlock(&f->lock);
}

/*
 * Puts @fault into its queue's record, whose job stalls on it. True: the record was idle; the
 * use and the reference of @vm are the record's now. False: another fault is being served, and
 * the caller keeps them: @fault comes after that one, in place of any that came before; or it
 * is the same fault, reported twice.
 */
static bool claim(struct svm_drm_fault_rec *rec, struct svm_drm_vm *vm,
		  const struct svm_drm_fault *fault)
{
	bool idle;

	spin_lock(&vm->faults.lock);
	idle = !rec->vm;
	if (idle) {
		rec->vm = vm;
		rec->cancelled = false;
		rec->more = false;
		rec->fault = *fault;
		INIT_LIST_HEAD(&rec->link);
	} else if (fault->id != rec->fault.id) {
		rec->next = *fault;
		rec->more = true;
	}
	spin_unlock(&vm->faults.lock);
	return idle;
}

/*
 * The record's fault has its answer. True: another one has come, and is in the record now. False:
 * the record is its queue's again, and the caller drops what it held.
 */
bool svm_drm_fault_release(struct svm_drm_fault_rec *rec)
{
	struct svm_drm_vm *vm = rec->vm;
	bool more;

	spin_lock(&vm->faults.lock);
	more = rec->more && !rec->cancelled;
	if (more)
		rec->fault = rec->next;
	else
		rec->vm = NULL;
	rec->more = false;
	spin_unlock(&vm->faults.lock);
	return more;
}

/* Hands a claimed record to the vm's workers. */
void svm_drm_fault_enqueue(struct svm_drm_fault_rec *rec)
{
	struct svm_drm_vm *vm = rec->vm;

	spin_lock(&vm->faults.lock);
	put_in(vm, rec);
	spin_unlock(&vm->faults.lock);
}

bool svm_drm_fault_submit(struct svm_drm_fault_rec *rec, struct svm_drm_vm *vm,
			  const struct svm_drm_fault *fault)
{
	if (!claim(rec, vm, fault)) {
		atomic64_inc(&vm->dev->fault_duplicates);
		return false;
	}
	atomic_inc(&vm->dev->fault_total);
	svm_drm_fault_enqueue(rec);
	return true;
}
EXPORT_SYMBOL_GPL(svm_drm_fault_submit);

/*
 * For the worker: group->same gets the group's next fault and those that ask the same of
 * the same page. What asks less of it is a fault of its own: where a write fails or waits,
 * a read may not. False: the group is empty and no more the worker's.
 */
bool svm_drm_fault_next(struct svm_drm_fault_group *group)
{
	struct svm_drm_vm *vm = group->vm;
	struct svm_drm_fault_rec *rec, *other, *next;

	spin_lock(&vm->faults.lock);
	rec = list_first_entry_or_null(&group->recs, struct svm_drm_fault_rec,
				       link);
	if (!rec) {
		end_group(vm, group);
		spin_unlock(&vm->faults.lock);
		return false;
	}
	list_move(&rec->link, &group->same);
	list_for_each_entry_safe(other, next, &group->recs, link) {
		if (other->fault.va >> PAGE_SHIFT ==
			    rec->fault.va >> PAGE_SHIFT &&
		    other->fault.access == rec->fault.access) {
			list_move_tail(&other->link, &group->same);
			atomic64_inc(&vm->dev->fault_duplicates);
		}
	}
	group->since = jiffies;
	if (!list_empty(&group->recs))
		look_after(vm);
	spin_unlock(&vm->faults.lock);
	return true;
}

/* For the worker: takes the next that is to be answered out of group->same; NULL: there is none. */
struct svm_drm_fault_rec *svm_drm_fault_finish(struct svm_drm_fault_group *group)
{
	struct svm_drm_fault_rec *rec;

	spin_lock(&group->vm->faults.lock);
	rec = list_first_entry_or_null(&group->same, struct svm_drm_fault_rec,
				       link);
	if (rec)
		list_del_init(&rec->link);
	spin_unlock(&group->vm->faults.lock);
	return rec;
}

/* For the worker: its session has begun, or is about to end. */
void svm_drm_fault_in_session(struct svm_drm_fault_group *group, bool in)
{
	spin_lock(&group->vm->faults.lock);
	group->in_session = in;
	group->cancelled = false;
	spin_unlock(&group->vm->faults.lock);
}

/* Are all faults that the group is serving cancelled? Under the fault lock, or for its worker. */
bool svm_drm_fault_all_cancelled(const struct svm_drm_fault_group *group)
{
	const struct svm_drm_fault_rec *rec;

	list_for_each_entry(rec, &group->same, link) {
		if (!READ_ONCE(rec->cancelled))
			return false;
	}
	return !list_empty(&group->same);
}

/* All faults that the group is serving are cancelled. Under the fault lock. */
static void cancel_group(struct svm_drm_fault_group *group)
{
	group->cancelled = true;
	if (group->in_session)
		svm_session_cancel(&group->session);
}

void svm_drm_fault_cancel(struct svm_drm_vm *vm, struct svm_drm_fault_rec *rec)
{
	struct svm_drm_faults *f = &vm->faults;
	struct svm_drm_fault_group *group;

	spin_lock(&f->lock);
	if (rec->vm && !rec->cancelled) {
		/* The worker looks without the lock; nothing but its haste depends on it. */
		WRITE_ONCE(rec->cancelled, true);
		list_for_each_entry(group, &f->busy, link) {
			if (!group->cancelled && svm_drm_fault_all_cancelled(group))
				cancel_group(group);
		}
	}
	spin_unlock(&f->lock);
}
EXPORT_SYMBOL_GPL(svm_drm_fault_cancel);

/**
 * svm_drm_faults_cancel() - the same for all faults of a vm
 * @vm: it is marked stopped
 *
 * Context: process; never sleeps.
 */
void svm_drm_faults_cancel(struct svm_drm_vm *vm)
{
	struct svm_drm_fault_group *group;

	spin_lock(&vm->faults.lock);
	list_for_each_entry(group, &vm->faults.busy, link)
		cancel_group(group);
	spin_unlock(&vm->faults.lock);
}
