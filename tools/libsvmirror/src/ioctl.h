/* SPDX-License-Identifier: MIT */
/* Shared by libsvmirror's own files. */
#ifndef SVMIRROR_IOCTL_H
#define SVMIRROR_IOCTL_H

#include <stddef.h>
#include <stdint.h>

/*
 * 0 or a negative errno. Not drmIoctl(): that one goes again on EAGAIN as well,
 * which here is an answer (the queue is full) and would be a busy loop.
 */
int svmirror_ioctl(int fd, unsigned long request, void *arg);

/* DRM_IOCTL_SVM_QUERY into a zeroed buffer; @written may be NULL. */
int svmirror_query(int fd, uint32_t vm, uint32_t query, void *data, size_t size);

#endif
