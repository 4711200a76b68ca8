// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm: svmirror's address space and the context of the device that walks it.
 *
 * Its life: the context's id is reserved; svmirror's vm is made; it becomes
 * findable by its context; the driver tells the device the root. Its end, in this order:
 * the driver clears the context (the device forgets all translations and reports no
 * more faults) and takes in what was reported before, then the
 * last user (a fault being served, an ioctl) lets svmirror's vm be destroyed by
 * a worker, and only then the id is free for another.
 *
 * The worker matters: a fault may be at something that cannot be cut short, and close()
 * must not wait for that for ever.
 */
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "internal.h"

/* Closing a file waits so long for its address spaces to be gone. */
#define GONE_MS	5000

static void vm_free(struct kref *ref)
{
	struct svm_drm_vm *vm = container_of(ref, struct svm_drm_vm, ref);

	mutex_destroy(&vm->log.lock);
	svm_drm_process_put(vm->process);
	drm_dev_put(vm->dev->drm);
	kvfree(vm);
}

void svm_drm_vm_grab(struct svm_drm_vm *vm)
{
	kref_get(&vm->ref);
}
EXPORT_SYMBOL_GPL(svm_drm_vm_grab);

void svm_drm_vm_put(struct svm_drm_vm *vm)
{
	kref_put(&vm->ref, vm_free);
}
EXPORT_SYMBOL_GPL(svm_drm_vm_put);

/* The last user has gone: svmirror's vm ends, then the context's id. */
static void vm_end(struct work_struct *work)
{
	struct svm_drm_vm *vm = container_of(work, struct svm_drm_vm, end_work);
	struct svm_drm_device *dev = vm->dev;

	svm_drm_binds_fini(vm);
	svm_drm_restore_fini(vm);
	svm_drm_faults_fini(vm);
	svm_vm_destroy(vm->svm);
	xa_erase(&dev->contexts, vm->context);
	svm_drm_share_give(vm->process, SVM_DRM_CONTEXT_ID);
	/* The remover that waits for zero waits for this worker too, before it frees more. */
	if (atomic_dec_and_test(&dev->vm_total))
		wake_up_all(&dev->gone);
	complete_all(&vm->gone);
	svm_drm_vm_put(vm);
}

/* May @vm->svm be used? To be ended by svm_drm_vm_unuse(). The caller keeps the struct. */
bool svm_drm_vm_use(struct svm_drm_vm *vm)
{
	return refcount_inc_not_zero(&vm->users);
}

void svm_drm_vm_unuse(struct svm_drm_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		queue_work(vm->dev->wq, &vm->end_work);
}

void svm_drm_vm_leave(struct svm_drm_vm *vm)
{
	svm_drm_vm_unuse(vm);
	svm_drm_vm_put(vm);
}
EXPORT_SYMBOL_GPL(svm_drm_vm_leave);

static int vm_make_svm(struct svm_drm_vm *vm, const struct drm_svm_vm_create *args)
{
	struct svm_vm_params params = {
		.ops = vm->no_fault ? &vm->dev->no_fault_ops : vm->dev->backend_ops,
		.backend = vm,
		.format = vm->dev->format,
		.mm = current->mm,
		.dma_device = vm->dev->dma_device,
		.memory = vm->dev->pages.memory,
		.interval_lg2 = args->interval_lg2,
		.granule_lg2 = args->granule_lg2,
		.flags = vm->no_fault ? SVM_VM_NO_FAULT : 0,
	};

	return svm_vm_create(&params, &vm->svm);
}

/* A vm of the current process that has nothing of the device's yet; NULL: no memory. */
static struct svm_drm_vm *vm_alloc(struct svm_drm_device *dev)
{
	struct svm_drm_vm *vm = kvzalloc(dev->ops->vm_size, GFP_KERNEL_ACCOUNT);

	if (!vm)
		return NULL;
	vm->process = svm_drm_process_get(dev);
	if (!vm->process) {
		kvfree(vm);
		return NULL;
	}
	vm->dev = dev;
	drm_dev_get(dev->drm);
	kref_init(&vm->ref);
	refcount_set(&vm->users, 1);
	INIT_WORK(&vm->end_work, vm_end);
	init_completion(&vm->gone);
	svm_drm_binds_init(vm);
	svm_drm_restore_init(vm);
	svm_drm_faultlog_init(&vm->log);
	return vm;
}

/**
 * svm_drm_vm_create() - make a vm for the current process
 * @dev: the device
 * @args: how; its flags were checked
 *
 * Context: process; sleeps.
 * Return: the vm, to be ended by svm_drm_vm_stop() and svm_drm_vm_put(); -ENOSPC: the
 * process or its user has its share of contexts; -EINVAL, -ENOMEM, -EIO, -ENODEV.
 */
struct svm_drm_vm *svm_drm_vm_create(struct svm_drm_device *dev,
				     const struct drm_svm_vm_create *args)
{
	struct svm_drm_vm *vm = vm_alloc(dev);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	vm->no_fault = args->flags & DRM_SVM_VM_NO_FAULT;
	ret = svm_drm_share_take(vm->process, SVM_DRM_CONTEXT_ID);
	if (ret)
		goto put;
	/* Reserved, so that storing the vm below cannot fail; reads as not there. */
	ret = xa_alloc(&dev->contexts, &vm->context, NULL,
		       XA_LIMIT(0, dev->ids[SVM_DRM_CONTEXT_ID] - 1), GFP_KERNEL);
	if (ret)
		goto give;
	ret = svm_drm_faults_init(vm) ?:
	      vm_make_svm(vm, args);
	if (ret) {
		svm_drm_faults_fini(vm);
		xa_erase(&dev->contexts, vm->context);
		goto give;
	}
	/* vm_end()'s: the use by the vm itself keeps the struct too. */
	kref_get(&vm->ref);
	atomic_inc(&dev->vm_total);
	xa_store(&dev->contexts, vm->context, vm, GFP_KERNEL);
	ret = dev->ops->start(vm);
	if (ret) {
		svm_drm_vm_stop(vm);
		goto put;
	}
	return vm;
give:
	svm_drm_share_give(vm->process, SVM_DRM_CONTEXT_ID);
put:
	svm_drm_vm_put(vm);
	return ERR_PTR(ret);
}

/*
 * Takes a vm into @ending, for stop_finish(), unless another task stops it. The device is
 * told, and not waited for.
 */
static void stop_begin(struct svm_drm_vm *vm, struct list_head *ending)
{
	if (test_and_set_bit(0, &vm->stopped))
		return;
	vm->dev->ops->stop(vm);
	kref_get(&vm->ref);
	list_add_tail(&vm->ending, ending);
}

static void stop_finish(struct list_head *ending)
{
	struct svm_drm_vm *vm, *next;

	list_for_each_entry_safe(vm, next, ending, ending) {
		list_del(&vm->ending);
		vm->dev->ops->stopped(vm);
		svm_drm_faults_cancel(vm);
		svm_drm_binds_cancel(vm);
		svm_drm_restore_cancel(vm);
		svm_drm_vm_leave(vm);
	}
}

/**
 * svm_drm_vm_stop() - the device must not reach anything through this vm any more
 * @vm: the vm, without queues
 *
 * svmirror's vm is destroyed when the last user has gone, see svm_drm_vm_wait_gone().
 * Only the first call does anything.
 * Context: process; sleeps.
 */
void svm_drm_vm_stop(struct svm_drm_vm *vm)
{
	LIST_HEAD(ending);

	stop_begin(vm, &ending);
	stop_finish(&ending);
}

/* For the end of a file, when no ioctl uses its handles: stops all of its vms together. */
void svm_drm_vms_stop_file(struct svm_drm_file *file)
{
	struct svm_drm_vm *vm;
	LIST_HEAD(ending);
	unsigned long id;

	xa_for_each(&file->vms, id, vm)
		stop_begin(vm, &ending);
	stop_finish(&ending);
}

/* How long svm_drm_vm_wait_gone() may take from now on: one deadline for all vms of a file. */
unsigned long svm_drm_vm_deadline(void)
{
	return jiffies + msecs_to_jiffies(GONE_MS);
}

/*
 * Waits until a stopped vm has given back everything, or until the deadline, and then a
 * worker goes on.
 */
void svm_drm_vm_wait_gone(struct svm_drm_vm *vm, unsigned long deadline)
{
	unsigned long now = jiffies;

	if (time_before(now, deadline))
		wait_for_completion_timeout(&vm->gone, deadline - now);
}

struct svm_drm_vm *svm_drm_vm_get(struct svm_drm_file *file, u32 id)
{
	struct svm_drm_vm *vm;

	/* Under the lock a vm in the table keeps its struct. */
	xa_lock(&file->vms);
	vm = xa_load(&file->vms, id);
	if (vm && svm_drm_vm_use(vm))
		kref_get(&vm->ref);
	else
		vm = NULL;
	xa_unlock(&file->vms);
	if (!vm)
		return ERR_PTR(-ENOENT);
	if (svm_vm_mm(vm->svm) != current->mm) {
		svm_drm_vm_leave(vm);
		return ERR_PTR(-EPERM);
	}
	return vm;
}
EXPORT_SYMBOL_GPL(svm_drm_vm_get);

bool svm_drm_vm_add_queue(struct svm_drm_file *file, u32 id, struct svm_drm_vm *vm)
{
	bool there;

	xa_lock(&file->vms);
	there = xa_load(&file->vms, id) == vm;
	if (there)
		vm->queues++;
	xa_unlock(&file->vms);
	return there;
}
EXPORT_SYMBOL_GPL(svm_drm_vm_add_queue);

void svm_drm_vm_drop_queue(struct svm_drm_file *file, struct svm_drm_vm *vm)
{
	xa_lock(&file->vms);
	vm->queues--;
	xa_unlock(&file->vms);
}
EXPORT_SYMBOL_GPL(svm_drm_vm_drop_queue);

struct svm_drm_vm *svm_drm_vm_of_context(struct svm_drm_device *dev, u32 context)
{
	struct svm_drm_vm *vm;

	/* Under the lock a vm in the table has not had its last put: vm_end() erases it first. */
	xa_lock(&dev->contexts);
	vm = xa_load(&dev->contexts, context);
	if (vm && (test_bit(0, &vm->stopped) || !svm_drm_vm_use(vm)))
		vm = ERR_PTR(-ESTALE);
	else if (vm)
		kref_get(&vm->ref);
	xa_unlock(&dev->contexts);
	return vm;
}
EXPORT_SYMBOL_GPL(svm_drm_vm_of_context);

/* For removal: stops every vm and waits until all of them are gone. No ioctl runs any more. */
void svm_drm_vms_stop_all(struct svm_drm_device *dev)
{
	struct svm_drm_vm *vm;
	LIST_HEAD(ending);
	unsigned long context;

	xa_for_each(&dev->contexts, context, vm) {
		/* A vm that ends by itself just now is none of ours: not found, or stopped. */
		vm = svm_drm_vm_of_context(dev, context);
		if (IS_ERR_OR_NULL(vm))
			continue;
		stop_begin(vm, &ending);
		svm_drm_vm_leave(vm);
	}
	stop_finish(&ending);
	/* Removal must wait: tables lie in the BAR, and pages are mapped for the device's DMA. */
	wait_event(dev->gone, !atomic_read(&dev->vm_total));
}
