// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU's mappings of buffer objects: pages of system memory as they are, VRAM through the BAR.
 *
 * They are page frames without reference counts (VM_PFNMAP): before a buffer moves they are
 * taken away, and the next access waits here until it has moved. So a vm that mirrors the
 * process finds nothing here that a device may reach: the way to a buffer is its binding.
 */
#include <linux/export.h>
#include <linux/mm.h>

#include <drm/drm_drv.h>

#include "bo.h"

#define AROUND	16 /* pages that one fault maps, from its own on */

void svm_drm_bo_unmap_cpu(struct svm_drm_bo *bo)
{
	drm_vma_node_unmap(&bo->gem.vma_node, bo->gem.dev->anon_inode->i_mapping);
}

/* The frame of a page, which has memory. */
static unsigned long frame_of(struct svm_drm_bo *bo, pgoff_t page)
{
	struct svm_drm_vram_block *block;
	u64 at = (u64)page << PAGE_SHIFT;

	if (bo->where == SVM_DRM_BO_SYSTEM)
		return page_to_pfn(bo->pages[page]);
	list_for_each_entry(block, &bo->blocks, link) {
		if (at < block->bytes)
			break;
		at -= block->bytes;
	}
	return (bo->dev->vram.bus + block->start + at) >> PAGE_SHIFT;
}

static vm_fault_t map_around(struct svm_drm_bo *bo, struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t first = vmf->pgoff - drm_vma_node_start(&bo->gem.vma_node);
	pgprot_t prot = vm_get_page_prot(vma->vm_flags);
	unsigned long at = vmf->address & PAGE_MASK;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	unsigned int i;

	if (bo->where == SVM_DRM_BO_VRAM)
		prot = pgprot_writecombine(prot);
	for (i = 0; i < AROUND && at < vma->vm_end && first + i < svm_drm_bo_pages(bo);
	     i++, at += PAGE_SIZE) {
		vm_fault_t one = vmf_insert_pfn_prot(vma, at, frame_of(bo, first + i), prot);

		if (!i)
			ret = one;
		if (one != VM_FAULT_NOPAGE)
			break;
	}
	return ret;
}

static vm_fault_t bo_fault(struct vm_fault *vmf)
{
	struct svm_drm_bo *bo = to_bo(vmf->vma->vm_private_data);
	vm_fault_t ret;
	int error, idx;

	if (!drm_dev_enter(bo->gem.dev, &idx))
		return VM_FAULT_SIGBUS;
	/* Interrupted: the signal is seen to, and then the access comes again. */
	ret = VM_FAULT_NOPAGE;
	if (dma_resv_lock_interruptible(bo->gem.resv, NULL))
		goto exit;
	error = bo->where == SVM_DRM_BO_NOWHERE ? svm_drm_bo_settle(bo) : 0;
	/* No memory is SIGBUS, too: VM_FAULT_OOM would try again for ever. */
	ret = error ? VM_FAULT_SIGBUS : map_around(bo, vmf);
	dma_resv_unlock(bo->gem.resv);
exit:
	drm_dev_exit(idx);
	return ret;
}

const struct vm_operations_struct svm_drm_bo_vm_ops = {
	.fault = bo_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

int svm_drm_bo_mmap(struct file *filp, struct vm_area_struct *vma)
{
	/* A copy on write would read a page without a reference to it. */
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE)
		return -EINVAL;
	return drm_gem_mmap(filp, vma);
}
EXPORT_SYMBOL_GPL(svm_drm_bo_mmap);
