/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: What a device driver supplies
 *
 * A backend is one table of functions for the memory that page tables lie in
 * and for the device's TLB. svmirror calls them with the @backend pointer of the
 * vm. The page-table format itself is not here: it is compiled into svmirror,
 * see svm_format_find().
 */
#ifndef SVM_BACKEND_H
#define SVM_BACKEND_H

#include <svm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** enum svm_aperture - where an address of the device's leads */
enum svm_aperture {
	SVM_SYSTEM = 0,		/**< @SVM_SYSTEM: host memory, a DMA address */
	SVM_VRAM = 1,		/**< @SVM_VRAM: the device's own memory, an offset into it */
};

/**
 * struct svm_table_mem - memory of one device page table
 * @cpu: where the CPU reads and writes its entries: 8-byte aligned, plain loads
 *	and stores of 8 bytes must work on it (a write-combining map of VRAM is fine)
 * @addr: the address that goes into the entry above it, aligned as the format asks
 * @priv: the backend's
 * @aperture: enum svm_aperture of @addr
 * @bytes: its size
 */
struct svm_table_mem {
	void *cpu;
	u64 addr;
	void *priv;
	u32 aperture;
	u32 bytes;
};

/** struct svm_backend_ops - a device's side of a vm */
struct svm_backend_ops {
	/**
	 * @table_alloc: get memory for one table of @bytes, all zero.
	 * Context: process; may sleep and reclaim; no lock of svmirror's is held.
	 * Return: 0; -ENOSPC: the memory that the vms of the device share for their
	 * tables is used up. svmirror then takes tables from these vms and calls again.
	 * -ENOMEM: anything else, such as a limit of the caller's memory cgroup or
	 * no memory for the backend's own record. No vm loses a table, and the
	 * fault, prefetch or svm_vm_create() fails with -ENOMEM.
	 */
	int (*table_alloc)(void *backend, u32 bytes, struct svm_table_mem *mem);

	/**
	 * @table_free: give it back. The device has forgotten it by a flush, or never knew
	 * of it; root and directories go in svm_vm_destroy(), which says what must be so.
	 * Context: process (a worker, teardown, or a fault or prefetch that lost a race);
	 * may sleep.
	 */
	void (*table_free)(void *backend, const struct svm_table_mem *mem);

	/**
	 * @flush_begin: make the device forget all translations and table pointers of
	 * [@start, @end), device addresses. Orders before it all earlier writes to tables.
	 * Context: any; a table lock may be held; must not sleep.
	 * Return: a token for @flush_wait.
	 */
	u64 (*flush_begin)(void *backend, u64 start, u64 end);

	/**
	 * @flush_wait: wait until the device acknowledged @token: after that it makes no
	 * access through what it forgot. A device that does not answer is to be cut off
	 * from memory before this returns; there is no way to report failure, since the
	 * CPU's side goes on.
	 * Context: @may_sleep false: as @flush_begin. True: it may sleep, but core mm may
	 * be in reclaim or hold its locks: no allocation that reclaims, no mmap_lock, and no
	 * lock that is held over either.
	 */
	void (*flush_wait)(void *backend, u64 token, bool may_sleep);

	/**
	 * @publish: order all earlier writes to tables before everything that this CPU
	 * writes next, for the device and for other CPUs: drain write-combining buffers.
	 * Context: any; a table lock may be held. NULL: tables lie in ordinary memory,
	 * where locks and the driver's own message to the device order them.
	 */
	void (*publish)(void *backend);

	/**
	 * @lost: is what was written to table memory gone? True once the device was reset
	 * or pulled out and took its memory with it, and from then on. It is asked after
	 * entries were read and before they are believed, so whatever scribbles on tables
	 * must show here first. No page is then given back or marked dirty by what they
	 * say; a flush may still be asked for. The device must have been cut off from
	 * memory before this says true.
	 * Context: any; a table lock may be held. NULL: tables cannot be lost (they lie in
	 * system memory).
	 */
	bool (*lost)(void *backend);

	/**
	 * @gone: is the device on its way out, so that nothing more need be brought for
	 * it? svm_prefetch() asks before each table and each wait, so that the
	 * removal of a device does not wait for long ones. While any thread of the vm
	 * waits for storage or for a process, it is asked every 100 ms, and the waits end
	 * when it is.
	 * Context: process; may sleep; no lock is held.
	 * Return: 0, or the negative errno that svm_prefetch() is to return. NULL: it goes on
	 * to its end.
	 */
	int (*gone)(void *backend);

	/**
	 * @stop: make the device stop the jobs of a vm with SVM_VM_NO_FAULT, each between two
	 * accesses: those that run, and those that come until @resume. Ordered as a flush.
	 * Context: any; must not sleep.
	 * Return: a token for @flush_wait, after which no job of the vm makes an access until
	 * @resume. NULL: there are no such vms.
	 */
	u64 (*stop)(void *backend);

	/**
	 * @resume: let the jobs go on that @stop stopped. Orders before it all earlier writes to
	 * tables. It is not waited for, and a @stop that follows comes after it.
	 * Context: any; must not sleep. NULL as @stop.
	 */
	void (*resume)(void *backend);

	/**
	 * @delay: something is about to stop the jobs: a change of the process's memory, an
	 * object that moves, a bind. It waits until this returns, and so does whatever it
	 * belongs to, such as an munmap. A driver sleeps here to let jobs run for some time after
	 * each @resume; milliseconds at most.
	 * Context: sleeps; core mm may hold its locks, mmap_lock among them: no allocation that
	 * reclaims, and no lock that is held over one. NULL: nothing is put off.
	 */
	void (*delay)(void *backend);
};

#ifdef __cplusplus
}
#endif

#endif
