/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: Device memory
 *
 * A driver that has memory of its own makes an &struct svm_memory of it. svm_migrate() then moves
 * pages of a process into it, and the ordinary fault maps them: the CPU's entry says where a page
 * is, and the device's leaf follows it. A CPU that touches such a page gets it back: core mm calls
 * svmirror, which copies the one page home.
 *
 * The pages are device-private: the kernel knows each as a page, and no CPU reaches what is in it.
 * Page n of the memory is the byte n * 4096 of the device's aperture %SVM_VRAM.
 *
 * ::
 *
 *	err = svm_memory_create(&pdev->dev, bytes >> 12, &my_memory_ops, my, &my->memory);
 *	params.memory = my->memory;				// of each vm
 *	...
 *	err = svm_migrate(vm, start, end, SVM_VRAM, &moved);	// there
 *	err = svm_migrate(vm, start, end, SVM_SYSTEM, &moved);	// home
 *	...
 *	err = svm_advise(vm, advice, count);			// from now on by faults
 *	...
 *	svm_memory_evict(my->memory, first, count);		// room is needed
 *	...
 *	svm_memory_destroy(my->memory);				// all go home
 */
#ifndef SVM_MEMORY_H
#define SVM_MEMORY_H

#include <svm/svm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In &svm_copy.dma: the page is to be filled with zeros. */
#define SVM_COPY_ZERO	(~0ull)

/**
 * struct svm_copy - one page of 4 KiB to be copied
 * @page: its number in the device's memory
 * @dma: the other one's DMA address; of a copy into the memory also %SVM_COPY_ZERO: the page is to
 *	be filled with zeros
 */
struct svm_copy {
	u64 page;
	u64 dma;
};

/** struct svm_memory_page - a page of the memory, as the driver hands it out */
struct svm_memory_page {
	/** @page: its number */
	u64 page;
	/** @block: the driver's: it comes back in &svm_memory_ops.free */
	void *block;
};

/** struct svm_memory_ops - what a driver does for its memory */
struct svm_memory_ops {
	/**
	 * @alloc: find up to @n free pages, whatever they hold: they are filled whole before any
	 * process reaches them. Where there are none it may make room, by svm_memory_evict() too.
	 * Context: process, in a session; sleeps; no lock is held.
	 * Return: how many were found; 0: the rest of the memory stays where it is; -EINTR.
	 */
	int (*alloc)(void *arg, struct svm_memory_page *pages, u32 n);

	/**
	 * @free: no process has the page any more, and no device reaches it.
	 * Context: any; never sleeps; locks of core mm may be held.
	 */
	void (*free)(void *arg, const struct svm_memory_page *page);

	/**
	 * @copy_begin: copy @n pages, into the memory or out of it. @copies lives until this
	 * returns. Several may be under way.
	 * Context: process; sleeps. mmap_lock and folio locks are held: it allocates nothing that
	 * may be reclaimed for, and waits for no fault.
	 * Return: a token for @copy_wait.
	 */
	u64 (*copy_begin)(void *arg, const struct svm_copy *copies, u32 n, bool into);

	/**
	 * @copy_wait: wait until the copies of @token are done. The device makes no access for
	 * them afterwards, also where they failed.
	 * Context: as @copy_begin.
	 * Return: 0; -EIO: they failed, and nothing is known of what was copied.
	 */
	int (*copy_wait)(void *arg, u64 token);
};

/**
 * svm_memory_create() - let processes have pages in a device's memory
 * @dev: copies between it and system memory
 * @pages: of 4 KiB
 * @ops: the driver's functions
 * @arg: their argument
 * @out: the memory
 *
 * Context: process; sleeps.
 * Return: 0; -EOPNOTSUPP: the kernel has no device-private memory (CONFIG_DEVICE_PRIVATE); -EINVAL;
 * -ENOMEM; what the kernel said where it found no addresses for them.
 */
int svm_memory_create(struct device *dev, u64 pages, const struct svm_memory_ops *ops, void *arg,
		      struct svm_memory **out);

/**
 * svm_memory_destroy() - the device goes: all pages go home
 * @memory: no vm that has it is left
 *
 * Pages that cannot be copied any more are lost with the device: a process that touches one
 * gets SIGBUS, and its other memory stays. None of @memory's functions is called after this.
 * Context: process; sleeps; no lock is held.
 */
void svm_memory_destroy(struct svm_memory *memory);

/**
 * svm_memory_evict() - send pages home
 * @memory: the memory
 * @first: page number
 * @n: how many from there on; those that no process has are passed over
 *
 * A page that another thread is just moving, or looking at, stays.
 * Context: process; sleeps; no lock is held that is taken under mmap_lock or a folio lock.
 * Return: how many went; -ENOMEM: there is no system memory for them.
 */
long svm_memory_evict(struct svm_memory *memory, u64 first, u64 n);

/**
 * svm_memory_resident() - how much of a memory is in use
 * @memory: the memory
 * Context: any.
 * Return: how many of its pages processes have.
 */
u64 svm_memory_resident(const struct svm_memory *memory);

/**
 * svm_migrate() - move what a span of device addresses mirrors
 * @vm: the vm
 * @start: page-aligned
 * @end: page-aligned, greater than @start
 * @to: %SVM_VRAM: to &svm_vm_params.memory; %SVM_SYSTEM: home, out of it
 * @pages: out: how many pages of 4 KiB moved
 *
 * What can move moves, page by page. The rest stays where it is, and that is no error: memory
 * of files, huge pages of hugetlbfs, mappings of devices, pages that something has pinned, and what
 * finds no room. What is there already does not move. Other bindings than mirrors are passed over.
 * Leaves for the pages come by faults, or by svm_prefetch() afterwards.
 * Context: process; sleeps; killable; not under mmap_lock.
 * Return: 0; -EINVAL (alignment; a hole in the span; %SVM_VM_NO_FAULT); -EOPNOTSUPP
 * (%SVM_VRAM, and the vm has no memory of a device's); -EFAULT (the process's memory is gone);
 * -EPERM (the thread is of another process); -EINTR; -ENOMEM; what &svm_backend_ops.gone said.
 */
int svm_migrate(struct svm_vm *vm, u64 start, u64 end, enum svm_aperture to, u64 *pages);

/** enum svm_preferred - where the memory of a span is to be */
enum svm_preferred {
	SVM_PREFER_NONE = 0,	/**< @SVM_PREFER_NONE: wherever it is */
	SVM_PREFER_SYSTEM = 1,	/**< @SVM_PREFER_SYSTEM: in system memory: nothing is brought in */
	SVM_PREFER_DEVICE = 2,	/**< @SVM_PREFER_DEVICE: in &svm_vm_params.memory */
};

/** enum svm_on_fault - what a fault of the device does about that */
enum svm_on_fault {
	SVM_ON_FAULT_MOVE = 0,	/**< @SVM_ON_FAULT_MOVE: it moves the memory there */
	SVM_ON_FAULT_STAY = 1,	/**< @SVM_ON_FAULT_STAY: it maps the memory where it is */
};

/**
 * struct svm_advice - what is told of a span
 * @start: page-aligned
 * @end: page-aligned, greater than @start
 * @preferred: enum svm_preferred
 * @on_fault: enum svm_on_fault
 */
struct svm_advice {
	u64 start;
	u64 end;
	u32 preferred;
	u32 on_fault;
};

/**
 * svm_advise() - say where memory is to be
 * @vm: the vm
 * @ops: what is told, one after the other: of two that meet the later one counts
 * @count: of them
 *
 * All are done, or none. Each replaces what its span was told before. %SVM_PREFER_NONE with
 * %SVM_ON_FAULT_MOVE is no advice: it takes back what there is. Every other advice is for spans
 * that mirror the process in all of their length. It belongs to the device's addresses and stays
 * until it is replaced, or the span is bound to something else. Nothing moves by it at once:
 * svm_fault() and svm_migrate_advised() go by it.
 *
 * A fault under %SVM_PREFER_DEVICE and %SVM_ON_FAULT_MOVE first moves what the span has in the
 * table that faulted, then maps it. It never fails for what did not move, and moves nothing in a
 * table for 50 ms after a fault has moved something there.
 * Context: process; sleeps; killable; not under mmap_lock.
 * Return: 0; -EINVAL (alignment, an unknown place or manner, outside the device's address space;
 * something else than a mirror is bound in the span, or nothing; %SVM_VM_NO_FAULT); -EOPNOTSUPP
 * (%SVM_PREFER_DEVICE, and the vm has no memory of a device's); -ENOMEM; -EINTR.
 */
int svm_advise(struct svm_vm *vm, const struct svm_advice *ops, u32 count);

/**
 * svm_migrate_advised() - move what is told to be in the device's memory there
 * @vm: the vm
 * @start: page-aligned
 * @end: page-aligned, greater than @start
 * @pages: out: how many pages of 4 KiB moved
 *
 * Also where faults let it stay. Else as svm_migrate() with %SVM_VRAM.
 * Context: as svm_migrate().
 * Return: as svm_migrate(); 0 at once where nothing is told in the vm.
 */
int svm_migrate_advised(struct svm_vm *vm, u64 start, u64 end, u64 *pages);

/**
 * struct svm_span - a span that mirrors the process, and has the same advice in all of it
 * @start: device address
 * @end: likewise
 * @preferred: enum svm_preferred
 * @on_fault: enum svm_on_fault
 * @pages: how many pages of 4 KiB the device can reach now, without a fault
 * @device_pages: of them, those in the device's memory
 */
struct svm_span {
	u64 start;
	u64 end;
	u32 preferred;
	u32 on_fault;
	u64 pages;
	u64 device_pages;
};

/**
 * svm_spans() - list what mirrors, by its advice, and what of it is where
 * @vm: the vm
 * @from: device address: what lies below is left out
 * @out: the spans in ascending order
 * @count: room for so many
 *
 * The pages are counted in the device's page table. What changes meanwhile may show in part of the
 * list.
 * Context: process; sleeps; a caller that is killed counts no more.
 * Return: how many were listed; fewer than @count: there are no more.
 */
u32 svm_spans(struct svm_vm *vm, u64 from, struct svm_span *out, u32 count);

#ifdef __cplusplus
}
#endif

#endif
