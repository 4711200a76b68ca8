// SPDX-License-Identifier: GPL-2.0-only
/* include/svm/object.h: what may be bound and placed, neighbours in one table, moves, leaves of all sizes, references. */
#include "mm/vm.hpp"
#include "tests/host/buffer.hpp"
#include "tests/unit/bind_ops.hpp"
#include "tests/unit/machine.hpp"

#include <functional>
#include <optional>

namespace svm_test
{

class object_test : public machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	void SetUp() override
	{
		machine::SetUp();
		device().set_rule([](u64, u64) { return true; });
	}

	int bind(std::vector<svm_bind_op> ops)
	{
		return svm_bind_many(vm, ops.data(), u32(ops.size()));
	}

	/* A buffer that has a place; page n of it holds first + n. */
	std::unique_ptr<buffer> placed(u64 pages, u64 first, bool blocks = false)
	{
		auto b = std::make_unique<buffer>(*mem, pages, 0, blocks);

		for (u64 i = 0; i < pages; i++)
			b->set(i, first + i);
		EXPECT_EQ(b->place(), 0);
		return b;
	}

	/* What the device reads without a fault; ~0: it faults. */
	u64 now(u64 va)
	{
		gpu::answer a = device().read(va);

		return a.what == gpu::status::ok ? a.value : ~0ull;
	}
	static constexpr u64 FAULT = ~0ull;

	/* What it reads when its faults are served. */
	u64 read(u64 va)
	{
		u64 v = FAULT;
		int err = device_read(va, &v);

		return err ? FAULT : v;
	}
};

TEST_F(object_test, bind_refuses)
{
	auto b = placed(8, 1);
	svm_object *o = b->object();
	const svm_bind_op bad[] = {
		object(BASE, BASE + PAGE, nullptr),
		object(BASE, BASE + 9 * PAGE, o),
		object(BASE, BASE + 2 * PAGE, o, 7 * PAGE),
		object(BASE, BASE + PAGE, o, 8 * PAGE),
		object(BASE, BASE + PAGE, o, 9 * PAGE),
		object(BASE, BASE + 2 * PAGE, o, 0 - PAGE),
		object(BASE, BASE + PAGE, o, PAGE / 2),
		object(BASE, BASE + PAGE, o, 0, SVM_BIND_UNCACHED << 1),
		object(BASE, BASE + PAGE, o, 0, SVM_BIND_UNCACHED | SVM_BIND_NONCOHERENT),
		object(BASE, BASE, o),
		object(BASE + 1, BASE + PAGE, o),
		object((1ull << 48) - PAGE, (1ull << 48) + PAGE, o),
		{BASE, BASE + PAGE, 0, SVM_BIND_MIRROR, 0, o},
		{BASE, BASE + PAGE, 0, SVM_BIND_NULL, 0, o},
		{BASE, BASE + PAGE, 0, SVM_BIND_NOTHING, SVM_BIND_READ_ONLY, nullptr},
	};

	for (const svm_bind_op &op : bad) {
		EXPECT_EQ(bind({op}), -EINVAL) << op.offset << " " << op.flags;
		EXPECT_EQ(bind({object(GiB, GiB + PAGE, o), op}), -EINVAL);
	}
	EXPECT_EQ(svm_bindings(vm, 0, std::make_unique<svm_bind_op>().get(), 1), 0u);
	EXPECT_EQ(count().present, 0u);
	EXPECT_EQ(bind({object(BASE, BASE + PAGE, o, 7 * PAGE)}), 0);
	EXPECT_EQ(now(BASE), 8u);
}

TEST_F(object_test, create_and_place_refuse)
{
	svm_object *o = nullptr;
	const svm_extent good[] = {{GiB, PAGE, SVM_SYSTEM}, {3 * GiB, 2 * PAGE, SVM_VRAM}};
	const std::vector<svm_extent> bad[] = {
		{},
		{{GiB, 2 * PAGE, SVM_SYSTEM}},
		{{GiB, 4 * PAGE, SVM_SYSTEM}},
		{{GiB, 3 * PAGE, SVM_SYSTEM}, {GiB, 0, SVM_SYSTEM}},
		{{GiB, 2 * PAGE, SVM_SYSTEM}, {GiB, ~0ull << 12, SVM_SYSTEM}},
		{{GiB + 1, 3 * PAGE, SVM_SYSTEM}},
		{{0, 1ull << 63, SVM_SYSTEM}, {0, 1ull << 63, SVM_SYSTEM}, {GiB, 3 * PAGE, SVM_SYSTEM}},
		{{GiB, 3 * PAGE - 1, SVM_SYSTEM}},
		{{0 - PAGE, 3 * PAGE, SVM_SYSTEM}},
		{{GiB, 3 * PAGE, SVM_VRAM + 1}},
	};

	EXPECT_EQ(svm_object_create(0, nullptr, nullptr, &o), -EINVAL);
	EXPECT_EQ(svm_object_create(PAGE + 1, nullptr, nullptr, &o), -EINVAL);
	ASSERT_EQ(svm_object_create(3 * PAGE, nullptr, nullptr, &o), 0);
	for (const auto &extents : bad)
		EXPECT_EQ(svm_object_place(o, extents.data(), u32(extents.size())), -EINVAL);
	EXPECT_EQ(svm_object_place(o, good, 2), 0);
	EXPECT_EQ(svm_object_place(o, good, 2), -EBUSY);
	svm_object_displace(o);
	svm_object_displace(o); /* nowhere already */
	EXPECT_EQ(svm_object_place(o, good, 2), 0);
	svm_object_put(o);
}

/* Over, beside and inside what mirrors, in one table and page by page; each keeps to its own. */
TEST_F(object_test, shares_a_table)
{
	auto b = placed(16, 1000);

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	ASSERT_EQ(device_write(BASE, 1), 0);
	ASSERT_EQ(bind({object(BASE + 5 * PAGE, BASE + 9 * PAGE, b->object(), 2 * PAGE), null(BASE + 9 * PAGE, BASE + 10 * PAGE),
			hole(BASE + 10 * PAGE, BASE + 11 * PAGE)}),
		  0);
	EXPECT_EQ(now(BASE + 5 * PAGE), 1002u); /* without a fault */
	EXPECT_EQ(now(BASE + 8 * PAGE), 1005u);
	EXPECT_EQ(read(BASE + 4 * PAGE), 5u);
	EXPECT_EQ(read(BASE + 9 * PAGE), 0u);
	EXPECT_EQ(fault(BASE + 10 * PAGE), -EFAULT);
	EXPECT_EQ(read(BASE + 11 * PAGE), 12u);
	ASSERT_EQ(device_write(BASE + 6 * PAGE, 77), 0);
	EXPECT_EQ(b->value(3), 77u);

	u64 dma = mem->dma_live();

	proc->dontneed(BASE, BASE + TABLE); /* the CPU's pages go, and no others */
	EXPECT_EQ(now(BASE + 4 * PAGE), FAULT);
	EXPECT_EQ(now(BASE + 6 * PAGE), 77u);
	EXPECT_EQ(now(BASE + 9 * PAGE), 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_GT(dma, 0u);
	ASSERT_EQ(proc->write(BASE + 4 * PAGE, 5), 0);
	EXPECT_EQ(read(BASE + 4 * PAGE), 5u);
	b->displace(); /* and the other way round */
	EXPECT_EQ(now(BASE + 6 * PAGE), FAULT);
	EXPECT_EQ(now(BASE + 4 * PAGE), 5u);
	EXPECT_EQ(now(BASE + 9 * PAGE), 0u);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0);
	expect_empty();
}

/* One object after the other: the device goes by the old one or by the new one, and what was replaced is not released. */
TEST_F(object_test, replaces_an_object)
{
	auto a = placed(600, 1000), b = placed(600, 5000);

	ASSERT_EQ(bind({object(BASE, BASE + 600 * PAGE, a->object())}), 0);
	EXPECT_EQ(now(BASE + 599 * PAGE), 1599u);
	ASSERT_EQ(bind({object(BASE + PAGE, BASE + 2 * PAGE, b->object()), object(BASE + 550 * PAGE, BASE + 600 * PAGE, b->object(), 0)}), 0);
	EXPECT_EQ(now(BASE), 1000u);
	EXPECT_EQ(now(BASE + PAGE), 5000u);
	EXPECT_EQ(now(BASE + 2 * PAGE), 1002u);
	EXPECT_EQ(now(BASE + 551 * PAGE), 5001u);
	ASSERT_EQ(bind({object(BASE, BASE + 600 * PAGE, b->object())}), 0);
	EXPECT_EQ(now(BASE), 5000u);
	EXPECT_EQ(now(BASE + 599 * PAGE), 5599u);
	a.reset();
	EXPECT_EQ(mem->frames_used(), 600u); /* nothing leads to the first any more */
	ASSERT_EQ(bind({null(BASE, BASE + PAGE), mirror(BASE + PAGE, BASE + 512 * PAGE)}), 0);
	EXPECT_EQ(now(BASE + 512 * PAGE), 5512u);
	EXPECT_EQ(count().dirtied, 0u);
}

TEST_F(object_test, moves)
{
	auto b = placed(600, 1000);

	ASSERT_EQ(bind({object(BASE, BASE + 600 * PAGE, b->object())}), 0);
	for (unsigned turn = 0; turn < 3; turn++) {
		EXPECT_EQ(now(BASE + 599 * PAGE), 1599u);
		b->displace();
		for (u64 i = 0; i < 600; i++)
			ASSERT_EQ(now(BASE + i * PAGE), FAULT);
		EXPECT_EQ(count().present, 0u);
		EXPECT_EQ(fault(BASE), -EAGAIN);
		EXPECT_EQ(fault(BASE, SVM_WRITE), -EAGAIN);
		ASSERT_EQ(b->place(), 0);
		EXPECT_EQ(now(BASE + PAGE), 1001u); /* without a fault */
	}
}

/* In two vms at a time, at addresses of their own. */
TEST_F(object_test, moves_in_all_vms)
{
	backend other_gpu(*mem);
	svm_vm *other = nullptr;
	svm_vm_params p = params();
	auto b = placed(16, 1000);
	svm_bind_op op = object(GiB, GiB + 8 * PAGE, b->object(), 8 * PAGE);

	p.backend = &other_gpu;
	ASSERT_EQ(svm_vm_create(&p, &other), 0);
	other_gpu.device().set_root(svm_vm_root(other)->addr, false);
	other_gpu.device().set_rule([](u64, u64) { return true; });
	ASSERT_EQ(bind({object(BASE, BASE + 16 * PAGE, b->object()), object(BASE + 32 * PAGE, BASE + 33 * PAGE, b->object(), PAGE)}), 0);
	ASSERT_EQ(svm_bind_many(other, &op, 1), 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		EXPECT_EQ(now(BASE + 15 * PAGE), 1015u);
		EXPECT_EQ(now(BASE + 32 * PAGE), 1001u);
		EXPECT_EQ(other_gpu.device().read(GiB).value, 1008u);
		b->displace();
		EXPECT_EQ(now(BASE + 15 * PAGE), FAULT);
		EXPECT_EQ(now(BASE + 32 * PAGE), FAULT);
		EXPECT_EQ(other_gpu.device().read(GiB).what, gpu::status::fault);
		ASSERT_EQ(b->place(), 0);
	}
	svm_vm_destroy(other);
	other_gpu.device().invalidate(0, ~0ull);
	b->displace(); /* in the one that is left */
	EXPECT_EQ(now(BASE), FAULT);
}

TEST_F(object_test, on_demand)
{
	auto b = placed(16, 1000);
	u64 pages = 0;

	ASSERT_EQ(bind({object(BASE, BASE + 8 * PAGE, b->object(), 0, SVM_BIND_ON_DEMAND), object(BASE + 8 * PAGE, BASE + 9 * PAGE, b->object())}), 0);
	EXPECT_EQ(now(BASE + 8 * PAGE), 1000u);
	EXPECT_EQ(now(BASE), FAULT);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(now(BASE + 7 * PAGE), 1007u); /* all of it in the table */
	ASSERT_EQ(b->move(), 0);
	EXPECT_EQ(now(BASE), FAULT);
	EXPECT_EQ(now(BASE + 8 * PAGE), 1000u);
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 9 * PAGE, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 9u);
	b->displace();
	ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 9 * PAGE, SVM_READ, &pages), 0); /* what has no place is left out */
	EXPECT_EQ(pages, 0u);
}

TEST_F(object_test, read_only)
{
	auto b = placed(8, 1000);
	u64 pages = 0;

	ASSERT_EQ(bind({object(BASE, BASE + 8 * PAGE, b->object(), 0, SVM_BIND_READ_ONLY), object(GiB, GiB + PAGE, b->object())}), 0);
	EXPECT_EQ(now(BASE), 1000u);
	EXPECT_EQ(device().write(BASE, 5).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EPERM);
	EXPECT_EQ(fault(BASE, SVM_ATOMIC), -EPERM);
	EXPECT_EQ(device_write(GiB, 5), 0); /* by another binding */
	EXPECT_EQ(now(BASE), 5u);
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 8 * PAGE, SVM_WRITE, &pages), 0);
	EXPECT_EQ(pages, 0u);
	b->displace();
	EXPECT_EQ(fault(BASE, SVM_WRITE), -EPERM);
}

/* Of a binding: how the device caches it. */
TEST_F(object_test, cache_policy)
{
	auto b = placed(8, 1000);

	ASSERT_EQ(bind({object(BASE, BASE + PAGE, b->object()), object(BASE + PAGE, BASE + 2 * PAGE, b->object(), 0, SVM_BIND_NONCOHERENT),
			object(BASE + 2 * PAGE, BASE + 3 * PAGE, b->object(), 0, SVM_BIND_UNCACHED)}),
		  0);

	unsigned coherent = device().look(BASE).memory_type, not_so = device().look(BASE + PAGE).memory_type,
		 uncached = device().look(BASE + 2 * PAGE).memory_type;

	EXPECT_TRUE(coherent != not_so && not_so != uncached && coherent != uncached) << coherent << not_so << uncached;
}

TEST_F(object_test, lists_what_is_bound)
{
	auto b = placed(16, 1000);
	svm_bind_op list[8];
	svm_object *o = b->object();

	ASSERT_EQ(bind({object(BASE, BASE + 2 * PAGE, o)}), 0);
	ASSERT_EQ(bind({object(BASE + 2 * PAGE, BASE + 4 * PAGE, o, 2 * PAGE), object(BASE + 4 * PAGE, BASE + 6 * PAGE, o, 4 * PAGE)}), 0);
	ASSERT_EQ(bind({object(BASE - 2 * PAGE, BASE - PAGE, o, 3 * PAGE, SVM_BIND_READ_ONLY | SVM_BIND_UNCACHED)}), 0);
	ASSERT_EQ(bind({object(BASE + 8 * PAGE, BASE + 9 * PAGE, o, 8 * PAGE, SVM_BIND_ON_DEMAND)}), 0);
	ASSERT_EQ(svm_bindings(vm, 0, list, 8), 3u);
	EXPECT_EQ(list[0].start, BASE - 2 * PAGE);
	EXPECT_EQ(list[0].offset, s64(3 * PAGE));
	EXPECT_EQ(list[0].flags, u32(SVM_BIND_READ_ONLY | SVM_BIND_UNCACHED));
	EXPECT_EQ(list[1].start, BASE); /* neighbours that lead on alike are one */
	EXPECT_EQ(list[1].end, BASE + 6 * PAGE);
	EXPECT_EQ(list[1].offset, 0);
	EXPECT_EQ(list[1].kind, u32(SVM_BIND_OBJECT));
	EXPECT_EQ(list[1].object, o);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + 5 * PAGE), 0);
	ASSERT_EQ(svm_bindings(vm, BASE, list, 8), 2u);
	EXPECT_EQ(list[0].offset, s64(5 * PAGE));
}

/* The same over itself is not a change: no access faults for it. */
TEST_F(object_test, bound_again_to_the_same)
{
	auto b = placed(16, 1000);
	u64 flushes;

	ASSERT_EQ(bind({object(BASE, BASE + 16 * PAGE, b->object())}), 0);
	flushes = gpus->flushes;
	ASSERT_EQ(bind({object(BASE + PAGE, BASE + 3 * PAGE, b->object(), PAGE)}), 0);
	EXPECT_EQ(gpus->flushes, flushes);
	EXPECT_EQ(now(BASE + 2 * PAGE), 1002u);
}

/* One leaf for a table where the memory is one block; a page cut out of it leaves the rest where it was. */
TEST_F(object_test, one_leaf_for_a_table)
{
	auto b = placed(1024, 1000, true);

	ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, b->object())}), 0);
	EXPECT_EQ(device().look(BASE).lg2, 21u);
	EXPECT_EQ(count().huge_leaves, 2u);
	ASSERT_EQ(bind({null(BASE + 5 * PAGE, BASE + 6 * PAGE)}), 0);
	EXPECT_EQ(device().look(BASE).lg2, 12u);
	EXPECT_EQ(device().look(BASE + 16 * PAGE).lg2, 16u);
	EXPECT_EQ(now(BASE + 4 * PAGE), 1004u); /* without a fault, though a leaf for all of the table went */
	EXPECT_EQ(now(BASE + 511 * PAGE), 1511u);
	EXPECT_EQ(read(BASE + 5 * PAGE), 0u);
	EXPECT_EQ(device().look(BASE + TABLE).lg2, 21u);
	/* Whole again: small leaves give way to a large one. */
	ASSERT_EQ(bind({object(BASE + 5 * PAGE, BASE + 6 * PAGE, b->object(), 5 * PAGE)}), 0);
	EXPECT_EQ(now(BASE + 5 * PAGE), 1005u);
	EXPECT_EQ(device().look(BASE).lg2, 21u);
	b->displace();
	EXPECT_EQ(now(BASE), FAULT);
	EXPECT_EQ(now(BASE + TABLE), FAULT);
	EXPECT_EQ(count().present, 0u);
}

/* Not aligned as a table is, the same memory makes small leaves, and no hints. */
TEST_F(object_test, small_leaves_where_the_memory_is_not_aligned)
{
	auto b = placed(1024, 1000, true);

	ASSERT_EQ(bind({object(BASE, BASE + 512 * PAGE, b->object(), 3 * PAGE)}), 0);
	EXPECT_EQ(device().look(BASE).lg2, 12u);
	EXPECT_EQ(now(BASE + 511 * PAGE), 1514u);
	ASSERT_EQ(bind({object(BASE, BASE + 512 * PAGE, b->object(), 16 * PAGE)}), 0);
	EXPECT_EQ(device().look(BASE).lg2, 16u);
	EXPECT_EQ(now(BASE + 511 * PAGE), 1527u);
}

/* The driver gives it back while it is bound: the memory stays until nothing leads there. */
TEST_F(object_test, given_back_while_bound)
{
	auto b = placed(16, 1000);

	ASSERT_EQ(bind({object(BASE, BASE + PAGE, b->object()), object(GiB, GiB + PAGE, b->object(), PAGE)}), 0);
	b.reset();
	EXPECT_EQ(mem->frames_used(), 16u);
	EXPECT_EQ(now(BASE), 1000u);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + PAGE), 0);
	EXPECT_EQ(mem->frames_used(), 16u);
	EXPECT_EQ(now(GiB), 1001u);
	ASSERT_EQ(svm_unbind(vm, GiB, GiB + PAGE), 0);
	EXPECT_EQ(mem->frames_used(), 0u);
	expect_empty();
	b = placed(16, 1000);
	ASSERT_EQ(bind({object(BASE, BASE + PAGE, b->object())}), 0);
	b.reset();
	destroy(); /* gives it back, too */
	EXPECT_EQ(mem->frames_used(), 0u);
}

/* The object begins, or would, in the midst of a table, and lies in pieces. */
TEST_F(object_test, begins_inside_a_table)
{
	svm_object *o = nullptr;
	const svm_extent extents[] = {
		{9 * TABLE, PAGE, SVM_VRAM}, {3 * TABLE, 2 * PAGE, SVM_VRAM}, {7 * TABLE, PAGE, SVM_VRAM}, {TABLE, PAGE, SVM_VRAM}};
	const u64 pages[] = {9 * TABLE, 3 * TABLE, 3 * TABLE + PAGE, 7 * TABLE, TABLE};

	ASSERT_EQ(svm_object_create(5 * PAGE, nullptr, nullptr, &o), 0);
	ASSERT_EQ(svm_object_place(o, extents, 4), 0);
	ASSERT_EQ(bind({object(BASE + 7 * PAGE, BASE + 12 * PAGE, o), object(BASE + 300 * PAGE, BASE + 302 * PAGE, o, 2 * PAGE)}), 0);
	for (u64 i = 0; i < 5; i++)
		EXPECT_EQ(device().look(BASE + (7 + i) * PAGE).addr, pages[i]) << i;
	for (u64 i = 0; i < 2; i++)
		EXPECT_EQ(device().look(BASE + (300 + i) * PAGE).addr, pages[2 + i]) << i;
	svm_object_put(o);
}

TEST_F(object_test, vram)
{
	svm_object *o = nullptr;
	const svm_extent extents[] = {{0, PAGE, SVM_VRAM}, {3 * TABLE, TABLE - PAGE, SVM_VRAM}, {5 * TABLE, TABLE, SVM_VRAM}};
	svm_format none = *vm->pt.format;

	ASSERT_EQ(svm_object_create(2 * TABLE, nullptr, nullptr, &o), 0);
	ASSERT_EQ(svm_object_place(o, extents, 3), 0);
	ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, o)}), 0);
	EXPECT_TRUE(device().look(BASE).vram);
	EXPECT_EQ(device().look(BASE).addr, 0u);
	EXPECT_EQ(device().look(BASE + PAGE).addr, 3 * TABLE);
	EXPECT_EQ(device().look(BASE + TABLE).addr, 5 * TABLE);
	EXPECT_EQ(device().look(BASE + TABLE).lg2, 21u);
	svm_object_displace(o);
	none.info.vram = false;
	vm->pt.format = &none;
	ASSERT_EQ(svm_object_place(o, extents, 3), 0);
	EXPECT_EQ(fault(BASE), -EIO);
	vm->pt.format = svm_format_find("xe2");
	svm_object_put(o);
}

/* An object that the driver brings when the device needs it. */
struct brought {
	svm_object *object = nullptr;
	std::function<int(brought &)> how;
	unsigned asked = 0;
	bool released = false;

	explicit brought(u64 size, std::function<int(brought &)> by) : how(std::move(by))
	{
		static const svm_object_ops ops = {
			.bring = [](void *arg) {
				auto *self = static_cast<brought *>(arg);

				self->asked++;
				return self->how(*self);
			},
			.release = [](void *arg) { static_cast<brought *>(arg)->released = true; },
		};

		EXPECT_EQ(svm_object_create(size, &ops, this, &object), 0);
	}
	void give_back()
	{
		svm_object_put(object);
		object = nullptr;
	}
};

TEST_F(object_test, is_brought_by_a_fault)
{
	auto frames = placed(4, 1000);
	brought b(4 * PAGE, [&](brought &self) {
		svm_extent e{device().look(GiB).addr, 4 * PAGE, SVM_SYSTEM};

		return svm_object_place(self.object, &e, 1);
	});

	/* Frames that are one behind the other. */
	ASSERT_EQ(bind({object(GiB, GiB + PAGE, frames->object())}), 0);
	ASSERT_EQ(bind({object(BASE, BASE + 4 * PAGE, b.object)}), 0);
	EXPECT_EQ(b.asked, 0u) << "a bind asks for nothing";
	EXPECT_EQ(now(BASE), FAULT);
	EXPECT_EQ(fault(BASE + PAGE), 0);
	EXPECT_EQ(b.asked, 1u);
	EXPECT_EQ(now(BASE), 1000u);
	svm_object_displace(b.object);
	EXPECT_EQ(now(BASE), FAULT);
	u64 pages = 7;
	EXPECT_EQ(svm_map_present(vm, BASE, BASE + 4 * PAGE, &pages), 0);
	EXPECT_EQ(b.asked, 1u) << "nothing is brought";
	EXPECT_EQ(pages, 0u);
	/* By a prefetch too. */
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 4 * PAGE, SVM_READ, &pages), 0);
	EXPECT_EQ(b.asked, 2u);
	EXPECT_EQ(pages, 4u);
	EXPECT_EQ(now(BASE), 1000u);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + 4 * PAGE), 0);
	EXPECT_FALSE(b.released);
	b.give_back();
	EXPECT_TRUE(b.released);
}

TEST_F(object_test, cannot_be_brought)
{
	int why = -EIO;
	brought b(4 * PAGE, [&](brought &) { return why; });
	u64 pages = 7;

	ASSERT_EQ(bind({object(BASE, BASE + 4 * PAGE, b.object)}), 0);
	EXPECT_EQ(fault(BASE), -EIO);
	/* What cannot be had is left out, as with memory of the process. */
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 4 * PAGE, SVM_READ, &pages), 0);
	EXPECT_EQ(pages, 0u);
	for (int fatal : {-ENOMEM, -EINTR}) {
		why = fatal;
		EXPECT_EQ(fault(BASE), fatal);
		EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 4 * PAGE, SVM_READ, &pages), fatal);
	}
	/* It says that it was brought, and was not: the fault ends. */
	why = 0;
	b.asked = 0;
	EXPECT_EQ(fault(BASE), -EAGAIN);
	EXPECT_GT(b.asked, 1u);
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 4 * PAGE, SVM_READ, &pages), 0);
	EXPECT_EQ(pages, 0u);
	/* It is asked for once, and what lies behind it in the table is had. */
	brought next(4 * PAGE, [](brought &self) {
		svm_extent e{3 * TABLE, 4 * PAGE, SVM_VRAM};

		return svm_object_place(self.object, &e, 1);
	});
	ASSERT_EQ(bind({object(BASE + 4 * PAGE, BASE + 8 * PAGE, next.object)}), 0);
	why = -EIO;
	b.asked = 0;
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + 8 * PAGE, SVM_READ, &pages), 0);
	EXPECT_EQ(b.asked, 1u);
	EXPECT_EQ(next.asked, 1u);
	EXPECT_EQ(pages, 4u);
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + 8 * PAGE), 0);
	b.give_back();
	next.give_back();
	EXPECT_TRUE(b.released) << "no reference was left over";
}

/* The last binding and the driver's reference go while the driver brings it. */
TEST_F(object_test, goes_while_it_is_brought)
{
	brought b(4 * PAGE, [&](brought &self) {
		EXPECT_EQ(svm_unbind(vm, BASE, BASE + 4 * PAGE), 0);
		self.give_back();
		EXPECT_FALSE(self.released) << "the fault has a reference";
		return 0;
	});

	ASSERT_EQ(bind({object(BASE, BASE + 4 * PAGE, b.object)}), 0);
	EXPECT_EQ(fault(BASE), -EFAULT);
	EXPECT_EQ(b.asked, 1u);
	EXPECT_TRUE(b.released);
}

/* Memory for tables runs out: tables of objects go, and faults bring them back. */
TEST_F(object_test, tables_are_evicted)
{
	auto b = placed(16, 1000);

	gpus->limit = 8; /* the root and directories among them */
	for (u64 i = 0; i < 16; i++)
		ASSERT_EQ(bind({object(BASE + i * TABLE, BASE + i * TABLE + PAGE, b->object(), i * PAGE)}), 0);
	for (unsigned turn = 0; turn < 2; turn++)
		for (u64 i = 0; i < 16; i++)
			ASSERT_EQ(read(BASE + i * TABLE), 1000 + i);
	EXPECT_GT(count().tables_freed, 0u);
	b->displace();
	for (u64 i = 0; i < 16; i++)
		ASSERT_EQ(now(BASE + i * TABLE), FAULT);
	gpus->limit = ~0ull;
}

/* The device is lost with its tables: what was mapped for DMA is counted off, and lent pages are not. */
TEST_F(object_test, lost_device)
{
	auto b = placed(16, 1000);

	map(BASE, TABLE);
	touch(BASE, 16 * PAGE);
	ASSERT_EQ(bind({mirror(BASE, BASE + 8 * PAGE), object(BASE + 8 * PAGE, BASE + 24 * PAGE, b->object())}), 0);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_EQ(mem->dma_live(), 8u);
	gpus->lose();
	b->displace();
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(count().present, 0u);
}

/* Each allocation fails once: nothing was done, or it is done in the end. */
TEST_F(object_test, allocations_fail)
{
	auto b = placed(1024, 1000), before = placed(1024, 5000);

	ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, before->object())}), 0);

	u64 heap = live.heap;

	for (unsigned n = 1;; n++) {
		inject.arm(n);

		int err = bind({object(BASE + MiB, BASE + 3 * MiB, b->object(), MiB)});
		bool failed = !inject.armed();

		inject.arm(0);
		ASSERT_TRUE(!err || err == -ENOMEM) << n << ": " << err;
		EXPECT_EQ(read(BASE + MiB), err ? 5256u : 1256u);
		EXPECT_EQ(read(BASE + 3 * MiB), 5768u);
		EXPECT_EQ(b->move(), 0);
		ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, before->object())}), 0);
		EXPECT_TRUE(eventually([&] { return live.heap <= heap; })) << n;
		if (!failed) {
			EXPECT_GE(n, 3u);
			break;
		}
	}
	ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, b->object())}), 0);
	for (unsigned n = 1; n < 8; n++) { /* the placement, tables */
		b->displace();
		inject.arm(n);

		int err = b->place();

		inject.arm(0);
		if (n == 1) {
			EXPECT_EQ(err, -ENOMEM);
			ASSERT_EQ(b->place(), 0);
		}
		EXPECT_EQ(read(BASE + TABLE), 1512u);
		ASSERT_EQ(svm_unbind(vm, BASE, BASE + 2 * TABLE), 0); /* no table is left */
		ASSERT_EQ(bind({object(BASE, BASE + 2 * TABLE, b->object(), 0)}), 0);
	}
}

/* On each format: pages, groups and a leaf for a table, beside a mirror, and it moves. */
class object_formats : public object_test, public ::testing::WithParamInterface<const char *>
{
protected:
	void SetUp() override
	{
		format = GetParam();
		object_test::SetUp();
	}
};

TEST_P(object_formats, all_sizes)
{
	const svm_format_info &info = *svm_format_describe(svm_format_find(GetParam()));
	const u64 table = 1ull << info.table_lg2;
	auto b = placed(2048, 1000, true);

	map(BASE, 4 * MiB);
	touch(BASE, 4 * MiB);
	ASSERT_EQ(bind({object(BASE, BASE + 4 * MiB, b->object()), mirror(BASE + 4 * MiB, BASE + 8 * MiB, 4 * MiB)}), 0);
	for (u64 i = 0; i < 1024; i++)
		ASSERT_EQ(now(BASE + i * PAGE), 1000 + i);
	if (info.leaf_sizes >> info.table_lg2 & 1) {
		EXPECT_EQ(device().look(BASE).lg2, info.table_lg2);
	}
	ASSERT_EQ(bind({mirror(BASE + 5 * PAGE, BASE + 37 * PAGE), object(BASE + 4 * MiB + 3 * PAGE, BASE + 4 * MiB + 99 * PAGE, b->object(), MiB)}), 0);
	ASSERT_EQ(device_write(BASE + 5 * PAGE, 9), 0);
	EXPECT_EQ(now(BASE + 4 * PAGE), 1004u);
	EXPECT_EQ(now(BASE + 37 * PAGE), 1037u);
	EXPECT_EQ(read(BASE + 6 * PAGE), 7u);
	EXPECT_EQ(now(BASE + 4 * MiB + 98 * PAGE), 1000u + 256 + 95);
	EXPECT_EQ(read(BASE + 4 * MiB), 1u);
	b->displace();
	EXPECT_EQ(now(BASE + 4 * PAGE), FAULT);
	EXPECT_EQ(now(BASE + 4 * MiB + 98 * PAGE), FAULT);
	EXPECT_EQ(now(BASE + table), FAULT);
	EXPECT_EQ(now(BASE + 6 * PAGE), 7u);
	ASSERT_EQ(b->place(), 0);
	EXPECT_EQ(now(BASE + 4 * PAGE), 1004u);
	proc->dontneed(BASE, BASE + 4 * MiB);
	EXPECT_EQ(now(BASE + 6 * PAGE), FAULT);
	EXPECT_EQ(now(BASE + 4 * PAGE), 1004u);
	EXPECT_EQ(mem->dma_live(), 0u);
}

INSTANTIATE_TEST_SUITE_P(formats, object_formats, ::testing::Values("xe2", "nv_v2", "nv_v3", "amd_gfx9", "amd_gfx12", "mlx5_odp"),
			 [](const auto &what) { return std::string(what.param); });

} // namespace svm_test
