/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One pass of a fault or a prefetch, between port_fault.c (its course), port_ask.c (the
 * CPU's side), port_bring.c (its faults) and port_alone.c (pages that the CPU is to lose).
 */
#ifndef SVM_PORT_PASS_H
#define SVM_PORT_PASS_H

#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include "port_kernel.h"

struct pass {
	struct port_domain *d;
	struct port_fault *f;
	struct mmu_interval_notifier shadow;
	struct vm_area_struct *vma;	/* of f->cpu, under mmap_lock; NULL: none (a prefetch's) */
	unsigned long pfn;		/* hmm's answer for f->cpu, where a block may be; else 0 */
	unsigned long missing;		/* pages that did not allow the access when looked at */
};

/* The place of a page in f->page[] and f->have. */
static inline unsigned long svm_pass_index(const struct port_fault *f, u64 cpu)
{
	return (cpu - f->start) >> PAGE_SHIFT;
}

/* Has the table that page already? */
static inline bool svm_pass_has(const struct port_fault *f, unsigned long i)
{
	return f->have[i / 64] >> (i % 64) & 1;
}

/* hmm's word for a page that allows what the pass wants. */
static inline bool svm_pfn_allows(unsigned long pfn, bool write)
{
	unsigned long need = HMM_PFN_VALID | (write ? HMM_PFN_WRITE : 0);

	return (pfn & (need | HMM_PFN_ERROR)) == need;
}

/* port_ask.c; under mmap_lock, in this order */
int svm_ask_page(struct pass *p);
int svm_ask_span(struct pass *p);
/* Instead of both, where the page is to be had alone. */
int svm_ask_alone(struct pass *p);

/* port_alone.c; under mmap_lock */
int svm_take_alone(struct pass *p, unsigned long pfn);

/* port_bring.c; under mmap_lock */
bool svm_must_wait(struct vm_area_struct *vma, u64 cpu);
int svm_bring(struct vm_area_struct *vma, u64 cpu, bool write);

#endif
