// SPDX-License-Identifier: GPL-2.0-only
/* What ioctls have in common: spans, and arrays whose records grow with the version of the uAPI. */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>

#include "internal.h"

/* No record will be longer, so a larger stride is a mistake of the caller's. */
#define STRIDE_MAX	4096

/* 0 and @end, or -EINVAL: not aligned, empty, or past the end of the address space. */
int svm_drm_check_span(u64 start, u64 length, u64 *end)
{
	if (!length || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(length) ||
	    check_add_overflow(start, length, end))
		return -EINVAL;
	return 0;
}

/* May records of which the first version had so many bytes lie so far apart? */
bool svm_drm_stride_is_sound(u32 stride, u32 first_version)
{
	return stride >= first_version && stride <= STRIDE_MAX &&
	       stride % sizeof(u64) == 0;
}

/* Records of @size bytes. 0 or -EFAULT. What the caller's have beyond ours becomes 0. */
int svm_drm_put_records(u64 user, const void *records, u32 size, u32 count,
			u32 stride)
{
	char __user *to = u64_to_user_ptr(user);
	u32 ours = min(stride, size);
	u32 i;

	for (i = 0; i < count; i++, to += stride, records += size) {
		if (copy_to_user(to, records, ours) ||
		    clear_user(to + ours, stride - ours))
			return -EFAULT;
	}
	return 0;
}

int svm_drm_answer(u64 user, u64 *size, const void *answer, size_t bytes)
{
	if (*size) {
		bytes = min_t(u64, *size, bytes);
		if (copy_to_user(u64_to_user_ptr(user), answer, bytes))
			return -EFAULT;
	}
	*size = bytes;
	return 0;
}
EXPORT_SYMBOL_GPL(svm_drm_answer);
