/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/**
 * DOC: Ioctls of the virtual GPU
 *
 * Beside the ioctls of svm_drm.h, whose rules hold here too: queues, and jobs
 * that run on them in order.
 *
 * Completion is a syncobj, but of one kind only: it is replaced by a *signalled*
 * fence when the job has ended. No fence is ever published for work that may
 * still page-fault, since a dma-fence must not wait for memory. So wait with
 * DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT. The driver resets the out-syncobj
 * when the job is taken in. A job that failed leaves its error in the fence and
 * in the job's result.
 */
#ifndef _UAPI_SVGPU_DRM_H_
#define _UAPI_SVGPU_DRM_H_

#include <drm/svm_drm.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_SVGPU_QUEUE_CREATE	0x00
#define DRM_SVGPU_QUEUE_DESTROY	0x01
#define DRM_SVGPU_SUBMIT	0x02
#define DRM_SVGPU_INFO		0x03
#define DRM_SVGPU_BO_CREATE	0x04
#define DRM_SVGPU_BO_INFO	0x05

#define DRM_IOCTL_SVGPU_QUEUE_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVGPU_QUEUE_CREATE, struct drm_svgpu_queue_create)
#define DRM_IOCTL_SVGPU_QUEUE_DESTROY \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVGPU_QUEUE_DESTROY, struct drm_svgpu_queue_destroy)
#define DRM_IOCTL_SVGPU_SUBMIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_SVGPU_SUBMIT, struct drm_svgpu_submit)
#define DRM_IOCTL_SVGPU_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVGPU_INFO, struct drm_svgpu_info)
#define DRM_IOCTL_SVGPU_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVGPU_BO_CREATE, struct drm_svgpu_bo_create)
#define DRM_IOCTL_SVGPU_BO_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_SVGPU_BO_INFO, struct drm_svgpu_bo_info)

/**
 * struct drm_svgpu_queue_create - make a queue in a vm
 * @vm_id: the vm
 * @flags: none are defined: 0
 * @queue_id: out: its id, never 0
 * @pad: 0
 *
 * The process or its user has its share of the device's queues: -ENOSPC. The shares are those
 * of contexts, see struct drm_svm_vm_create.
 */
struct drm_svgpu_queue_create {
	__u32 vm_id;
	__u32 flags;
	__u32 queue_id;
	__u32 pad;
};

/**
 * struct drm_svgpu_queue_destroy - end a queue; its jobs are cancelled
 * @queue_id: the queue
 * @pad: 0
 */
struct drm_svgpu_queue_destroy {
	__u32 queue_id;
	__u32 pad;
};

#define DRM_SVGPU_ARGS	8

/**
 * struct drm_svgpu_job_result - what became of a job: DRM_SVGPU_INFO_JOB
 * @status: 0, or a negative errno: -EFAULT and -EPERM as in &drm_svm_fault_record, -ENOMEM,
 *	-EBUSY (the CPU's side kept moving), -EIO (wedged), -ENODEV (removed), -ECANCELED (its
 *	queue ended), -EINVAL, -E2BIG (a kernel's own limit); or the error of an in-syncobj's
 *	fence, and then it did not run
 * @access: DRM_SVM_ACCESS_* of the fault that ended it
 * @va: address of the fault that ended it
 * @bytes: bytes read and written through the device's MMU
 * @faults: faults that it met
 * @tlb_misses: walks of the device
 */
struct drm_svgpu_job_result {
	__s32 status;
	__u32 access;
	__u64 va;
	__u64 bytes;
	__u32 faults;
	__u32 pad;
	__u64 tlb_misses;
};

/**
 * struct drm_svgpu_submit - put one job on a queue
 * @queue_id: the queue
 * @kernel: enum svgpu_kernel; one that the device does not have: -EINVAL
 * @flags: none are defined: 0
 * @in_count: number of in-syncobjs, at most 64
 * @in_syncobjs: address of u32 handles: the job starts when each has a fence and that has
 *	signalled. It starts at once when a job or a fence signals; a fence that comes from
 *	elsewhere for a syncobj without one is noticed after 10 to 100 ms
 * @out_syncobj: handle to signal at the end; 0: none
 * @pad: 0
 * @args: the kernel's arguments
 * @result: token under which DRM_SVGPU_INFO_JOB finds the result; 0: none is kept
 *
 * The queue has 256 jobs waiting: -EBUSY. No such queue or sync object: -ENOENT. Handles
 * that cannot be read: -EFAULT. The queue has just ended: -ECANCELED.
 * If @result is not 0, the result is kept under this token until read, at most the last 256 of
 * a queue.
 */
struct drm_svgpu_submit {
	__u32 queue_id;
	__u32 kernel;
	__u32 flags;
	__u32 in_count;
	__u64 in_syncobjs;
	__u32 out_syncobj;
	__u32 pad;
	__u64 args[DRM_SVGPU_ARGS];
	__u64 result;
};

#define DRM_SVGPU_INFO_DEVICE	0	/* struct drm_svgpu_device */
/* struct drm_svgpu_job_result of (queue_id, token); taken out; -ENOENT: no such or not ended */
#define DRM_SVGPU_INFO_JOB	1

/**
 * struct drm_svgpu_info - ask
 * @info: DRM_SVGPU_INFO_*
 * @queue_id: for INFO_JOB; else 0
 * @token: for INFO_JOB; else 0
 * @size: in: bytes at @data, out: bytes written (at 0: bytes needed)
 * @data: where to
 */
struct drm_svgpu_info {
	__u32 info;
	__u32 queue_id;
	__u64 token;
	__u64 size;
	__u64 data;
};

#define DRM_SVGPU_BO_NOWHERE	0 /* it has no memory yet, or an import is not needed now */
#define DRM_SVGPU_BO_SYSTEM	1
#define DRM_SVGPU_BO_VRAM	2

/**
 * struct drm_svgpu_bo_create - make a buffer
 * @size: bytes, a multiple of 4096, not 0, else -EINVAL; more than @where has at all: -E2BIG
 * @where: where it is to be, DRM_SVGPU_BO_SYSTEM or DRM_SVGPU_BO_VRAM. One that is to be in
 *	VRAM is in system memory while VRAM has no room for it, or it is exported and in use
 *	by another device
 * @flags: none are defined: 0
 * @handle: out: its GEM handle, to be closed by DRM_IOCTL_GEM_CLOSE
 * @pad: 0
 *
 * It reads zero. It gets memory when something leads to it: a binding that is not on demand
 * (DRM_SVM_BIND), the device's or the CPU's access.
 */
struct drm_svgpu_bo_create {
	__u64 size;
	__u32 where;
	__u32 flags;
	__u32 handle;
	__u32 pad;
};

/**
 * struct drm_svgpu_bo_info - ask about a buffer
 * @handle: its GEM handle; no such: -ENOENT
 * @where: out: where it is now, DRM_SVGPU_BO_*
 * @size: out: bytes
 * @mmap_offset: out: offset in the device's file for mmap(2), which has to be MAP_SHARED; 0: it is
 *	imported, and its exporter's file is what can be mapped
 * @moves: out: how often it went from VRAM to system memory or back
 */
struct drm_svgpu_bo_info {
	__u32 handle;
	__u32 where;
	__u64 size;
	__u64 mmap_offset;
	__u64 moves;
};

/**
 * struct drm_svgpu_device - the virtual GPU
 * @engines: jobs that run at the same time
 * @contexts: address spaces that it can hold
 * @queues: hardware queues
 * @wedged: 1 after it stopped answering or was found to lie
 * @vram_bytes: size of VRAM
 * @kernels: bit n: enum svgpu_kernel n is there
 * @tables_in_vram: page tables lie in VRAM
 * @pad: 0
 */
struct drm_svgpu_device {
	__u32 engines;
	__u32 contexts;
	__u32 queues;
	__u32 wedged;
	__u64 vram_bytes;
	__u64 kernels;
	__u32 tables_in_vram;
	__u32 pad;
};

#if defined(__cplusplus)
}
#endif

#endif
