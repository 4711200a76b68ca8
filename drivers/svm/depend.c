// SPDX-License-Identifier: GPL-2.0-only
/*
 * Syncobjs of what is done later, a job or a bind: those that it waits for, and the one that tells
 * its end.
 *
 * An in-syncobj that has a fence is waited for by that fence; one that has none yet is kept, and
 * looked at again (park.c). The out-syncobj loses its fence when the work is taken in, and gets a
 * signalled one at the end, which was made beforehand, so the end cannot fail.
 *
 * drm_sched is not used: it publishes a job's fence when the job is armed, long
 * before it has run, and a job of ours may wait for memory in a page fault while
 * reclaim, for that memory, waits for fences.
 */
#include <linux/dma-fence.h>
#include <linux/export.h>
#include <linux/uaccess.h>

#include <drm/drm_syncobj.h>

#include "internal.h"

int svm_drm_deps_take(struct drm_file *file, u64 handles, u32 count, struct svm_drm_dep *deps)
{
	const u32 __user *from = u64_to_user_ptr(handles);
	u32 handle, i;

	for (i = 0; i < count; i++) {
		if (get_user(handle, from + i))
			return -EFAULT;
		deps[i].syncobj = drm_syncobj_find(file, handle);
		if (!deps[i].syncobj)
			return -ENOENT;
		deps[i].fence = drm_syncobj_fence_get(deps[i].syncobj);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(svm_drm_deps_take);

void svm_drm_deps_drop(struct svm_drm_dep *deps, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		if (deps[i].syncobj)
			drm_syncobj_put(deps[i].syncobj);
		dma_fence_put(deps[i].fence);
	}
}
EXPORT_SYMBOL_GPL(svm_drm_deps_drop);

int svm_drm_out_take(struct drm_file *file, u32 handle, struct svm_drm_out *out)
{
	if (!handle)
		return 0;
	out->syncobj = drm_syncobj_find(file, handle);
	if (!out->syncobj)
		return -ENOENT;
	/*
	 * A fence of the core's: it may outlive this module, in a sync_file
	 * say, which one with operations of ours could not. It is signalled
	 * already, and no other task sees it before svm_drm_out_signal().
	 */
	out->fence = dma_fence_allocate_private_stub(ktime_get());
	return out->fence ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(svm_drm_out_take);

void svm_drm_out_reset(struct svm_drm_out *out)
{
	if (out->syncobj)
		drm_syncobj_replace_fence(out->syncobj, NULL);
}
EXPORT_SYMBOL_GPL(svm_drm_out_reset);

void svm_drm_out_signal(struct svm_drm_device *dev, struct svm_drm_out *out, int status)
{
	if (!out->syncobj)
		return;
	/* No other task has the fence before it is published, so these are plain stores. */
	out->fence->error = status;
	out->fence->timestamp = ktime_get();
	drm_syncobj_replace_fence(out->syncobj, out->fence);
	svm_drm_wake_parked(dev, out->syncobj);
}
EXPORT_SYMBOL_GPL(svm_drm_out_signal);

void svm_drm_out_drop(struct svm_drm_out *out)
{
	if (out->syncobj)
		drm_syncobj_put(out->syncobj);
	dma_fence_put(out->fence);
}
EXPORT_SYMBOL_GPL(svm_drm_out_drop);
