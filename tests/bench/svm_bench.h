/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the program and the module say to each other. An open file of /dev/svm_bench is one
 * contender that serves the process that opened it. All counts are differences of the time-stamp
 * counter, which QEMU's -icount makes a count of instructions.
 */
#ifndef SVM_BENCH_H
#define SVM_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** enum svm_bench_contender - what serves the device's faults */
enum svm_bench_contender {
	SVM_BENCH_FLOOR = 0,	/**< @SVM_BENCH_FLOOR: hmm_range_fault() alone */
	SVM_BENCH_GPUSVM = 1,	/**< @SVM_BENCH_GPUSVM: drm_gpusvm */
	SVM_BENCH_SVMIRROR = 2,	/**< @SVM_BENCH_SVMIRROR: svmirror */
};

/**
 * struct svm_bench_begin - choose the contender of an open file, once
 * @contender: enum svm_bench_contender
 * @granule_lg2: of svmirror: log2 of what one fault makes present; 0 for the others
 */
struct svm_bench_begin {
	__u32 contender;
	__u32 granule_lg2;
};

/**
 * struct svm_bench_fault - let the device access [@start, @end)
 * @start: page-aligned
 * @end: page-aligned
 * @step: distance of two accesses; the floor asks once for all
 * @write: the accesses write
 * @pad: 0
 * @count: out: instructions of all faults
 */
struct svm_bench_fault {
	__u64 start;
	__u64 end;
	__u64 step;
	__u32 write;
	__u32 pad;
	__u64 count;
};

/**
 * struct svm_bench_prefetch - make [@start, @end) present for writing before the device asks
 * @start: page-aligned
 * @end: page-aligned
 * @count: out: instructions
 */
struct svm_bench_prefetch {
	__u64 start;
	__u64 end;
	__u64 count;
};

/**
 * struct svm_bench_bind - bind single pages of null beside what mirrors the process
 * @start: device address that the process cannot have, page-aligned
 * @step: distance of two pages
 * @pages: how many, one call for each; a contender without bindings does nothing
 */
struct svm_bench_bind {
	__u64 start;
	__u64 step;
	__u64 pages;
};

/**
 * struct svm_bench_state - what a contender holds
 * @pages: out: pages of 4 KiB that the device can reach; of the floor: that the last fault found
 * @host_bytes: out: memory for bookkeeping
 * @table_bytes: out: memory of page tables that the device walks
 */
struct svm_bench_state {
	__u64 pages;
	__u64 host_bytes;
	__u64 table_bytes;
};

#define SVM_BENCH_IOCTL_BEGIN		_IOW('b', 0, struct svm_bench_begin)
#define SVM_BENCH_IOCTL_FAULT		_IOWR('b', 1, struct svm_bench_fault)
#define SVM_BENCH_IOCTL_PREFETCH	_IOWR('b', 2, struct svm_bench_prefetch)
#define SVM_BENCH_IOCTL_STATE		_IOR('b', 3, struct svm_bench_state)
#define SVM_BENCH_IOCTL_BIND		_IOW('b', 4, struct svm_bench_bind)

#endif
