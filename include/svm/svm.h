/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: svmirror for driver authors
 *
 * A driver makes an &struct svm_vm per device address space, points the device at
 * svm_vm_root(), binds the process's memory into it, and calls
 * svm_fault() for each page fault that the device reports. svmirror keeps
 * the device's page tables in step with the CPU's from then on.
 *
 * ::
 *
 *	struct svm_vm_params p = {
 *		.ops = &my_backend_ops, .backend = my, .format = svm_format_find("xe2"),
 *		.mm = current->mm, .dma_device = &pdev->dev,
 *	};
 *	err = svm_vm_create(&p, &vm);
 *	my_set_root(my, svm_vm_root(vm));
 *	err = svm_bind_all(vm);
 *	...
 *	err = svm_fault(vm, va, SVM_WRITE);	// in a worker, many at a time
 *	my_reply(my, err);
 *	...
 *	my_stop_context(my);
 *	svm_vm_destroy(vm);
 *
 * Locks that a driver must know: none is held while svmirror calls a backend
 * except as &struct svm_backend_ops says. svm_fault() takes mmap_lock.
 */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include <svm/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

struct svm_vm;
struct svm_object;
struct svm_memory;
struct svm_format;
struct mm_struct;
struct device;

/** enum svm_access - what the device wants of a page */
enum svm_access {
	SVM_READ = 0,		/**< @SVM_READ: read */
	SVM_WRITE = 1,		/**< @SVM_WRITE: write */
	SVM_ATOMIC = 2,		/**< @SVM_ATOMIC: read-modify-write at one stroke */
};

/** enum svm_vm_flags - what a vm is like */
enum svm_vm_flags {
	/**
	 * @SVM_VM_NO_FAULT: the device cannot fault. Whatever is bound is kept in the page table:
	 * when it is to leave, the device's jobs are stopped first (&svm_backend_ops.stop), and the
	 * driver then calls svm_restore()
	 */
	SVM_VM_NO_FAULT = 1 << 0,
	/**
	 * @SVM_VM_EXCLUSIVE_ATOMICS: the device's atomics in system memory are none for the CPU.
	 * So leaves of mirrors to system memory forbid them, but for those of pages that a fault
	 * for %SVM_ATOMIC has taken away from the CPU. A touch of the CPU's gets such a page
	 * back, and the leaf goes first. Objects are the driver's: their leaves allow atomics
	 * wherever they are. The format must have such leaves; not with @SVM_VM_NO_FAULT
	 */
	SVM_VM_EXCLUSIVE_ATOMICS = 1 << 1,
};

/**
 * struct svm_vm_params - how a vm is made
 * @ops: the device's functions; must outlive the vm
 * @backend: first argument of each of them
 * @format: of the device's page tables, by svm_format_find()
 * @mm: the address space that bindings of this vm mirror; a reference (mmgrab) is taken
 * @dma_device: the device that does the DMA
 * @memory: of the device, where pages of the process may be, see <svm/memory.h>; it must
 *	outlive the vm. NULL: there is none
 * @interval_lg2: log2 of the span of one interval notifier; 0: 29. From a table's span to the
 *	format's VA bits.
 * @granule_lg2: log2 of what one fault makes present around its page; 0: 16. From 12 to a
 *	table's span.
 * @flags: enum svm_vm_flags
 */
struct svm_vm_params {
	const struct svm_backend_ops *ops;
	void *backend;
	const struct svm_format *format;
	struct mm_struct *mm;
	struct device *dma_device;
	struct svm_memory *memory;
	u32 interval_lg2;
	u32 granule_lg2;
	u32 flags;
};

/**
 * struct svm_counters - see struct drm_svm_counters, field by field the same
 */
struct svm_counters {
	u64
#define SVM_COUNTER(name) name
#include <svm/counters.h>
#undef SVM_COUNTER
	;
};

/**
 * struct svm_format_info - a format's geometry
 * @name: as given to svm_format_find()
 * @va_bits: device addresses have so many bits
 * @table_lg2: log2 of the span of one last-level table, in bytes of device VA
 * @leaf_sizes: bit n: leaves of 2^n bytes are used
 * @null: its entries can say that reads give zero and writes vanish: SVM_BIND_NULL
 * @vram: its leaves can lead to the device's own memory
 * @denies_atomics: they can allow writes and forbid atomics
 */
struct svm_format_info {
	const char *name;
	u32 va_bits;
	u32 table_lg2;
	u64 leaf_sizes;
	bool null;
	bool vram;
	bool denies_atomics;
};

/**
 * svm_format_find() - a page-table format by name
 * @name: one of svm_format_names()
 *
 * Context: any.
 * Return: the format, or NULL, with which svm_vm_create() fails with -EINVAL.
 */
const struct svm_format *svm_format_find(const char *name);

/**
 * svm_format_names() - the formats that svmirror knows
 *
 * Context: any.
 * Return: their names with spaces between them, for a message about a name that is none of them.
 */
const char *svm_format_names(void);

/**
 * svm_format_describe() - geometry of a format
 * @format: the format
 * Context: any.
 * Return: constant data.
 */
const struct svm_format_info *svm_format_describe(const struct svm_format *format);

#define SVM_SAMPLE_TABLES	6

/**
 * struct svm_sample - page tables that map one page, and belong to no vm
 * @tables: the root first
 * @count: how many there are
 */
struct svm_sample {
	struct svm_table_mem tables[SVM_SAMPLE_TABLES];
	u32 count;
};

/**
 * svm_sample_make() - make page tables that map one page
 * @format: their format
 * @ops: table_alloc and table_free are called
 * @backend: for them
 * @va: the page's device address, which the format's va_bits can hold
 * @addr: the page's DMA address; it may be read and written
 * @sample: what was made
 *
 * A driver that is told by its device which format that walks can let it walk these, before
 * there is a vm, and so find out about a device that walks another one.
 * Context: process; sleeps. The driver orders what was written before its device is told.
 * Return: 0, or what table_alloc returned, and then there is nothing to free.
 */
int svm_sample_make(const struct svm_format *format, const struct svm_backend_ops *ops,
		    void *backend, u64 va, u64 addr, struct svm_sample *sample);

/**
 * svm_sample_free() - free what svm_sample_make() made
 * @ops: as there
 * @backend: as there
 * @sample: the device has forgotten it
 *
 * Context: process; sleeps.
 */
void svm_sample_free(const struct svm_backend_ops *ops, void *backend,
		     struct svm_sample *sample);

/**
 * svm_vm_create() - make a device address space
 * @params: how
 * @out: the vm
 *
 * Context: process; sleeps.
 * Return: 0, -EINVAL (sizes, flags; no ops, format or mm; SVM_VM_NO_FAULT without stop and
 * resume; SVM_VM_EXCLUSIVE_ATOMICS, and the format cannot forbid atomics; memory of a device's, and
 * the format has no %SVM_VRAM), -ENOMEM.
 */
int svm_vm_create(const struct svm_vm_params *params, struct svm_vm **out);

/**
 * svm_vm_destroy() - end it: unbind everything and free all tables
 * @vm: the vm
 *
 * The device must not use the root any more, and must have forgotten every pointer that it
 * found by it (a TLB invalidation of the whole context): directories are freed without a
 * flush. No call on @vm may be under way or follow.
 * Context: process; sleeps; not under mmap_lock.
 */
void svm_vm_destroy(struct svm_vm *vm);

/**
 * svm_vm_root() - the root table
 * @vm: the vm
 * Context: any.
 * Return: valid for the vm's life.
 */
const struct svm_table_mem *svm_vm_root(const struct svm_vm *vm);

/**
 * svm_vm_mm() - the address space that it mirrors
 * @vm: the vm
 * Context: any. To be compared only (is it current->mm?).
 * Return: as given in &struct svm_vm_params.
 */
struct mm_struct *svm_vm_mm(const struct svm_vm *vm);

/** enum svm_bind_kind - what device addresses lead to */
enum svm_bind_kind {
	SVM_BIND_NOTHING = 0,	/**< @SVM_BIND_NOTHING: a hole: the device's access fails */
	SVM_BIND_MIRROR = 1,	/**< @SVM_BIND_MIRROR: the process's memory, at an offset */
	SVM_BIND_NULL = 2,	/**< @SVM_BIND_NULL: reads give zero, writes vanish */
	SVM_BIND_OBJECT = 3,	/**< @SVM_BIND_OBJECT: memory of the driver's, see svm/object.h */
};

/** enum svm_bind_flags - of an object's binding */
enum svm_bind_flags {
	/** @SVM_BIND_READ_ONLY: a write fails with -EPERM, as in the process's read-only memory */
	SVM_BIND_READ_ONLY = 1 << 0,
	/** @SVM_BIND_ON_DEMAND: the device faults for it; else it need not */
	SVM_BIND_ON_DEMAND = 1 << 1,
	/** @SVM_BIND_NONCOHERENT: the device does not snoop the CPU's caches for it */
	SVM_BIND_NONCOHERENT = 1 << 2,
	/** @SVM_BIND_UNCACHED: the device does not cache it; not with @SVM_BIND_NONCOHERENT */
	SVM_BIND_UNCACHED = 1 << 3,
};

/**
 * struct svm_bind_op - what a span of device addresses is to lead to
 * @start: page-aligned
 * @end: page-aligned, greater than @start
 * @offset: of a mirror: device minus CPU address; of an object: its byte that @start leads
 *	to. Both page-aligned; else 0
 * @kind: enum svm_bind_kind
 * @flags: enum svm_bind_flags of an object; else 0
 * @object: which; else NULL. svm_bind_many(): the caller has a reference. svm_bindings():
 *	to be compared only
 */
struct svm_bind_op {
	u64 start;
	u64 end;
	s64 offset;
	u32 kind;
	u32 flags;
	struct svm_object *object;
};

/**
 * svm_bind_many() - change what device addresses lead to
 * @vm: the vm
 * @ops: the changes; no two spans meet
 * @count: of them
 *
 * The operations are done all together, or none is. A span replaces what was bound in
 * it, be it a part of something larger. An access of the device goes by the old binding
 * or by the new one; a fault that comes meanwhile waits. On return the device reaches
 * nothing by what was replaced, and a notifier that serves no span any more is gone. Of
 * what mirrors, nothing is mapped by it: the device faults, or svm_prefetch() is called.
 * Objects are mapped on return, where they have a place and are not bound on demand;
 * what found no memory for its tables comes by a fault.
 *
 * A mirror whose offset is a multiple of a table's span gets leaves of that size where
 * the process has such pages; by another offset it gets small ones. An object gets as
 * large ones as its memory allows. Objects that nothing leads to any more are given back
 * before this returns, under no lock of svmirror's.
 * Context: process; sleeps; killable until it has begun; not under mmap_lock. Where
 * something is replaced it waits for faults under way in the vm.
 *
 * In a vm with SVM_VM_NO_FAULT the jobs are stopped before anything changes, also where the bind
 * fails with -ENOMEM or -EINTR, and svm_restore() is to follow.
 * Return: 0; -EINVAL (alignment, an unknown kind or flag, spans that meet, outside the
 * device's or the user's address space or the object; on demand in a vm with
 * SVM_VM_NO_FAULT); -EFAULT (in such a vm: the process has nothing that can be read in all of a
 * mirror's span); -EOPNOTSUPP (the format has no null entries); -ENOMEM; -EINTR.
 */
int svm_bind_many(struct svm_vm *vm, const struct svm_bind_op *ops, u32 count);

/**
 * svm_bind() - make device addresses [@start, @end) mirror [@start - @offset, @end - @offset)
 * @vm: the vm
 * @start: see &struct svm_bind_op
 * @end: likewise
 * @offset: likewise
 *
 * Context: as svm_bind_many().
 * Return: as svm_bind_many().
 */
int svm_bind(struct svm_vm *vm, u64 start, u64 end, s64 offset);

/**
 * svm_bind_all() - mirror the whole user address space at the same addresses
 * @vm: the vm
 *
 * As far as the device's addresses reach.
 * Context: as svm_bind_many().
 * Return: as svm_bind_many().
 */
int svm_bind_all(struct svm_vm *vm);

/**
 * svm_unbind() - leave a hole
 * @vm: the vm
 * @start: see &struct svm_bind_op
 * @end: likewise; it is no error if nothing is bound in the span
 *
 * Context: as svm_bind_many().
 * Return: as svm_bind_many().
 */
int svm_unbind(struct svm_vm *vm, u64 start, u64 end);

/**
 * svm_bindings() - list what device addresses lead to
 * @vm: the vm
 * @from: device address; the span that holds it or the next one comes first
 * @out: the spans in ascending order; neighbours that lead on alike are one
 * @count: room for so many
 *
 * What is bound meanwhile may show in part of the list.
 * Context: process; sleeps.
 * Return: how many were listed; fewer than @count: there are no more.
 */
u32 svm_bindings(struct svm_vm *vm, u64 from, struct svm_bind_op *out, u32 count);

/**
 * struct svm_session - a kernel thread that works for the process of a vm
 * @opaque: svmirror's
 */
struct svm_session {
	void *opaque[72];
};

/**
 * svm_session_begin() - this thread serves faults of @vm's process from now on
 * @vm: the vm; lives until svm_session_end()
 * @session: begun
 *
 * A fault of the device has to come out as the CPU's own would: with the process's page
 * tables loaded, charged to its memory cgroup, on the nodes of its cpuset and by its NUMA
 * policy (those of its main thread). svm_fault() and svm_prefetch() see to it by
 * themselves. A worker that serves several faults in a row saves most of the cost by a
 * session around them, and it can be told by svm_session_cancel() that nobody waits for its
 * fault any more. Sessions do not nest; in a thread of the process itself one changes nothing.
 *
 * The process's memory stays as long as a session lasts. A wait in one (for a
 * userfaultfd's manager, for a file's server) ends within about 0.1 s of the death of
 * the process.
 * Context: process; sleeps. A kernel thread, or a thread of the process.
 * Return: 0; -EFAULT: the process's memory is gone; -EPERM: the thread is of another process.
 */
int svm_session_begin(struct svm_vm *vm, struct svm_session *session);

/**
 * svm_session_end() - the thread is its own again
 * @session: begun by the same thread
 *
 * Context: process; never sleeps.
 */
void svm_session_end(struct svm_session *session);

/**
 * svm_session_cancel() - nobody waits for what the session's thread is serving
 * @session: of another thread; begun, and not ended before this returns
 *
 * svm_fault() that is under way in the session, and each that follows in it, ends with -EINTR.
 * Nothing happens where the session is that of a thread of the process.
 * Context: any but interrupts; never sleeps.
 */
void svm_session_cancel(struct svm_session *session);

/**
 * svm_fault() - serve a page fault of the device
 * @vm: the vm
 * @va: device address
 * @access: what the device wants
 *
 * May be called for any number of addresses at a time; faults in different tables do not
 * wait for each other, but for the first ones of an interval, which is made under a lock
 * of the vm, and for a bind that replaces what is bound at @va. A fault that the table
 * allows already takes no lock.
 * Context: process; a kernel thread, best in a session (svm_session_begin()), or a
 * thread of the process; sleeps; not under mmap_lock, which it takes for reading, and
 * the first time in an mm for writing. Not in a section of dma-fence signalling.
 * Return: 0: the device may try again. -EFAULT: nothing there that can be read, or that
 * a device may reach, or core mm could not bring it. -EPERM: can be read, but not
 * written; or the thread is of another process. -EAGAIN: the CPU's side kept moving, or
 * the object has no place; the device may try again. -EIO: the device cannot address the
 * page without bouncing, or is not cache-coherent; or the object is in memory of the
 * device's, and the format knows none. -EOPNOTSUPP (%SVM_ATOMIC in a vm with
 * SVM_VM_EXCLUSIVE_ATOMICS): memory that is shared or of hugetlbfs, before 6.15 a huge page
 * that the CPU maps in pieces or that is pinned; or the kernel cannot take pages away from the CPU
 * (CONFIG_DEVICE_PRIVATE). -ENOMEM: there was no memory just now (the CPU's own fault would
 * try again); also where the DMA API refuses the page. -EINTR: killed, the session was
 * cancelled, or the device goes. In a vm with SVM_VM_NO_FAULT nothing is
 * served: -EPERM or -EFAULT, without waiting, says why the access failed.
 */
int svm_fault(struct svm_vm *vm, u64 va, enum svm_access access);

/**
 * svm_prefetch() - make present what can be in [@start, @end)
 * @vm: the vm
 * @start: page-aligned
 * @end: page-aligned; something is bound in all of the span
 * @access: SVM_READ or SVM_WRITE
 * @pages: out: pages of 4 KiB of the span that the device can reach now
 *
 * Context: process; sleeps; killable; not under mmap_lock. Tables are filled in parallel.
 * Return: 0; -EINVAL (alignment, a hole in the span, a vm with SVM_VM_NO_FAULT, which has
 * all that there is); -EFAULT (the process's memory is
 * gone); -EPERM (the thread is of another process); -EINTR; -ENOMEM; what
 * &svm_backend_ops.gone said.
 */
int svm_prefetch(struct svm_vm *vm, u64 start, u64 end, enum svm_access access, u64 *pages);

/**
 * svm_map_present() - map what is present in [@start, @end)
 * @vm: the vm
 * @start: page-aligned
 * @end: page-aligned; something is bound in all of the span
 * @pages: out: pages of 4 KiB of the span that the device can reach now
 *
 * Nothing is brought: what the CPU's page table does not have stays away, and so does what is in
 * another device's memory. Of an object it maps all, if it has a place.
 * Context: as svm_prefetch().
 * Return: as svm_prefetch().
 */
int svm_map_present(struct svm_vm *vm, u64 start, u64 end, u64 *pages);

/**
 * svm_restore() - make a vm with SVM_VM_NO_FAULT whole again, and let its jobs go on
 * @vm: the vm; one call at a time
 * @ops: what was just bound and must be there, or NULL
 * @count: of them
 *
 * Brings in what is bound and was taken since the jobs were stopped: for writing where the
 * process may write, else for reading. What the process does not have any more is left out, and
 * so is what a userfaultfd's manager would have to bring. Where the vm is whole it does nothing.
 * Where something is taken meanwhile it begins again with mmap_lock held, and puts off what
 * would take more, for 250 ms at most: such calls sleep, and so does who wants mmap_lock for
 * writing.
 * Context: process; sleeps; killable; in a session or a thread of the process; not under
 * mmap_lock.
 * Return: 0: the jobs run. -EFAULT: they run, and something of the mirrors in @ops is not
 * there. -EAGAIN: something was taken meanwhile, or an object has no place: call again. -ENOMEM:
 * call again later. -EFAULT (of a call without @ops): the process's memory is gone. -EPERM,
 * -EINTR; what &svm_backend_ops.gone said. -EINVAL: another kind of vm.
 */
int svm_restore(struct svm_vm *vm, const struct svm_bind_op *ops, u32 count);

/**
 * svm_vm_counters() - what it did
 * @vm: the vm
 * @out: a sum that may miss what runs at the same time
 * Context: any.
 */
void svm_vm_counters(const struct svm_vm *vm, struct svm_counters *out);

#ifdef __cplusplus
}
#endif

#endif
