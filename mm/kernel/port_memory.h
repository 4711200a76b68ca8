/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages in a device's memory: what port_memory.c (their life) and port_migrate.c (their moves)
 * share.
 */
#ifndef SVM_PORT_MEMORY_H
#define SVM_PORT_MEMORY_H

#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>

#include <svm/memory.h>

#include "port_kernel.h"
#include "svm_config.h"

/**
 * struct svm_memory - a device's memory as far as processes can have pages in it
 * @pgmap: core mm's part; the memory is the owner of its pages, in hmm and in migration
 * @dev: does the copies' DMA
 * @ops: the driver's functions
 * @arg: their argument
 * @pages: how many
 * @first: pfn of page 0
 * @users: sections in which the driver's functions may be called
 * @gone: the device is; then they are not
 * @used: pages that processes have, and 1 until svm_memory_destroy()
 * @end_work: takes @pgmap down after the last page
 */
struct svm_memory {
	struct dev_pagemap pgmap;
	struct device *dev;
	const struct svm_memory_ops *ops;
	void *arg;
	u64 pages;
	unsigned long first;
	struct srcu_struct users;
	bool gone;
	atomic_long_t used;
	struct work_struct end_work;
};

static inline struct svm_memory *svm_memory_of(const struct page *page)
{
#ifdef HAVE_PAGE_PGMAP
	return container_of(page_pgmap(page), struct svm_memory, pgmap);
#else
	return container_of(page->pgmap, struct svm_memory, pgmap);
#endif
}

/* The number of a page in its memory. */
static inline u64 svm_memory_index(const struct svm_memory *memory, const struct page *page)
{
	return page_to_pfn(page) - memory->first;
}

struct page *svm_memory_take(struct svm_memory *memory, const struct svm_memory_page *from);

/**
 * struct svm_move - pages on their way between system memory and a device's
 * @memory: the device's. Its users section is held, or a vm has it, which goes before it
 * @into: the way
 * @n: entries of @src and @dst, as of core mm's migrate_vma
 * @src: where a page is; what core mm lets go has MIGRATE_PFN_MIGRATE
 * @dst: a page for it, locked, or 0: it stays
 * @copy: room for @n
 */
struct svm_move {
	struct svm_memory *memory;
	bool into;
	unsigned long n;
	unsigned long *src;
	unsigned long *dst;
	struct svm_copy *copy;
};

int svm_move_copy(struct svm_move *m);
unsigned long svm_move_count(const struct svm_move *m);
vm_fault_t svm_move_home(struct vm_fault *vmf);

#endif
