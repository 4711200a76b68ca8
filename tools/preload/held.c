// SPDX-License-Identifier: MIT
/* Descriptors that the program does not know of. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mirror.h"

struct held hold(int fd)
{
	struct held held = HELD_NONE;
	struct stat is;

	if (fd < 0)
		return held;
	held.fd = fcntl(fd, F_DUPFD_CLOEXEC, MIRROR_LOWEST_FD);
	close(fd);
	if (held.fd < 0 || fstat(held.fd, &is))
		return HELD_NONE;
	held.device = is.st_dev;
	held.inode = is.st_ino;
	return held;
}

int held_fd(struct held *held)
{
	struct stat is;

	if (held->fd >= 0 &&
	    (fstat(held->fd, &is) || is.st_dev != held->device ||
	     is.st_ino != held->inode))
		*held = HELD_NONE;
	return held->fd;
}

void let_go(struct held *held)
{
	int fd = held_fd(held);

	if (fd >= 0)
		close(fd);
	*held = HELD_NONE;
}
