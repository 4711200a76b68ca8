/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: Buffer objects
 *
 * The library's GEM objects: memory that processes make, share as dma-bufs, map into their
 * address spaces and bind into vms (DRM_SVM_BIND_OBJECT). One lies in system memory (shmem's), in
 * the device's own memory, or in what another driver's dma-buf leads to.
 *
 * A buffer gets memory when it is first used, which is when it is bound (unless on demand), or
 * when the device or the CPU touches it. When VRAM is full, the buffer that got its VRAM first
 * goes to system memory, with its content, and comes back when it is used and there is room, or
 * when VRAM gets free. Jobs run on meanwhile: the device faults, and the fault waits for the move.
 *
 * A driver that has them sets DRIVER_GEM, takes the functions below into its &struct drm_driver and
 * its file operations, and makes buffers by svm_drm_bo_create() in an ioctl of its own. For VRAM
 * it has &svm_drm_ops.vram_alloc and &svm_drm_ops.vram_free, and fills in &svm_drm_device.vram.
 */
#ifndef SVM_DRM_BO_H
#define SVM_DRM_BO_H

#include <linux/list.h>
#include <linux/types.h>

struct dma_buf;
struct drm_file;
struct drm_gem_object;
struct file;
struct svm_drm_device;
struct vm_area_struct;

/** enum svm_drm_bo_where - where a buffer's memory is */
enum svm_drm_bo_where {
	SVM_DRM_BO_NOWHERE,	/**< @SVM_DRM_BO_NOWHERE: it has none */
	SVM_DRM_BO_SYSTEM,	/**< @SVM_DRM_BO_SYSTEM: system memory, or an exporter's */
	SVM_DRM_BO_VRAM,	/**< @SVM_DRM_BO_VRAM: the device's own */
};

/**
 * struct svm_drm_vram_block - a contiguous part of VRAM
 * @link: among the blocks of a buffer, in order
 * @start: offset into VRAM, page-aligned
 * @bytes: a multiple of the page size
 *
 * The driver embeds it in what it allocates.
 */
struct svm_drm_vram_block {
	struct list_head link;
	u64 start;
	u64 bytes;
};

/**
 * struct svm_drm_bo_info - what there is to know of a buffer
 * @size: bytes
 * @mmap_offset: in the device's file; 0: it is imported
 * @moves: from VRAM to system memory or back
 * @where: now
 */
struct svm_drm_bo_info {
	u64 size;
	u64 mmap_offset;
	u64 moves;
	enum svm_drm_bo_where where;
};

/**
 * svm_drm_bo_create() - make a buffer with a handle
 * @dev: the device
 * @file: whose handle
 * @size: bytes
 * @wants: where it is to be; in system memory where the device's page tables cannot lead to VRAM
 * @handle: out: its handle
 *
 * Context: process; sleeps.
 * Return: 0; -EINVAL (@size is 0 or not a multiple of the page size, @wants); -E2BIG: there is not
 * so much memory of the kind at all; -ENOMEM.
 */
int svm_drm_bo_create(struct svm_drm_device *dev, struct drm_file *file, u64 size,
		      enum svm_drm_bo_where wants, u32 *handle);

/**
 * svm_drm_bo_describe() - ask about a buffer
 * @file: whose handle
 * @handle: the buffer's
 * @info: out
 *
 * Context: process; sleeps, killable.
 * Return: 0; -ENOENT: no such handle; -EINTR.
 */
int svm_drm_bo_describe(struct drm_file *file, u32 handle, struct svm_drm_bo_info *info);

/**
 * svm_drm_bo_evict() - send a buffer or processes' pages home, so that VRAM gets free
 * @dev: the device
 *
 * For the driver's own needs of VRAM, such as page tables. svmirror may be at a fault
 * or a bind; no lock of the driver's is held.
 * Context: process; sleeps; may allocate.
 * Return: true: some of it went; false: nothing could be moved just now.
 */
bool svm_drm_bo_evict(struct svm_drm_device *dev);

/**
 * svm_drm_bos_evict_all() - VRAM is about to lose its content
 * @dev: the device; no vm is there, and no process runs: system sleep
 *
 * Buffers and processes' pages go home, and none comes back until svm_drm_bos_return().
 * Context: process; sleeps.
 * Return: 0; -ENOMEM: there is no room for buffers in system memory, and they may be where they
 * were; -EBUSY: so it is with pages, or something looks at them just now.
 */
int svm_drm_bos_evict_all(struct svm_drm_device *dev);

/**
 * svm_drm_bos_return() - VRAM can be used again
 * @dev: the device
 *
 * Context: process.
 */
void svm_drm_bos_return(struct svm_drm_device *dev);

/**
 * svm_drm_bo_mmap() - for the file operations' mmap
 * @filp: the file
 * @vma: to be mapped
 *
 * Context: process; mmap_lock is held.
 * Return: 0; -EINVAL: a private mapping, or no buffer at this offset; -EACCES: it has no handle in
 * this file.
 */
int svm_drm_bo_mmap(struct file *filp, struct vm_area_struct *vma);

/**
 * svm_drm_bo_import() - for the driver's gem_prime_import of &struct drm_driver
 * @dev: the device
 * @dma_buf: exported by this device or by another one
 *
 * Context: process; sleeps.
 * Return: a buffer; -EINVAL: its size is not a multiple of the page size; -ENOMEM; what the
 * exporter said.
 */
struct drm_gem_object *svm_drm_bo_import(struct svm_drm_device *dev, struct dma_buf *dma_buf);

#endif
