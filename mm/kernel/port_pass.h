/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One pass of a fault, between port_fault.c (its course), port_ask.c (the CPU's side) and
 * port_bring.c (its faults).
 */
#ifndef SVM_PORT_PASS_H
#define SVM_PORT_PASS_H

#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include "port_kernel.h"

struct pass {
	struct port_domain *d;
	struct port_fault *f;
	struct mmu_interval_notifier shadow;
	struct vm_area_struct *vma;	/* of f->cpu, under mmap_lock */
	unsigned long pfn;		/* hmm's answer for f->cpu */
};

/* port_ask.c; the first three under mmap_lock, in this order */
int svm_ask_page(struct pass *p);
int svm_ask_neighbours(struct pass *p);
int svm_snapshot(struct pass *p);

/* port_bring.c; under mmap_lock */
bool svm_must_wait(struct vm_area_struct *vma, u64 cpu);
int svm_bring(struct vm_area_struct *vma, u64 cpu, bool write);

#endif
