/* SPDX-License-Identifier: MIT */
/**
 * DOC: libsvmirror, the C interface
 *
 * A thin, stateless layer above the ioctls: everything is named by the file
 * descriptor of a render node and the ids that the kernel gave out. Functions
 * return 0 or a negative errno and never set errno as their result; structs of
 * the uAPI are used as they are. Any function may be called from any thread. After
 * the device was removed each of them says -ENODEV.
 *
 * ::
 *
 *	int fd;
 *	__u32 vm, queue;
 *	struct drm_svgpu_job_result result;
 *	struct svmirror_job job = { .kernel = SVMIRROR_SUM };
 *
 *	svmirror_open(NULL, &fd);
 *	svmirror_vm_create(fd, NULL, &vm);
 *	svmirror_bind_all(fd, vm);
 *	svmirror_queue_create(fd, vm, &queue);
 *	job.queue = queue;
 *	job.args[0] = (uintptr_t)numbers;	// any pointer of this process
 *	job.args[1] = count;
 *	job.args[2] = (uintptr_t)&sum;
 *	svmirror_run(fd, &job, 1000000000, &result);
 *
 * Memory that a running job uses must stay as long as the job runs; what is
 * unmapped earlier makes the job fail with -EFAULT, and nothing else.
 */
#ifndef SVMIRROR_H
#define SVMIRROR_H

#include <stddef.h>
#include <stdint.h>

#include <drm/svgpu_drm.h>
#include <drm/svm_drm.h>

#include <svmirror_kernels.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library exports these functions and no others. */
#pragma GCC visibility push(default)

/** SVMIRROR_DRIVER - name by which the render node is found */
#define SVMIRROR_DRIVER "svgpu"

/** SVMIRROR_FOREVER - timeout that never ends */
#define SVMIRROR_FOREVER INT64_MAX

/**
 * svmirror_open() - open a render node
 * @path: of the node, or NULL: the first one whose driver is SVMIRROR_DRIVER
 * @fd: out: closed on exec
 *
 * Return: 0; -ENODEV: no such node, or the one at @path has another driver; what open(2) gives.
 */
int svmirror_open(const char *path, int *fd);

/**
 * svmirror_close() - close it; ends everything made through it
 * @fd: render node
 */
void svmirror_close(int fd);

/**
 * struct svmirror_vm_options - how a vm is made
 * @interval_lg2: log2 of the bytes per MMU interval notifier; 0: the kernel's choice
 * @granule_lg2: log2 of the bytes that one fault makes present; 0: the kernel's choice
 * @flags: DRM_SVM_VM_*
 */
struct svmirror_vm_options {
	uint32_t interval_lg2;
	uint32_t granule_lg2;
	uint32_t flags;
};

/**
 * svmirror_vm_create() - make a device address space
 * @fd: render node
 * @options: NULL: the kernel's choice
 * @vm: out: its id
 * Return: 0; -EINVAL: sizes, flags; -EOPNOTSUPP: the device has no such vms; -ENOSPC: the process or its
 * user has its share of contexts (svm_drm.h);
 * -ENOMEM; -EIO: the device is wedged.
 */
int svmirror_vm_create(int fd, const struct svmirror_vm_options *options, uint32_t *vm);

/**
 * svmirror_vm_destroy() - end a device address space
 * @fd: render node
 * @vm: its queues must be gone
 * Return: 0; -ENOENT; -EBUSY: it has queues; -EPERM: it is another process's.
 */
int svmirror_vm_destroy(int fd, uint32_t vm);

/**
 * svmirror_bind_many() - change what device addresses lead to
 * @fd: render node
 * @vm: id
 * @ops: what to bind, see struct drm_svm_bind_op
 * @count: operations; all of them happen atomically, or none does
 * Return: 0; -EINVAL: a span, offset, kind or flag, or two spans meet; -EOPNOTSUPP: the device has no null; -E2BIG; -EFAULT;
 * -ENOENT: no such vm or buffer; -EPERM; -ENOMEM; -EINTR; -EIO: the device is wedged.
 */
int svmirror_bind_many(int fd, uint32_t vm, const struct drm_svm_bind_op *ops, uint32_t count);

/**
 * svmirror_bind_later() - likewise, when others have ended
 * @fd: render node
 * @vm: id
 * @ops: as of svmirror_bind_many(); not needed any more when this returns
 * @count: operations
 * @in_syncobjs: handles that must have signalled before; may be NULL
 * @in_count: how many, at most 64
 * @out_syncobj: handle to signal when it was done or has failed, see svmirror_status(); 0: none
 *
 * The binds of a vm that are done later are done in the order of these calls.
 * Return: 0; -ENOENT: no such vm, buffer or sync object; -EBUSY: 256 of the vm are waiting; else as svmirror_bind_many(), but
 * for what shows only when it is done.
 */
int svmirror_bind_later(int fd, uint32_t vm, const struct drm_svm_bind_op *ops, uint32_t count, const uint32_t *in_syncobjs,
			uint32_t in_count, uint32_t out_syncobj);

/**
 * svmirror_bind() - mirror a piece of this process's memory
 * @fd: render node
 * @vm: id
 * @start: first device address
 * @length: bytes
 * @offset: device address minus CPU address
 * Return: as svmirror_bind_many().
 */
int svmirror_bind(int fd, uint32_t vm, uint64_t start, uint64_t length, int64_t offset);

/**
 * svmirror_bind_all() - mirror all of this process's memory at the same addresses
 * @fd: render node
 * @vm: id
 * Return: as svmirror_bind_many().
 */
int svmirror_bind_all(int fd, uint32_t vm);

/**
 * svmirror_bind_null() - device addresses that read zero and drop writes
 * @fd: render node
 * @vm: id
 * @start: first device address
 * @length: bytes
 * Return: as svmirror_bind_many().
 */
int svmirror_bind_null(int fd, uint32_t vm, uint64_t start, uint64_t length);

/**
 * svmirror_bind_buffer() - device addresses that lead to a buffer
 * @fd: render node
 * @vm: id
 * @start: first device address
 * @length: bytes
 * @buffer: handle; it may be closed afterwards, and the buffer stays as long as it is bound
 * @offset: byte of the buffer that @start leads to
 * @flags: of DRM_SVM_BIND_READ_ONLY, _ON_DEMAND, _NONCOHERENT and _UNCACHED
 * Return: as svmirror_bind_many().
 */
int svmirror_bind_buffer(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t buffer, uint64_t offset,
			 uint32_t flags);

/**
 * svmirror_unbind() - leave a hole
 * @fd: render node
 * @vm: id
 * @start: first device address; 0 and length 0: all
 * @length: bytes; what is bound in them may be a part of something larger, or nothing
 * Return: as svmirror_bind_many().
 */
int svmirror_unbind(int fd, uint32_t vm, uint64_t start, uint64_t length);

/**
 * svmirror_bindings() - list what is bound
 * @fd: render node
 * @vm: id
 * @ops: out: in ascending order
 * @capacity: room for so many
 * @count: out: how many were listed; @capacity: there may be more
 * Return: 0; -ENOENT; -EPERM; -ENOMEM.
 */
int svmirror_bindings(int fd, uint32_t vm, struct drm_svm_bind_op *ops, size_t capacity, size_t *count);

/**
 * svmirror_migrate() - move a span's memory to the device's own, or out of it, and make it present
 * @fd: render node
 * @vm: id
 * @start: first device address
 * @length: bytes
 * @flags: DRM_SVM_PREFETCH_TO_DEVICE or DRM_SVM_PREFETCH_TO_SYSTEM, and DRM_SVM_PREFETCH_WRITE or not
 * @moved: out: pages of 4 KiB that moved: what cannot move stays, and is no error; may be NULL
 * Return: 0; as svmirror_prefetch(); -EOPNOTSUPP: the device, its page tables or the kernel has no such
 *	memory (DRM_SVM_CAPABILITY_MIGRATE).
 */
int svmirror_migrate(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, uint64_t *moved);

/**
 * svmirror_prefetch() - make a span present before the device asks
 * @fd: render node
 * @vm: id
 * @start: first device address
 * @length: bytes
 * @flags: 0 or DRM_SVM_PREFETCH_WRITE
 * @pages: out: pages of 4 KiB that the device can reach now; may be NULL
 *
 * What svmirror_advise() told to be in the device's memory moves there first.
 * Return: 0; -EINVAL: span, or a hole in it; -ENOENT; -EPERM; -ENOMEM; -EIO: the device is wedged.
 */
int svmirror_prefetch(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t flags, uint64_t *pages);

/**
 * svmirror_advise_many() - say where memory is to be
 * @fd: render node
 * @vm: id
 * @ops: what is told of which spans, see struct drm_svm_advise_op
 * @count: operations; all of them are done, or none is
 * Return: 0; -EINVAL: a span, place or manner, or something in the span that does not mirror; -EOPNOTSUPP: the device has no
 *	memory to prefer; -E2BIG; -EFAULT; -ENOENT; -EPERM; -ENOMEM; -EINTR.
 */
int svmirror_advise_many(int fd, uint32_t vm, const struct drm_svm_advise_op *ops, uint32_t count);

/**
 * svmirror_advise() - say where one span's memory is to be
 * @fd: render node
 * @vm: id
 * @start: first device address; 0 and length 0, with @preferred and @on_fault 0: all advice is taken back
 * @length: bytes
 * @preferred: DRM_SVM_PREFER_NONE, _SYSTEM or _DEVICE
 * @on_fault: DRM_SVM_ON_FAULT_MOVE or _STAY
 * Return: as svmirror_advise_many().
 */
int svmirror_advise(int fd, uint32_t vm, uint64_t start, uint64_t length, uint32_t preferred, uint32_t on_fault);

/**
 * svmirror_spans() - list what mirrors this process, with its advice, and how much of it is where
 * @fd: render node
 * @vm: id
 * @spans: out: in ascending order
 * @capacity: room for so many
 * @count: out: how many were listed; @capacity: there may be more
 * Return: 0; -EINVAL: @capacity is 0; -ENOENT; -EPERM; -EINTR.
 */
int svmirror_spans(int fd, uint32_t vm, struct drm_svm_span *spans, size_t capacity, size_t *count);

/**
 * svmirror_buffer_create() - make a buffer of the device
 * @fd: render node
 * @size: bytes, a multiple of 4096
 * @where: DRM_SVGPU_BO_SYSTEM or DRM_SVGPU_BO_VRAM
 * @buffer: out: its handle, never 0
 *
 * The buffer reads zero, and has no memory before it is used (struct drm_svgpu_bo_create).
 * Return: 0; -EINVAL: size or place; -E2BIG: more than there is at @where at all; -ENOMEM.
 */
int svmirror_buffer_create(int fd, uint64_t size, uint32_t where, uint32_t *buffer);

/**
 * svmirror_buffer_close() - give a buffer's handle back
 * @fd: render node
 * @buffer: handle; what is mapped, bound or exported of the buffer stays as it is
 * Return: 0; -EINVAL: there is none of this handle.
 */
int svmirror_buffer_close(int fd, uint32_t buffer);

/**
 * svmirror_buffer_info() - how large a buffer is, and where it is now
 * @fd: render node
 * @buffer: handle
 * @info: out; untouched on an error
 * Return: 0; -ENOENT.
 */
int svmirror_buffer_info(int fd, uint32_t buffer, struct drm_svgpu_bo_info *info);

/**
 * svmirror_buffer_map() - let the CPU read and write a buffer, all of it
 * @fd: render node
 * @buffer: handle
 * @at: out: where it is in this process
 * @size: out: bytes
 *
 * The mapping stays valid while the buffer moves, and after its handle is closed.
 * Return: 0; -ENOENT; -EOPNOTSUPP: the buffer is imported, so that only its exporter's file can be mapped; what mmap(2) gives.
 */
int svmirror_buffer_map(int fd, uint32_t buffer, void **at, size_t *size);

/**
 * svmirror_buffer_unmap() - end a mapping
 * @at: as svmirror_buffer_map() gave it
 * @size: the same
 * Return: 0; what munmap(2) gives.
 */
int svmirror_buffer_unmap(void *at, size_t size);

/**
 * svmirror_buffer_export() - make a dma-buf of a buffer
 * @fd: render node
 * @buffer: handle
 * @dma_buf: out: descriptor of the dma-buf, closed on exec, to be closed by the caller; the buffer lives as long as it is open
 * Return: 0; -ENOENT; -EMFILE; -ENOMEM.
 */
int svmirror_buffer_export(int fd, uint32_t buffer, int *dma_buf);

/**
 * svmirror_buffer_import() - make a buffer of a dma-buf
 * @fd: render node
 * @dma_buf: descriptor; it can be closed afterwards
 * @buffer: out: its handle
 *
 * A file has one handle of a buffer at most: for one that it has already, this is that handle, and one close ends it.
 * Return: 0; -EINVAL: @dma_buf is no dma-buf; -EBADF; -ENOMEM; what the exporter refuses with.
 */
int svmirror_buffer_import(int fd, int dma_buf, uint32_t *buffer);

/**
 * svmirror_device_info() - geometry of the device's address spaces
 * @fd: render node
 * @info: out
 * Return: 0.
 */
int svmirror_device_info(int fd, struct drm_svm_device_info *info);

/**
 * svmirror_gpu_info() - the virtual GPU
 * @fd: render node
 * @info: out
 * Return: 0.
 */
int svmirror_gpu_info(int fd, struct drm_svgpu_device *info);

/**
 * svmirror_counters() - what a vm did since it was made
 * @fd: render node
 * @vm: id
 * @counters: out; those that this kernel does not have are 0
 * Return: 0; -ENOENT; -EPERM.
 */
int svmirror_counters(int fd, uint32_t vm, struct drm_svm_counters *counters);

/**
 * svmirror_fault_log() - take faults that could not be served out of a vm's log
 * @fd: render node
 * @vm: id
 * @records: out: oldest first
 * @capacity: how many fit
 * @count: out: how many came
 * Return: 0; -EINVAL: @capacity is 0; -ENOENT; -EPERM; -ENOMEM.
 */
int svmirror_fault_log(int fd, uint32_t vm, struct drm_svm_fault_record *records, size_t capacity, size_t *count);

/**
 * svmirror_queue_create() - make a queue
 * @fd: render node
 * @vm: address space of its jobs
 * @queue: out: its id
 * Return: 0; -ENOENT; -EPERM; -ENOSPC: the process or its user has its share of queues; -ENOMEM;
 * -EIO: the device is wedged.
 */
int svmirror_queue_create(int fd, uint32_t vm, uint32_t *queue);

/**
 * svmirror_queue_destroy() - end a queue; its jobs end with -ECANCELED
 * @fd: render node
 * @queue: id
 * Return: 0; -ENOENT; -EPERM.
 */
int svmirror_queue_destroy(int fd, uint32_t queue);

/**
 * svmirror_syncobj_create() - make a sync object
 * @fd: render node
 * @handle: out
 * Return: 0; -ENOMEM.
 */
int svmirror_syncobj_create(int fd, uint32_t *handle);

/**
 * svmirror_syncobj_destroy() - drop a sync object
 * @fd: render node
 * @handle: of it
 * Return: 0; -EINVAL: there is none of this handle.
 */
int svmirror_syncobj_destroy(int fd, uint32_t handle);

/**
 * struct svmirror_job - one job
 * @queue: id
 * @kernel: enum svmirror_kernel
 * @in_syncobjs: handles that must have signalled before it starts; may be NULL
 * @in_count: how many
 * @out_syncobj: handle to signal at its end; 0: none
 * @args: as enum svmirror_kernel says; pointers are device addresses
 * @token: under which svmirror_job_result() finds the result; 0: none is kept
 */
struct svmirror_job {
	uint32_t queue;
	uint32_t kernel;
	const uint32_t *in_syncobjs;
	uint32_t in_count;
	uint32_t out_syncobj;
	uint64_t args[DRM_SVGPU_ARGS];
	uint64_t token;
};

/**
 * svmirror_submit() - put a job on its queue
 * @fd: render node
 * @job: copied
 * Return: 0; -EINVAL: no such kernel, or more than 64 in-syncobjs; -ENOENT: no such queue or sync object; -EBUSY: the
 * queue is full; -EPERM: another process's queue; -EFAULT: handles that cannot be read; -ECANCELED: the queue has just
 * ended; -ENOMEM; -EIO: the device is wedged.
 */
int svmirror_submit(int fd, const struct svmirror_job *job);

/**
 * svmirror_wait() - wait until a sync object has signalled; its job need not have been submitted yet
 * @fd: render node
 * @syncobj: handle
 * @timeout_ns: from now; SVMIRROR_FOREVER
 * Return: 0 (also when the job failed: see svmirror_job_result()); -ETIME; -ENOENT.
 */
int svmirror_wait(int fd, uint32_t syncobj, int64_t timeout_ns);

/**
 * svmirror_status() - how what a sync object tells of has ended
 * @fd: render node
 * @syncobj: handle
 * Return: 0: well; -EAGAIN: it has not ended; else the error that it ended with. -ENOENT: no such sync object.
 */
int svmirror_status(int fd, uint32_t syncobj);

/**
 * svmirror_job_result() - take out what became of a job
 * @fd: render node
 * @queue: of the job
 * @token: of the job
 * @result: out
 * Return: 0; -ENOENT: no such job, not ended, or taken already; -EPERM.
 */
int svmirror_job_result(int fd, uint32_t queue, uint64_t token, struct drm_svgpu_job_result *result);

/**
 * svmirror_run() - submit a job, wait for it, take its result
 * @fd: render node
 * @job: its out_syncobj and token are not used
 * @timeout_ns: from now; SVMIRROR_FOREVER
 * @result: out; its status says how the job ended
 *
 * After -ETIME the job may still run: destroy its queue before its memory goes.
 * Return: 0; -ETIME; what svmirror_submit() gives.
 */
int svmirror_run(int fd, const struct svmirror_job *job, int64_t timeout_ns, struct drm_svgpu_job_result *result);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
