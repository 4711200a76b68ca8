/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's only way out: what mm/ needs of the system below it, in plain C.
 *
 * Two sides implement it: mm/kernel/port_*.c over Linux, and the tests' host port
 * over a simulated mm. Nothing here names a kernel type but by opaque pointer, and
 * nothing calls back except port_parallel() and the svm_port_* hooks at the end.
 *
 * CPU addresses are `cpu`, device addresses `va`. Errors are negative errno.
 */
#ifndef SVM_PORT_H
#define SVM_PORT_H

#include <svm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Before a loop of a few instructions over the pages of a table: four turns are one. */
#ifdef __clang__
#define PORT_UNROLL	_Pragma("unroll 4")
#else
#define PORT_UNROLL	_Pragma("GCC unroll 4")
#endif

struct mm_struct;
struct device;
struct svm_session;
struct svm_memory;
struct port_domain;	/* one vm's: its mm reference, locks, reader sections, deferred frees */
struct port_interval;	/* an inserted mmu_interval_notifier */

#define PORT_PAGE_LG2	12
#define PORT_PAGE_SIZE	(1ull << PORT_PAGE_LG2)

/* ---- memory: zeroed, accounted, may reclaim; NULL on failure --------------- */
void *port_alloc(unsigned long bytes);
void port_free(void *p);
/* A number that no process can guess, to salt hashes with. */
u64 port_secret(void);

/* ---- a table's spinlock: initialised by port_lock_init, no destructor ------- */
struct port_lock {
#if defined(CONFIG_DEBUG_SPINLOCK) || defined(CONFIG_DEBUG_LOCK_ALLOC)
	unsigned long opaque[16];
#else
	unsigned int opaque[1];
#endif
};
void port_lock_init(struct port_lock *lock);
void port_lock(struct port_lock *lock);
void port_unlock(struct port_lock *lock);

/* ---- domain --------------------------------------------------------------- */
/* Takes a reference on mm (which only keeps the struct); owner comes back in the hooks. memory: NULL, or of the device's. */
struct port_domain *port_domain_create(void *owner, struct mm_struct *mm, struct device *dma, struct svm_memory *memory);
/* Waits for deferred frees. No reader is inside, no interval is left. */
void port_domain_destroy(struct port_domain *d);
/*
 * Its two sleeping locks, outermost first. The bind lock is held over port_synchronize(), so it is not taken in a reader
 * section; the interval lock is taken in one.
 */
enum port_mutex { PORT_BIND, PORT_INTERVALS };
/* Sleeps; -EINTR when killed. */
int port_domain_lock(struct port_domain *d, enum port_mutex which);
void port_domain_unlock(struct port_domain *d, enum port_mutex which);
/* Reader section (SRCU): may sleep inside; synchronize waits for all that are inside now. */
int port_read_enter(struct port_domain *d);
void port_read_exit(struct port_domain *d, int cookie);
void port_synchronize(struct port_domain *d);
/*
 * After all readers that are inside now have left, calls svm_port_deferred(node) in process
 * context, once. `link` is memory inside the node for the port's use. Never sleeps.
 */
struct port_deferred { void *opaque[4]; };
void port_defer(struct port_domain *d, struct port_deferred *link, void *node);
/*
 * Memory for tables ran out: calls fn(owner, arg) for each domain of the device, none of which ends meanwhile. fn
 * allocates nothing and takes table locks, reader sections and flushes only. Sleeps; not in a reader section.
 */
void port_each_domain(struct device *dma, void (*fn)(void *owner, void *arg), void *arg);
/*
 * A number that grows when deferred nodes have been freed, of any domain of the device; and a wait until it is no longer
 * `seen`, which is true, or for 100 ms. d: whose process waits, in a session; null: it is the caller's own. Sleeps; not in a
 * reader section; killable.
 */
u64 port_frees(struct device *dma);
bool port_wait_frees(struct device *dma, struct port_domain *d, u64 seen);
/* True for one thread at a time of each device, until its port_evict_end(). Never sleeps. */
bool port_evict_begin(struct device *dma);
void port_evict_end(struct device *dma);

/* ---- sessions: in the process's name ------------------------------------------- */
/*
 * From begin to end this thread has what the process's own threads have: its memory, its memory cgroup and
 * nodes, its death. Nothing changes for one that has them already. 0; -EFAULT: the process's memory is gone;
 * -EPERM: the thread is another process's. What makes pages present, and what allocates for that, is called in a
 * session only: port_interval_create(), port_fault(), port_wait(), port_mapped(), port_next_mapping(), port_parallel().
 */
int port_session_begin(struct port_domain *d, struct svm_session *s);
void port_session_end(struct svm_session *s);
/* Another thread's session: from now on port_killed() is true in it, and its waits end. Never sleeps. */
void port_session_cancel(struct svm_session *s);

/* ---- intervals -------------------------------------------------------------- */
/* Inserts a notifier over CPU [start, end) that calls svm_port_invalidate(owner, …). Sleeps; takes mmap_lock the first time. -ENOMEM, -EINTR. */
int port_interval_create(struct port_domain *d, u64 cpu_start, u64 cpu_end, void *owner, struct port_interval **out);
/* Removes it and waits until no callback of it is running or will run. Sleeps; not under mmap_lock. */
void port_interval_destroy(struct port_interval *i);
/* Its current sequence. The glue sets it before it calls svm_port_invalidate. */
u64 port_interval_seq(const struct port_interval *i);
/* Highest user address + 1. */
u64 port_user_end(struct port_domain *d);

/* ---- fault: read_begin, mmap_lock, hmm_range_fault, DMA map ------------------- */
/*
 * Words of pages: DMA address >> PORT_PAGE_LG2 | PORT_PAGE_VALID [| PORT_PAGE_WRITE]; without VALID there is no page, and
 * the rest means nothing. The bits between the address and the flags are the port's. On Linux these are hmm's words.
 */
#define PORT_PAGE_VALID	(1ull << 63)
#define PORT_PAGE_WRITE	(1ull << 62)	/* the CPU's entry allows writing */
#define PORT_PAGE_VRAM	(1ull << 52)	/* the page is in the device's own memory: an offset into that, and nothing is mapped for DMA */
#define PORT_PAGE_DMA(word)	((word) << PORT_PAGE_LG2)
#define PORT_NO_PAGE	(~0ull)	/* no CPU address */

struct port_fault {
	/* in */
	u64 cpu;		/* the page of the access */
	bool must;		/* a fault: `cpu` must be present. A prefetch: nothing must */
	bool bring;		/* of a prefetch: false: nothing is made present */
	u64 start, end;		/* CPU addresses: fill page[] for these: what is present is taken as it is */
	/*
	 * Within them: what is to be made present too, where it can be had without waiting; of a fault in
	 * the mapping of `cpu` only, of a prefetch in all mappings that allow the access.
	 */
	u64 want_start, want_end;
	u64 block_lg2;		/* if one CPU mapping covers the aligned block of this size around cpu, and it lies in [block_start, block_end) … */
	u64 block_start, block_end;
	bool alone;		/* of a fault of one page, for writing: the CPU is to have no access to it, unless it is in the device's memory */
	bool write;		/* the access is a write: ask for write for `cpu` and the wanted pages; else ask for read only */
	const u64 *have;	/* bit n: the table has page n of [start, end) already, do not map it again. Not of `cpu` of a fault */
	/*
	 * Out: a word for each page of [start, end), written where 0 is returned. The memory comes from port_alloc(), or is
	 * zeroed, and was used for such words only.
	 */
	u64 *page;
	/* in and out */
	u64 seq;		/* in: the table's sequence; out: what read_begin returned for it */
	/* out */
	bool block;		/* … then true, page[0] alone is the answer: its DMA address, aligned to the block */
	u64 mapped;		/* words with PORT_PAGE_VALID. Each is mapped for DMA, but for those in the device's memory */
	u64 lent;		/* of them, those with PORT_PAGE_VRAM */
	u64 wait;		/* of a prefetch: the first wanted page that port_wait() may bring; PORT_NO_PAGE: none is left */
};
/*
 * The core takes over the words that it writes into a table, and gives back the others by port_dma_release().
 * 0; -EFAULT (no mapping); -EPERM (mapped, but not for writing); -EBUSY (the CPU's side moved: again);
 * -ENOMEM; -EINTR (killed); -EIO (the device cannot address the page); -EOPNOTSUPP (it cannot be had alone); -EINPROGRESS
 * (only port_wait() can make it present). On an error no page is mapped for DMA. A prefetch gets -EBUSY, -ENOMEM and -EINTR only.
 */
int port_fault(struct port_domain *d, struct port_fault *f);
/*
 * Make one page present by a fault that drops mmap_lock where it waits: for storage, or a file system's server. user:
 * also where that means to wait for a userfaultfd's manager. Either may take for ever: so not in a reader section,
 * and unbinding goes on meanwhile. svm_port_gone() ends the wait. Makes the stack grow where an access of the CPU would.
 * 0: try port_fault() again; -EFAULT, -EPERM, -ENOMEM, -EINTR.
 */
int port_wait(struct port_domain *d, u64 cpu, bool write, bool user);
/* Has the process memory at `cpu` that a device may read, or may its stack grow to there? Sleeps; takes mmap_lock for reading. */
bool port_mapped(struct port_domain *d, u64 cpu);
/*
 * The first mapping that ends above `cpu`, begins below `limit` and allows the access (no VM_IO or VM_PFNMAP): false if
 * there is none (or the caller is killed). *start may lie below cpu, *end above limit. A mapping of a file ends with the
 * file. Sleeps; takes mmap_lock for reading.
 */
bool port_next_mapping(struct port_domain *d, u64 cpu, u64 limit, bool write, u64 *start, u64 *end);
/*
 * Holds the process's mmap_lock for reading. Until port_mmap_unlock() this thread's port_fault(), port_mapped() and
 * port_next_mapping() use that, and it calls nothing that takes it for writing or lets it go: port_wait(),
 * port_interval_create(), port_migrate(). One thread of a domain at a time. In a session; sleeps. -EINTR.
 */
int port_mmap_lock(struct port_domain *d);
void port_mmap_unlock(struct port_domain *d);
/* Does this thread hold it in that way? */
bool port_mmap_held(struct port_domain *d);
/* May some thread hold it for writing? True also where one only waits for it. Never sleeps. */
bool port_mmap_written(struct port_domain *d);
/*
 * Undo the DMA mappings, of 2^lg2 bytes each, that n words with PORT_PAGE_VALID name. dirty: the device may have written to
 * those with PORT_PAGE_WRITE, mark their pages. Any context; never sleeps.
 */
void port_dma_release(struct port_domain *d, const u64 *word, u32 n, u32 lg2, bool dirty);
/* n mappings will never be released, since the tables that knew them were lost with the device. */
void port_dma_abandon(struct port_domain *d, u64 n);

/* ---- device memory: pages that are moved into it, and home again --------------- */
#define PORT_MIGRATE_PAGES	512

struct port_migrate {
	/* in */
	u64 start, end;		/* CPU addresses, page-aligned */
	bool into;		/* the device's memory; else out of it */
	/* out, also on an error */
	u64 reached;		/* it has seen to what lies below */
	u64 moved;		/* pages */
};
/*
 * Moves what it can of the next PORT_MIGRATE_PAGES of the span at most, in one mapping. The rest stays where it is. Our own notifiers
 * are called: the caller holds nothing that they take, and is in no reader section. In a session; sleeps; takes mmap_lock for reading.
 * 0; -EINTR (killed); -ENOMEM (for what a move takes).
 */
int port_migrate(struct port_domain *d, struct port_migrate *m);

/* ---- the rest --------------------------------------------------------------- */
u32 port_cpu(void);		/* number of this CPU, for striping only */
void port_relax(void);		/* in long loops, no lock held: let others run */
void port_pause(void);		/* sleep for about a millisecond */
u64 port_now_ms(void);		/* since some time */
const void *port_self(void);	/* this thread, to be compared only */
bool port_killed(void);		/* this thread has a fatal signal, or its session was cancelled */
/* Calls fn(arg) on several threads at once, this one among them, each in a session, and waits for all. Sleeps. */
void port_parallel(struct port_domain *d, u32 threads, void (*fn)(void *arg), void *arg);
/*
 * An invariant broke: reports the text, constant, and goes on. The kernel's port adds a backtrace and leaves out a text that is the
 * same as its last; the tests' port reports each and the test fails.
 */
void port_warn(const char *what);

/* ---- hooks: the core's side, called by the port -------------------------------- */
/*
 * CPU [start, end) of interval `owner` is going to change; end may be ~0. may_sleep: the caller is blockable. forking: it is
 * one of a row of calls, most likely, that take writing away from one mapping after the other.
 */
void svm_port_invalidate(void *owner, u64 seq, u64 start, u64 end, bool may_sleep, bool forking);
/* Before that and before the interval gets the sequence, where the caller is blockable. May sleep. */
void svm_port_approach(void *owner, u64 seq, u64 start, u64 end);
/* Asked now and then while threads of the domain wait: is its device on its way out? Then their waits end. May sleep. */
bool svm_port_gone(void *domain_owner);
/* A grace period after port_defer: free the node. True: it was part of a page table, so memory for tables may have come back. */
bool svm_port_deferred(void *node);
/*
 * Shrinker: how many empty tables and directories the domain's owner could free; look at n of them and free those that
 * were not used since the last look; returns how many, and in *looked at how many it has looked. May be called in reclaim:
 * allocates nothing.
 */
u64 svm_port_count(void *domain_owner);
u64 svm_port_shrink(void *domain_owner, u64 n, u64 *looked);

#ifdef __cplusplus
}
#endif

#endif
