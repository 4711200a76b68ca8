/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/**
 * DOC: Shared virtual memory ioctls
 *
 * The ioctls of svmirror, the same on the render node of every driver that uses
 * it. A *vm* is one device address space; it belongs to the process that made
 * it. Its addresses are bound, page by page where wanted, to that process's memory (at
 * the same addresses or at an offset), to objects of the driver's, or to null. Of the
 * process's memory nothing is mapped or pinned by it: the device faults pages in as it
 * touches them, and what the CPU unmaps leaves the device before the CPU's call returns.
 *
 * Rules for all of them: unknown flags and non-zero padding are -EINVAL; ids
 * that do not exist are -ENOENT; a vm used from another process than its maker
 * (a child after fork too, and after exec) is -EPERM; spans are page-aligned,
 * not empty and do not wrap, else -EINVAL. What is said to be out is ignored on
 * input, so that what one call filled in can be passed to the next. A removed device is
 * -ENODEV; one that is wedged refuses with -EIO what would need it (to make vms
 * and queues, bind, prefetch, submit), while taking down and asking go on. A lack
 * of memory is -ENOMEM, a fatal signal -EINTR. What a kernel can do shows in
 * &drm_svm_device_info.capabilities. Reserved fields are room for later versions, for
 * a chain of extensions among others; no extension exists, so they are padding.
 */
#ifndef _UAPI_SVM_DRM_H_
#define _UAPI_SVM_DRM_H_

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include <drm.h> /* libdrm's: pkg-config --cflags libdrm leads into its folder */
#endif

#if defined(__cplusplus)
extern "C" {
#endif

/* The last sixteen numbers that DRM has for drivers, 0x50 to 0x5f, are svmirror's in each. */
#define DRM_SVM_VM_CREATE	0x50
#define DRM_SVM_VM_DESTROY	0x51
#define DRM_SVM_BIND		0x52
#define DRM_SVM_PREFETCH	0x53
#define DRM_SVM_QUERY		0x54
#define DRM_SVM_ADVISE		0x55

#define DRM_IOCTL_SVM_VM_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVM_VM_CREATE, struct drm_svm_vm_create)
#define DRM_IOCTL_SVM_VM_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVM_VM_DESTROY, struct drm_svm_vm_destroy)
#define DRM_IOCTL_SVM_BIND       DRM_IOW(DRM_COMMAND_BASE + DRM_SVM_BIND, struct drm_svm_bind)
#define DRM_IOCTL_SVM_PREFETCH \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVM_PREFETCH, struct drm_svm_prefetch)
#define DRM_IOCTL_SVM_QUERY      DRM_IOWR(DRM_COMMAND_BASE + DRM_SVM_QUERY, struct drm_svm_query)
#define DRM_IOCTL_SVM_ADVISE     DRM_IOW(DRM_COMMAND_BASE + DRM_SVM_ADVISE, struct drm_svm_advise)

/*
 * The vm is one for jobs that cannot wait for a fault. What is bound is there when the bind
 * returns, for writing where the process may write, and is kept there: where it changes the jobs
 * are stopped until it is there again. An access that still fails is its job's error: -EPERM where
 * the page can be read, else -EFAULT. Where the device has no such vms: -EOPNOTSUPP
 * (&drm_svm_device_info.capabilities).
 */
#define DRM_SVM_VM_NO_FAULT	(1 << 0)

/**
 * struct drm_svm_vm_create - make a device address space
 * @flags: DRM_SVM_VM_NO_FAULT, or 0
 * @vm_id: out: its id, never 0
 * @interval_lg2: log2 of the bytes that one MMU interval notifier covers, from
 *	a table's span (&drm_svm_device_info.table_lg2) to the address space;
 *	0: 29 (512 MiB)
 * @granule_lg2: log2 of the bytes that one fault makes present around the page
 *	that it hit, 12 (that page alone) to a table's span; 0: 16 (64 KiB).
 *	What is present already in the same table is mapped too, whatever this is.
 * @reserved: 0
 *
 * Sizes out of range: -EINVAL. The process or its user has its share of the device's
 * contexts: -ENOSPC. All processes of a user together may hold as many as they leave free,
 * and a process may hold as many as it leaves to its user, whatever the number of its files:
 * of a device that is free otherwise a half and a quarter, and at least one. A vm counts
 * until all that it held has been given back.
 */
struct drm_svm_vm_create {
	__u32 flags;
	__u32 vm_id;
	__u32 interval_lg2;
	__u32 granule_lg2;
	__u64 reserved[2];
};

/**
 * struct drm_svm_vm_destroy - end a device address space
 * @vm_id: the vm; its queues must be gone: -EBUSY
 * @pad: 0
 */
struct drm_svm_vm_destroy {
	__u32 vm_id;
	__u32 pad;
};

#define DRM_SVM_BIND_NOTHING	0 /* a hole: the device's access fails with -EFAULT */
#define DRM_SVM_BIND_MIRROR	1 /* the process's memory */
/*
 * Reads give zero and writes vanish. Of any size it costs no memory for its pages. Where the
 * device's page tables cannot say so: -EOPNOTSUPP (&drm_svm_device_info.capabilities).
 */
#define DRM_SVM_BIND_NULL	2
#define DRM_SVM_BIND_OBJECT	3 /* a GEM object of the device: see &drm_svm_bind_op.handle */

/* Flags of DRM_SVM_BIND_OBJECT. */
#define DRM_SVM_BIND_READ_ONLY	(1 << 0) /* the device's write fails with -EPERM */
/* The device faults for the object; else it is mapped on return, and again where it has moved. */
#define DRM_SVM_BIND_ON_DEMAND	(1 << 1)
#define DRM_SVM_BIND_NONCOHERENT (1 << 2) /* the device does not snoop the CPU's caches for it */
#define DRM_SVM_BIND_UNCACHED	(1 << 3) /* the device does not cache it; not with NONCOHERENT */

/* Bytes of the first version of struct drm_svm_bind_op. */
#define DRM_SVM_BIND_OP_SIZE_1	40

/**
 * struct drm_svm_bind_op - what a span of device addresses is to lead to
 * @start: first device address
 * @length: bytes. start 0 and length 0 together: all device addresses; of a mirror as
 *	far as the user's address space reaches, and then offset is 0
 * @offset: of a mirror: device address minus CPU address, page-aligned, else -EINVAL (two's
 *	complement: it may be negative). By one that is a multiple of a table's span
 *	(&drm_svm_device_info.table_lg2) huge pages become large leaves. Of an object: its byte
 *	that @start leads to, page-aligned. Of other kinds 0
 * @kind: DRM_SVM_BIND_NOTHING, _MIRROR, _NULL or _OBJECT, else -EINVAL
 * @flags: of an object DRM_SVM_BIND_READ_ONLY and those behind it; else 0
 * @handle: of an object: its GEM handle in this file, else -ENOENT; of other kinds 0. The object
 *	stays as long as something leads to it, also when the handle is closed.
 *	DRM_SVM_QUERY_BINDINGS says a handle that it has, or 0 where it has none any more
 * @pad: 0
 *
 * The span must lie in the device's address space, the CPU side of a mirror in the
 * user's, and that of an object in the object: -EINVAL.
 */
struct drm_svm_bind_op {
	__u64 start;
	__u64 length;
	__s64 offset;
	__u32 kind;
	__u32 flags;
	__u32 handle;
	__u32 pad;
};

#define DRM_SVM_BIND_MAX	4096

#define DRM_SVM_BIND_ASYNC	(1 << 0)
#define DRM_SVM_BIND_IN_MAX	64

/**
 * struct drm_svm_bind - change what device addresses lead to
 * @vm_id: the vm
 * @flags: DRM_SVM_BIND_ASYNC: take the bind in and return. It is done when all of @in_syncobjs have
 *	signalled and the asynchronous binds of this vm that came before it have been done; one
 *	that is synchronous does not wait for it. 256 of a vm wait: -EBUSY
 * @count: operations, at most DRM_SVM_BIND_MAX, else -E2BIG
 * @stride: bytes from one operation to the next, which should be the size of the caller's struct:
 *	what a kernel does not know of it must be 0, else -E2BIG. From DRM_SVM_BIND_OP_SIZE_1 to
 *	4096, a multiple of 8, else -EINVAL
 * @ops: address of struct drm_svm_bind_op[]
 * @in_syncobjs: of an asynchronous bind: address of u32 handles, as of
 *	&drm_svgpu_submit.in_syncobjs; no such: -ENOENT
 * @in_count: of them, at most DRM_SVM_BIND_IN_MAX, else -EINVAL; of a synchronous bind 0
 * @out_syncobj: of an asynchronous bind: handle of a syncobj that loses its fence now, and gets a
 *	signalled one when the bind was done or failed, with its error: what a synchronous one
 *	returns, the error of an in-syncobj's fence, or -ECANCELED if the vm ended first. 0: none
 *
 * The operations are done all together, or none is. Two that meet are -EINVAL. An operation
 * replaces what was bound in its span, be it a part of something larger; a hole over a hole is no
 * error. While jobs run, each of the device's accesses goes by what was bound before or
 * by what is bound then. On return (asynchronous: when it has been done) none goes by the former.
 * -ENOMEM and -EINTR: nothing was done.
 *
 * In a vm with DRM_SVM_VM_NO_FAULT objects are not bound on demand (-EINVAL), the mirrors of a
 * call together are at most as large as the machine's memory (-ENOMEM), and all of a mirror's span
 * is memory that the process can read (-EFAULT): else nothing was done. What is bound is brought
 * in before the call returns, while the jobs are stopped. If that fails the bindings stand:
 * -EFAULT: a part of the memory cannot be had, or not without a userfaultfd's manager, and the
 * jobs go on without it; -ENOMEM, -EINTR, -EBUSY (the memory kept changing): they go on as soon as
 * it could be brought.
 */
struct drm_svm_bind {
	__u32 vm_id;
	__u32 flags;
	__u32 count;
	__u32 stride;
	__u64 ops;
	__u64 in_syncobjs;
	__u32 in_count;
	__u32 out_syncobj;
};

#define DRM_SVM_PREFETCH_WRITE		(1 << 0)
#define DRM_SVM_PREFETCH_TO_DEVICE	(1 << 1)
#define DRM_SVM_PREFETCH_TO_SYSTEM	(1 << 2)

/**
 * struct drm_svm_prefetch - make a span present before the device asks
 * @vm_id: the vm
 * @flags: DRM_SVM_PREFETCH_WRITE: ready for writing. DRM_SVM_PREFETCH_TO_DEVICE: what can move
 *	moves to the device's memory first, -EOPNOTSUPP where there is none
 *	(&drm_svm_device_info.capabilities); DRM_SVM_PREFETCH_TO_SYSTEM: out of it. Not both. With
 *	neither, what DRM_SVM_ADVISE told to be in the device's memory moves there, and the rest
 *	stays where it is
 * @start: first device address
 * @length: bytes; a span with a hole in it is -EINVAL
 * @pages: out: how many pages of 4 KiB of the span the device can reach now;
 *	where the process has no memory, or a guard page, is left out and is no error
 * @moved: out: how many pages of 4 KiB moved; in: 0
 *
 * Memory of files, huge pages of hugetlbfs and what is pinned does not move, and neither does
 * what finds no room: it stays in system memory, where the device reaches it too. A page
 * that the CPU touches comes back by itself.
 *
 * Tables are filled in parallel. A fatal signal ends it early: -EINTR. In a vm with
 * DRM_SVM_VM_NO_FAULT there is nothing to prefetch: -EINVAL.
 */
struct drm_svm_prefetch {
	__u32 vm_id;
	__u32 flags;
	__u64 start;
	__u64 length;
	__u64 pages;
	__u64 moved;
};

#define DRM_SVM_PREFER_NONE	0 /* wherever the memory is */
#define DRM_SVM_PREFER_SYSTEM	1 /* system memory: nothing is brought into the device's */
#define DRM_SVM_PREFER_DEVICE	2 /* the device's own memory */

#define DRM_SVM_ON_FAULT_MOVE	0 /* the device's fault moves the memory to where it is preferred */
#define DRM_SVM_ON_FAULT_STAY	1 /* and maps it where it is; a prefetch moves it */

/* Bytes of the first version of struct drm_svm_advise_op. */
#define DRM_SVM_ADVISE_OP_SIZE_1	32

/**
 * struct drm_svm_advise_op - all that is told of a span of device addresses
 * @start: first device address
 * @length: bytes. start 0 and length 0 together, with @preferred and @on_fault 0: takes back all
 *	advice of the vm
 * @preferred: where the memory is to be: DRM_SVM_PREFER_NONE, _SYSTEM or _DEVICE, else -EINVAL.
 *	_DEVICE where the device has no such memory: -EOPNOTSUPP
 *	(&drm_svm_device_info.capabilities)
 * @on_fault: DRM_SVM_ON_FAULT_MOVE or _STAY, else -EINVAL
 * @flags: 0
 * @pad: 0
 *
 * It replaces what the span was told before, be it a part of something larger. With @preferred and
 * @on_fault 0 the span has no advice any more, whatever is bound there. All else is told of
 * mirrors only: something else in the span, or a hole, is -EINVAL. The span must lie in the
 * device's address space: -EINVAL.
 */
struct drm_svm_advise_op {
	__u64 start;
	__u64 length;
	__u32 preferred;
	__u32 on_fault;
	__u32 flags;
	__u32 pad;
};

#define DRM_SVM_ADVISE_MAX	4096

/**
 * struct drm_svm_advise - say where memory is to be
 * @vm_id: the vm
 * @flags: 0
 * @count: operations, at most DRM_SVM_ADVISE_MAX, else -E2BIG
 * @stride: as &drm_svm_bind.stride, from DRM_SVM_ADVISE_OP_SIZE_1 on
 * @ops: address of struct drm_svm_advise_op[]
 * @reserved: 0
 *
 * The operations are done all together, or none is; of two that meet the later one counts. Nothing
 * moves at once. Where the device's memory is preferred, a fault of the device moves what the span
 * has in the same table (&drm_svm_device_info.table_lg2), also memory that was never touched, and
 * then maps it; a prefetch without a direction moves what is in its span. What cannot move is
 * mapped where it is: no fault fails by it. A fault moves nothing in a table for 50 ms after the
 * last move there by a fault. What the CPU has taken back meanwhile stays in system memory until
 * the device faults for it again.
 *
 * Advice belongs to device addresses. It stays until it is replaced or taken back, the span is
 * bound to something else, or the vm ends; not so with the process's mappings: what is mapped later
 * at the same addresses has the same advice.
 *
 * In a vm with DRM_SVM_VM_NO_FAULT: -EINVAL.
 */
struct drm_svm_advise {
	__u32 vm_id;
	__u32 flags;
	__u32 count;
	__u32 stride;
	__u64 ops;
	__u64 reserved;
};

#define DRM_SVM_QUERY_DEVICE	0	/* struct drm_svm_device_info */
#define DRM_SVM_QUERY_COUNTERS	1	/* struct drm_svm_counters, of vm_id */
/* struct drm_svm_fault_record[], of vm_id, oldest first; they are taken out */
#define DRM_SVM_QUERY_FAULT_LOG	2
/*
 * struct drm_svm_bind_op[], of vm_id, in ascending order: what is bound now. Neighbours that
 * lead on alike are one. What is bound meanwhile may show in part of the list.
 */
#define DRM_SVM_QUERY_BINDINGS	3
/* struct drm_svm_span[], of vm_id, in ascending order: what mirrors, and where it is now. */
#define DRM_SVM_QUERY_SPANS	4

/**
 * struct drm_svm_query - ask
 * @vm_id: the vm; 0 for DRM_SVM_QUERY_DEVICE
 * @query: DRM_SVM_QUERY_*
 * @size: in: bytes at @data; out: bytes written (at @size 0: bytes that the answer has now).
 *	A shorter buffer gets the front of a struct, or as many whole records as fit.
 * @data: where to
 * @stride: of an array: bytes from one record to the next, which should be the size of the
 *	caller's struct: a kernel that knows less fills up with 0, one that knows more writes the
 *	front. A multiple of 8, from the size of the first version of the struct
 *	(DRM_SVM_FAULT_RECORD_SIZE_1, DRM_SVM_BIND_OP_SIZE_1, DRM_SVM_SPAN_SIZE_1) to 4096, else
 *	-EINVAL; 0: that size. For the other queries 0.
 * @reserved: 0
 */
struct drm_svm_query {
	__u32 vm_id;
	__u32 query;
	__u64 size;
	__u64 data;
	__u32 stride;
	__u32 reserved;
};

#define DRM_SVM_CAPABILITY_MIRROR	(1ull << 0) /* DRM_SVM_BIND_MIRROR */
#define DRM_SVM_CAPABILITY_NULL		(1ull << 1) /* DRM_SVM_BIND_NULL */
#define DRM_SVM_CAPABILITY_OBJECT	(1ull << 2) /* DRM_SVM_BIND_OBJECT */
#define DRM_SVM_CAPABILITY_NO_FAULT	(1ull << 3) /* DRM_SVM_VM_NO_FAULT */
#define DRM_SVM_CAPABILITY_MIGRATE	(1ull << 4) /* DRM_SVM_PREFETCH_TO_DEVICE */
/* DRM_SVM_ADVISE, DRM_SVM_QUERY_SPANS; DRM_SVM_PREFER_DEVICE needs the one above as well */
#define DRM_SVM_CAPABILITY_ADVISE	(1ull << 5)

/**
 * struct drm_svm_device_info - what the device's address spaces are like
 * @capabilities: DRM_SVM_CAPABILITY_*
 * @va_bits: device addresses have so many bits
 * @table_lg2: log2 of the span of one last-level table
 * @leaf_sizes: bit n set: leaves of 2^n bytes are used
 * @format: name of the page-table format, NUL-padded
 */
struct drm_svm_device_info {
	__u64 capabilities;
	__u32 va_bits;
	__u32 table_lg2;
	__u64 leaf_sizes;
	char format[16];
};

/**
 * struct drm_svm_counters - what a vm did since it was made
 * @faults: faults taken in, duplicates among them
 * @duplicates: faults that the table allowed already
 * @retries: times that a fault went again because the CPU's side had moved
 * @failed: faults that ended with an error, also with one for which they are tried again
 * @ptes_written: last-level entries made valid
 * @huge_leaves: leaves above the last level made valid
 * @invalidations: notifier callbacks
 * @ptes_zapped: last-level entries made invalid
 * @huge_zapped: leaves above the last level made invalid
 * @flushes: TLB invalidations sent to the device
 * @dirtied: pages marked dirty because the device could write them
 * @tables: tables that exist now (a gauge)
 * @tables_made: tables made
 * @tables_freed: tables freed
 * @directories: directories that exist now (a gauge)
 * @intervals: interval notifiers that exist now (a gauge)
 * @prefetched: pages of 4 KiB that the device could reach when a prefetch of them ended
 * @host_bytes: bytes of kernel memory held now for tables, directories and intervals (a gauge);
 *	the notifiers themselves and the maps of bindings, advice and intervals come on top
 * @device_bytes: bytes of device-visible page tables held now (a gauge)
 * @present: pages of 4 KiB that the device can reach now (a gauge)
 * @stops: times that jobs were stopped, in a vm with DRM_SVM_VM_NO_FAULT
 * @moved_in: pages of 4 KiB that a prefetch or a fault moved into the device's memory
 * @moved_home: pages of 4 KiB that a prefetch moved out of it
 */
struct drm_svm_counters {
	__u64 faults;
	__u64 duplicates;
	__u64 retries;
	__u64 failed;
	__u64 ptes_written;
	__u64 huge_leaves;
	__u64 invalidations;
	__u64 ptes_zapped;
	__u64 huge_zapped;
	__u64 flushes;
	__u64 dirtied;
	__u64 tables;
	__u64 tables_made;
	__u64 tables_freed;
	__u64 directories;
	__u64 intervals;
	__u64 prefetched;
	__u64 host_bytes;
	__u64 device_bytes;
	__u64 present;
	__u64 stops;
	__u64 moved_in;
	__u64 moved_home;
};

/* Bytes of the first version of struct drm_svm_span. */
#define DRM_SVM_SPAN_SIZE_1	40

/**
 * struct drm_svm_span - a span that mirrors the process, with the same advice in all of it
 * @start: first device address
 * @length: bytes
 * @preferred: DRM_SVM_PREFER_*
 * @on_fault: DRM_SVM_ON_FAULT_*
 * @pages: pages of 4 KiB that the device can reach now, without a fault
 * @device_pages: of them, those in the device's memory
 *
 * Spans without advice are listed too. The pages are counted in the device's page table, span by
 * span: what changes meanwhile may show in part of the list. A page that is not in that table, as
 * before the device's first access, does not count, wherever it is.
 */
struct drm_svm_span {
	__u64 start;
	__u64 length;
	__u32 preferred;
	__u32 on_fault;
	__u64 pages;
	__u64 device_pages;
};

#define DRM_SVM_ACCESS_READ	0
#define DRM_SVM_ACCESS_WRITE	1
#define DRM_SVM_ACCESS_ATOMIC	2

/* Bytes of the first version of struct drm_svm_fault_record. */
#define DRM_SVM_FAULT_RECORD_SIZE_1	32

/**
 * struct drm_svm_fault_record - a fault that could not be served
 * @va: device address
 * @time_ns: CLOCK_MONOTONIC
 * @queue_id: the queue whose job it ended; 0: none, the report made no sense (-EINVAL)
 * @access: DRM_SVM_ACCESS_*
 * @error: negative errno: -EFAULT nothing there that can be read, -EPERM not to be written, -EIO
 *	the device met a bus error or is gone, -ENOMEM, -EBUSY the CPU's side kept moving, …
 * @lost: records dropped before this one because the log was full
 */
struct drm_svm_fault_record {
	__u64 va;
	__u64 time_ns;
	__u32 queue_id;
	__u32 access;
	__s32 error;
	__u32 lost;
};

#if defined(__cplusplus)
}
#endif

#endif
