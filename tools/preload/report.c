// SPDX-License-Identifier: MIT
/* The report: single appended lines, so that processes may share the file. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mirror.h"

static struct held file = {.fd = -1};
static atomic_bool bad;

void report_open(void)
{
	const char *path = getenv("SVM_MIRROR_REPORT");

	if (held_fd(&file) < 0 && path && *path)
		file = hold(open(
			path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666));
}

/* A line that does not get through is lost: there is nobody to tell. */
static void put(int fd, const char *text)
{
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return;
}

void report_count(const char *what, unsigned long number)
{
	char line[64];

	if (!number)
		return;
	snprintf(line, sizeof(line), "%s %lu\n", what, number);
	put(held_fd(&file), line);
}

void report_mismatch(const char *format, ...)
{
	char line[400], name[16] = "?";
	va_list arguments;
	int used;

	atomic_store_explicit(&bad, true, memory_order_relaxed);
	/* of the main thread, whoever asks */
	int comm = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t got = comm >= 0 ? read(comm, name, sizeof(name) - 1) : 0;

	if (comm >= 0)
		close(comm);
	name[got > 0 ? strcspn(name, "\n") : 1] = 0;
	used = snprintf(line, sizeof(line),
			"mismatch 1 svmirror_preload: pid %d (%s): ", getpid(), name);
	va_start(arguments, format);
	used += vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format,
			  arguments);
	va_end(arguments);
	if (used > (int)sizeof(line) - 2)
		used = sizeof(line) - 2;
	line[used] = '\n';
	line[used + 1] = 0;
	put(held_fd(&file), line);
	put(STDERR_FILENO, line + strlen("mismatch 1 "));
}

bool report_bad(void)
{
	return atomic_load_explicit(&bad, memory_order_relaxed);
}
