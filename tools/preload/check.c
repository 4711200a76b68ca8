// SPDX-License-Identifier: MIT
/*
 * One spot: the CPU's view, the device's, the CPU's again. The program runs on
 * meanwhile, so a difference counts only if the CPU's view stands still and the
 * device's stays another, many times over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <svmirror.h>

#include "mirror.h"

#define TURNS 40
#define STILL 8
#define WAIT_NS 120000000000ll
#define SPOT_BYTES (MIRROR_SPOT_PAGES * MIRROR_PAGE)

enum view { SAME, DIFFERS, MOVED, GONE };

static struct held gpu = {.fd = -1};
static uint32_t vm, queue;
/* What jobs write: whole pages, which are looked at by nobody. */
static struct {
	_Alignas(4096) unsigned char before[SPOT_BYTES];
	unsigned char after[SPOT_BYTES];
	unsigned char seen[SPOT_BYTES];
	_Alignas(4096) uint64_t total;
} own;

int check_open(void)
{
	int fd, err = svmirror_open(NULL, &fd);

	if (!err)
		gpu = hold(fd);
	return err ? err : gpu.fd < 0 ? -EMFILE : 0;
}

void check_close(void)
{
	let_go(&gpu);
}

int check_begin(void)
{
	/* one page a fault: its neighbours would become present, and the program could tell */
	struct svmirror_vm_options options = {.granule_lg2 = 12};
	int err = svmirror_vm_create(gpu.fd, &options, &vm);

	if (!err)
		err = svmirror_bind_all(gpu.fd, vm);
	if (!err)
		err = svmirror_queue_create(gpu.fd, vm, &queue);
	return err;
}

/* Through the kernel, since what is not readable any more must not end the program. */
static bool cpu_reads(struct piece spot, void *to)
{
	size_t bytes = spot.end - spot.start;
	struct iovec local = {to, bytes}, remote = {(void *)spot.start, bytes};

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
	       (ssize_t)bytes;
}

/* 0, what the job ended with, or what kept it from running; -ETIME: it hangs. */
static int device_reads(struct piece spot, bool add)
{
	struct drm_svgpu_job_result result;
	struct svmirror_job job = {.queue = queue,
				   .kernel = add ? SVMIRROR_SUM : SVMIRROR_COPY};
	size_t bytes = spot.end - spot.start;
	int err;

	job.args[0] = add ? spot.start : (uintptr_t)own.seen;
	job.args[1] = add ? bytes / sizeof(uint64_t) : spot.start;
	job.args[2] = add ? (uintptr_t)&own.total : bytes;
	err = svmirror_run(gpu.fd, &job, WAIT_NS, &result);
	return err ? err : result.status;
}

static uint64_t sum_of(const unsigned char *bytes, size_t count)
{
	uint64_t sum = 0, word;

	for (size_t i = 0; i < count; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		sum += word;
	}
	return sum;
}

static enum view compare(struct piece spot, bool add, int *status)
{
	size_t bytes = spot.end - spot.start;
	bool readable = cpu_reads(spot, own.before);

	*status = device_reads(spot, add);
	if (*status && *status != -EFAULT && *status != -ETIME)
		return GONE;
	if (cpu_reads(spot, own.after) != readable ||
	    (readable && memcmp(own.before, own.after, bytes)))
		return MOVED;
	if (*status)
		return readable ? DIFFERS : SAME;
	if (!readable)
		return DIFFERS;
	if (add)
		return own.total == sum_of(own.before, bytes) ? SAME : DIFFERS;
	return memcmp(own.seen, own.before, bytes) ? DIFFERS : SAME;
}

static void report_lost(int status)
{
	char what[40];

	snprintf(what, sizeof(what), "device_lost_by_error_%d", -status);
	report_count(what, 1);
}

static void tell(struct piece spot, bool add, int status)
{
	size_t bytes = spot.end - spot.start, at = 0;
	uint64_t cpu = 0, device = 0;

	if (status) {
		report_mismatch("the device gets error %d in [%#lx, %#lx), "
				"which the CPU reads",
				status, spot.start, spot.end);
		return;
	}
	while (!add && at + sizeof(cpu) < bytes &&
	       !memcmp(own.seen + at, own.before + at, sizeof(cpu)))
		at += sizeof(cpu);
	memcpy(&cpu, own.before + at, sizeof(cpu));
	memcpy(&device, own.seen + at, sizeof(device));
	report_mismatch(
		"%s [%#lx, %#lx): the device has %#lx at %#lx, the CPU %#lx",
		add ? "sum of" : "copy of", spot.start, spot.end,
		add ? own.total : device, spot.start + at,
		add ? sum_of(own.before, bytes) : cpu);
}

int check_spot(struct piece spot, uint64_t random)
{
	bool add = random % 4 == 0;
	int status = 0, still = 0;

	if (held_fd(&gpu) < 0)
		return -ENODEV;
	if (spot.start < (uintptr_t)(&own + 1) && spot.end > (uintptr_t)&own)
		return 0;
	for (int turn = 0; turn < TURNS; turn++) {
		struct timespec pause = {0, 200000l * turn};

		switch (compare(spot, add, &status)) {
		case SAME:
			report_count("checked", 1);
			return 1;
		case GONE:
			report_lost(status);
			return -EIO;
		case MOVED:
			still = 0;
			break;
		case DIFFERS:
			if (++still < STILL && status != -ETIME)
				break;
			tell(spot, add, status);
			return status == -ETIME ? -EIO : 1;
		}
		nanosleep(&pause, NULL);
	}
	report_count("restless", 1);
	return 0;
}

void check_prefetch(struct piece span)
{
	if (held_fd(&gpu) >= 0 &&
	    !svmirror_prefetch(gpu.fd, vm, span.start, span.end - span.start, 0,
			       NULL))
		report_count("prefetched",
			     (span.end - span.start) / MIRROR_PAGE);
}
