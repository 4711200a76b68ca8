// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor: one hmm_range_fault() over the span, under a notifier as any mirror needs it. Its
 * answer is dropped. A mirror built on hmm cannot cost less.
 */
#include <linux/hmm.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_notifier.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "bench.h"

#define MOST_PAGES	(SZ_64M >> PAGE_SHIFT)

/**
 * struct floor - one process
 * @mni: covers the whole address space
 * @pfns: what hmm answers
 * @found: pages of the last call
 */
struct floor {
	struct mmu_interval_notifier mni;
	unsigned long *pfns;
	u64 found;
};

static bool floor_invalidate(struct mmu_interval_notifier *mni,
			     const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(mni, seq);
	return true;
}

static const struct mmu_interval_notifier_ops floor_mni_ops = {
	.invalidate = floor_invalidate,
};

static int floor_begin(u32 granule_lg2, void **state)
{
	struct floor *f = kzalloc(sizeof(*f), GFP_KERNEL);
	int err;

	if (!f)
		return -ENOMEM;
	f->pfns = kvcalloc(MOST_PAGES, sizeof(*f->pfns), GFP_KERNEL);
	if (!f->pfns) {
		kfree(f);
		return -ENOMEM;
	}
	err = mmu_interval_notifier_insert(&f->mni, current->mm, 0, TASK_SIZE,
					   &floor_mni_ops);
	if (err) {
		kvfree(f->pfns);
		kfree(f);
		return err;
	}
	*state = f;
	return 0;
}

static void floor_end(void *state)
{
	struct floor *f = state;

	mmu_interval_notifier_remove(&f->mni);
	kvfree(f->pfns);
	kfree(f);
}

static int floor_fault_all(void *state, u64 start, u64 end, bool write)
{
	struct floor *f = state;
	struct hmm_range range = {
		.notifier = &f->mni,
		.start = start,
		.end = end,
		.hmm_pfns = f->pfns,
		.default_flags = HMM_PFN_REQ_FAULT | (write ? HMM_PFN_REQ_WRITE : 0),
	};
	int err;

	if ((end - start) >> PAGE_SHIFT > MOST_PAGES)
		return -EINVAL;
	do {
		range.notifier_seq = mmu_interval_read_begin(&f->mni);
		mmap_read_lock(current->mm);
		err = hmm_range_fault(&range);
		mmap_read_unlock(current->mm);
	} while (err == -EBUSY);
	f->found = err ? 0 : (end - start) >> PAGE_SHIFT;
	return err;
}

static int floor_prefetch(void *state, u64 start, u64 end)
{
	return floor_fault_all(state, start, end, true);
}

static void floor_state(void *state, struct svm_bench_state *out)
{
	struct floor *f = state;

	out->pages = f->found;
}

const struct bench_ops bench_floor = {
	.begin = floor_begin,
	.end = floor_end,
	.fault_all = floor_fault_all,
	.prefetch = floor_prefetch,
	.state = floor_state,
};
