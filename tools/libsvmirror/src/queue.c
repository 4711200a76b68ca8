// SPDX-License-Identifier: MIT
/* Queues, jobs and waiting for them. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <linux/sync_file.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "ioctl.h"
#include "svmirror.h"

int svmirror_queue_create(int fd, uint32_t vm, uint32_t *queue)
{
	struct drm_svgpu_queue_create args = { .vm_id = vm };
	int err = svmirror_ioctl(fd, DRM_IOCTL_SVGPU_QUEUE_CREATE, &args);

	if (!err)
		*queue = args.queue_id;
	return err;
}

int svmirror_queue_destroy(int fd, uint32_t queue)
{
	struct drm_svgpu_queue_destroy args = { .queue_id = queue };

	return svmirror_ioctl(fd, DRM_IOCTL_SVGPU_QUEUE_DESTROY, &args);
}

int svmirror_syncobj_create(int fd, uint32_t *handle)
{
	return drmSyncobjCreate(fd, 0, handle) ? -errno : 0;
}

int svmirror_syncobj_destroy(int fd, uint32_t handle)
{
	return drmSyncobjDestroy(fd, handle) ? -errno : 0;
}

int svmirror_submit(int fd, const struct svmirror_job *job)
{
	struct drm_svgpu_submit args = {
		.queue_id = job->queue,
		.kernel = job->kernel,
		.in_count = job->in_count,
		.in_syncobjs = (uintptr_t)job->in_syncobjs,
		.out_syncobj = job->out_syncobj,
		.result = job->token,
	};

	memcpy(args.args, job->args, sizeof(args.args));
	return svmirror_ioctl(fd, DRM_IOCTL_SVGPU_SUBMIT, &args);
}

/* The kernel wants a point in time; one beyond int64 is for ever. */
static int64_t deadline(int64_t timeout_ns)
{
	struct timespec now;
	int64_t ns;

	if (timeout_ns == SVMIRROR_FOREVER)
		return INT64_MAX;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	return timeout_ns > INT64_MAX - ns ? INT64_MAX : ns + timeout_ns;
}

int svmirror_wait(int fd, uint32_t syncobj, int64_t timeout_ns)
{
	/* the fence appears only when the job has ended: wait for that as well */
	return drmSyncobjWait(fd, &syncobj, 1, deadline(timeout_ns),
			      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL);
}

int svmirror_status(int fd, uint32_t syncobj)
{
	struct sync_file_info info = { 0 };
	int file, err;

	/* it is -EINVAL where there is no fence yet */
	err = drmSyncobjExportSyncFile(fd, syncobj, &file);
	if (err)
		return errno == EINVAL ? -EAGAIN : -errno;
	err = ioctl(file, SYNC_IOC_FILE_INFO, &info) ? -errno : 0;
	close(file);
	if (err)
		return err;
	return info.status ? (info.status < 0 ? info.status : 0) : -EAGAIN;
}

int svmirror_job_result(int fd, uint32_t queue, uint64_t token, struct drm_svgpu_job_result *result)
{
	struct drm_svgpu_info ask = {
		.info = DRM_SVGPU_INFO_JOB,
		.queue_id = queue,
		.token = token,
		.size = sizeof(*result),
		.data = (uintptr_t)result,
	};

	memset(result, 0, sizeof(*result));
	return svmirror_ioctl(fd, DRM_IOCTL_SVGPU_INFO, &ask);
}

/* Far from small numbers, which callers choose for their own tokens. */
static uint64_t next_token(void)
{
	static _Atomic uint64_t last;

	return (1ull << 63) | (atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1);
}

int svmirror_run(int fd, const struct svmirror_job *job, int64_t timeout_ns, struct drm_svgpu_job_result *result)
{
	struct svmirror_job own = *job;
	int err;

	err = svmirror_syncobj_create(fd, &own.out_syncobj);
	if (err)
		return err;
	own.token = next_token();
	err = svmirror_submit(fd, &own);
	if (!err)
		err = svmirror_wait(fd, own.out_syncobj, timeout_ns);
	if (!err)
		err = svmirror_job_result(fd, own.queue, own.token, result);
	svmirror_syncobj_destroy(fd, own.out_syncobj);
	return err;
}
