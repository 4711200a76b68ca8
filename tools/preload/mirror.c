// SPDX-License-Identifier: MIT
/*
 * When it lives: from before main() until exit() or _exit(), and again in each
 * child of fork(). Descriptors are opened where the process has one thread only,
 * since they have a low number for a moment.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mirror.h"

static atomic_bool stopping, running, looked;
static pid_t owner;
static uint64_t state;

static uint64_t next_random(void)
{
	state += 0x9e3779b97f4a7c15;
	uint64_t x = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;

	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static void turn(void)
{
	uint64_t random = next_random();
	struct piece spot = memory_map_spot(random, MIRROR_SPOT_PAGES);

	if (spot.end > spot.start) {
		int done = check_spot(spot, random >> 8);

		if (done < 0)
			atomic_store_explicit(&stopping, true,
					      memory_order_relaxed);
		else if (done)
			atomic_store_explicit(&looked, true,
					      memory_order_relaxed);
	}
	if (random % 8)
		return;
	spot = memory_map_spot(next_random(), 64);
	if (spot.end > spot.start)
		check_prefetch(spot);
}

static void *run(void *unused)
{
	const struct timespec gap = {0, 2000000};
	int err;

	(void)unused;
	prctl(PR_SET_NAME, "svm-mirror");
	err = check_begin();
	if (err)
		report_count("unmirrored", (unsigned long)-err);
	/* relaxed, here and below: requests and news, nothing else is published by them */
	for (unsigned int round = 0;
	     !err && !atomic_load_explicit(&stopping, memory_order_relaxed);
	     round++) {
		if (round % 8 == 0 && !memory_map_read())
			break;
		turn();
		nanosleep(&gap, NULL);
	}
	atomic_store_explicit(&running, false, memory_order_relaxed);
	return NULL;
}

static void begin(void)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, kept;
	struct timespec now;
	int kept_errno = errno;

	clock_gettime(CLOCK_MONOTONIC, &now);
	owner = getpid();
	state = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)owner;
	atomic_store_explicit(&stopping, false, memory_order_relaxed);
	atomic_store_explicit(&running, false, memory_order_relaxed);
	atomic_store_explicit(&looked, false, memory_order_relaxed);
	report_open();
	int err = check_open();

	if (err || memory_map_open()) {
		report_count("unmirrored", err ? (unsigned long)-err : EMFILE);
		errno = kept_errno;
		return;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &kept);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN + 65536);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	atomic_store_explicit(&running, true, memory_order_relaxed);
	if (pthread_create(&thread, &attributes, run, NULL))
		atomic_store_explicit(&running, false, memory_order_relaxed);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &kept, NULL);
	errno = kept_errno;
}

/* The parent's device is of no use to the child, whose memory is another. glibc has made malloc usable again here. */
static void in_child(void)
{
	check_close();
	memory_map_close();
	begin();
}

/* Waits for the spot under way, with a bound. True if something was wrong. */
static bool finish(void)
{
	const struct timespec pause = {0, 1000000};

	atomic_store_explicit(&stopping, true, memory_order_relaxed);
	for (int i = 0;
	     i < 20000 && atomic_load_explicit(&running, memory_order_relaxed);
	     i++)
		nanosleep(&pause, NULL);
	return report_bad();
}

__attribute__((constructor)) static void at_start(void)
{
	pthread_atfork(NULL, NULL, in_child);
	begin();
}

__attribute__((destructor)) static void at_end(void)
{
	const struct timespec pause = {0, 1000000};

	/* programs that are shorter than their mirror takes to begin are looked at once */
	for (int i = 0; i < 20000 &&
			atomic_load_explicit(&running, memory_order_relaxed) &&
			!atomic_load_explicit(&looked, memory_order_relaxed);
	     i++)
		nanosleep(&pause, NULL);
	if (finish())
		syscall(SYS_exit_group, MIRROR_STATUS);
}

/*
 * Programs that do without destructors: children of fork(), mostly. A child of vfork() has its parent's memory, and
 * with it the state of a mirror that is not its own.
 */
__attribute__((visibility("default"), noreturn)) void _exit(int status)
{
	bool bad = getpid() == owner && finish();

	for (;;)
		syscall(SYS_exit_group, bad ? MIRROR_STATUS : status);
}

__attribute__((visibility("default"), noreturn)) void _Exit(int status)
{
	_exit(status);
}
