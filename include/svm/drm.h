/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: What every DRM driver with shared virtual memory needs
 *
 * svm_drm.ko has the ioctls of svm_drm.h, their handles, the life of address spaces, the
 * queue of faults and the log of those that failed, what a process may hold of a
 * device's ids, and the waits of queues for syncobjs. A driver embeds the library's
 * structs into its own:
 *
 * - &struct svm_drm_device in its device; svm_drm_device_init() in probe,
 *   svm_drm_device_stop() and svm_drm_device_fini() in remove
 * - &struct svm_drm_file in its open file; driver_priv of DRM's file points to it.
 *   svm_drm_file_init() when a file is opened, svm_drm_file_close() in postclose
 * - &struct svm_drm_vm as the first member of its own address space, which the library
 *   allocates (&svm_drm_ops.vm_size)
 * - &struct svm_drm_fault_rec in what stalls on one fault at a time, such as a queue, and
 *   &struct svm_drm_waiter in a queue whose jobs wait for syncobjs
 *
 * It puts the library's ioctls into its table of ioctls, svm_drm_ioctl() and
 * svm_drm_show_fdinfo() into its file operations, and for each fault that the device reports it
 * finds the vm by svm_drm_vm_of_context() and hands both to svm_drm_fault_submit(). What is left
 * to the driver is in &struct svm_drm_ops and in &struct svm_backend_ops, whose @backend is the
 * &struct svm_drm_vm.
 */
#ifndef SVM_DRM_H
#define SVM_DRM_H

#include <drm/drm_ioctl.h>
#include <drm/svm_drm.h>
#include <linux/completion.h>
#include <linux/dma-fence.h>
#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <svm/memory.h>
#include <svm/svm.h>

struct drm_device;
struct drm_file;
struct drm_syncobj;
struct seq_file;
struct svm_drm_device;
struct svm_drm_process;
struct svm_drm_vm;

/**
 * struct svm_drm_fault - a fault as the device reported it
 * @va: device address
 * @id: the device's number for it: two reports with the same number are one fault
 * @cookie: the driver's: what @reply needs to know of the job that met it
 * @access: enum svm_access
 */
struct svm_drm_fault {
	u64 va;
	u64 id;
	u64 cookie;
	u32 access;
};

/**
 * struct svm_drm_fault_rec - one fault at a time, from its report to its answer
 *
 * All zero at first. It lies in what stalls on the fault, so that taking in a fault allocates
 * nothing; the driver reads nothing in it.
 */
struct svm_drm_fault_rec {
	/* private: under the vm's fault lock */
	struct list_head link;	/* a group's list, or the vm's @waiting */
	struct svm_drm_vm *vm;	/* used and referenced; NULL: idle */
	bool cancelled;		/* it needs no answer */
	bool more;		/* @next is to be served after @fault */
	struct svm_drm_fault fault;
	struct svm_drm_fault next; /* an honest device has none: its job stalls on one fault */
};

/**
 * struct svm_drm_ops - what a driver does for the library
 *
 * None of these is called with a lock of the library's held, and all may sleep.
 */
struct svm_drm_ops {
	/** @vm_size: bytes of the driver's own, which begins with the &struct svm_drm_vm */
	size_t vm_size;

	/**
	 * @start: the device may walk the tables of @vm from now on: tell it svm_vm_root() of
	 * &svm_drm_vm.svm. Faults of it may come before this returns.
	 * Return: 0, or a negative errno: then @stop and @stopped follow.
	 */
	int (*start)(struct svm_drm_vm *vm);

	/**
	 * @stop: tell the device to forget @vm, and do not wait for it: several may be told before
	 * one is waited for. No queue of @vm is left, unless the device is being removed.
	 */
	void (*stop)(struct svm_drm_vm *vm);

	/**
	 * @stopped: follows @stop. On return the device makes no access through @vm and holds no
	 * translation of it, and what it had reported of it has been submitted or refused.
	 */
	void (*stopped)(struct svm_drm_vm *vm);

	/**
	 * @reply: a fault was served: the device may try again (@error 0), or the job that met it
	 * fails with @error. A failure is the driver's to log, by svm_drm_faultlog_add().
	 * @rec may be in use for the next fault of its queue already: what the reply
	 * is about is in @fault.
	 */
	void (*reply)(struct svm_drm_vm *vm, struct svm_drm_fault_rec *rec,
		      const struct svm_drm_fault *fault, int error);

	/** @put: drop what svm_drm_fault_submit() was given to keep @rec. Follows @reply. */
	void (*put)(struct svm_drm_fault_rec *rec);

	/**
	 * @vram_alloc: add to the empty list @blocks parts of VRAM that are @bytes together
	 * (&struct svm_drm_vram_block). What they hold is anything but another process's. Where
	 * &svm_drm_device.vram is all zero it is not called, nor is @vram_free.
	 * Return: 0; -ENOSPC: there is not so much now; -ENOMEM.
	 */
	int (*vram_alloc)(struct svm_drm_device *dev, u64 bytes, struct list_head *blocks);

	/**
	 * @vram_free: give the blocks back. The device reaches them no more, or was removed. The
	 * driver sees to it that no other process ever reads what they hold.
	 */
	void (*vram_free)(struct svm_drm_device *dev, struct list_head *blocks);

	/**
	 * @copy_begin: as &svm_memory_ops.copy_begin, for processes' pages in VRAM. NULL: the
	 * device cannot copy, and no process gets pages there.
	 */
	u64 (*copy_begin)(struct svm_drm_device *dev, const struct svm_copy *copies, u32 n,
			  bool into);

	/** @copy_wait: as &svm_memory_ops.copy_wait. -EIO also of a device that does not work */
	int (*copy_wait)(struct svm_drm_device *dev, u64 token);
};

/**
 * struct svm_drm_vram - the device's own memory, for buffer objects
 * @cpu: where the kernel has mapped it, write-combining
 * @bus: its physical address
 * @bytes: its size; 0: there is none
 */
struct svm_drm_vram {
	void __iomem *cpu;
	phys_addr_t bus;
	u64 bytes;
};

/** struct svm_drm_bos - the device's buffer objects, see <svm/drm_bo.h> */
struct svm_drm_bos {
	/* private: */
	struct mutex lock;	/* bos lock: the lists */
	struct list_head all;	/* but those that are @lost */
	struct list_head lost;	/* their memory has gone with the device */
	struct list_head in;	/* VRAM: the one that is there for longest first */
	struct list_head out;	/* of VRAM, and wants to be in it */
	struct work_struct work;
	bool room;		/* since the worker looked last, some VRAM got free; no lock */
	bool closed;		/* VRAM is, for system sleep; no lock */
};

/** struct svm_drm_pages - processes' pages in VRAM */
struct svm_drm_pages {
	/* private: */
	struct svm_memory *memory; /* NULL: the device, its format or the kernel has none */
	spinlock_t lock;	/* pages lock: the lists, and what is in them */
	struct list_head open;	/* chunks with a free page */
	struct list_head full;
	struct list_head empty;	/* to be given back */
	struct work_struct work;
};

/* Kinds of ids of which a device has a fixed number: the library's own, then the driver's. */
#define SVM_DRM_CONTEXT_ID	0
#define SVM_DRM_DRIVER_ID	1
#define SVM_DRM_IDS		4

/** struct svm_drm_shares - what processes and users hold of a device's ids */
struct svm_drm_shares {
	/* private: */
	spinlock_t lock;	/* share lock: all below */
	struct list_head processes;
	struct list_head users;
	u32 last_number;
	u32 held[SVM_DRM_IDS];	/* by all */
};

/** struct svm_drm_parked - who waits for a syncobj that has no fence yet */
struct svm_drm_parked {
	/* private: */
	spinlock_t lock;	/* park lock: all below */
	DECLARE_HASHTABLE(waiters, 8); /* by syncobj */
	u32 count;
	unsigned long pause;	/* until @look, from when it was set; 0: it is not set */
	unsigned long next;	/* jiffies */
	struct delayed_work look;
};

/**
 * struct svm_drm_device - the library's part of a device
 * @drm: the device
 * @ops: the driver's functions
 * @backend_ops: what svmirror calls for a vm of this device
 * @format: of its page tables
 * @dma_device: what does its DMA
 * @vram: its own memory, or all zero
 * @ids: of each kind how many the device has: &svm_drm_vm.context is below
 *	@ids[SVM_DRM_CONTEXT_ID]. A user may hold as many as it leaves free, a process as many as it
 *	leaves to its user: see svm_drm_share_take().
 * @error: 0, or the errno of all that needs the device: it does not work (-EIO), or it is not there
 *	(-ENODEV). The driver writes it at any time; readers take no lock.
 *
 * These the driver fills in before svm_drm_device_init(); all but @error are constant from then on.
 */
struct svm_drm_device {
	struct drm_device *drm;
	const struct svm_drm_ops *ops;
	const struct svm_backend_ops *backend_ops;
	const struct svm_format *format;
	struct device *dma_device;
	struct svm_drm_vram vram;
	u32 ids[SVM_DRM_IDS];
	int error;

	/* private: */
	u32 table_lg2;
	struct svm_backend_ops no_fault_ops; /* @backend_ops, with what restore.c puts in between */
	struct workqueue_struct *wq; /* ends of vms, faults that are overdue, parked queues */
	struct xarray contexts;	/* id → vm */
	struct svm_drm_shares shares;
	struct svm_drm_parked parked;
	struct svm_drm_bos bos;
	struct svm_drm_pages pages;
	wait_queue_head_t gone;	/* the last vm */
	atomic64_t file_number;	/* of the last one that was opened */
	/* For the driver's debugfs; the first three are zero when nothing is open. */
	atomic_t vm_total;
	atomic_t bo_total;
	atomic_t fault_total;
	atomic64_t fault_duplicates;
	atomic64_t fault_groups;
};

/* 0, or why nothing is to be expected of the device any more. Context: any. */
static inline int svm_drm_error(const struct svm_drm_device *dev)
{
	return READ_ONCE(dev->error);
}

/**
 * struct svm_drm_file - the library's part of an open file
 * @dev: the device
 */
struct svm_drm_file {
	struct svm_drm_device *dev;

	/* private: */
	struct xarray vms;	/* handle → vm */
	u64 number;		/* no other file of the device had it */
};

#define SVM_DRM_FAULT_LOG	128

/** struct svm_drm_faultlog - a vm's last faults that could not be served */
struct svm_drm_faultlog {
	/* private: */
	struct mutex lock;	/* log lock: all below; nothing is taken under it */
	u32 first;
	u32 count;
	struct drm_svm_fault_record record[SVM_DRM_FAULT_LOG];
};

/** struct svm_drm_faults - the faults of a vm and their workers */
struct svm_drm_faults {
	/* private: */
	spinlock_t lock;	/* fault lock: all below */
	struct list_head idle;	/* groups */
	struct list_head busy;	/* being worked on, or waiting for a worker */
	struct list_head waiting; /* records that found no idle group */
	u32 groups;		/* that there are */
	u32 queues;		/* as many groups there must be */
	struct delayed_work overdue;
	struct workqueue_struct *wq;
};

/**
 * struct svm_drm_waiter - a queue (of jobs, of binds) whose next one may have to wait
 * @dev: the device
 * @wake: what the queue waits for may be there: queue the work item that looks. Context: any;
 *	never sleeps; a fence's lock or the park lock is held.
 *
 * No fence is published for a job that may still fault, so jobs wait for syncobjs too, until these
 * get a fence.
 */
struct svm_drm_waiter {
	struct svm_drm_device *dev;
	void (*wake)(struct svm_drm_waiter *waiter);

	/* private: */
	struct dma_fence *awaited; /* a reference, while @awaited_cb is on it */
	struct dma_fence_cb awaited_cb;
	struct drm_syncobj *parked_on; /* both under the park lock */
	struct hlist_node parked;
};

/** struct svm_drm_binds - the asynchronous binds of a vm that wait */
struct svm_drm_binds {
	/* private: */
	spinlock_t lock;	/* bind lock: all below, but what is the worker's */
	struct list_head waiting;
	u32 count;		/* with those that are on their way in */
	bool closed;		/* the vm is being stopped */
	struct work_struct work;
	struct svm_drm_waiter waiter; /* the worker's: of the first one */
};

/** struct svm_drm_restore - what gets the jobs of a vm that cannot fault to go on */
struct svm_drm_restore {
	/* private: */
	struct mutex mutex;	/* restore mutex: one svm_restore() at a time */
	u64 alone_until;	/* until then what would stop the jobs is put off, ns; no lock */
	u64 stopped;		/* when the jobs were last stopped, under svmirror's stops lock, */
	u64 resumed;		/* and resumed, */
	unsigned int pause_ms;	/* and how long after the last stop the worker began */
	spinlock_t lock;	/* restore lock: all below */
	bool closed;		/* the worker is not queued any more */
	bool in_session;	/* @session may be cancelled */
	struct svm_session session;
	struct delayed_work work;
};

/**
 * struct svm_drm_vm - a device address space
 * @dev: the device
 * @process: whose it is
 * @svm: svmirror's
 * @context: its number in the device, which no other vm has until all of this one is gone
 * @no_fault: its jobs fail where they fault (DRM_SVM_VM_NO_FAULT). The device is told in
 *	&svm_drm_ops.start
 *
 * A reference (svm_drm_vm_grab()) keeps this; a use keeps @svm. A vm that is stopped gets no
 * new uses, and svmirror's vm is destroyed after the last one.
 */
struct svm_drm_vm {
	struct svm_drm_device *dev;
	struct svm_drm_process *process;
	struct svm_vm *svm;
	u32 context;
	bool no_fault;

	/* private: */
	u32 queues;		/* under the file's xa_lock of vms */
	struct kref ref;
	refcount_t users;
	unsigned long stopped;	/* bit 0 */
	struct list_head ending; /* of the one that stops it */
	struct work_struct end_work;
	struct completion gone;
	struct svm_drm_faults faults;
	struct svm_drm_binds binds;
	struct svm_drm_restore restore;
	struct svm_drm_faultlog log;
};

/**
 * svm_drm_device_init() - the library's part of a new device
 * @dev: with what &struct svm_drm_device says that the driver fills in
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM. svm_drm_device_fini() must follow in both cases.
 */
int svm_drm_device_init(struct svm_drm_device *dev);

/**
 * svm_drm_pages_resident() - how much of VRAM has pages of processes
 * @dev: the device
 * Context: any, until svm_drm_device_stop().
 * Return: how many pages of 4 KiB.
 */
u64 svm_drm_pages_resident(struct svm_drm_device *dev);

/**
 * svm_drm_device_stop() - end all vms of a device that is being removed
 * @dev: it was unplugged from DRM, and no queue is left
 *
 * Waits until all that they held has been given back.
 * Context: process; sleeps.
 */
void svm_drm_device_stop(struct svm_drm_device *dev);

/**
 * svm_drm_device_fini() - no vm is left
 * @dev: the device; it may be all zero
 *
 * Context: process; sleeps.
 */
void svm_drm_device_fini(struct svm_drm_device *dev);

/**
 * svm_drm_file_init() - a file was opened
 * @file: the library's part of it
 * @dev: the device
 *
 * Context: process.
 */
void svm_drm_file_init(struct svm_drm_file *file, struct svm_drm_device *dev);

/**
 * svm_drm_file_close() - the last use of a file: its vms end
 * @file: no other task has it, and its vms have no queues. The device may have been removed.
 *
 * Context: process; sleeps.
 */
void svm_drm_file_close(struct svm_drm_file *file);

/**
 * svm_drm_ioctl() - for the file operations' unlocked_ioctl
 * @filp: the file
 * @cmd: which
 * @arg: its argument
 *
 * As DRM's own, but the device is not removed while an ioctl of the driver's or the library's runs.
 * Context: process; sleeps.
 * Return: what the ioctl returns; -ENODEV: the device was removed.
 */
long svm_drm_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);

#ifdef CONFIG_COMPAT
/**
 * svm_drm_compat_ioctl() - for the file operations' compat_ioctl
 * @filp: the file
 * @cmd: which
 * @arg: its argument
 *
 * Context: process; sleeps.
 * Return: as svm_drm_ioctl().
 */
long svm_drm_compat_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
#endif

/**
 * svm_drm_show_fdinfo() - for the file operations' show_fdinfo
 * @m: where to
 * @filp: the file
 *
 * Shows whose file it is, and what its vms hold: see fdinfo.c.
 * Context: process; sleeps.
 */
void svm_drm_show_fdinfo(struct seq_file *m, struct file *filp);

/**
 * svm_drm_vm_get() - the vm of a handle
 * @file: whose handle it is
 * @id: the handle
 *
 * Context: process; sleeps.
 * Return: the vm, used and with a reference, to be ended by svm_drm_vm_leave();
 * -ENOENT: no such; -EPERM: it belongs to another process.
 */
struct svm_drm_vm *svm_drm_vm_get(struct svm_drm_file *file, u32 id);

/**
 * svm_drm_vm_of_context() - the vm of a context of the device
 * @dev: the device
 * @context: any number
 *
 * Context: process.
 * Return: the vm, used and with a reference, to be ended by svm_drm_vm_leave() or given to
 * svm_drm_fault_submit(); NULL: no such; -ESTALE: it is ending.
 */
struct svm_drm_vm *svm_drm_vm_of_context(struct svm_drm_device *dev, u32 context);

/**
 * svm_drm_vm_leave() - end a use and drop the reference that came with it
 * @vm: the vm
 *
 * Context: process; sleeps.
 */
void svm_drm_vm_leave(struct svm_drm_vm *vm);

/**
 * svm_drm_vm_grab() - take a reference
 * @vm: the vm, which the caller keeps by another one
 *
 * It keeps neither svmirror's vm nor the context.
 * Context: any.
 */
void svm_drm_vm_grab(struct svm_drm_vm *vm);

/**
 * svm_drm_vm_put() - drop a reference
 * @vm: the vm
 *
 * May come at any time, also while faults of the vm are served.
 * Context: process; sleeps.
 */
void svm_drm_vm_put(struct svm_drm_vm *vm);

/**
 * svm_drm_vm_add_queue() - count a queue in, so that its vm's handle stays
 * @file: whose handle it is
 * @id: the handle
 * @vm: from svm_drm_vm_get()
 *
 * The file's xa_lock of vms orders this with DRM_SVM_VM_DESTROY, which is -EBUSY while
 * there are queues.
 * Context: process.
 * Return: true, and svm_drm_vm_drop_queue() is to follow; false: the handle is gone.
 */
bool svm_drm_vm_add_queue(struct svm_drm_file *file, u32 id, struct svm_drm_vm *vm);

/**
 * svm_drm_vm_drop_queue() - a queue that svm_drm_vm_add_queue() counted has ended
 * @file: whose handle it was
 * @vm: the vm
 *
 * Context: process.
 */
void svm_drm_vm_drop_queue(struct svm_drm_file *file, struct svm_drm_vm *vm);

/**
 * svm_drm_faults_grow() - another queue: its fault gets a worker
 * @vm: its vm
 *
 * Context: process; sleeps.
 * Return: 0, and svm_drm_faults_shrink() is to follow; or -ENOMEM.
 */
int svm_drm_faults_grow(struct svm_drm_vm *vm);

/**
 * svm_drm_faults_shrink() - a queue has gone, and its fault has been let go of
 * @vm: its vm, which a reference keeps
 *
 * The next queue inherits its group.
 * Context: process; never sleeps.
 */
void svm_drm_faults_shrink(struct svm_drm_vm *vm);

/**
 * svm_drm_fault_submit() - take in a fault: a worker serves it and answers it
 * @rec: of what stalls on the fault; @vm has a worker for it by svm_drm_faults_grow()
 * @vm: used and with a reference, by svm_drm_vm_of_context()
 * @fault: what was reported; @rec keeps a copy
 *
 * Context: process; never sleeps, so the reports of a device can be emptied whatever the vms'
 * faults wait for.
 * Return: true: &svm_drm_ops.reply follows, then &svm_drm_ops.put, and what the caller holds of
 * @rec and @vm is handed on. False: @rec is at another fault, and @fault is answered after that
 * one, or is the same. The caller then drops what it holds.
 */
bool svm_drm_fault_submit(struct svm_drm_fault_rec *rec, struct svm_drm_vm *vm,
			  const struct svm_drm_fault *fault);

/**
 * svm_drm_fault_cancel() - a queue's fault needs no answer any more
 * @vm: the queue's vm, which a reference keeps
 * @rec: the queue's record: its job has ended
 *
 * The fault's worker is not waited for: it lets go of queue and vm when it has seen this.
 * Context: process; never sleeps.
 */
void svm_drm_fault_cancel(struct svm_drm_vm *vm, struct svm_drm_fault_rec *rec);

/**
 * struct svm_drm_dep - what a job waits for: a syncobj until that has a fence, then the fence
 * @syncobj: a reference of the job's
 * @fence: a reference of the job's, or NULL
 */
struct svm_drm_dep {
	struct drm_syncobj *syncobj;
	struct dma_fence *fence;
};

/**
 * struct svm_drm_out - the syncobj that tells the end of a job or a bind
 * @syncobj: a reference; NULL: there is none to tell
 * @fence: for it
 */
struct svm_drm_out {
	struct drm_syncobj *syncobj;
	struct dma_fence *fence;
};

/**
 * svm_drm_deps_take() - take in what something waits for
 * @file: whose syncobjs
 * @handles: address of u32 handles
 * @count: of them
 * @deps: all zero, as many; svm_drm_deps_drop() is to follow, also after a failure
 *
 * Context: process; may fault.
 * Return: 0; -EFAULT; -ENOENT: no such syncobj.
 */
int svm_drm_deps_take(struct drm_file *file, u64 handles, u32 count, struct svm_drm_dep *deps);

/**
 * svm_drm_deps_drop() - drop what svm_drm_deps_take() took
 * @deps: what it filled
 * @count: of them
 *
 * Context: process.
 */
void svm_drm_deps_drop(struct svm_drm_dep *deps, u32 count);

/**
 * svm_drm_out_take() - take in the syncobj that tells the end
 * @file: whose
 * @handle: the syncobj's; 0: none
 * @out: all zero; svm_drm_out_drop() is to follow, also after a failure
 *
 * Context: process; sleeps.
 * Return: 0; -ENOENT: no such syncobj; -ENOMEM.
 */
int svm_drm_out_take(struct drm_file *file, u32 handle, struct svm_drm_out *out);

/**
 * svm_drm_out_reset() - what it is to tell the end of was taken in: it loses its fence
 * @out: the syncobj
 * Context: process.
 */
void svm_drm_out_reset(struct svm_drm_out *out);

/**
 * svm_drm_out_signal() - tell the end
 * @dev: the device, whose parked queues may wait for it
 * @out: the syncobj; told once
 * @status: 0 or a negative errno
 *
 * Context: process; never sleeps.
 */
void svm_drm_out_signal(struct svm_drm_device *dev, struct svm_drm_out *out, int status);

/**
 * svm_drm_out_drop() - drop what svm_drm_out_take() took
 * @out: the syncobj
 * Context: process.
 */
void svm_drm_out_drop(struct svm_drm_out *out);

/**
 * svm_drm_deps_await() - are the dependencies of a queue's next job or bind fulfilled?
 * @waiter: the queue's, which waits for nothing so far
 * @deps: the dependencies; each gets its fence when there is one
 * @count: of them
 * @next: those before this one are fulfilled: 0 at first, and moved on
 *
 * Context: the queue's work item.
 * Return: 1: yes; 0: not yet, &svm_drm_waiter.wake follows; negative: a fence's error.
 */
int svm_drm_deps_await(struct svm_drm_waiter *waiter, struct svm_drm_dep *deps, u32 count,
		       u32 *next);

/**
 * svm_drm_forget() - a queue waits for nothing any more
 * @waiter: the queue's
 *
 * On return no callback of a fence runs or will run for it, unless another caller of this
 * is just seeing to that; nor does svm_drm_wake_parked() find it.
 * Context: process. Called by the queue's work item, and by any number of tasks that
 * closed the queue and have waited for the item since.
 */
void svm_drm_forget(struct svm_drm_waiter *waiter);

/**
 * svm_drm_wake_parked() - a syncobj has got a fence of this driver's
 * @dev: the device
 * @syncobj: the syncobj; the queues that wait for its fence are woken
 *
 * Context: process; never sleeps.
 */
void svm_drm_wake_parked(struct svm_drm_device *dev, struct drm_syncobj *syncobj);

/**
 * svm_drm_faultlog_add() - put a record in
 * @vm: the vm
 * @va: device address
 * @queue_id: handle of the queue, 0: none
 * @access: DRM_SVM_ACCESS_*
 * @error: negative errno
 *
 * Context: process; sleeps.
 */
void svm_drm_faultlog_add(struct svm_drm_vm *vm, u64 va, u32 queue_id, u32 access,
			  int error);

/**
 * svm_drm_process_number() - a number for a device that shares itself among processes
 * @process: of a vm
 *
 * Context: any.
 * Return: the number. Numbers wrap: two processes of the same number would share their turns.
 */
u32 svm_drm_process_number(const struct svm_drm_process *process);

/**
 * svm_drm_share_take() - may a process have one more id?
 * @process: the process
 * @kind: of what: SVM_DRM_DRIVER_ID or one after it, below SVM_DRM_IDS
 *
 * Where it may, there is a free id, until svm_drm_share_give() is called.
 * Context: any.
 * Return: 0; -ENOSPC: it has its share, or its user has, or there is none.
 */
int svm_drm_share_take(struct svm_drm_process *process, u32 kind);

/**
 * svm_drm_share_give() - an id that svm_drm_share_take() granted is free again
 * @process: the process
 * @kind: of what
 *
 * Context: any.
 */
void svm_drm_share_give(struct svm_drm_process *process, u32 kind);

/**
 * svm_drm_answer() - copy an answer as &struct drm_svm_query describes
 * @user: address of the caller's buffer
 * @size: in: its size; out: bytes written, or at 0: needed
 * @answer: the answer
 * @bytes: its size
 *
 * Context: process; sleeps; may fault.
 * Return: 0 or -EFAULT.
 */
int svm_drm_answer(u64 user, u64 *size, const void *answer, size_t bytes);

/* For the driver's table of ioctls, each with DRM_RENDER_ALLOW. */
drm_ioctl_t svm_drm_ioctl_vm_create;
drm_ioctl_t svm_drm_ioctl_vm_destroy;
drm_ioctl_t svm_drm_ioctl_bind;
drm_ioctl_t svm_drm_ioctl_prefetch;
drm_ioctl_t svm_drm_ioctl_query;
drm_ioctl_t svm_drm_ioctl_advise;

#endif
