// SPDX-License-Identifier: GPL-2.0-only
/*
 * A world: a GiB of a process's address space, a vm that mirrors the process, a
 * fake device; and what all cases check at their end: after the vm is gone the
 * device has all its table memory back.
 */
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "svm_config.h"
#include "svm_kunit.h"

static struct platform_device *platform;	/* does the DMA */
static struct mm_struct *test_mm;		/* of the process that inserts the module */

/*
 * Suites run in the process that inserts the module (before module_init, in some
 * kernels), their cases in threads that it waits for: so its memory is there.
 */
int world_begin(struct kunit_suite *suite)
{
	static const struct platform_device_info info = {
		.name = "svm_kunit",
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};

	platform = platform_device_register_full(&info);
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	test_mm = current->mm;
	mmgrab(test_mm);
	return 0;
}

/* Also called when the beginning failed. */
void world_end(struct kunit_suite *suite)
{
	if (!test_mm)
		return;
	mmdrop(test_mm);
	test_mm = NULL;
	platform_device_unregister(platform);
}

/* Far from where a process puts its own; each case gets the next piece. */
#define FIRST_BASE	0x100000000000ull
#define BASES		1024

static u64 next_base(void)
{
	static atomic_t count;

	return FIRST_BASE + (atomic_inc_return(&count) % BASES) * WORLD_BYTES;
}

int world_vm(struct world *w, const struct world_params *params,
	     struct svm_vm **vm)
{
	struct svm_vm_params p = {
		.ops = &backend_ops,
		.backend = &w->b,
		.format = svm_format_find(params->format ?: "xe2"),
		.mm = w->mm,
		.dma_device = &platform->dev,
		.interval_lg2 = params->interval_lg2,
		.granule_lg2 = params->granule_lg2,
	};
	int err = svm_vm_create(&p, vm);

	if (err || params->unbound)
		return err;
	err = svm_bind_all(*vm);
	if (err)
		svm_vm_destroy(*vm);
	return err;
}

static void world_check_end(struct world *w)
{
	svm_vm_destroy(w->vm);
	SAME(w, atomic64_read(&w->b.waited), atomic64_read(&w->b.flushes));
	SAME(w, atomic_read(&w->b.live), 0);
	SAME(w, w->b.used, 0ul);
}

static void world_go(struct world *w, const struct world_params *params,
		     void (*body)(struct world *w))
{
	int err = backend_init(&w->b, params->vram);

	SAME(w, err, 0);
	if (err)
		return;
	err = world_vm(w, params, &w->vm);
	SAME(w, err, 0);
	if (!err) {
		body(w);
		vm_munmap(w->base, WORLD_BYTES);
		world_check_end(w);
	}
	backend_exit(&w->b);
}

void world_run(struct kunit *test, const struct world_params *params,
	       void (*body)(struct world *w))
{
	struct world w = {
		.test = test,
		.mm = test_mm,
		.base = next_base(),
		.format = params->format ?: "xe2",
	};

	if (!test_mm || !mmget_not_zero(test_mm)) {
		KUNIT_FAIL(test, "the process that inserted the module is gone");
		return;
	}
	kthread_use_mm(test_mm);
	world_go(&w, params, body);
	kthread_unuse_mm(test_mm);
	mmput(test_mm);
}

bool need(struct world *w, bool ok, const char *text)
{
	KUNIT_EXPECT_TRUE_MSG(w->test, ok, "%s", text);
	return ok;
}

static bool mapped_at(struct world *w, unsigned long got, u64 want)
{
	if (got == want)
		return true;
	KUNIT_FAIL(w->test, "mmap at %llx gave %lx", want, got);
	return false;
}

bool map_anon(struct world *w, u64 off, u64 bytes, int prot)
{
	u64 at = w->base + off;

	return mapped_at(w, vm_mmap(NULL, at, bytes, prot,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0), at);
}

#ifdef HAVE_SHMEM_VMA_FLAGS
#define NO_FLAGS	((vma_flags_t){})
#else
#define NO_FLAGS	0
#endif

struct file *map_file(struct world *w, u64 off, u64 bytes, int prot, int flags)
{
	struct file *file = shmem_file_setup("svm_kunit", bytes, NO_FLAGS);
	u64 at = w->base + off;

	if (IS_ERR(file)) {
		KUNIT_FAIL(w->test, "no shmem file: %ld", PTR_ERR(file));
		return NULL;
	}
	if (mapped_at(w, vm_mmap(file, at, bytes, prot, flags | MAP_FIXED, 0), at))
		return file;
	fput(file);
	return NULL;
}

void unmap(struct world *w, u64 off, u64 bytes)
{
	SAME(w, vm_munmap(w->base + off, bytes), 0);
}

bool touch(struct world *w, u64 off, u64 bytes)
{
	u64 at;
	u8 value = 0x5a;

	for (at = w->base + off; at < w->base + off + bytes; at += PAGE_SIZE) {
		if (copy_to_user((void __user *)at, &value, 1)) {
			KUNIT_FAIL(w->test, "the CPU cannot write at %llx", at);
			return false;
		}
	}
	return true;
}

void zap(struct file *file, u64 first, u64 pages)
{
	unmap_mapping_range(file->f_mapping, first << PAGE_SHIFT,
			    pages << PAGE_SHIFT, 1);
}

u64 cpu_phys(struct world *w, u64 off, bool write)
{
	struct page *page;
	u64 phys;

	if (get_user_pages_fast_only(w->base + off, 1, write ? FOLL_WRITE : 0, &page) != 1)
		return 0;
	phys = page_to_phys(page);
	put_page(page);
	return phys;
}

bool leads_to_cpus_page(struct world *w, u64 off, const struct leaf *leaf)
{
	u64 phys = cpu_phys(w, off, leaf->write);
	struct page *page;

	/* The zero page has no struct page for the quick look; the slow one knows it. */
	if (!phys && !leaf->write &&
	    get_user_pages_fast(w->base + off, 1, 0, &page) == 1) {
		phys = page_to_phys(page);
		put_page(page);
	}
	return leaf->present && leaf->addr == phys;
}

int fault(struct world *w, u64 off, enum svm_access access)
{
	return svm_fault(w->vm, w->base + off, access);
}

struct leaf look(struct world *w, u64 off)
{
	struct leaf leaf;
	const char *wrong = walk(&w->b, w->format, svm_vm_root(w->vm), w->base + off, &leaf);

	if (wrong)
		KUNIT_FAIL(w->test, "tables at %llx: %s", w->base + off, wrong);
	if (leaf.present) {
		HOLDS(w, leaf.coherent);
		HOLDS(w, !leaf.vram && !leaf.null);
	}
	return leaf;
}

u64 reachable(struct world *w, u64 off, u64 bytes)
{
	u64 at, n = 0;

	for (at = off; at < off + bytes; at += PAGE_SIZE)
		n += look(w, at).present;
	return n;
}

struct svm_counters counters(struct world *w)
{
	struct svm_counters c;

	svm_vm_counters(w->vm, &c);
	return c;
}

void expect_mirrored(struct world *w, u64 off, bool write)
{
	struct leaf leaf = look(w, off);

	KUNIT_EXPECT_TRUE_MSG(w->test, leaf.present, "nothing at +%llx", off);
	KUNIT_EXPECT_TRUE_MSG(w->test, leads_to_cpus_page(w, off, &leaf),
			      "+%llx leads to %llx, not %llx", off, leaf.addr,
			      cpu_phys(w, off, write));
	SAME(w, leaf.write, write);
}

void expect_absent(struct world *w, u64 off)
{
	KUNIT_EXPECT_FALSE_MSG(w->test, look(w, off).present,
			       "still something at +%llx", off);
}

MODULE_DESCRIPTION("KUnit suites of svmirror");
MODULE_LICENSE("GPL");
