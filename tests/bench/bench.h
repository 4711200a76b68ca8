/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the contenders share: the fake device, and the operations that the module counts.
 *
 * The device has no TLB and no memory of its own. Its page tables are zeroed pages for each
 * contender, and its DMA addresses are physical addresses.
 */
#ifndef BENCH_H
#define BENCH_H

#include <linux/types.h>

#include "svm_bench.h"

struct device;

/* The device that does the DMA; NULL before bench_device_init(). */
extern struct device *bench_device;

int bench_device_init(void);
void bench_device_exit(void);

/* Memory of one page table, zeroed, or NULL. Sleeps. */
void *bench_table_alloc(void);
void bench_table_free(void *table);

/* The TLB invalidation of a device that has no TLB. A call, so that each contender pays for one. */
void bench_flush(u64 start, u64 end);

/**
 * struct bench_ops - one contender
 * @begin: serve current->mm; *state is the first argument of the others
 * @end: give all back
 * @fault: the device faults at an address
 * @fault_all: instead of @fault: one call for a whole span; or NULL
 * @prefetch: make a span present for writing
 * @bind_null: bind one page to null; NULL: there are no bindings
 * @state: what is held; out is zeroed
 *
 * All but @end are called in a thread of the process, may sleep, and say 0 or -errno.
 */
struct bench_ops {
	int (*begin)(u32 granule_lg2, void **state);
	void (*end)(void *state);
	int (*fault)(void *state, u64 va, bool write);
	int (*fault_all)(void *state, u64 start, u64 end, bool write);
	int (*prefetch)(void *state, u64 start, u64 end);
	int (*bind_null)(void *state, u64 va);
	void (*state)(void *state, struct svm_bench_state *out);
};

extern const struct bench_ops bench_floor;
extern const struct bench_ops bench_gpusvm;
extern const struct bench_ops bench_svmirror;

#endif
