/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: a fake device in system memory (struct backend), a walker
 * of its page tables that knows nothing of the encoder (walker.c), and a world per
 * test case: a piece of a real process's address space, a vm that mirrors it.
 *
 * A case's body runs in KUnit's thread with the process's mm. A body does not
 * assert (the thread would end with the mm in use): it expects, and returns.
 */
#ifndef SVM_KUNIT_H
#define SVM_KUNIT_H

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include <svm/svm.h>

struct file;

/**
 * struct backend - the fake device
 * @vram: tables lie in its own memory, addresses are offsets; else in system memory
 * @pool: that memory
 * @used: pages of @pool that are given out
 * @allocs: calls of table_alloc, failed ones too
 * @live: tables given out and not given back
 * @flushes: calls of flush_begin
 * @waited: calls of flush_wait
 * @lost: the device was reset, its memory is not what it was
 * @fail_at: the call of table_alloc that fails with -ENOMEM, counted from 1; 0: none
 * @full_after: the calls after this one fail with -ENOSPC, all of them; 0: none
 * @on_alloc: called in each table_alloc; may sleep
 * @on_flush: called in each flush_begin; may not sleep
 * @arg: for both
 * @flush_start: of the last flush
 * @flush_end: of the last flush
 */
struct backend {
	bool vram;
	struct page *pool;
	unsigned long used;
	atomic_t allocs;
	atomic_t live;
	atomic64_t flushes;
	atomic64_t waited;
	bool lost;
	int fail_at;
	int full_after;
	void (*on_alloc)(struct backend *b);
	void (*on_flush)(struct backend *b, u64 start, u64 end);
	void *arg;
	u64 flush_start;
	u64 flush_end;
};

#define POOL_ORDER	8
#define BACKEND_TABLE_MAX	SZ_8K	/* an mlx5 directory */

extern const struct svm_backend_ops backend_ops;

int backend_init(struct backend *b, bool vram);
void backend_exit(struct backend *b);
/* A device with memory of its own is reset: all that lay there is garbage. */
void backend_reset(struct backend *b);
/* Where the CPU sees the entry at a device's address; NULL: no table can be there. */
void *backend_entry(const struct backend *b, u64 addr, bool vram);

/**
 * struct leaf - what the tables say of one device address
 * @present: there is a leaf
 * @write: it allows writing
 * @atomic: it allows atomics
 * @vram: it leads to the device's memory
 * @null: it leads to no memory
 * @coherent: cached, and the CPU's caches are snooped
 * @lg2: log2 of what the device may take as one, all of which says the same
 * @addr: where the 4 KiB around the device address lead
 * @links: entries above that were walked through
 */
struct leaf {
	bool present;
	bool write;
	bool atomic;
	bool vram;
	bool null;
	bool coherent;
	u32 lg2;
	u64 addr;
	u32 links;
};

/* NULL, or what is wrong with the tables of @format on the way to @va. */
const char *walk(const struct backend *b, const char *format, const struct svm_table_mem *root,
		 u64 va, struct leaf *leaf);

/**
 * struct world - one test case
 * @test: KUnit's
 * @mm: of the process that inserted the module
 * @base: first address of a span of WORLD_BYTES of it that is the case's own
 * @b: the device
 * @format: of its page tables
 * @vm: mirrors @mm; all of it is bound, unless the case asked for nothing to be
 */
struct world {
	struct kunit *test;
	struct mm_struct *mm;
	u64 base;
	struct backend b;
	const char *format;
	struct svm_vm *vm;
};

#define WORLD_BYTES	SZ_1G

/**
 * struct world_params - what a case wants
 * @vram: tables in the device's memory
 * @unbound: bind nothing
 * @format: of page tables; NULL: xe2
 * @interval_lg2: see &struct svm_vm_params
 * @granule_lg2: see &struct svm_vm_params
 */
struct world_params {
	bool vram;
	bool unbound;
	const char *format;
	u32 interval_lg2;
	u32 granule_lg2;
};

void world_run(struct kunit *test, const struct world_params *params,
	       void (*body)(struct world *w));

/* A vm on the world's backend; the caller destroys it. */
int world_vm(struct world *w, const struct world_params *params,
	     struct svm_vm **vm);

/* Case NAME, with parameters, whose body follows. */
#define SVM_CASE_WITH(name, ...)						\
	static void name##_body(struct world *w);			\
	static void name(struct kunit *test)				\
	{								\
		const struct world_params params = { __VA_ARGS__ };	\
									\
		world_run(test, &params, name##_body);			\
	}								\
	static void name##_body(struct world *w)

#define SVM_CASE(name) SVM_CASE_WITH(name, .vram = false)

/* Kernels before 6.5 do not tell slow cases. */
#ifndef KUNIT_CASE_SLOW
#define KUNIT_CASE_SLOW KUNIT_CASE
#endif

/* Expect; where it is not so, the body is to return. */
#define NEED(w, condition) need(w, condition, #condition)

bool need(struct world *w, bool ok, const char *text);

#define SAME(w, left, right) KUNIT_EXPECT_EQ((w)->test, (left), (right))
#define HOLDS(w, condition) KUNIT_EXPECT_TRUE((w)->test, condition)

/* Memory of the process; addresses are given as offsets from w->base. */
bool map_anon(struct world *w, u64 off, u64 bytes, int prot);
struct file *map_file(struct world *w, u64 off, u64 bytes, int prot, int flags);
void unmap(struct world *w, u64 off, u64 bytes);
bool touch(struct world *w, u64 off, u64 bytes);
/* The CPU's tables lose pages of the file; nothing is freed. One notification. */
void zap(struct file *file, u64 first, u64 pages);
/* Physical address that the CPU's tables have; 0: none. Does not fault. */
u64 cpu_phys(struct world *w, u64 off, bool write);
/* Is the leaf's page the one that the CPU has there, with the leaf's rights? */
bool leads_to_cpus_page(struct world *w, u64 off, const struct leaf *leaf);

/* The device, at device address = CPU address. */
int fault(struct world *w, u64 off, enum svm_access access);
struct leaf look(struct world *w, u64 off);
/* How many pages of the span the device can reach. */
u64 reachable(struct world *w, u64 off, u64 bytes);
struct svm_counters counters(struct world *w);
/* The device's page is the CPU's, with that right to write. */
void expect_mirrored(struct world *w, u64 off, bool write);
void expect_absent(struct world *w, u64 off);

/* Every suite's suite_init and suite_exit. */
int world_begin(struct kunit_suite *suite);
void world_end(struct kunit_suite *suite);

#endif
