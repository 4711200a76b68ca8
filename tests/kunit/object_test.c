// SPDX-License-Identifier: GPL-2.0-only
/* Objects: beside what mirrors, in leaves as large as their memory, moving, given back. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mman.h>

#include <svm/object.h>

#include "svm_kunit.h"

#define RW	(PROT_READ | PROT_WRITE)
#define ORDER	9
#define BYTES	SZ_2M

/* A device address far from the CPU's. */
#define DEVICE	0x300000000000ull

/* Memory of the driver's, in two places between which it moves. */
struct lent {
	struct svm_object *object;
	struct page *page[2];
	int where;
	int released;
};

static void release(void *arg)
{
	struct lent *l = arg;

	l->released++;
}

static const struct svm_object_ops ops = { .release = release };

static bool lend(struct lent *l)
{
	memset(l, 0, sizeof(*l));
	l->page[0] = alloc_pages(GFP_KERNEL, ORDER);
	l->page[1] = alloc_pages(GFP_KERNEL, ORDER);
	return l->page[0] && l->page[1] &&
	       !svm_object_create(BYTES, &ops, l, &l->object);
}

/* The driver's reference. */
static void give_back(struct lent *l)
{
	if (l->object)
		svm_object_put(l->object);
	l->object = NULL;
}

static void free_lent(struct lent *l)
{
	int i;

	for (i = 0; i < 2; i++)
		if (l->page[i])
			__free_pages(l->page[i], ORDER);
}

static int place(struct lent *l)
{
	struct svm_extent all = {
		.address = page_to_phys(l->page[l->where]),
		.bytes = BYTES,
		.aperture = SVM_SYSTEM,
	};

	return svm_object_place(l->object, &all, 1);
}

static u64 address(const struct lent *l, u64 off)
{
	return page_to_phys(l->page[l->where]) + off;
}

static struct svm_bind_op op(struct lent *l, u64 start, u64 bytes, u64 offset, u32 flags)
{
	return (struct svm_bind_op){
		.start = start, .end = start + bytes, .offset = offset,
		.kind = SVM_BIND_OBJECT, .flags = flags, .object = l->object,
	};
}

static struct leaf leaf_at(struct world *w, struct svm_vm *vm, u64 va)
{
	struct leaf leaf = {};

	NEED(w, !walk(&w->b, w->format, svm_vm_root(vm), va, &leaf));
	return leaf;
}

SVM_CASE_WITH(object_refuses, .unbound = true)
{
	struct svm_extent part = { .address = SZ_1G, .bytes = SZ_4K };
	struct svm_bind_op out, bad[5];
	struct svm_object *none;
	struct lent l;
	int i;

	SAME(w, svm_object_create(0, NULL, NULL, &none), -EINVAL);
	SAME(w, svm_object_create(SZ_4K - 1, NULL, NULL, &none), -EINVAL);
	if (NEED(w, lend(&l))) {
		SAME(w, svm_object_place(l.object, &part, 1), -EINVAL);
		SAME(w, place(&l), 0);
		SAME(w, place(&l), -EBUSY);
		bad[0] = op(&l, w->base, BYTES + SZ_4K, 0, 0);
		bad[1] = op(&l, w->base, SZ_4K, BYTES, 0);
		bad[2] = op(&l, w->base, SZ_4K, SZ_2K, 0);
		bad[3] = op(&l, w->base, SZ_4K, 0, SVM_BIND_UNCACHED | SVM_BIND_NONCOHERENT);
		bad[4] = op(&l, w->base, SZ_4K, 0, 0);
		bad[4].kind = SVM_BIND_MIRROR;
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			SAME(w, svm_bind_many(w->vm, &bad[i], 1), -EINVAL);
		SAME(w, svm_bindings(w->vm, 0, &out, 1), 0u);
	}
	give_back(&l);
	SAME(w, l.released, 1);
	free_lent(&l);
}

/* In one table with memory of the process: each keeps to its own. */
SVM_CASE(object_beside_memory)
{
	struct svm_bind_op middle;
	struct leaf leaf;
	struct lent l;

	if (!NEED(w, map_anon(w, 0, SZ_2M, RW) && touch(w, 0, SZ_2M)))
		return;
	SAME(w, fault(w, 0, SVM_WRITE), 0);
	if (NEED(w, lend(&l))) {
		SAME(w, place(&l), 0);
		middle = op(&l, w->base + SZ_64K, SZ_128K, SZ_64K, 0);
		SAME(w, svm_bind_many(w->vm, &middle, 1), 0);
		/* Without a fault. */
		leaf = look(w, SZ_64K + SZ_4K);
		HOLDS(w, leaf.present && leaf.write);
		SAME(w, leaf.addr, address(&l, SZ_64K + SZ_4K));
		SAME(w, fault(w, 0, SVM_WRITE), 0);
		expect_mirrored(w, 0, true);
		unmap(w, 0, SZ_2M);
		expect_absent(w, 0);
		leaf = look(w, SZ_64K);
		SAME(w, leaf.addr, address(&l, SZ_64K));
		svm_object_displace(l.object);
		expect_absent(w, SZ_64K);
		SAME(w, counters(w).present, 0ull);
		SAME(w, fault(w, SZ_64K, SVM_READ), -EAGAIN);
	}
	give_back(&l);
	SAME(w, l.released, 0);
	SAME(w, svm_unbind(w->vm, w->base, w->base + SZ_2M), 0);
	SAME(w, l.released, 1);
	free_lent(&l);
}

/* One leaf of 2 MiB, in two vms, read-only in one of them; it moves under both. */
SVM_CASE_WITH(object_moves_in_two_vms, .unbound = true)
{
	static const struct world_params plain = { .unbound = true };
	struct svm_bind_op here, there;
	struct svm_vm *other;
	struct leaf leaf;
	struct lent l;
	int i;

	if (!NEED(w, !world_vm(w, &plain, &other)))
		return;
	if (NEED(w, lend(&l))) {
		SAME(w, place(&l), 0);
		here = op(&l, DEVICE, BYTES, 0, SVM_BIND_READ_ONLY);
		there = op(&l, DEVICE + SZ_4K, SZ_64K, SZ_4K, 0);
		SAME(w, svm_bind_many(w->vm, &here, 1), 0);
		SAME(w, svm_bind_many(other, &there, 1), 0);
		for (i = 0; i < 3; i++) {
			leaf = leaf_at(w, w->vm, DEVICE + SZ_4K);
			SAME(w, leaf.lg2, 21u);
			SAME(w, leaf.addr, address(&l, SZ_4K));
			HOLDS(w, !leaf.write);
			SAME(w, svm_fault(w->vm, DEVICE, SVM_WRITE), -EPERM);
			leaf = leaf_at(w, other, DEVICE + SZ_8K);
			SAME(w, leaf.addr, address(&l, SZ_8K));
			HOLDS(w, leaf.write);
			svm_object_displace(l.object);
			HOLDS(w, !leaf_at(w, w->vm, DEVICE).present);
			HOLDS(w, !leaf_at(w, other, DEVICE + SZ_8K).present);
			l.where = !l.where;
			SAME(w, place(&l), 0);
		}
	}
	svm_vm_destroy(other);
	give_back(&l);
	SAME(w, l.released, 0);
	SAME(w, svm_unbind(w->vm, DEVICE, DEVICE + BYTES), 0);
	SAME(w, l.released, 1);
	free_lent(&l);
}

static int move_on(void *arg)
{
	struct lent *l = arg;
	int err = 0;

	while (!kthread_should_stop() && !err) {
		svm_object_displace(l->object);
		l->where = !l->where;
		err = place(l);
		cond_resched();
	}
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return err;
}

/* A thread moves it while this one faults and binds parts of it anew. */
SVM_CASE_WITH(object_moves_beside_faults_and_binds, .unbound = true)
{
	struct svm_bind_op all, null;
	struct task_struct *mover;
	struct lent l;
	int i, err;

	if (NEED(w, lend(&l))) {
		SAME(w, place(&l), 0);
		all = op(&l, DEVICE, BYTES, 0, 0);
		null = op(&l, DEVICE + SZ_64K, SZ_64K, 0, 0);
		null.kind = SVM_BIND_NULL;
		null.object = NULL;
		SAME(w, svm_bind_many(w->vm, &all, 1), 0);
		mover = kthread_run(move_on, &l, "svm_kunit_move");
		if (NEED(w, !IS_ERR(mover))) {
			for (i = 0; i < 300; i++) {
				SAME(w, svm_bind_many(w->vm, i % 2 ? &all : &null, 1), 0);
				err = svm_fault(w->vm, DEVICE + SZ_1M, SVM_WRITE);
				HOLDS(w, !err || err == -EAGAIN);
			}
			SAME(w, kthread_stop(mover), 0);
		}
		SAME(w, svm_fault(w->vm, DEVICE + SZ_1M, SVM_WRITE), 0);
		SAME(w, leaf_at(w, w->vm, DEVICE + SZ_1M).addr, address(&l, SZ_1M));
		svm_object_displace(l.object);
		HOLDS(w, !leaf_at(w, w->vm, DEVICE + SZ_1M).present);
		SAME(w, svm_unbind(w->vm, DEVICE, DEVICE + BYTES), 0);
	}
	give_back(&l);
	SAME(w, l.released, 1);
	SAME(w, counters(w).dirtied, 0ull);
	free_lent(&l);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(object_refuses),
	KUNIT_CASE(object_beside_memory),
	KUNIT_CASE(object_moves_in_two_vms),
	KUNIT_CASE(object_moves_beside_faults_and_binds),
	{}
};

static struct kunit_suite object_suite = {
	.name = "svm_object",
	.suite_init = world_begin,
	.suite_exit = world_end,
	.test_cases = cases,
};

kunit_test_suites(&object_suite);
