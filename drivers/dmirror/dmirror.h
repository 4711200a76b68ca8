/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctls of /dev/hmm_dmirror0 and 1: those of the kernel's HMM selftest (lib/test_hmm.c), so
 * that its test program runs on them as it is.
 *
 * Each of the two is a device with memory of its own. It accesses the memory of the process that
 * opened the file, at the process's own addresses. Another process gets -EPERM.
 */
#ifndef SVM_DMIRROR_H
#define SVM_DMIRROR_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * struct dmirror_command - argument of each ioctl; written back when it succeeds
 * @addr: where the device accesses memory; page-aligned
 * @ptr: the caller's buffer: @npages pages, or for DMIRROR_SNAPSHOT bytes
 * @npages: how many pages, not 0
 * @cpages: out: how many were done
 * @faults: out: how often the device found a page missing that it then had brought, and with
 *	it all that follow
 */
struct dmirror_command {
	__u64 addr;
	__u64 ptr;
	__u64 npages;
	__u64 cpages;
	__u64 faults;
};

/*
 * READ copies @addr to @ptr and WRITE copies @ptr to @addr. Memory that cannot be read is -EFAULT,
 * memory that cannot be written -EPERM, and the pages before it are done. READ_UNLOCKED is READ:
 * each fault of this device waits for a userfaultfd's handler where one has to resolve it.
 *
 * MIGRATE_TO_DEV moves what can move into the device's memory, and copies the span's content from
 * there to @ptr. -ENOENT: a page is not there, and the pages before it are. MIGRATE_TO_SYS moves
 * home what is there, and @cpages says how many pages did. Both: -EINVAL: the span is not all
 * memory that can be read. RELEASE sends home all that any process has in the device's memory;
 * what something holds just now stays. Where the kernel has no memory of devices
 * (CONFIG_DEVICE_PRIVATE), MIGRATE_TO_DEV is -EOPNOTSUPP, and the other two find nothing.
 *
 * EXCLUSIVE takes the pages away from the CPU, as the device's atomics need it, and copies @addr
 * to @ptr. A touch of the CPU's gets a page back. CHECK_EXCLUSIVE: -EPERM: a page is the device's
 * alone.
 *
 * FLAGS: @npages is DMIRROR_FLAG_FAIL_ALLOC: the device finds no room for pages when it is asked
 * next. MIGRATE_TO_DEV asks once more, so it succeeds.
 *
 * SNAPSHOT says of each page what the device can reach, by the bits below, and brings nothing.
 */
#define DMIRROR_READ		_IOWR('H', 0x00, struct dmirror_command)
#define DMIRROR_WRITE		_IOWR('H', 0x01, struct dmirror_command)
#define DMIRROR_MIGRATE_TO_DEV	_IOWR('H', 0x02, struct dmirror_command)
#define DMIRROR_MIGRATE_TO_SYS	_IOWR('H', 0x03, struct dmirror_command)
#define DMIRROR_SNAPSHOT	_IOWR('H', 0x04, struct dmirror_command)
#define DMIRROR_EXCLUSIVE	_IOWR('H', 0x05, struct dmirror_command)
#define DMIRROR_CHECK_EXCLUSIVE	_IOWR('H', 0x06, struct dmirror_command)
#define DMIRROR_RELEASE		_IOWR('H', 0x07, struct dmirror_command)
#define DMIRROR_FLAGS		_IOWR('H', 0x08, struct dmirror_command)
#define DMIRROR_READ_UNLOCKED	_IOWR('H', 0x09, struct dmirror_command)

#define DMIRROR_FLAG_FAIL_ALLOC	0x01

#define DMIRROR_SAW_NOTHING	0x00	/* not present, or in the other device's memory */
#define DMIRROR_SAW_READ	0x01	/* may be read, not written */
#define DMIRROR_SAW_WRITE	0x02	/* may be read and written */
#define DMIRROR_SAW_PMD		0x04	/* part of a leaf of 2 MiB */
#define DMIRROR_SAW_PUD		0x08	/* part of a leaf of 1 GiB */
#define DMIRROR_SAW_ZERO	0x10	/* the kernel's page of zeros */
#define DMIRROR_SAW_VRAM	0x20	/* in the device's memory */
#define DMIRROR_SAW_ERROR	0xff	/* nothing that can be read */

#endif
