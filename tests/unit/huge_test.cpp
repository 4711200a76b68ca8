// SPDX-License-Identifier: GPL-2.0-only
/* Leaves larger than a page: 2 MiB from a THP and back again, and the 64 KiB hint. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class huge_test : public bound_machine
{
protected:
	translation look(u64 va)
	{
		return device().look(va);
	}

	/* The next page frames taken one by one start at a multiple of 16. */
	void align_frames()
	{
		u32 f;

		do {
			f = mem->take(0);
			taken.push_back(f);
		} while ((f + 1) % 16);
	}

	void TearDown() override
	{
		for (u32 f : taken)
			mem->put(f);
		bound_machine::TearDown();
	}

	std::vector<u32> taken;
};

TEST_F(huge_test, thp_becomes_one_leaf)
{
	map(BASE, 4 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE + 77 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(look(BASE).lg2, 21u);
	EXPECT_TRUE(look(BASE).write);
	EXPECT_TRUE(look(BASE).atomic);
	EXPECT_EQ(look(BASE).depth, 3u);
	EXPECT_EQ(look(BASE).memory_type, 2u);
	EXPECT_EQ(mem->dma_live(), 1u);
	EXPECT_EQ(count().huge_leaves, 1u);
	EXPECT_EQ(count().ptes_written, 0u);
	EXPECT_EQ(count().present, 512u);
	for (u64 i = 0; i < 512; i++)
		ASSERT_EQ(device().read(BASE + i * PAGE).value, i + 1);
}

TEST_F(huge_test, read_of_untouched_thp_memory_maps_the_huge_zero_page)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_EQ(look(BASE).lg2, 21u);
	EXPECT_FALSE(look(BASE).write);
	EXPECT_EQ(mem->frames_used(), 0u);
	/* A write makes it a block of its own, that is one leaf again. */
	ASSERT_EQ(device_write(BASE + PAGE, 5), 0);
	EXPECT_EQ(look(BASE).lg2, 21u);
	EXPECT_TRUE(look(BASE).write);
	EXPECT_EQ(count().dirtied, 0u);
	EXPECT_EQ(mem->dma_live(), 1u);
}

/* One page of it goes: the CPU splits its THP, and so does the device's side; nothing else is lost. */
TEST_F(huge_test, partial_unmap_makes_small_leaves)
{
	u64 v;

	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(device_write(BASE + 7 * PAGE, 70), 0);
	proc->dontneed(BASE + 100 * PAGE, BASE + 101 * PAGE);
	EXPECT_EQ(count().huge_zapped, 1u);
	EXPECT_EQ(count().present, 0u);
	EXPECT_EQ(count().dirtied, 512u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_LE(look(BASE).lg2, 16u);
	EXPECT_EQ(look(BASE + 100 * PAGE).what, translation::outcome::absent);
	EXPECT_EQ(count().present, 511u);
	ASSERT_EQ(device_read(BASE + 7 * PAGE, &v), 0);
	EXPECT_EQ(v, 70u);
	ASSERT_EQ(device_read(BASE + 100 * PAGE, &v), 0);
	EXPECT_EQ(v, 0u);
}

/* And huge again, once khugepaged has made a THP of it. */
TEST_F(huge_test, small_leaves_become_huge_again)
{
	u64 v;

	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	proc->dontneed(BASE, BASE + PAGE);
	touch(BASE, PAGE);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(mem->dma_live(), 512u);
	proc->collapse(BASE);
	EXPECT_EQ(mem->dma_live(), 0u);
	ASSERT_EQ(device_read(BASE + 5 * PAGE, &v), 0);
	EXPECT_EQ(v, 6u);
	EXPECT_EQ(look(BASE).lg2, 21u);
	EXPECT_EQ(mem->dma_live(), 1u);
	EXPECT_EQ(count().present, 512u);
	EXPECT_EQ(count().huge_leaves, 2u);
}

/* The table that a huge leaf takes the place of is empty: a device that still walks by the pointer to it finds nothing there. */
TEST_F(huge_test, the_device_forgets_the_table_below_a_huge_leaf)
{
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	proc->dontneed(BASE, BASE + PAGE); /* not one block any more */
	ASSERT_EQ(fault(BASE + PAGE), 0);
	ASSERT_LT(look(BASE + PAGE).lg2, 21u);
	touch(BASE, PAGE);
	proc->collapse(BASE);
	ASSERT_EQ(device().read(BASE + PAGE).what, gpu::status::fault); /* the device keeps a pointer to the table that it found empty */
	ASSERT_EQ(fault(BASE + PAGE), 0);
	ASSERT_EQ(look(BASE + PAGE).lg2, 21u);
	EXPECT_EQ(device().read(BASE + PAGE).value, 2u);
}

/* The window covers a part of the block only: no leaf may reach beyond it. */
TEST_F(huge_test, no_leaf_beyond_the_window)
{
	destroy();
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind(vm, BASE + PAGE, BASE + 2 * MiB, 0), 0);
	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	ASSERT_EQ(fault(BASE + PAGE, SVM_WRITE), 0);
	EXPECT_LE(look(BASE + PAGE).lg2, 16u);
	EXPECT_EQ(device().read(BASE + PAGE).value, 2u);
	EXPECT_EQ(look(BASE).what, translation::outcome::absent);
	EXPECT_EQ(fault(BASE), -EFAULT);
	EXPECT_EQ(count().present, 511u);
}

/* A read-only leaf of a whole block, then a write to one page of it, which the CPU gives a page of its own. */
TEST_F(huge_test, write_below_a_read_only_leaf)
{
	u64 v;

	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);

	auto child = proc->fork();

	ASSERT_EQ(device_read(BASE, &v), 0);
	EXPECT_EQ(look(BASE).lg2, 21u);
	EXPECT_FALSE(look(BASE).write);
	ASSERT_EQ(device_write(BASE + 3 * PAGE, 40), 0);
	EXPECT_EQ(child->read(BASE + 3 * PAGE), 4u);
	ASSERT_EQ(device_read(BASE + 4 * PAGE, &v), 0);
	EXPECT_EQ(v, 5u);
	ASSERT_EQ(proc->read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 40u);
}

/* Sole user again: the leaf itself is granted write, once, with a flush, and keeps its mapping. */
TEST_F(huge_test, upgrade_of_a_huge_leaf)
{
	u64 v;

	map(BASE, 2 * MiB, PROT_RW, true);
	touch(BASE, 2 * MiB);
	{
		auto child = proc->fork();

		ASSERT_EQ(device_read(BASE, &v), 0);
	}

	svm_counters before = count();

	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::fault);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(device().write(BASE, 1).what, gpu::status::ok);
	EXPECT_EQ(count().flushes, before.flushes + 1);
	EXPECT_EQ(count().present, 512u);
	EXPECT_EQ(mem->dma_live(), 1u);
}

/* ---- 64 KiB ---- */

TEST_F(huge_test, hint_where_16_pages_are_one_block)
{
	map(BASE, 2 * MiB);
	align_frames();
	touch(BASE + 64 * KiB, 64 * KiB);
	touch(BASE + 128 * KiB, 60 * KiB); /* one short */
	ASSERT_EQ(fault(BASE + 64 * KiB, SVM_WRITE), 0);
	for (u64 i = 0; i < 16; i++) {
		EXPECT_TRUE(look(BASE + 64 * KiB + i * PAGE).hinted);
		ASSERT_EQ(device().read(BASE + 64 * KiB + i * PAGE).value, i + 1);
	}
	for (u64 i = 0; i < 15; i++)
		EXPECT_FALSE(look(BASE + 128 * KiB + i * PAGE).hinted);
}

TEST_F(huge_test, no_hint_for_scattered_or_mixed_pages)
{
	map(BASE, 64 * KiB);
	align_frames();
	for (u64 i = 16; i-- > 0;) /* frames in reverse */
		ASSERT_EQ(proc->write(BASE + i * PAGE, i), 0);
	ASSERT_EQ(fault(BASE), 0);
	EXPECT_FALSE(look(BASE).hinted);

	map(BASE + 2 * MiB, 64 * KiB);
	align_frames();
	touch(BASE + 2 * MiB, 64 * KiB, 0);
	proc->mprotect(BASE + 2 * MiB + 5 * PAGE, BASE + 2 * MiB + 6 * PAGE, PROT_R);
	ASSERT_EQ(fault(BASE + 2 * MiB), 0);
	EXPECT_FALSE(look(BASE + 2 * MiB).hinted);
}

/* One page goes; its 15 neighbours must not speak for it any more, in the tables and in the TLB. */
TEST_F(huge_test, hint_is_cleared_by_a_partial_zap)
{
	map(BASE, 192 * KiB);
	align_frames();
	touch(BASE, 192 * KiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	ASSERT_TRUE(look(BASE + 64 * KiB).hinted);
	for (u64 i = 0; i < 48; i++)
		ASSERT_EQ(device().read(BASE + i * PAGE).what, gpu::status::ok);
	proc->dontneed(BASE + 20 * PAGE, BASE + 21 * PAGE);
	EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::fault);
	for (u64 i = 16; i < 32; i++) {
		if (i == 20)
			continue;
		EXPECT_FALSE(look(BASE + i * PAGE).hinted);
		EXPECT_EQ(device().read(BASE + i * PAGE).value, i + 1);
	}
	EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::fault); /* still, after its neighbours' walks */
	EXPECT_TRUE(look(BASE).hinted);
	EXPECT_TRUE(look(BASE + 32 * PAGE).hinted);
	EXPECT_EQ(count().ptes_zapped, 1u);
}

/* A span that cuts two groups and takes one whole between them. */
TEST_F(huge_test, hint_at_both_ends_of_a_span)
{
	map(BASE, 192 * KiB);
	align_frames();
	touch(BASE, 192 * KiB);
	ASSERT_EQ(fault(BASE, SVM_WRITE), 0);
	for (u64 i = 0; i < 48; i++)
		ASSERT_EQ(device().read(BASE + i * PAGE).what, gpu::status::ok);
	proc->dontneed(BASE + 10 * PAGE, BASE + 40 * PAGE);
	for (u64 i = 0; i < 48; i++) {
		bool gone = i >= 10 && i < 40;

		EXPECT_EQ(device().read(BASE + i * PAGE).what, gone ? gpu::status::fault : gpu::status::ok) << i;
		EXPECT_FALSE(look(BASE + i * PAGE).hinted) << i;
	}
}

/* One page of a hinted group is granted more than the others. */
TEST_F(huge_test, hint_and_permission)
{
	u64 v;

	map(BASE, 64 * KiB);
	align_frames();
	touch(BASE, 64 * KiB);
	{
		auto child = proc->fork();

		ASSERT_EQ(device_read(BASE, &v), 0);
	}
	ASSERT_TRUE(look(BASE).hinted);
	destroy();
	ASSERT_EQ(create(0, 12), 0); /* one page a fault */
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(device_read(BASE, &v), 0);
	ASSERT_TRUE(look(BASE).hinted);
	ASSERT_FALSE(look(BASE).write);
	ASSERT_EQ(device_write(BASE + 3 * PAGE, 8), 0);
	EXPECT_TRUE(look(BASE + 3 * PAGE).write);
	EXPECT_FALSE(look(BASE + 4 * PAGE).write && look(BASE + 4 * PAGE).hinted);
	for (u64 i = 0; i < 16; i++)
		EXPECT_EQ(device().read(BASE + i * PAGE).value, i == 3 ? 8 : i + 1);
}

} // namespace svm_test
