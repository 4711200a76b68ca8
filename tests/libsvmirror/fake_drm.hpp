/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A render node that is not there. This program's own open(), ioctl(), close() and so on come before libc's, so that libsvmirror and
 * libdrm, which are linked as they are, talk to a driver made of functions: one handler for each ioctl, which a test replaces.
 *
 * The nodes are paths below /dev/dri that nodes() names, each with its driver; their descriptors are files in memory without
 * content, which a test can give a size and then map. Everything else goes on to libc.
 */
#ifndef SVM_TESTS_LIBSVMIRROR_FAKE_DRM_HPP
#define SVM_TESTS_LIBSVMIRROR_FAKE_DRM_HPP

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fake
{

struct node {
	std::string driver;
	int open_error = 0; /* open() fails with it */
};

/* What is in /dev/dri, by name. */
std::map<std::string, node> &nodes();
/* No folder /dev/dri at all. */
void without_folder(bool yes);

/* 0 or an errno. */
using handler = std::function<int(void *arg)>;

/* What the driver does with a request, by its number; unset: ENOTTY. */
void on_request(unsigned long request, handler fn);

template <typename Args>
void on(unsigned long request, std::function<int(Args &)> fn)
{
	on_request(request, [fn](void *arg) { return fn(*static_cast<Args *>(arg)); });
}

/* The next so many ioctls end with EINTR before they reach the driver. */
void interrupt(unsigned times);
/* Descriptors of nodes that are open now. */
unsigned open_count();
/* One node of the driver svgpu, and no handlers. */
void reset();

} // namespace fake

#endif
