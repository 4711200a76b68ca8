/* SPDX-License-Identifier: GPL-2.0-only */
/**
 * DOC: Objects
 *
 * An object is memory of the driver's: a buffer in VRAM, a scatter list of system
 * memory, an imported dma-buf. It is bound into any number of vms, beside what mirrors
 * the process, by svm_bind_many() with %SVM_BIND_OBJECT. The memory is only lent:
 * svmirror maps it, and neither undoes DMA mappings of it nor marks its pages dirty.
 *
 * The memory may move. While it is somewhere, the object has a place. Before the memory
 * goes (a move, an eviction, the exporter's move_notify), the driver calls
 * svm_object_displace(), and then no device reaches it by any vm; when it is somewhere
 * again, svm_object_place(). A fault that meets an object without a place asks the driver to
 * bring it (&svm_object_ops.bring), or ends with -EAGAIN where the driver has no such function.
 *
 * ::
 *
 *	err = svm_object_create(bo->size, &my_bo_ops, bo, &bo->object);
 *	err = svm_object_place(bo->object, extents, n);	// under the buffer's dma_resv lock
 *	op = (struct svm_bind_op){ .start = va, .end = va + bo->size,
 *				   .kind = SVM_BIND_OBJECT, .object = bo->object };
 *	err = svm_bind_many(vm, &op, 1);
 *	...
 *	svm_object_displace(bo->object);		// likewise
 *	my_move(bo);
 *	err = svm_object_place(bo->object, extents, n);
 *	...
 *	svm_object_put(bo->object);	// my_bo_ops.release() comes with the last binding
 */
#ifndef SVM_OBJECT_H
#define SVM_OBJECT_H

#include <svm/svm.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct svm_extent - memory that lies one behind the other for the device
 * @address: as the device sees it, page-aligned: a DMA address, or an offset into the
 *	device's memory
 * @bytes: a multiple of 4096
 * @aperture: enum svm_aperture of @address
 */
struct svm_extent {
	u64 address;
	u64 bytes;
	u32 aperture;
};

/** struct svm_object_ops - what the driver does for an object; each may be NULL */
struct svm_object_ops {
	/**
	 * @bring: the device needs the object, which has no place: see to it that it gets one,
	 * by svm_object_place(). It is called by svm_fault() and svm_prefetch(), in a session of
	 * the vm's process, with a reference to the object and under no lock. It may sleep, but
	 * must not wait for a job that may itself wait for this fault.
	 * Return: 0: the fault looks again; else what svm_fault() returns. -EAGAIN: the device is
	 * to try again later; -EINTR: killed.
	 */
	int (*bring)(void *arg);

	/**
	 * @release: the last reference is gone: no leaf leads to the memory any more. The object
	 * goes when this returns; until then the driver may still displace and place it.
	 */
	void (*release)(void *arg);
};

/**
 * svm_object_create() - make an object, which has no place yet
 * @size: bytes, a multiple of 4096
 * @ops: the driver's functions; they stay as long as the object. NULL: none
 * @arg: their argument
 * @out: the object, with a reference for the caller
 *
 * Context: process; sleeps.
 * Return: 0; -EINVAL (@size); -ENOMEM.
 */
int svm_object_create(u64 size, const struct svm_object_ops *ops, void *arg,
		      struct svm_object **out);

/**
 * svm_object_get() - another reference
 * @object: to which the caller has one
 * Context: process; never sleeps.
 */
void svm_object_get(struct svm_object *object);

/**
 * svm_object_put() - give a reference back
 * @object: it may still be bound and have a place: each binding has a reference of its own
 *
 * The last one may be given back by svm_bind_many() or svm_vm_destroy() too, and
 * &svm_object_ops.release is called there.
 * Context: process; may sleep.
 */
void svm_object_put(struct svm_object *object);

/**
 * svm_object_arg() - the driver's own, of an object
 * @object: the object
 * Context: any.
 * Return: as given to svm_object_create().
 */
void *svm_object_arg(const struct svm_object *object);

/**
 * svm_object_place() - the memory is here now
 * @object: has no place
 * @extents: cover the object in order; they are copied
 * @count: of them
 *
 * Where the object is bound, and not on demand, its leaves are written before this
 * returns; what finds no memory for its tables, or meets a bind that is under way, comes
 * by a fault. The caller sees to it that it and svm_object_displace() run one at a time
 * for an object, as by its dma_resv lock.
 * Context: process; sleeps; allocates.
 * Return: 0; -EINVAL (alignment, an unknown aperture, extents that wrap or are not of
 * the object's size together); -EBUSY (it has a place); -ENOMEM.
 */
int svm_object_place(struct svm_object *object, const struct svm_extent *extents, u32 count);

/**
 * svm_object_displace() - the memory is about to go
 * @object: nothing happens if it has no place
 *
 * When this returns, no device reaches the memory by the object: the leaves are gone in
 * all vms, and the devices have acknowledged that they have forgotten them. Jobs need
 * not be stopped. It waits for no bind, no fault and no other lock of svmirror's but
 * spinlocks, so it may be called in reclaim.
 * Context: process; sleeps for the flush; allocates nothing.
 */
void svm_object_displace(struct svm_object *object);

#ifdef __cplusplus
}
#endif

#endif
