// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: how many of the device's contexts and other ids one process may hold, and how many
 * all processes of one user may hold together, so that some are left for the others.
 *
 * A user may hold as many as it leaves free, and a process may hold as many as it leaves to
 * its user. So the first user gets at most a half, and the first process a quarter; the next
 * ones get the same parts of the rest. A process that holds none gets one as long as its user
 * may hold one more, and a user that holds none gets one as long as one is free.
 *
 * A process is an mm, because a vm mirrors one mm and only that mm may use it; how many files
 * the process opens does not matter. Its user is the real user of the task that made its first
 * vm, as for RLIMIT_NPROC. A user namespace has as many users as its maker likes, so there
 * the user is the maker of the outermost namespace. Root is a user like others.
 *
 * A device may share its engines among owners of queues: the owner is the process, by its
 * number.
 *
 * Share lock (spin), one per device: all in here.
 */
#include <linux/cred.h>
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "internal.h"

struct svm_drm_user {
	struct list_head link;
	kuid_t uid;
	u32 processes;
	u32 held[SVM_DRM_IDS];
};

struct svm_drm_process {
	struct list_head link;
	struct svm_drm_device *dev;
	struct svm_drm_user *user;
	struct mm_struct *mm;	/* its struct is kept, so that no other process has this address */
	u32 vms;		/* whose structs are there */
	u32 number;		/* wraps; two of the same number would share their turns */
	u32 held[SVM_DRM_IDS];
};

void svm_drm_shares_init(struct svm_drm_device *dev)
{
	spin_lock_init(&dev->shares.lock);
	INIT_LIST_HEAD(&dev->shares.processes);
	INIT_LIST_HEAD(&dev->shares.users);
}

static kuid_t current_payer(void)
{
	struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns->parent; ns = ns->parent)
		uid = ns->owner;
	return uid;
}

static struct svm_drm_user *user_of(struct svm_drm_shares *shares, kuid_t uid)
{
	struct svm_drm_user *user;

	/* No more than there are processes. */
	list_for_each_entry(user, &shares->users, link) {
		if (uid_eq(user->uid, uid))
			return user;
	}
	return NULL;
}

static struct svm_drm_process *process_of(struct svm_drm_shares *shares,
					  const struct mm_struct *mm)
{
	struct svm_drm_process *process;

	/* No more than there are vms. */
	list_for_each_entry(process, &shares->processes, link) {
		if (process->mm == mm)
			return process;
	}
	return NULL;
}

/* A new process, and its user if that is a new one, too. Under the share lock. */
static void add_process(struct svm_drm_device *dev, struct svm_drm_process *process,
			struct svm_drm_user *user)
{
	if (list_empty(&user->link))
		list_add(&user->link, &dev->shares.users);
	user->processes++;
	process->dev = dev;
	process->user = user;
	process->mm = current->mm;
	mmgrab(process->mm);
	process->number = ++dev->shares.last_number;
	list_add(&process->link, &dev->shares.processes);
}

/**
 * svm_drm_process_get() - the current process, for another vm of it
 * @dev: the device
 *
 * Context: process; sleeps.
 * Return: the process, to be given to svm_drm_process_put(); NULL: no memory.
 */
struct svm_drm_process *svm_drm_process_get(struct svm_drm_device *dev)
{
	struct svm_drm_shares *shares = &dev->shares;
	struct svm_drm_process *process, *new_process;
	struct svm_drm_user *user, *new_user;

	/* Before the lock: an allocation may wait, and every process takes the lock. */
	new_process = kzalloc(sizeof(*new_process), GFP_KERNEL_ACCOUNT);
	new_user = kzalloc(sizeof(*new_user), GFP_KERNEL_ACCOUNT);
	if (!new_process || !new_user) {
		kfree(new_process);
		kfree(new_user);
		return NULL;
	}
	INIT_LIST_HEAD(&new_user->link);
	new_user->uid = current_payer();
	spin_lock(&shares->lock);
	process = process_of(shares, current->mm);
	if (!process) {
		user = user_of(shares, new_user->uid);
		process = new_process;
		add_process(dev, process, user ?: new_user);
	}
	process->vms++;
	spin_unlock(&shares->lock);
	if (process != new_process)
		kfree(new_process);
	if (process->user != new_user)
		kfree(new_user);
	return process;
}

/* Drops what svm_drm_process_get() took; the process holds nothing by this vm. Context: process. */
void svm_drm_process_put(struct svm_drm_process *process)
{
	struct svm_drm_shares *shares = &process->dev->shares;
	struct svm_drm_user *user = process->user;
	bool last, last_of_user = false;

	spin_lock(&shares->lock);
	last = !--process->vms;
	if (last) {
		list_del(&process->link);
		last_of_user = !--user->processes;
		if (last_of_user)
			list_del(&user->link);
	}
	spin_unlock(&shares->lock);
	if (!last)
		return;
	mmdrop(process->mm);
	kfree(process);
	if (last_of_user)
		kfree(user);
}

u32 svm_drm_process_number(const struct svm_drm_process *process)
{
	return process->number;
}
EXPORT_SYMBOL_GPL(svm_drm_process_number);

/* How many more the user may take now, one after the other. Under the share lock. */
static u32 left_to(const struct svm_drm_device *dev, const struct svm_drm_user *user,
		   u32 kind)
{
	u32 free = dev->ids[kind] - dev->shares.held[kind];

	/* Each of them makes one less free, and one more that the user holds. */
	return free > user->held[kind] ? DIV_ROUND_UP(free - user->held[kind], 2) : 0;
}

int svm_drm_share_take(struct svm_drm_process *process, u32 kind)
{
	struct svm_drm_device *dev = process->dev;
	int ret = -ENOSPC;

	spin_lock(&dev->shares.lock);
	if (process->held[kind] < left_to(dev, process->user, kind)) {
		process->held[kind]++;
		process->user->held[kind]++;
		dev->shares.held[kind]++;
		ret = 0;
	}
	spin_unlock(&dev->shares.lock);
	return ret;
}
EXPORT_SYMBOL_GPL(svm_drm_share_take);

void svm_drm_share_give(struct svm_drm_process *process, u32 kind)
{
	struct svm_drm_shares *shares = &process->dev->shares;

	spin_lock(&shares->lock);
	process->held[kind]--;
	process->user->held[kind]--;
	shares->held[kind]--;
	spin_unlock(&shares->lock);
}
EXPORT_SYMBOL_GPL(svm_drm_share_give);
