// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/: what binds do: offsets, holes, null, neighbours in one table, intervals. */
#include "tests/unit/bind_machine.hpp"
#include "tests/unit/seeded.hpp"

namespace svm_test
{

using bind_test = bind_machine;

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
