// SPDX-License-Identifier: GPL-2.0-only
/* What the CPU's side takes away, the device loses: that and no more, before it is gone. */
#include <linux/file.h>
#include <linux/io.h>
#include <linux/mman.h>
#include <linux/pagemap.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)

/* What the flush hook saw of the page that is going. */
struct seen {
	struct world *w;
	u64 off;
	int calls;
	bool leaf;
	u64 cpu;
};

/* At the flush the leaf is gone from the tables, and the CPU still has the page. */
static void see(struct backend *b, u64 start, u64 end)
{
	struct seen *s = b->arg;
	struct leaf leaf;

	s->calls++;
	walk(b, s->w->format, svm_vm_root(s->w->vm), s->w->base + s->off, &leaf);
	s->leaf = leaf.present;
	s->cpu = cpu_phys(s->w, s->off, false);
}

SVM_CASE(zap_of_one_page_takes_one_leaf)
{
	struct file *file = map_file(w, 0, SZ_1M, RW, MAP_SHARED);
	struct seen seen = { .w = w, .off = 0x7000 };
	struct svm_counters before, after;
	u64 flushes;

	if (!NEED(w, file && touch(w, 0, SZ_1M)))
		return;
	SAME(w, fault(w, 0x7000, SVM_WRITE), 0);
	if (!NEED(w, reachable(w, 0, SZ_1M) == 256))
		return;
	before = counters(w);
	flushes = atomic64_read(&w->b.flushes);
	w->b.arg = &seen;
	w->b.on_flush = see;
	zap(file, 7, 1);
	w->b.on_flush = NULL;
	after = counters(w);
	SAME(w, after.ptes_zapped, before.ptes_zapped + 1);
	SAME(w, after.flushes, before.flushes + 1);
	SAME(w, (u64)atomic64_read(&w->b.flushes), flushes + 1);
	/* Where 16 leaves made up a group, the device may hold them as one. */
	HOLDS(w, w->b.flush_start >= w->base && w->b.flush_start <= w->base + 0x7000);
	HOLDS(w, w->b.flush_end >= w->base + 0x8000 && w->b.flush_end <= w->base + 0x10000);
	SAME(w, seen.calls, 1);
	HOLDS(w, !seen.leaf);
	HOLDS(w, seen.cpu);
	expect_absent(w, 0x7000);
	SAME(w, reachable(w, 0, SZ_1M), 255ull);
	SAME(w, fault(w, 0x7000, SVM_READ), 0);
	expect_mirrored(w, 0x7000, true);
	fput(file);
}

SVM_CASE(zap_of_nothing_flushes_nothing)
{
	struct file *file = map_file(w, 0, SZ_1M, RW, MAP_SHARED);
	u64 flushes;

	if (!NEED(w, file && touch(w, 0, SZ_1M)))
		return;
	SAME(w, fault(w, 0x7000, SVM_WRITE), 0);
	zap(file, 7, 1);
	flushes = atomic64_read(&w->b.flushes);
	if (!NEED(w, touch(w, 0x7000, SZ_4K)))
		return;
	zap(file, 7, 1);
	SAME(w, (u64)atomic64_read(&w->b.flushes), flushes);
	fput(file);
}

SVM_CASE(cpu_write_after_shared_read_moves_the_page)
{
	struct svm_counters before;

	/* The device read the zero page; the CPU's copy-on-write replaces it. */
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW)))
		return;
	SAME(w, fault(w, 0x4000, SVM_READ), 0);
	before = counters(w);
	if (!NEED(w, touch(w, 0x4000, SZ_4K)))
		return;
	SAME(w, counters(w).ptes_zapped, before.ptes_zapped + 1);
	SAME(w, counters(w).flushes, before.flushes + 1);
	expect_absent(w, 0x4000);
	SAME(w, look(w, 0x5000).addr, page_to_phys(ZERO_PAGE(0)));
	SAME(w, fault(w, 0x4000, SVM_READ), 0);
	expect_mirrored(w, 0x4000, true);
}

SVM_CASE(unmapped_memory_is_out_of_reach)
{
	if (!NEED(w, map_anon(w, 0x1000, SZ_64K, RW) && touch(w, 0x1000, SZ_64K)))
		return;
	SAME(w, fault(w, 0x4000, SVM_WRITE), 0);
	unmap(w, 0x4000, SZ_4K);
	expect_absent(w, 0x4000);
	SAME(w, fault(w, 0x4000, SVM_READ), -EFAULT);
	SAME(w, fault(w, 0x5000, SVM_WRITE), 0);
	expect_mirrored(w, 0x5000, true);
	/* Mapped anew: new memory. */
	if (!NEED(w, map_anon(w, 0x4000, SZ_4K, RW)))
		return;
	SAME(w, fault(w, 0x4000, SVM_READ), 0);
	SAME(w, look(w, 0x4000).addr, page_to_phys(ZERO_PAGE(0)));
}

SVM_CASE(huge_leaf_splits_and_comes_back_small)
{
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	if (!NEED(w, look(w, 0).lg2 == 21))
		return;
	unmap(w, 0x10000, SZ_4K);
	SAME(w, reachable(w, 0, SZ_2M), 0ull);
	SAME(w, counters(w).huge_zapped, 1ull);
	SAME(w, fault(w, 0x20000, SVM_WRITE), 0);
	SAME(w, look(w, 0x20000).lg2, 16u);
	expect_mirrored(w, 0x20000, true);
	expect_mirrored(w, SZ_2M - SZ_4K, true);
	expect_absent(w, 0x10000);
	SAME(w, reachable(w, 0, SZ_2M), 511ull);
	SAME(w, fault(w, 0x10000, SVM_READ), -EFAULT);
}

SVM_CASE(small_leaves_become_huge)
{
	/* Small pages first; then the same addresses hold one huge page. */
	if (!NEED(w, map_anon(w, 0, SZ_1M, RW) && touch(w, 0, SZ_1M)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	SAME(w, look(w, 0).lg2, 12u);
	unmap(w, 0, SZ_1M);
	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_4K)))
		return;
	SAME(w, fault(w, 0x3000, SVM_WRITE), 0);
	SAME(w, look(w, 0).lg2, 21u);
	expect_mirrored(w, 0x3000, true);
}

SVM_CASE_WITH(device_writes_make_the_page_dirty, .granule_lg2 = PAGE_SHIFT)
{
	struct file *file = map_file(w, 0, SZ_64K, RW, MAP_SHARED);
	struct page *page;
	struct folio *folio;

	if (!NEED(w, file && touch(w, 0x2000, SZ_4K)))
		return;
	SAME(w, fault(w, 0x2000, SVM_WRITE), 0);
	if (!NEED(w, get_user_pages_fast_only(w->base + 0x2000, 1, 0, &page) == 1))
		return;
	folio = page_folio(page);
	folio_lock(folio);
	folio_clear_dirty(folio);
	folio_unlock(folio);
	/* Unbinding leaves the CPU's entry alone, so the mark is the mirror's. */
	SAME(w, svm_unbind(w->vm, 0, min_t(u64, w->mm->task_size, 1ull << 48)), 0);
	HOLDS(w, folio_test_dirty(folio));
	SAME(w, counters(w).dirtied, 1ull);
	put_page(page);
	SAME(w, svm_bind_all(w->vm), 0);
	fput(file);
}

SVM_CASE(device_reads_leave_the_page_clean)
{
	struct file *file = map_file(w, 0, SZ_64K, PROT_READ, MAP_SHARED);
	struct page *page;
	struct folio *folio;

	if (!NEED(w, file))
		return;
	SAME(w, fault(w, 0x2000, SVM_READ), 0);
	if (!NEED(w, get_user_pages_fast_only(w->base + 0x2000, 1, 0, &page) == 1))
		return;
	folio = page_folio(page);
	folio_lock(folio);
	folio_clear_dirty(folio);
	folio_unlock(folio);
	SAME(w, svm_unbind(w->vm, 0, min_t(u64, w->mm->task_size, 1ull << 48)), 0);
	HOLDS(w, !folio_test_dirty(folio));
	SAME(w, counters(w).dirtied, 0ull);
	put_page(page);
	SAME(w, svm_bind_all(w->vm), 0);
	fput(file);
}

/* The CPU's side moves while a fault is between its look at the page and the table's lock. */
struct collision {
	struct world *w;
	struct file *file;
	u64 page;
	int left;
};

static void collide(struct backend *b)
{
	struct collision *c = b->arg;

	if (c->left-- > 0)
		zap(c->file, c->page, 1);
}

SVM_CASE(invalidation_elsewhere_restarts_no_fault)
{
	struct file *file = map_file(w, 0, SZ_1M, RW, MAP_SHARED);
	struct collision c = { .w = w, .file = file, .page = 5, .left = 1 };

	if (!NEED(w, file && touch(w, 0, SZ_64K)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	expect_mirrored(w, 0x5000, true);
	if (!NEED(w, map_anon(w, SZ_2M, SZ_64K, RW)))
		return;
	w->b.arg = &c;
	w->b.on_alloc = collide;
	SAME(w, fault(w, SZ_2M, SVM_WRITE), 0);
	w->b.on_alloc = NULL;
	/* It happened, amid the fault; both tables are in one interval. */
	HOLDS(w, c.left <= 0);
	expect_absent(w, 0x5000);
	SAME(w, counters(w).intervals, 1ull);
	SAME(w, counters(w).retries, 0ull);
	fput(file);
}

SVM_CASE(invalidation_of_the_faulting_table_makes_it_go_again)
{
	struct file *file = map_file(w, 0, SZ_1M, RW, MAP_SHARED);
	struct collision c = { .w = w, .file = file, .page = 5 };

	if (!NEED(w, file && touch(w, 0, SZ_64K)))
		return;
	w->b.arg = &c;
	w->b.on_alloc = collide;
	/* Two directories are allocated before the page is looked at, the table's after. */
	c.left = 4;
	SAME(w, fault(w, 0x5000, SVM_WRITE), 0);
	w->b.on_alloc = NULL;
	/* Once at least: how often it allocates on the way is not our business. */
	HOLDS(w, counters(w).retries);
	expect_mirrored(w, 0x5000, true);
	fput(file);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(zap_of_one_page_takes_one_leaf),
	KUNIT_CASE(zap_of_nothing_flushes_nothing),
	KUNIT_CASE(cpu_write_after_shared_read_moves_the_page),
	KUNIT_CASE(unmapped_memory_is_out_of_reach),
	KUNIT_CASE(huge_leaf_splits_and_comes_back_small),
	KUNIT_CASE(small_leaves_become_huge),
	KUNIT_CASE(device_writes_make_the_page_dirty),
	KUNIT_CASE(device_reads_leave_the_page_clean),
	KUNIT_CASE(invalidation_elsewhere_restarts_no_fault),
	KUNIT_CASE(invalidation_of_the_faulting_table_makes_it_go_again),
	{}
};

static struct kunit_suite invalidate_suite = {
	.name = "svm_invalidate",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&invalidate_suite);
