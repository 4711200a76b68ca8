// SPDX-License-Identifier: GPL-2.0-only
/* Compiles on every supported kernel: tells a missing interface from a broken set-up. */
#include <linux/hmm.h>
#include <linux/module.h>
#include <linux/mmu_notifier.h>

int svm_probe(struct hmm_range *range);
int svm_probe(struct hmm_range *range)
{
	return hmm_range_fault(range);
}
