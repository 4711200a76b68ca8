/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual GPU's driver: its objects, and which lock guards what. What it has in common with
 * other drivers, vms and the serving of faults, is the library's: <svm/drm.h>.
 *
 * device ─┬─ the library's part ── vms
 *         └─ queues: hardware id → queue ── waiting jobs, one running job
 * file ───┬─ the library's part ── handles of vms
 *         └─ queues: handle → queue
 *
 * Locks, outermost first; all but the named spinlocks may sleep:
 *   set lock      one context or queue is being set
 *   drain locks   one consumer for the fault ring, one for the done ring
 *   xa_lock       (spin) of a table of handles or hardware ids of queues: from looking up to
 *                 the reference that keeps what was found
 *   queue lock    (spin) a queue's jobs, results and error
 *   library's     taken by its functions, which are called with a drain lock held at most
 *   push locks    one producer for the job ring, one for the reply ring
 *   VRAM lock     the allocator; never held over an allocation that reclaims
 *   TLB-queue lock (spin) the sync ring's tail and how far its statuses were read;
 *                 taken under svmirror's table locks, so nothing that allocates or
 *                 sleeps happens under it
 *
 * The device may stop answering, or lie, at any time. Then it is wedged:
 * svm.error is set, it is cut off from memory, and each wait in this driver either
 * watches that or has an end of its own.
 */
#ifndef SVGPU_H
#define SVGPU_H

#include <drm/drm_device.h>
#include <drm/drm_file.h>
#include <drm/drm_mm.h>
#include <drm/svgpu_drm.h>
#include <linux/dma-fence.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <svm/drm.h>
#include <svm/drm_bo.h>

#include "ring.h"

struct svgpu_task;

/* The sync ring: flushes and changes of contexts and queues, done in order. */
struct svgpu_sync_queue {
	spinlock_t lock;	/* TLB-queue lock: all below */
	struct svgpu_ring ring;
	u64 seq;		/* of the last entry; its index is seq - 1 */
	u64 checked;		/* up to here they are done and their statuses were read */
	u64 setting;		/* the last one that svgpu_sync_set() asked for, */
	bool refused;		/* and whether it was refused */
	struct mutex set_lock;	/* set lock: one of those at a time */
};

struct svgpu_vram {
	struct mutex lock;	/* VRAM lock: all below */
	struct drm_mm mm;
	struct list_head poisoning; /* given back, in the order of their poison's seq */
};

/* What the fault ring came to since probe, beside what the library counts: debugfs. */
struct svgpu_fault_stats {
	atomic64_t taken;
	atomic64_t retried;
	atomic64_t failed;
	atomic64_t garbage;
	atomic64_t stale;
	atomic64_t injected;
};

struct svgpu_faults {
	struct mutex drain_lock; /* drain lock: the ring's consumer side */
	struct svgpu_ring ring;
	struct work_struct drain_work;
	struct mutex reply_lock; /* push lock */
	struct svgpu_ring reply;
	atomic_t injected;	/* under way */
	struct svgpu_fault_stats stats;
};

struct svgpu_jobs {
	struct mutex drain_lock; /* drain lock: the done ring's consumer side */
	struct svgpu_ring done;
	struct work_struct drain_work;
	struct mutex push_lock;	/* push lock: the job ring's producer side */
	struct svgpu_ring ring;
	atomic_t cookie;
};

/* Ids of which the device has a fixed number, beside contexts. */
#define SVGPU_QUEUE_ID	SVM_DRM_DRIVER_ID

#define SVGPU_COPIES	4	/* under way at a time */

/* Lists of copies of processes' pages, as the device reads them. */
struct svgpu_copies {
	struct semaphore free;	/* how many lists are */
	unsigned long used;	/* bit n: list n is */
	struct svgpu_copy *list[SVGPU_COPIES];
	dma_addr_t bus[SVGPU_COPIES];
};

struct svgpu_device {
	struct drm_device drm;
	struct pci_dev *pdev;
	void __iomem *bell;	/* BAR0 */
	void __iomem *bar;	/* BAR2, write-combining */
	/* Its @error: 0; -EIO: wedged; -ENODEV: not started, or removed. */
	struct svm_drm_device svm;

	/* Constant after probe. */
	u32 format;	/* SVGPU_FORMAT_*: that of @svm.format */
	u32 engines;
	u32 context_count;
	u32 queue_count;
	u64 vram_bytes;
	u64 epoch;
	u64 generation;

	struct svgpu_sync_queue sync;
	struct svgpu_vram vram;
	struct svgpu_copies copies;
	struct svgpu_faults faults;
	struct svgpu_jobs jobs;
	struct xarray queues;

	struct workqueue_struct *wq;	/* wedging, watchdog, queues */
	struct work_struct wedge_work;
	struct delayed_work watchdog;
	u64 beat;		/* the watchdog's */
	u32 silent_ticks;

	/* What is there now; all zero when nothing is open. */
	atomic_t queue_total;
	atomic_t job_total;
	atomic_t table_total;
	wait_queue_head_t gone;	/* the last queue */
};

static inline struct svgpu_device *to_svgpu(struct drm_device *drm)
{
	return container_of(drm, struct svgpu_device, drm);
}

/* 0, or why nothing is to be expected of the device any more. */
static inline int svgpu_error(const struct svgpu_device *dev)
{
	return svm_drm_error(&dev->svm);
}

/* An open file. */
struct svgpu_file {
	struct svm_drm_file svm;
	struct xarray queues;
};

static inline struct svgpu_file *to_svgpu_file(const struct drm_file *drm_file)
{
	return container_of(drm_file->driver_priv, struct svgpu_file, svm);
}

/* A device address space. */
struct svgpu_vm {
	struct svm_drm_vm base;	/* first */
	bool live;		/* the device may hold translations of it */
	u64 cleared;		/* under the TLB-queue lock: see svgpu_sync_begin() */
};

static inline struct svgpu_vm *to_svgpu_vm(struct svm_drm_vm *vm)
{
	return container_of(vm, struct svgpu_vm, base);
}

static inline struct svgpu_device *svgpu_of(const struct svm_drm_vm *vm)
{
	return container_of(vm->dev, struct svgpu_device, svm);
}

/* One entry of the fault ring until it is answered: a queue's own, or an injected one. */
struct svgpu_fault_rec {
	struct svm_drm_fault_rec base;
	struct svgpu_queue *queue; /* a reference while the library has @base */
	bool injected;		/* freed when it is answered; the device gets no answer */
};

static inline struct svgpu_fault_rec *to_svgpu_rec(struct svm_drm_fault_rec *rec)
{
	return container_of(rec, struct svgpu_fault_rec, base);
}

/* A job's result that waits to be read. */
struct svgpu_kept {
	struct list_head link;
	u64 token;
	struct drm_svgpu_job_result result;
};

#define SVGPU_WAITING_MAX	256
#define SVGPU_KEPT_MAX		256

struct svgpu_queue {
	struct kref ref;
	struct svgpu_device *dev;
	struct svgpu_vm *vm;
	u32 id;			/* the file's handle */
	u32 hw;
	unsigned long stopped;	/* bit 0 */
	struct list_head ending; /* of the one that stops it */
	struct work_struct work; /* starts jobs */
	wait_queue_head_t idle;	/* no job is left */
	atomic_t jobs;		/* waiting, running or ending */
	struct svgpu_fault_rec fault; /* what its running job stalls on */

	struct svm_drm_waiter waiter; /* of the next job */

	spinlock_t lock;	/* queue lock: all below */
	int error;		/* not 0: takes no more jobs */
	struct list_head waiting;
	u32 waiting_count;	/* with those that are on their way in */
	struct svgpu_task *running;
	struct list_head kept;
	u32 kept_count;
};

/* device.c */
extern unsigned int svgpu_timeout_ms;
int svgpu_device_init(struct svgpu_device *dev);
int svgpu_device_start(struct svgpu_device *dev);
void svgpu_device_stop(struct svgpu_device *dev);
int svgpu_device_restart(struct svgpu_device *dev);
void svgpu_device_wedge(struct svgpu_device *dev, const char *why);
void svgpu_bell(struct svgpu_device *dev, u32 bell);

/* sync.c */
void svgpu_sync_init(struct svgpu_device *dev);
void svgpu_sync_restart(struct svgpu_device *dev);
u64 svgpu_sync_begin(struct svgpu_device *dev, struct svgpu_sync *op,
		     u64 *cleared);
void svgpu_sync_wait(struct svgpu_device *dev, u64 seq, bool may_sleep);
bool svgpu_sync_done(struct svgpu_device *dev, u64 seq);
int svgpu_sync_set(struct svgpu_device *dev, struct svgpu_sync *op);

/* format.c */
int svgpu_format_choose(struct svgpu_device *dev);
int svgpu_format_probe(struct svgpu_device *dev);

/* tables.c */
extern bool svgpu_tables_in_vram;
extern const struct svm_backend_ops svgpu_vram_ops;
extern const struct svm_backend_ops svgpu_system_ops;

/* vram.c */
void svgpu_vram_init(struct svgpu_device *dev);
void svgpu_vram_forget(struct svgpu_device *dev);
void svgpu_vram_fini(struct svgpu_device *dev);
struct svm_drm_vram_block *svgpu_vram_alloc(struct svgpu_device *dev, u64 bytes);
void svgpu_vram_free(struct svgpu_device *dev, struct svm_drm_vram_block *base);
int svgpu_bo_vram_alloc(struct svm_drm_device *svm, u64 bytes,
			struct list_head *blocks);
void svgpu_bo_vram_free(struct svm_drm_device *svm, struct list_head *blocks);

/* copy.c */
int svgpu_copies_init(struct svgpu_device *dev);
void svgpu_copies_fini(struct svgpu_device *dev);
u64 svgpu_copy_begin(struct svm_drm_device *svm, const struct svm_copy *copies, u32 n, bool into);
int svgpu_copy_wait(struct svm_drm_device *svm, u64 token);

/* context.c */
int svgpu_context_start(struct svm_drm_vm *base);
void svgpu_context_stop(struct svm_drm_vm *base);
void svgpu_context_stopped(struct svm_drm_vm *base);
u64 svgpu_jobs_stop(void *backend);
void svgpu_jobs_resume(void *backend);

/* fault.c */
void svgpu_fault_take(struct svgpu_device *dev, const struct svgpu_fault *entry,
		      struct svgpu_fault_rec *injected);
void svgpu_fault_reply(struct svm_drm_vm *vm, struct svm_drm_fault_rec *base,
		       const struct svm_drm_fault *fault, int error);
void svgpu_fault_put(struct svm_drm_fault_rec *base);

/* fault_ring.c */
void svgpu_faults_init(struct svgpu_device *dev);
void svgpu_faults_fini(struct svgpu_device *dev);
void svgpu_faults_drain(struct svgpu_device *dev);
int svgpu_fault_inject(struct svgpu_device *dev,
		       const struct svgpu_fault *entry);

/* queue.c */
struct svgpu_queue *svgpu_queue_create(struct svgpu_vm *vm);
struct svgpu_queue *svgpu_queue_get(struct svgpu_file *file, u32 id);
void svgpu_queue_put(struct svgpu_queue *queue);
void svgpu_queue_stop(struct svgpu_queue *queue, int error);
void svgpu_queues_stop_file(struct svgpu_device *dev, struct svgpu_file *file,
			    int error);
void svgpu_queues_fail_all(struct svgpu_device *dev, int error);
void svgpu_queues_stop_all(struct svgpu_device *dev, int error);
void svgpu_queue_kick(struct svgpu_queue *queue);
struct svgpu_queue *svgpu_queue_of_hw(struct svgpu_device *dev, u32 hw);
struct svgpu_kept *svgpu_queue_take_kept(struct svgpu_queue *queue, u64 token);
void svgpu_queue_keep(struct svgpu_queue *queue, struct svgpu_kept *kept);

/* done.c; task.h has what job.c, submit.c and queue.c share */
void svgpu_jobs_init(struct svgpu_device *dev);
void svgpu_jobs_drain(struct svgpu_device *dev);

/* debugfs.c */
void svgpu_debugfs_init(struct drm_minor *minor);

/* svgpu_drm.c */
extern const struct drm_driver svgpu_drm_driver;

/* svgpu_ioctl.c, submit.c */
int svgpu_ioctl_queue_create(struct drm_device *drm, void *data,
			     struct drm_file *drm_file);
int svgpu_ioctl_queue_destroy(struct drm_device *drm, void *data,
			      struct drm_file *drm_file);
int svgpu_ioctl_submit(struct drm_device *drm, void *data,
		       struct drm_file *drm_file);
int svgpu_ioctl_info(struct drm_device *drm, void *data,
		     struct drm_file *drm_file);
int svgpu_ioctl_bo_create(struct drm_device *drm, void *data,
			  struct drm_file *drm_file);
int svgpu_ioctl_bo_info(struct drm_device *drm, void *data,
			struct drm_file *drm_file);

#endif
