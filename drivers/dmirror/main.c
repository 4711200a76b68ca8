// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device in software, and the smallest driver on <svm/svm.h> and <svm/memory.h>.
 *
 * The device is the ioctl's own task. It walks the page tables that svmirror fills, entry by
 * entry as hardware would, and copies from or to the page that it finds, which lies in system
 * memory or in its own (vram.c). Where it finds none it has svmirror bring the page, and walks
 * again.
 *
 * It has no TLB: each access begins at the root. So the device has forgotten a translation when the
 * accesses that are under way have ended, which a flush waits for:
 *
 * - an access holds the gate for reading, from the root to the end of its copy
 * - flush_wait() takes it for writing once
 *
 * Gate (rwlock, one per open file): taken under svmirror's table locks by flushes, so an access
 * does not sleep in it, and takes no other lock.
 */
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/platform_device.h>
#include <linux/rwlock.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <svm/memory.h>

#include "dmirror.h"
#include "vram.h"

/* Intel Xe2's entries: 4 levels of 512 over 48 bits of address. */
#define PRESENT		BIT_ULL(0)
#define WRITABLE	BIT_ULL(1)
#define LARGE		BIT_ULL(7)	/* above the last level: a leaf */
#define ATOMIC		BIT_ULL(10)	/* of a leaf: the device may do atomics */
#define VRAM		BIT_ULL(11)	/* of a leaf: the address is one in the device's memory */
#define ADDRESS		GENMASK_ULL(51, 12)
#define VA_BITS		48
#define LEVEL_BITS	9

/* The device's DMA. Constant while the module is loaded. */
static struct platform_device *platform;
static const struct svm_format *format;

/* A device. */
struct dmirror_device {
	struct miscdevice misc;
	struct vram vram;
};

/* An open file: a device address space of the process that opened it. */
struct dmirror {
	struct dmirror_device *device;
	struct svm_vm *vm;
	rwlock_t gate;
};

/* Where a page of the process lies, as the device's tables say. */
struct leaf {
	u64 addr;
	u32 lg2;		/* of the leaf's bytes */
	bool write;
	bool atomic;
	bool vram;
};

/* One access of the device: to the pages of [@va, @end). */
struct access {
	struct dmirror *mirror;
	u64 va;
	u64 end;
	enum svm_access kind;
	bool own;		/* only of the device's memory */
	u64 faults;
	void *bounce;		/* a page */
};

static int table_alloc(void *backend, u32 bytes, struct svm_table_mem *mem)
{
	mem->cpu = alloc_pages_exact(bytes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!mem->cpu)
		return -ENOMEM;
	mem->addr = virt_to_phys(mem->cpu);
	mem->aperture = SVM_SYSTEM;
	mem->bytes = bytes;
	return 0;
}

static void table_free(void *backend, const struct svm_table_mem *mem)
{
	free_pages_exact(mem->cpu, mem->bytes);
}

static u64 flush_begin(void *backend, u64 start, u64 end)
{
	return 0;
}

static void flush_wait(void *backend, u64 token, bool may_sleep)
{
	struct dmirror *m = backend;

	/* Accesses that come later do not find what was zapped before: the lock orders it. */
	write_lock(&m->gate);
	write_unlock(&m->gate);
}

static void publish(void *backend)
{
	/* Pairs with the address dependency in walk(): a table is zero before it is linked. */
	smp_wmb();
}

static const struct svm_backend_ops dmirror_ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
};

/* What the tables have at @va. False: nothing. Under the gate, which keeps tables and pages. */
static bool walk(const struct dmirror *m, u64 va, struct leaf *leaf)
{
	const u64 *table = svm_vm_root(m->vm)->cpu;
	u32 shift = VA_BITS;
	u64 entry;

	if (va >> VA_BITS)
		return false;
	do {
		shift -= LEVEL_BITS;
		/* Pairs with publish(). */
		entry = READ_ONCE(table[(va >> shift) % BIT(LEVEL_BITS)]);
		if (!(entry & PRESENT))
			return false;
		table = phys_to_virt(entry & ADDRESS);
	} while (shift > PAGE_SHIFT && !(entry & LARGE));
	leaf->lg2 = shift;
	leaf->write = entry & WRITABLE;
	leaf->atomic = entry & ATOMIC;
	leaf->vram = entry & VRAM;
	leaf->addr = round_down(entry & ADDRESS, BIT_ULL(shift)) +
		     (va % BIT_ULL(shift) & PAGE_MASK);
	return true;
}

/* No IOMMU is in between, see dmirror_init(): the address for DMA is the memory's own. */
static struct page *page_of(const struct dmirror *m, const struct leaf *leaf)
{
	if (leaf->vram)
		return vram_page(&m->device->vram, leaf->addr);
	return pfn_to_page(PHYS_PFN(leaf->addr));
}

static bool permits(const struct access *a, const struct leaf *leaf)
{
	if (a->own && !leaf->vram)
		return false;
	return a->kind == SVM_READ || (a->kind == SVM_WRITE ? leaf->write : leaf->atomic);
}

/*
 * The device copies one page. False: its tables do not allow it. An atomic access is one that
 * could, and reads.
 */
static bool copy_one(const struct access *a)
{
	struct leaf leaf;
	void *memory;
	bool ok;

	read_lock(&a->mirror->gate);
	ok = walk(a->mirror, a->va, &leaf) && permits(a, &leaf);
	if (ok) {
		memory = kmap_local_page(page_of(a->mirror, &leaf));
		if (a->kind == SVM_WRITE)
			memcpy(memory, a->bounce, PAGE_SIZE);
		else
			memcpy(a->bounce, memory, PAGE_SIZE);
		kunmap_local(memory);
	}
	read_unlock(&a->mirror->gate);
	return ok;
}

/*
 * A page is missing. The first time it comes with all that follows, but for atomics, for which
 * a page is taken away from the CPU. A prefetch leaves out what cannot be had, so after it
 * the page's own fault says why it is still missing.
 * Return: 0: walk again; or why it cannot be had.
 */
static int bring(struct access *a, bool *ahead)
{
	struct svm_vm *vm = a->mirror->vm;
	u64 pages;
	int ret;

	if (!*ahead) {
		*ahead = true;
		a->faults++;
		return svm_prefetch(vm, a->va, a->end, a->kind, &pages);
	}
	ret = svm_fault(vm, a->va, a->kind);
	if (ret && ret != -EAGAIN)
		return ret;
	/* It may have gone again by the time that it is looked for. */
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int do_copy(struct access *a)
{
	bool ahead = a->kind == SVM_ATOMIC;
	int ret;

	while (!copy_one(a)) {
		ret = bring(a, &ahead);
		if (ret)
			return ret;
	}
	return 0;
}

static int do_read(struct access *a, void __user *user)
{
	int ret = do_copy(a);

	if (!ret && copy_to_user(user, a->bounce, PAGE_SIZE))
		ret = -EFAULT;
	return ret;
}

static int do_write(struct access *a, void __user *user)
{
	if (copy_from_user(a->bounce, user, PAGE_SIZE))
		return -EFAULT;
	return do_copy(a);
}

static u8 saw(const struct leaf *leaf)
{
	u8 seen = leaf->write ? DMIRROR_SAW_WRITE : DMIRROR_SAW_READ;

	if (leaf->lg2 >= PUD_SHIFT)
		seen |= DMIRROR_SAW_PUD;
	else if (leaf->lg2 >= PMD_SHIFT)
		seen |= DMIRROR_SAW_PMD;
	if (leaf->vram)
		seen |= DMIRROR_SAW_VRAM;
	else if (leaf->lg2 == PAGE_SHIFT && is_zero_pfn(PHYS_PFN(leaf->addr)))
		seen |= DMIRROR_SAW_ZERO;
	return seen;
}

static bool look(const struct access *a, struct leaf *leaf)
{
	bool ok;

	read_lock(&a->mirror->gate);
	ok = walk(a->mirror, a->va, leaf);
	read_unlock(&a->mirror->gate);
	return ok;
}

/* Does the process have memory in all of the span that may be read, and that core mm manages? */
static bool is_readable(u64 start, u64 end)
{
	struct vm_area_struct *vma;

	mmap_read_lock(current->mm);
	while (start < end) {
		vma = vma_lookup(current->mm, start);
		if (!vma || !(vma->vm_flags & VM_READ) || (vma->vm_flags & (VM_IO | VM_PFNMAP)))
			break;
		start = vma->vm_end;
	}
	mmap_read_unlock(current->mm);
	return start >= end;
}

static int do_snapshot(struct access *a, u8 __user *user)
{
	u8 seen = DMIRROR_SAW_NOTHING;
	struct leaf leaf;

	if (look(a, &leaf))
		seen = saw(&leaf);
	else if (!is_readable(a->va, a->va + PAGE_SIZE))
		seen = DMIRROR_SAW_ERROR;
	return put_user(seen, user);
}

/* The content of a page that was moved here, unless it has gone home again. */
static int do_own(struct access *a, void __user *user)
{
	if (!copy_one(a))
		return -ENOENT;
	return copy_to_user(user, a->bounce, PAGE_SIZE) ? -EFAULT : 0;
}

/* Is the page still taken away from the CPU? */
static int do_check(const struct access *a)
{
	struct leaf leaf;

	return look(a, &leaf) && leaf.atomic && !leaf.vram ? -EPERM : 0;
}

static int do_one(struct access *a, unsigned int cmd, u64 ptr, u64 i)
{
	void __user *user = u64_to_user_ptr(ptr + i * PAGE_SIZE);

	switch (cmd) {
	case DMIRROR_SNAPSHOT:
		return do_snapshot(a, u64_to_user_ptr(ptr + i));
	case DMIRROR_CHECK_EXCLUSIVE:
		return do_check(a);
	case DMIRROR_MIGRATE_TO_DEV:
		return do_own(a, user);
	case DMIRROR_WRITE:
		return do_write(a, user);
	default:
		return do_read(a, user);
	}
}

static int do_all(struct access *a, unsigned int cmd, const struct dmirror_command *args)
{
	u64 i;
	int ret;

	for (i = 0; i < args->npages; i++, a->va += PAGE_SIZE) {
		ret = do_one(a, cmd, args->ptr, i);
		if (ret)
			return ret;
		/* Where nothing is looked for, any number of pages may be asked about. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * Moves the span to the device, and maps what is there then. What found no room is asked for
 * once more, as a driver would that has made some.
 */
static int to_device(struct access *a)
{
	unsigned int turn;
	u64 pages = 0;
	int ret = 0;

	if (!is_readable(a->va, a->end))
		return -EINVAL;
	for (turn = 0; turn < 2 && !ret && pages << PAGE_SHIFT < a->end - a->va; turn++)
		ret = svm_migrate(a->mirror->vm, a->va, a->end, SVM_VRAM, &pages);
	return ret ?: svm_map_present(a->mirror->vm, a->va, a->end, &pages);
}

static int to_system(struct access *a, u64 *pages)
{
	if (!is_readable(a->va, a->end))
		return -EINVAL;
	return svm_migrate(a->mirror->vm, a->va, a->end, SVM_SYSTEM, pages);
}

/* What comes before the pages are looked at one by one. */
static int prepare(struct access *a, unsigned int cmd)
{
	u64 pages;

	if (cmd == DMIRROR_MIGRATE_TO_DEV)
		return to_device(a);
	if (cmd == DMIRROR_SNAPSHOT)
		return svm_map_present(a->mirror->vm, a->va, a->end, &pages);
	return 0;
}

static int copy_pages(struct access *a, unsigned int cmd, struct dmirror_command *args)
{
	int ret;

	a->bounce = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!a->bounce)
		return -ENOMEM;
	ret = prepare(a, cmd) ?: do_all(a, cmd, args);
	free_page((unsigned long)a->bounce);
	args->cpages = args->npages;
	args->faults = a->faults;
	return ret;
}

static enum svm_access kind_of(unsigned int cmd)
{
	switch (cmd) {
	case DMIRROR_WRITE:
		return SVM_WRITE;
	case DMIRROR_EXCLUSIVE:
		return SVM_ATOMIC;
	default:
		return SVM_READ;
	}
}

static int run(struct dmirror *m, unsigned int cmd, struct dmirror_command *args)
{
	struct access a = {
		.mirror = m,
		.va = args->addr,
		.kind = kind_of(cmd),
		.own = cmd == DMIRROR_MIGRATE_TO_DEV,
	};
	u64 bytes;

	if (!args->npages || !PAGE_ALIGNED(args->addr) ||
	    check_mul_overflow(args->npages, (u64)PAGE_SIZE, &bytes) ||
	    check_add_overflow(args->addr, bytes, &a.end))
		return -EINVAL;
	args->faults = 0;
	switch (cmd) {
	case DMIRROR_MIGRATE_TO_SYS:
		return to_system(&a, &args->cpages);
	case DMIRROR_RELEASE:
		vram_evict(&m->device->vram);
		return 0;
	case DMIRROR_FLAGS:
		if (args->npages != DMIRROR_FLAG_FAIL_ALLOC)
			return -EINVAL;
		atomic_set(&m->device->vram.refuse, 1);
		return 0;
	default:
		return copy_pages(&a, cmd, args);
	}
}

static long dmirror_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct dmirror_command __user *user = (void __user *)arg;
	struct dmirror *m = file->private_data;
	struct dmirror_command args;
	int ret;

	switch (cmd) {
	case DMIRROR_READ:
	case DMIRROR_READ_UNLOCKED:
	case DMIRROR_WRITE:
	case DMIRROR_SNAPSHOT:
	case DMIRROR_MIGRATE_TO_DEV:
	case DMIRROR_MIGRATE_TO_SYS:
	case DMIRROR_EXCLUSIVE:
	case DMIRROR_CHECK_EXCLUSIVE:
	case DMIRROR_RELEASE:
	case DMIRROR_FLAGS:
		break;
	default:
		return -ENOTTY;
	}
	if (svm_vm_mm(m->vm) != current->mm)
		return -EPERM;
	if (copy_from_user(&args, user, sizeof(args)))
		return -EFAULT;
	ret = run(m, cmd, &args);
	if (!ret && copy_to_user(user, &args, sizeof(args)))
		ret = -EFAULT;
	return ret;
}

/* Memory of a driver's own that has struct pages: the device mirrors that, too. */
static int dmirror_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long va;
	struct page *page;
	int ret = 0;

	for (va = vma->vm_start; !ret && va < vma->vm_end; va += PAGE_SIZE) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!page || fatal_signal_pending(current))
			ret = page ? -EINTR : -ENOMEM;
		else
			ret = vm_insert_page(vma, va, page);
		/* The mapping has a reference of its own. */
		if (page)
			put_page(page);
	}
	return ret;
}

static int dmirror_open(struct inode *inode, struct file *file)
{
	struct miscdevice *misc = file->private_data;
	struct dmirror_device *device = container_of(misc, struct dmirror_device, misc);
	struct dmirror *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	struct svm_vm_params params = {
		.ops = &dmirror_ops,
		.backend = m,
		.format = format,
		.mm = current->mm,
		.dma_device = &platform->dev,
		.memory = device->vram.memory,
		.flags = SVM_VM_EXCLUSIVE_ATOMICS,
	};
	int ret;

	if (!m)
		return -ENOMEM;
	m->device = device;
	rwlock_init(&m->gate);
	ret = svm_vm_create(&params, &m->vm);
	if (ret)
		goto free;
	ret = svm_bind_all(m->vm);
	if (ret)
		goto destroy;
	file->private_data = m;
	return 0;
destroy:
	svm_vm_destroy(m->vm);
free:
	kfree(m);
	return ret;
}

/*
 * The last use of the file: no access is under way, and without one the device holds nothing. What
 * the process has in the device's memory it may get back without the file.
 */
static int dmirror_release(struct inode *inode, struct file *file)
{
	struct dmirror *m = file->private_data;

	svm_vm_destroy(m->vm);
	kfree(m);
	return 0;
}

static const struct file_operations dmirror_fops = {
	.owner = THIS_MODULE,
	.open = dmirror_open,
	.release = dmirror_release,
	.unlocked_ioctl = dmirror_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = dmirror_mmap,
};

/* Two, since the selftest lets two devices mirror one process. */
static struct dmirror_device devices[] = {
	{ .misc = { .minor = MISC_DYNAMIC_MINOR, .name = "hmm_dmirror0", .fops = &dmirror_fops } },
	{ .misc = { .minor = MISC_DYNAMIC_MINOR, .name = "hmm_dmirror1", .fops = &dmirror_fops } },
};

static int add(struct dmirror_device *device)
{
	int ret = vram_init(&device->vram, &platform->dev);

	if (ret)
		return ret;
	ret = misc_register(&device->misc);
	if (ret)
		vram_exit(&device->vram);
	return ret;
}

static void remove(struct dmirror_device *device)
{
	misc_deregister(&device->misc);
	vram_exit(&device->vram);
}

static int add_devices(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		ret = add(&devices[i]);
		if (ret) {
			while (i--)
				remove(&devices[i]);
			return ret;
		}
	}
	return 0;
}

static int __init dmirror_init(void)
{
	static const struct platform_device_info info = {
		.name = "svm_dmirror",
		.id = PLATFORM_DEVID_NONE,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int ret;

	format = svm_format_find("xe2");
	if (!format)
		return -ENODEV;
	platform = platform_device_register_full(&info);
	if (IS_ERR(platform))
		return PTR_ERR(platform);
	/* A software device cannot go through an IOMMU. */
	ret = device_iommu_mapped(&platform->dev) ? -ENODEV : add_devices();
	if (ret)
		platform_device_unregister(platform);
	return ret;
}

static void __exit dmirror_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		remove(&devices[i]);
	platform_device_unregister(platform);
}

module_init(dmirror_init);
module_exit(dmirror_exit);

MODULE_DESCRIPTION("A device in software that mirrors its process, with the HMM selftest's ioctls");
MODULE_LICENSE("GPL");
