/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the port's kernel-side files share. mm/port.h is the contract with the
 * core; nothing here is seen by it.
 */
#ifndef SVM_PORT_KERNEL_H
#define SVM_PORT_KERNEL_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "mm/port.h"

struct iommu_domain;
struct page;

/**
 * struct port_domain - the port's share of one vm
 * @owner: the core's, comes back in the shrinker's hooks
 * @mm: mirrored; mm_count is held, mm_users is not
 * @dev: does the DMA
 * @memory: the device's, of which it may be given pages; NULL: there is none
 * @iommu: translates DMA addresses of @dev; NULL: they are physical ones
 * @direct: a page's DMA address is its physical one, and there is nothing to unmap
 * @dma_limit: then, the highest address that @dev reaches
 * @bind_lock: PORT_BIND
 * @interval_lock: PORT_INTERVALS
 * @srcu: reader sections
 * @freed: nodes whose grace period is over, for @free_work
 * @free_work: hands @freed to svm_port_deferred()
 * @deferred: nodes between port_defer() and the end of svm_port_deferred()
 * @link: in the shrinker's list
 * @session_lock: of @sessions; taken under nothing of svmirror's, and signals are sent under it
 * @sessions: threads that work for the process, see port_session.c
 * @mmap_holder: the thread that holds mmap_lock by port_mmap_lock(), or NULL
 * @waiting: threads that wait for another process or for storage
 * @watch: looks whether the process and the device are there, while any waits
 */
struct port_domain {
	void *owner;
	struct mm_struct *mm;
	struct device *dev;
	struct svm_memory *memory;
	struct iommu_domain *iommu;
	bool direct;
	u64 dma_limit;
	struct mutex bind_lock; /* outermost; see port_sync.c */
	struct mutex interval_lock; /* next */
	struct srcu_struct srcu;
	struct llist_head freed;
	struct work_struct free_work;
	atomic_long_t deferred;
	struct list_head link;
	spinlock_t session_lock; /* of sessions; innermost but for signals */
	struct list_head sessions;
	struct task_struct *mmap_holder;
	atomic_t waiting;
	struct delayed_work watch;
};

/*
 * What is alive in the whole module, and with it svm_dma_mappings(); debugfs svmirror/leaks.
 * All zero when no vm is, but for devices' memories, which go with their drivers.
 */
struct svm_live {
	atomic_long_t domains;
	atomic_long_t intervals;
	atomic_long_t allocations;
	atomic_long_t memories;
};

extern struct svm_live svm_live;

/* port_sync.c */
int svm_work_init(void);
void svm_work_exit(void);
void svm_work_insert(struct work_struct *work);
void svm_work_queue(struct work_struct *work);
void svm_work_later(struct delayed_work *work, unsigned int ms);
void svm_free_work(struct work_struct *work);
void svm_prime_lockdep(void);

/* port_session.c */
void svm_sessions_init(struct port_domain *d);
void svm_sessions_exit(struct port_domain *d);
void svm_wait_begin(struct port_domain *d);
void svm_wait_end(struct port_domain *d);
void svm_session_cancel_begun(struct port_domain *d, const struct svm_session *session);
int svm_wait(struct port_domain *d, int (*wait)(struct port_domain *d, void *arg), void *arg);
unsigned long svm_process_rlimit(struct mm_struct *mm, unsigned int which);

/* port_room.c */
void svm_room_init(void);
void svm_room_freed(struct device *dma);

/* port_shrink.c */
int svm_shrinker_init(void);
void svm_shrinker_exit(void);
void svm_shrinker_add(struct port_domain *d);
void svm_shrinker_del(struct port_domain *d);

/* port_vma.c; under mmap_lock */
bool svm_is_off_limits(const struct vm_area_struct *vma);
int svm_vma_permits(const struct vm_area_struct *vma, bool write);
u64 svm_vma_reach(const struct vm_area_struct *vma);
struct vm_area_struct *svm_vma_at(struct mm_struct *mm, u64 cpu);

/* port_vma.c */
int svm_mmap_lock(struct port_domain *d);
void svm_mmap_unlock(struct port_domain *d);

/* port_dma.c */
struct iommu_domain *svm_dma_iommu(struct device *dev);
bool svm_dma_is_direct(struct port_domain *d);
long svm_dma_mappings(void);

#endif
