// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/: what may be bound, offsets, holes, null, neighbours in one table, intervals. */
#include "mm/vm.hpp"
#include "tests/unit/bind_ops.hpp"
#include "tests/unit/machine.hpp"
#include "tests/unit/seeded.hpp"

static bool operator==(const svm_bind_op &a, const svm_bind_op &b)
{
	return a.start == b.start && a.end == b.end && a.offset == b.offset && a.kind == b.kind && a.flags == b.flags && a.object == b.object;
}

namespace svm_test
{

class bind_test : public machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	int bind(std::vector<svm_bind_op> ops)
	{
		return svm_bind_many(vm, ops.data(), u32(ops.size()));
	}

	/* All that is bound. */
	std::vector<svm_bind_op> bindings()
	{
		std::vector<svm_bind_op> all(1000);

		all.resize(svm_bindings(vm, 0, all.data(), u32(all.size())));
		return all;
	}

	/* The device's access as a driver serves it: 0 and the value, or the fault's error. */
	int read(u64 va, u64 &v)
	{
		return device_read(va, &v);
	}
};



TEST_F(bind_test, bind_refuses)
{
	constexpr u64 table = 2 * MiB;
	constexpr u64 device_end = 1ull << 48;

	EXPECT_EQ(svm_bind(vm, BASE + 1, BASE + PAGE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE - 1, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE + PAGE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, ~0ull << 12, 0, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, USER_END - PAGE, USER_END + PAGE, 0), -EINVAL); /* beyond the user's space */
	EXPECT_EQ(svm_bind(vm, device_end - PAGE, device_end + table, s64(device_end - table)),
		  -EINVAL); /* the device's */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, 1), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, s64(PAGE / 2)), -EINVAL);
	EXPECT_EQ(svm_bind(vm, 0, PAGE, s64(table)), -EINVAL); /* CPU address below 0 */
	EXPECT_EQ(svm_bind(vm, 0, 2 * table, s64(table)), -EINVAL); /* wraps on the CPU's side */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, -s64(table) * 4096 * 1024),
		  -EINVAL); /* CPU address beyond the user's */
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + PAGE), 0); /* a hole already */
	EXPECT_TRUE(bindings().empty());
}

/* One that is wrong, and nothing of the others is done. */
TEST_F(bind_test, many_refuse)
{
	const svm_bind_op good = mirror(BASE, BASE + PAGE), bad[] = {
		{BASE + MiB, BASE + MiB + PAGE, 0, 4, 0, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, 0, SVM_BIND_MIRROR, 1, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, PAGE, SVM_BIND_NULL, 0, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, PAGE, SVM_BIND_NOTHING, 0, nullptr},
		{BASE + MiB, BASE + MiB, 0, SVM_BIND_NULL, 0, nullptr},
		{BASE + MiB, BASE + MiB + 1, 0, SVM_BIND_NULL, 0, nullptr},
		{(1ull << 48) - PAGE, (1ull << 48) + PAGE, 0, SVM_BIND_NULL, 0, nullptr},
		{~0ull << 12, 0, 0, SVM_BIND_NOTHING, 0, nullptr},
		good,
		{BASE - PAGE, BASE + PAGE, 0, SVM_BIND_NULL, 0, nullptr},
		{BASE - PAGE, BASE + 2 * PAGE, 0, SVM_BIND_NOTHING, 0, nullptr},
	};

	for (const svm_bind_op &op : bad) {
		EXPECT_EQ(bind({good, op}), -EINVAL);
		EXPECT_EQ(bind({op, good}), -EINVAL);
		EXPECT_TRUE(bindings().empty());
	}
	EXPECT_EQ(bind({}), 0);
	EXPECT_EQ(bind({good, null(BASE + PAGE, BASE + 2 * PAGE)}), 0);
}

/* A format without null entries says so. */
TEST_F(bind_test, null_where_the_format_has_none)
{
	svm_format none = *vm->pt.format;

	none.info.null = false;
	vm->pt.format = &none;
	EXPECT_EQ(bind({mirror(BASE, BASE + PAGE), null(GiB, GiB + PAGE)}), -EOPNOTSUPP);
	EXPECT_TRUE(bindings().empty());
	vm->pt.format = svm_format_find("xe2");
}

/* What is replaced keeps what lies outside; neighbours that lead on alike are one. */
TEST_F(bind_test, lists_what_is_bound)
{
	using list = std::vector<svm_bind_op>;

	ASSERT_EQ(svm_bind(vm, BASE, BASE + 8 * PAGE, 0), 0);
	EXPECT_EQ(bindings(), (list{mirror(BASE, BASE + 8 * PAGE)}));
	ASSERT_EQ(bind({null(BASE + 2 * PAGE, BASE + 3 * PAGE), hole(BASE + 5 * PAGE, BASE + 6 * PAGE)}), 0);
	EXPECT_EQ(bindings(), (list{mirror(BASE, BASE + 2 * PAGE), null(BASE + 2 * PAGE, BASE + 3 * PAGE),
				    mirror(BASE + 3 * PAGE, BASE + 5 * PAGE), mirror(BASE + 6 * PAGE, BASE + 8 * PAGE)}));
	ASSERT_EQ(bind({mirror(BASE + 2 * PAGE, BASE + 3 * PAGE), mirror(BASE + 5 * PAGE, BASE + 6 * PAGE)}), 0);
	EXPECT_EQ(bindings(), (list{mirror(BASE, BASE + 8 * PAGE)}));
	ASSERT_EQ(svm_bind(vm, BASE + 8 * PAGE, BASE + 9 * PAGE, s64(PAGE)), 0); /* at another offset: not the same */
	ASSERT_EQ(svm_unbind(vm, BASE - PAGE, BASE + 4 * PAGE), 0);
	EXPECT_EQ(bindings(), (list{mirror(BASE + 4 * PAGE, BASE + 8 * PAGE), mirror(BASE + 8 * PAGE, BASE + 9 * PAGE, PAGE)}));

	ASSERT_EQ(svm_bind(vm, BASE + 5 * PAGE, BASE + 6 * PAGE, 0), 0); /* the same once more */
	EXPECT_EQ(bindings(), (list{mirror(BASE + 4 * PAGE, BASE + 8 * PAGE), mirror(BASE + 8 * PAGE, BASE + 9 * PAGE, PAGE)}));

	svm_bind_op one;

	EXPECT_EQ(svm_bindings(vm, BASE + 5 * PAGE, &one, 1), 1u);
	EXPECT_EQ(one, mirror(BASE + 4 * PAGE, BASE + 8 * PAGE));
	EXPECT_EQ(svm_bindings(vm, BASE + 9 * PAGE, &one, 1), 0u);
	ASSERT_EQ(svm_unbind(vm, 0, 1ull << 48), 0);
	EXPECT_TRUE(bindings().empty());
	expect_empty();
}

/* Mirror, null and a hole side by side in one table; a callback takes what it may, and no more. */
TEST_F(bind_test, kinds_share_a_table)
{
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(bind({mirror(BASE, BASE + 64 * PAGE), null(BASE + 64 * PAGE, BASE + 128 * PAGE),
			mirror(BASE + 200 * PAGE, BASE + TABLE)}), 0);
	ASSERT_EQ(read(BASE + 3 * PAGE, v), 0);
	EXPECT_EQ(v, 4u);
	ASSERT_EQ(read(BASE + 100 * PAGE, v), 0);
	EXPECT_EQ(v, 0u);
	ASSERT_EQ(device_write(BASE + 101 * PAGE, 5), 0);
	ASSERT_EQ(read(BASE + 101 * PAGE, v), 0);
	EXPECT_EQ(v, 0u);
	ASSERT_EQ(proc->read(BASE + 101 * PAGE, &v), 0);
	EXPECT_EQ(v, 102u);
	ASSERT_EQ(device_write(BASE + 201 * PAGE, 5), 0);
	EXPECT_EQ(fault(BASE + 150 * PAGE), -EFAULT);
	EXPECT_EQ(device().read(BASE + 128 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 199 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(count().tables, 1u);
	EXPECT_EQ(count().intervals, 1u);
	proc->dontneed(BASE, BASE + TABLE);
	EXPECT_EQ(device().read(BASE + 3 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 201 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).what, gpu::status::ok);
	EXPECT_EQ(count().present, 64u);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + TABLE), 0);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).what, gpu::status::fault);
	expect_empty();
}

/* Two mirrors of one process at different offsets in one table: each one's invalidations take its own leaves. */
TEST_F(bind_test, two_offsets_in_one_table)
{
	const u64 far = GiB + 3 * PAGE; /* where the second half of the table leads */
	const s64 offset = s64(BASE) - s64(far);
	u64 v;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	map(GiB, 2 * TABLE);
	touch(GiB, 2 * TABLE, 5000);
	device().set_offsets([&](u64 va) { return va < BASE + MiB ? 0 : u64(offset); });
	ASSERT_EQ(bind({mirror(BASE, BASE + MiB), mirror(BASE + MiB, BASE + TABLE, offset)}), 0);
	ASSERT_EQ(read(BASE, v), 0);
	EXPECT_EQ(v, 1u);
	ASSERT_EQ(read(BASE + MiB, v), 0);
	EXPECT_EQ(v, 5000u + 256 + 3);
	EXPECT_EQ(count().intervals, 2u);
	EXPECT_EQ(count().present, 512u);
	proc->dontneed(BASE + MiB, BASE + TABLE); /* mirrored nowhere */
	EXPECT_EQ(count().present, 512u);
	proc->dontneed(far + MiB, far + MiB + PAGE);
	EXPECT_EQ(count().present, 511u);
	EXPECT_EQ(device().read(BASE + MiB).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + MiB + PAGE).what, gpu::status::ok);
	proc->dontneed(BASE + MiB - PAGE, BASE + MiB);
	EXPECT_EQ(device().read(BASE + MiB - PAGE).what, gpu::status::fault);
	EXPECT_EQ(count().present, 510u);
	ASSERT_EQ(svm_unbind(vm, BASE + MiB, BASE + TABLE), 0);
	EXPECT_EQ(count().intervals, 1u); /* the other binding is gone, and its notifier with it */
	EXPECT_EQ(count().present, 255u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::ok);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + MiB), 0);
	expect_empty();
}

/* A hole in mirrored memory, filled by null, then by the mirror again: what lies beside it stays mapped. */
TEST_F(bind_test, a_page_is_replaced)
{
	const u64 at = BASE + 77 * PAGE;
	u64 v;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(count().present, 512u);
	ASSERT_EQ(bind({null(at, at + PAGE)}), 0);
	EXPECT_EQ(device().read(at).what, gpu::status::fault);
	EXPECT_EQ(count().present, 511u);
	ASSERT_EQ(read(at, v), 0);
	EXPECT_EQ(v, 0u);
	ASSERT_EQ(svm_unbind(vm, at, at + PAGE), 0);
	EXPECT_EQ(fault(at), -EFAULT);
	EXPECT_EQ(count().present, 511u);
	ASSERT_EQ(svm_bind_all(vm), 0); /* what leads there already is left alone */
	EXPECT_EQ(count().present, 511u);
	ASSERT_EQ(read(at, v), 0);
	EXPECT_EQ(v, 78u);
	EXPECT_EQ(count().intervals, 1u);
	EXPECT_EQ(bindings().size(), 1u);
}

/* A huge leaf goes where a page of it is bound to something else. */
TEST_F(bind_test, a_page_of_a_huge_leaf_is_replaced)
{
	const u64 at = BASE + 77 * PAGE;
	u64 v;

	map(BASE, TABLE, PROT_RW, true);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_EQ(count().huge_leaves, 1u);
	ASSERT_EQ(svm_unbind(vm, at, at + PAGE), 0);
	EXPECT_EQ(fault(at), -EFAULT);
	ASSERT_EQ(read(at + PAGE, v), 0);
	EXPECT_EQ(v, 79u);
	EXPECT_EQ(count().huge_leaves, 1u);
	EXPECT_EQ(count().present, 512u - 78); /* what is behind the hole; the fault had its page there */
	EXPECT_EQ(device().read(at).what, gpu::status::fault);
}

/* Null of any size costs no memory for pages: a table's record for each 2 MiB that the device touches. */
TEST_F(bind_test, null_of_a_tebibyte)
{
	constexpr u64 TiB = 1024 * GiB;
	u64 v;

	ASSERT_EQ(bind({null(TiB, 2 * TiB)}), 0);
	ASSERT_EQ(read(TiB, v), 0);

	u64 bytes = count().device_bytes;

	for (u64 at = TiB; at < TiB + GiB; at += TABLE) {
		ASSERT_EQ(read(at + 5 * PAGE, v), 0);
		EXPECT_EQ(v, 0u);
	}
	EXPECT_EQ(count().device_bytes, bytes);
	EXPECT_EQ(count().huge_leaves, 512u);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(fault(TiB - PAGE), -EFAULT);
	EXPECT_EQ(fault(2 * TiB), -EFAULT);
	ASSERT_EQ(svm_unbind(vm, TiB, 2 * TiB), 0);
	EXPECT_EQ(device().read(TiB).what, gpu::status::fault);
	expect_empty();
}

/* What the device could write was not written through null. */
TEST_F(bind_test, null_dirties_nothing)
{
	ASSERT_EQ(bind({null(BASE, BASE + TABLE), null(GiB, GiB + PAGE)}), 0);
	ASSERT_EQ(device_write(BASE, 5), 0);
	ASSERT_EQ(device_write(GiB, 5), 0);
	ASSERT_EQ(svm_unbind(vm, 0, 2 * BASE), 0);
	EXPECT_EQ(count().dirtied, 0u);
	expect_empty();
}

/* An array is one change: a fault that looks in the midst of it sees none of it. */
TEST_F(bind_test, allocations_fail)
{
	auto before = mirror(BASE, BASE + TABLE);
	unsigned failed = 0;
	u64 v;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	for (unsigned nth = 1;; nth++) {
		ASSERT_EQ(bind({before}), 0);
		ASSERT_EQ(read(BASE + 5 * PAGE, v), 0);
		inject.arm(nth);
		int err = bind({mirror(BASE + 9 * PAGE, BASE + 10 * PAGE, s64(PAGE)), hole(BASE + 20 * PAGE, BASE + 30 * PAGE),
				null(BASE + 40 * PAGE, BASE + 41 * PAGE), mirror(GiB, GiB + PAGE, s64(GiB) - s64(BASE))});
		inject.arm(0);
		if (!err)
			break;
		EXPECT_EQ(err, -ENOMEM);
		EXPECT_EQ(bindings(), std::vector{before});
		EXPECT_EQ(device().read(BASE + 5 * PAGE).what, gpu::status::ok);
		EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::ok);
		failed++;
	}
	EXPECT_GT(failed, 5u);
	EXPECT_EQ(bindings().size(), 7u);
	EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::fault);
}

/* Random binds of all kinds at a few places, against a plain record of each page. */
TEST_F(bind_test, random_against_a_record)
{
	constexpr unsigned pages = 1200; /* two tables and a part of a third */
	constexpr s64 offsets[] = {0, s64(PAGE), s64(TABLE), -s64(300 * PAGE), s64(GiB)};
	struct bound {
		u32 kind = SVM_BIND_NOTHING;
		s64 offset = 0;
	} record[pages];
	seeded r(77);
	u64 v;

	device().set_offsets([&](u64 va) { return u64(record[(va - BASE) / PAGE].offset); });

	map(BASE - 4 * MiB, 16 * MiB);
	map(BASE - GiB - 4 * MiB, 16 * MiB);
	for (u64 cpu = BASE - 4 * MiB; cpu < BASE + 12 * MiB; cpu += PAGE) {
		ASSERT_EQ(proc->write(cpu, cpu), 0);
		ASSERT_EQ(proc->write(cpu - GiB, cpu - GiB), 0);
	}
	for (unsigned round = 0; round < 400; round++) {
		unsigned first = unsigned(r() % (pages - 1)), most = std::min(pages - first, r() % 4 ? 40u : pages);
		unsigned n = 1 + unsigned(r() % most);
		bound b{u32(r() % 3), 0};

		if (b.kind == SVM_BIND_MIRROR)
			b.offset = offsets[r() % 5];
		ASSERT_EQ(bind({{BASE + first * PAGE, BASE + (first + n) * PAGE, b.offset, b.kind, 0, nullptr}}), 0);
		std::fill(record + first, record + first + n, b);
		for (unsigned k = 0; k < 60; k++) {
			unsigned i = unsigned(r() % pages);
			u64 va = BASE + i * PAGE;
			int err = read(va, v);

			ASSERT_EQ(err, record[i].kind == SVM_BIND_NOTHING ? -EFAULT : 0) << i;
			if (!err) {
				ASSERT_EQ(v, record[i].kind == SVM_BIND_NULL ? 0 : va - u64(record[i].offset)) << i;
			}
		}
		if (r() % 4 == 0) {
			u64 cpu = BASE - (r() % 2 ? GiB : 0) + r() % pages * PAGE;

			ASSERT_EQ(proc->mprotect(cpu, cpu + 20 * PAGE, PROT_R), 0); /* takes leaves away, keeps what is there */
			ASSERT_EQ(proc->mprotect(cpu, cpu + 20 * PAGE, PROT_RW), 0);
		}
	}
	for (unsigned i = 0; i < pages; i++) {
		bool ok = device().read(BASE + i * PAGE).what == gpu::status::ok;

		ASSERT_TRUE(!ok || record[i].kind != SVM_BIND_NOTHING) << i;
	}
	ASSERT_EQ(svm_unbind(vm, 0, 1ull << 47), 0);
	expect_empty();
}

/* A fault that comes while its binding is replaced waits for the new one, and is served by it. */
TEST_F(bind_test, a_fault_waits_for_the_bind)
{
	std::atomic<bool> flushing{false}, go{false}, served{false};
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(svm_unbind(vm, BASE + 5 * PAGE, BASE + 6 * PAGE), 0); /* two bindings in the table from now on */
	ASSERT_EQ(fault(BASE), 0);
	gpus->on_flush = [&](u64, u64) {
		flushing = true;
		eventually([&] { return go.load(); });
	};

	std::thread binding([&] { EXPECT_EQ(bind({null(BASE, BASE + TABLE)}), 0); });

	ASSERT_TRUE(eventually([&] { return flushing.load(); }));

	std::thread faulting([&] {
		EXPECT_EQ(read(BASE + 7 * PAGE, v), 0);
		served = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(served);
	go = true;
	binding.join();
	gpus->on_flush = nullptr;
	faulting.join();
	EXPECT_EQ(v, 0u);
}

/* What a fault brought for the old binding is not written when the new one stands. */
TEST_F(bind_test, replaced_in_the_midst_of_a_fault)
{
	std::thread binding;
	bool once = false;
	u64 v = 1;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + TABLE, 0), 0);
	hook.fault_exit = [&](const auto &) {
		if (std::exchange(once, true))
			return;
		binding = std::thread([&] { EXPECT_EQ(bind({null(BASE, BASE + MiB)}), 0); });
		EXPECT_TRUE(eventually([&] { return bindings().size() == 2 && !vm->changing.load_acquire(); }));
	};
	EXPECT_EQ(read(BASE + 3 * PAGE, v), 0);
	hook.fault_exit = nullptr;
	binding.join();
	EXPECT_EQ(v, 0u);
	EXPECT_EQ(mem->dma_live(), 0u);
}

TEST_F(bind_test, killed_while_waiting_for_a_bind)
{
	std::atomic<bool> inside{false}, go{false};
	int err[2] = {1, 1};

	ASSERT_EQ(svm_bind(vm, 0, GiB, 0), 0);
	hook.alloc = [&] {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread holder([&] { EXPECT_EQ(svm_bind(vm, 2 * GiB, 3 * GiB, 0), 0); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread binder([&] {
		kill(current());
		err[0] = svm_bind(vm, BASE, BASE + MiB, 0);
		err[1] = svm_unbind(vm, 0, GiB);
	});

	binder.join();
	go = true;
	holder.join();
	EXPECT_EQ(err[0], -EINTR);
	EXPECT_EQ(err[1], -EINTR);
	EXPECT_EQ(svm_unbind(vm, 0, GiB), 0); /* it had not begun */
}

class offset_test : public machine, public ::testing::WithParamInterface<s64>
{
};

TEST_P(offset_test, device_address_minus_offset)
{
	s64 offset = GetParam();
	u64 start = BASE + u64(offset), size = 8 * MiB, v;

	ASSERT_EQ(svm_bind(vm, start, start + size, offset), 0);
	device().set_offset(u64(offset));
	map(BASE, size);
	touch(BASE + 3 * MiB, MiB, 50);
	ASSERT_EQ(device_read(start + 3 * MiB + 2 * PAGE, &v), 0);
	EXPECT_EQ(v, 52u);
	ASSERT_EQ(device_write(start + 5 * MiB, 6), 0);
	ASSERT_EQ(proc->read(BASE + 5 * MiB, &v), 0);
	EXPECT_EQ(v, 6u);
	/* Invalidations come in CPU addresses. */
	EXPECT_EQ(device().read(start + 3 * MiB + 2 * PAGE).what, gpu::status::ok);
	u64 zapped = count().ptes_zapped;

	proc->dontneed(BASE + 3 * MiB + 2 * PAGE, BASE + 3 * MiB + 3 * PAGE);
	EXPECT_EQ(count().ptes_zapped, zapped + 1);
	EXPECT_EQ(device().read(start + 3 * MiB + 2 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(start + 3 * MiB + 3 * PAGE).what, gpu::status::ok);
	EXPECT_EQ(fault(start - PAGE), -EFAULT);
	EXPECT_EQ(fault(start + size), -EFAULT);
	ASSERT_EQ(svm_unbind(vm, start, start + size), 0);
	expect_empty();
}

INSTANTIATE_TEST_SUITE_P(offsets, offset_test,
			 ::testing::Values(0, s64(2 * MiB), -s64(2 * MiB), -s64(BASE), s64(1ull << 47),
					   s64(513 * MiB + MiB)));

/* The same memory through two windows: one invalidation reaches both. */
TEST_F(bind_test, two_windows_on_one_memory)
{
	u64 v;

	map(BASE, 2 * MiB);
	touch(BASE, MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(svm_bind(vm, GiB, GiB + 2 * MiB, s64(GiB) - s64(BASE)), 0);
	ASSERT_EQ(device_read(BASE, &v), 0);
	ASSERT_EQ(fault(GiB), 0);
	EXPECT_EQ(device().look(GiB).addr, device().look(BASE).addr);
	proc->dontneed(BASE, BASE + PAGE);
	EXPECT_EQ(device().look(BASE).what, translation::outcome::absent);
	EXPECT_EQ(device().look(GiB).what, translation::outcome::absent);
	EXPECT_EQ(count().ptes_zapped, 2u);
}

TEST_F(bind_test, part_of_a_table)
{
	map(BASE, 2 * MiB);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE + 100 * PAGE, BASE + 200 * PAGE, 0), 0);
	ASSERT_EQ(fault(BASE + 150 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(count().present, 100u);
	EXPECT_EQ(device().read(BASE + 99 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(device().read(BASE + 100 * PAGE).value, 101u);
	EXPECT_EQ(device().read(BASE + 199 * PAGE).value, 200u);
	EXPECT_EQ(device().read(BASE + 200 * PAGE).what, gpu::status::fault);
	EXPECT_EQ(fault(BASE + 99 * PAGE), -EFAULT);
	EXPECT_EQ(fault(BASE + 200 * PAGE), -EFAULT);
}

TEST_F(bind_test, unbind_leaves_nothing)
{
	map(BASE, 10 * MiB);
	map(BASE + 10 * MiB, 6 * MiB, PROT_RW, true);
	for (int round = 0; round < 3; round++) {
		u64 pages;

		ASSERT_EQ(svm_bind(vm, BASE, BASE + 16 * MiB, 0), 0);
		ASSERT_EQ(svm_prefetch(vm, BASE, BASE + 16 * MiB, SVM_WRITE, &pages), 0);
		EXPECT_EQ(pages, 4096u);
		for (u64 va = BASE; va < BASE + 16 * MiB; va += 64 * PAGE)
			ASSERT_EQ(device().write(va, va).what, gpu::status::ok);
		EXPECT_EQ(count().huge_leaves, 3u * (round + 1));
		ASSERT_EQ(svm_unbind(vm, BASE, BASE + 16 * MiB), 0);
		for (u64 va = BASE; va < BASE + 16 * MiB; va += 64 * PAGE)
			ASSERT_EQ(device().read(va).what, gpu::status::fault);
		expect_empty();
		EXPECT_EQ(fault(BASE), -EFAULT);
	}
	EXPECT_EQ(count().directories, 3u);
	EXPECT_EQ(count().device_bytes, 3 * 4096u);
}

/* A table that maps nothing any more, but that the device has walked: it must forget the pointer, too. */
TEST_F(bind_test, unbind_makes_the_device_forget_empty_tables)
{
	map(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	ASSERT_EQ(device_write(BASE, 1), 0);
	proc->dontneed(BASE, BASE + 2 * MiB);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault); /* walks it once more */
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + 2 * MiB), 0);
	expect_empty();
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault); /* a walk of the freed table would be a complaint */
}

/* A fault is in the fault path: unbind waits for it, and what it maps goes too. */
TEST_F(bind_test, unbind_waits_for_faults)
{
	std::atomic<bool> inside{false}, go{false}, unbound{false};
	int err = 1;

	map(BASE, 2 * MiB);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + 2 * MiB, 0), 0);
	hook.fault_exit = [&](const auto &) {
		inside = true;
		eventually([&] { return go.load(); });
	};

	std::thread faulting([&] { fault(BASE, SVM_WRITE); });

	ASSERT_TRUE(eventually([&] { return inside.load(); }));

	std::thread unbinding([&] {
		err = svm_unbind(vm, BASE, BASE + 2 * MiB);
		unbound = true;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_FALSE(unbound);
	EXPECT_EQ(fault(BASE + PAGE), -EFAULT); /* no new one gets in, and none waits */
	go = true;
	faulting.join();
	unbinding.join();
	EXPECT_EQ(err, 0);
	expect_empty();
}

/* ---- intervals ---- */

class interval_test : public machine, public ::testing::WithParamInterface<u32>
{
};

TEST_P(interval_test, one_for_each_aligned_piece_that_is_touched)
{
	u32 lg2 = GetParam();
	u64 span = 1ull << lg2, v;

	destroy();
	ASSERT_EQ(create(lg2), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	EXPECT_EQ(count().intervals, 0u);
	/* Three tables: the first of the address space, the next but one, and one far away. */
	const u64 at[] = {2 * MiB, 6 * MiB, BASE};
	u64 pieces = 1 + (at[1] / span != at[0] / span) + (at[2] / span != at[1] / span);

	for (u64 va : at) {
		map(va, 2 * MiB);
		touch(va, 16 * PAGE, va);
		ASSERT_EQ(device_read(va, &v), 0);
		EXPECT_EQ(v, va);
	}
	EXPECT_EQ(count().intervals, pieces);
	EXPECT_EQ(live.intervals, pieces);
	for (u64 va : at) {
		proc->dontneed(va, va + PAGE);
		EXPECT_EQ(device().read(va).what, gpu::status::fault);
	}
	EXPECT_EQ(count().ptes_zapped, 3u);
	proc->munmap(0, USER_END & ~(2 * MiB - 1));
	EXPECT_EQ(count().present, 0u);
	ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
	expect_empty();
}

INSTANTIATE_TEST_SUITE_P(sizes, interval_test, ::testing::Values(21u, 22u, 23u, 29u, 30u, 39u, 47u, 48u));

} // namespace svm_test
