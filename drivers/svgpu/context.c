// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vm's hardware context: the device is told the root, and told to forget it. The vm's life
 * is the library's (drivers/svm/vm.c).
 */
#include "svgpu.h"

/* For svm_drm_ops.start. */
int svgpu_context_start(struct svm_drm_vm *base)
{
	const struct svm_table_mem *root = svm_vm_root(base->svm);
	struct svgpu_vm *vm = to_svgpu_vm(base);
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_CONTEXT_SET,
		.context = base->context,
		.address = root->addr,
		.aperture = root->aperture,
		.format = svgpu_of(base)->format,
		.flags = base->no_fault ? SVGPU_CONTEXT_NO_FAULT : 0,
	};

	/* From now on flushes are sent: see flush_begin(). There is none yet: nothing is bound. */
	WRITE_ONCE(vm->live, true);
	return svgpu_sync_set(svgpu_of(base), &op);
}

/* For svm_drm_ops.stop. */
void svgpu_context_stop(struct svm_drm_vm *base)
{
	struct svgpu_sync op = {
		.op = SVGPU_SYNC_CONTEXT_CLEAR,
		.context = base->context,
	};

	svgpu_sync_begin(svgpu_of(base), &op, &to_svgpu_vm(base)->cleared);
}

/* For svm_drm_ops.stopped. */
void svgpu_context_stopped(struct svm_drm_vm *base)
{
	struct svgpu_device *dev = svgpu_of(base);
	struct svgpu_vm *vm = to_svgpu_vm(base);

	/* It has its value since svgpu_context_stop(): 0 where the device is gone. */
	svgpu_sync_wait(dev, vm->cleared, true);
	/* Acknowledged (or cut off): nothing is left that a flush could forget. */
	WRITE_ONCE(vm->live, false);
	/*
	 * Stale entries go before the id has its next owner. One that finds no record
	 * now is told by its cookie, which is no job of that owner's.
	 */
	svgpu_faults_drain(dev);
}

static u64 tell_jobs(struct svm_drm_vm *base, u32 what)
{
	struct svgpu_vm *vm = to_svgpu_vm(base);
	struct svgpu_sync op = {
		.op = what,
		.context = base->context,
	};

	/* As flush_begin(): before its context is set and after it is cleared, it has no job. */
	if (!READ_ONCE(vm->live))
		return 0;
	return svgpu_sync_begin(svgpu_of(base), &op, &vm->cleared);
}

/* For svm_backend_ops.stop. */
u64 svgpu_jobs_stop(void *backend)
{
	return tell_jobs(backend, SVGPU_SYNC_CONTEXT_STOP);
}

/* For svm_backend_ops.resume. */
void svgpu_jobs_resume(void *backend)
{
	tell_jobs(backend, SVGPU_SYNC_CONTEXT_RESUME);
}
