// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm: svmirror's address space and the hardware context that walks it.
 *
 * Its life: the context's id is reserved; svmirror's vm is made; it becomes
 * findable by its context; the device is told the root. Its end, in this order:
 * the context is cleared (the device forgets all translations and reports no
 * more faults), what was reported before is taken from the fault ring, then the
 * last user (a fault being served, an ioctl) lets svmirror's vm be destroyed by
 * a worker, and only then the id is free for another.
 *
 * The worker matters: a fault may be at something that cannot be cut short, and close()
 * must not wait for that for ever.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "svgpu.h"

/* Closing a file waits so long for its address spaces to be gone. */
#define GONE_MS	5000

static void vm_free(struct kref *ref)
{
	struct svgpu_vm *vm = container_of(ref, struct svgpu_vm, ref);

	mutex_destroy(&vm->log.lock);
	svgpu_process_put(vm->process);
	drm_dev_put(&vm->dev->drm);
	kvfree(vm);
}

/* Drops a reference to the struct. */
void svgpu_vm_put(struct svgpu_vm *vm)
{
	kref_put(&vm->ref, vm_free);
}

/* The last user has gone: svmirror's vm ends, then the context's id. */
static void vm_end(struct work_struct *work)
{
	struct svgpu_vm *vm = container_of(work, struct svgpu_vm, end_work);
	struct svgpu_device *dev = vm->dev;

	svgpu_vm_faults_fini(vm);
	svm_vm_destroy(vm->svm);
	xa_erase(&dev->contexts, vm->context);
	svgpu_share_give(vm->process, SVGPU_CONTEXT_ID);
	/* The remover that waits for zero waits for this worker too, before it frees more. */
	if (atomic_dec_and_test(&dev->vm_total))
		wake_up_all(&dev->gone);
	complete_all(&vm->gone);
	svgpu_vm_put(vm);
}

/* May @vm->svm be used? To be ended by svgpu_vm_unuse(). The caller keeps the struct. */
bool svgpu_vm_use(struct svgpu_vm *vm)
{
	return refcount_inc_not_zero(&vm->users);
}

void svgpu_vm_unuse(struct svgpu_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		queue_work(vm->dev->wq, &vm->end_work);
}

/* Ends a use and drops the reference that came with it. */
void svgpu_vm_leave(struct svgpu_vm *vm)
{
	svgpu_vm_unuse(vm);
	svgpu_vm_put(vm);
}

static int vm_make_svm(struct svgpu_vm *vm, u32 interval_lg2, u32 granule_lg2)
{
	struct svm_vm_params params = {
		.ops = svgpu_tables_in_vram ? &svgpu_vram_ops :
					      &svgpu_system_ops,
		.backend = vm,
		.format = vm->dev->format,
		.mm = current->mm,
		.dma_device = &vm->dev->pdev->dev,
		.interval_lg2 = interval_lg2,
		.granule_lg2 = granule_lg2,
	};

	return svm_vm_create(&params, &vm->svm);
}

static int vm_set_context(struct svgpu_vm *vm)
{
	const struct svm_table_mem *root = svm_vm_root(vm->svm);
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_CONTEXT_SET,
		.context = vm->context,
		.address = root->addr,
		.aperture = root->aperture,
		.format = SVGPU_FORMAT_XE2,
	};

	/* From now on flushes are sent: see flush_begin(). There is none yet: nothing is bound. */
	WRITE_ONCE(vm->live, true);
	return svgpu_sync_set(vm->dev, &op);
}

/* A vm of the current process that has nothing of the device's yet; NULL: no memory. */
static struct svgpu_vm *vm_alloc(struct svgpu_device *dev)
{
	struct svgpu_vm *vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);

	if (!vm)
		return NULL;
	vm->process = svgpu_process_get(dev);
	if (!vm->process) {
		kvfree(vm);
		return NULL;
	}
	vm->dev = dev;
	drm_dev_get(&dev->drm);
	kref_init(&vm->ref);
	refcount_set(&vm->users, 1);
	INIT_WORK(&vm->end_work, vm_end);
	init_completion(&vm->gone);
	svgpu_faultlog_init(&vm->log);
	return vm;
}

/**
 * svgpu_vm_create() - make a vm for the current process
 * @dev: the device
 * @interval_lg2: as in struct drm_svm_vm_create
 * @granule_lg2: as in struct drm_svm_vm_create
 *
 * Context: process; sleeps.
 * Return: the vm, to be ended by svgpu_vm_stop() and svgpu_vm_put(); -ENOSPC: the
 * process or its user has its share of contexts; -EINVAL, -ENOMEM, -EIO, -ENODEV.
 */
struct svgpu_vm *svgpu_vm_create(struct svgpu_device *dev, u32 interval_lg2,
				 u32 granule_lg2)
{
	struct svgpu_vm *vm = vm_alloc(dev);
	int ret;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	ret = svgpu_share_take(vm->process, SVGPU_CONTEXT_ID);
	if (ret)
		goto put;
	/* Reserved, so that storing the vm below cannot fail; reads as not there. */
	ret = xa_alloc(&dev->contexts, &vm->context, NULL,
		       XA_LIMIT(0, dev->context_count - 1), GFP_KERNEL);
	if (ret)
		goto give;
	ret = svgpu_vm_faults_init(vm) ?:
	      vm_make_svm(vm, interval_lg2, granule_lg2);
	if (ret) {
		svgpu_vm_faults_fini(vm);
		xa_erase(&dev->contexts, vm->context);
		goto give;
	}
	/* vm_end()'s: the use by the vm itself keeps the struct too. */
	kref_get(&vm->ref);
	atomic_inc(&dev->vm_total);
	xa_store(&dev->contexts, vm->context, vm, GFP_KERNEL);
	ret = vm_set_context(vm);
	if (ret) {
		svgpu_vm_stop(vm);
		goto put;
	}
	return vm;
give:
	svgpu_share_give(vm->process, SVGPU_CONTEXT_ID);
put:
	svgpu_vm_put(vm);
	return ERR_PTR(ret);
}

/*
 * Takes a vm into @ending, for stop_finish(), unless another task stops it. The device is
 * told, and not waited for.
 */
static void stop_begin(struct svgpu_vm *vm, struct list_head *ending)
{
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_CONTEXT_CLEAR,
		.context = vm->context,
	};

	if (test_and_set_bit(0, &vm->stopped))
		return;
	svgpu_sync_begin(vm->dev, &op, &vm->cleared);
	kref_get(&vm->ref);
	list_add_tail(&vm->ending, ending);
}

static void stop_finish(struct list_head *ending)
{
	struct svgpu_vm *vm, *next;

	list_for_each_entry_safe(vm, next, ending, ending) {
		list_del(&vm->ending);
		/* It has its value since stop_begin(): 0 where the device is gone. */
		svgpu_sync_wait(vm->dev, vm->cleared, true);
		/* Acknowledged (or cut off): nothing is left that a flush could forget. */
		WRITE_ONCE(vm->live, false);
		/*
		 * Stale entries go before the id has its next owner. One that finds no record
		 * now is told by its cookie, which is no job of that owner's.
		 */
		svgpu_faults_drain(vm->dev);
		svgpu_vm_faults_cancel(vm);
		svgpu_vm_leave(vm);
	}
}

/**
 * svgpu_vm_stop() - the device must not reach anything through this vm any more
 * @vm: the vm, without queues
 *
 * svmirror's vm is destroyed when the last user has gone, see svgpu_vm_wait_gone().
 * Only the first call does anything.
 * Context: process; sleeps.
 */
void svgpu_vm_stop(struct svgpu_vm *vm)
{
	LIST_HEAD(ending);

	stop_begin(vm, &ending);
	stop_finish(&ending);
}

/* For the end of a file, when no ioctl uses its handles: stops all of its vms together. */
void svgpu_vms_stop_file(struct svgpu_file *file)
{
	struct svgpu_vm *vm;
	LIST_HEAD(ending);
	unsigned long id;

	xa_for_each(&file->vms, id, vm)
		stop_begin(vm, &ending);
	stop_finish(&ending);
}

/* How long svgpu_vm_wait_gone() may take from now on: one deadline for all vms of a file. */
unsigned long svgpu_vm_deadline(void)
{
	return jiffies + msecs_to_jiffies(GONE_MS);
}

/*
 * Waits until a stopped vm has given back everything, or until the deadline, and then a
 * worker goes on.
 */
void svgpu_vm_wait_gone(struct svgpu_vm *vm, unsigned long deadline)
{
	unsigned long now = jiffies;

	if (time_before(now, deadline))
		wait_for_completion_timeout(&vm->gone, deadline - now);
}

/**
 * svgpu_vm_get() - the vm of a handle
 * @file: whose handle it is
 * @id: the handle
 *
 * Return: the vm, used, to be ended by svgpu_vm_leave();
 * -ENOENT: no such; -EPERM: it belongs to another process.
 */
struct svgpu_vm *svgpu_vm_get(struct svgpu_file *file, u32 id)
{
	struct svgpu_vm *vm;

	/* Under the lock a vm in the table keeps its struct. */
	xa_lock(&file->vms);
	vm = xa_load(&file->vms, id);
	if (vm && svgpu_vm_use(vm))
		kref_get(&vm->ref);
	else
		vm = NULL;
	xa_unlock(&file->vms);
	if (!vm)
		return ERR_PTR(-ENOENT);
	if (svm_vm_mm(vm->svm) != current->mm) {
		svgpu_vm_leave(vm);
		return ERR_PTR(-EPERM);
	}
	return vm;
}

/*
 * The vm of a hardware context: used and with a reference, to be ended by
 * svgpu_vm_leave(). NULL: no such; -ESTALE: it is ending.
 */
struct svgpu_vm *svgpu_vm_of_context(struct svgpu_device *dev, u32 context)
{
	struct svgpu_vm *vm;

	/* Under the lock a vm in the table has not had its last put: vm_end() erases it first. */
	xa_lock(&dev->contexts);
	vm = xa_load(&dev->contexts, context);
	if (vm && (test_bit(0, &vm->stopped) || !svgpu_vm_use(vm)))
		vm = ERR_PTR(-ESTALE);
	else if (vm)
		kref_get(&vm->ref);
	xa_unlock(&dev->contexts);
	return vm;
}

/* For removal: stops every vm and waits until all of them are gone. No ioctl runs any more. */
void svgpu_vms_stop_all(struct svgpu_device *dev)
{
	struct svgpu_vm *vm;
	LIST_HEAD(ending);
	unsigned long context;

	xa_for_each(&dev->contexts, context, vm) {
		/* A vm that ends by itself just now is none of ours: not found, or stopped. */
		vm = svgpu_vm_of_context(dev, context);
		if (IS_ERR_OR_NULL(vm))
			continue;
		stop_begin(vm, &ending);
		svgpu_vm_leave(vm);
	}
	stop_finish(&ending);
	/* Removal must wait: tables lie in the BAR, and pages are mapped for the device's DMA. */
	wait_event(dev->gone, !atomic_read(&dev->vm_total));
}
