// SPDX-License-Identifier: GPL-2.0-only
/* Pages that lie in the device's memory: they go there by svm_migrate(), and home by that, or when the CPU touches them. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

class migrate_test : public machine
{
protected:
	static constexpr u64 pages = 40;

	void SetUp() override
	{
		machine::SetUp();
		ASSERT_EQ(svm_bind_all(vm), 0);
		map(BASE, pages * PAGE);
		touch(BASE, pages * PAGE);
	}

	u64 move(svm_aperture to, u64 start = BASE, u64 end = BASE + pages * PAGE)
	{
		u64 moved = ~0ull;

		EXPECT_EQ(svm_migrate(vm, start, end, to, &moved), 0);
		return moved;
	}

	/* Does the device reach it, and in which memory? */
	bool in_vram(u64 va)
	{
		translation t = device().look(va);

		EXPECT_EQ(t.what, translation::outcome::mapped);
		return t.vram;
	}
};

TEST_F(migrate_test, the_device_reaches_pages_where_they_are)
{
	EXPECT_EQ(move(SVM_VRAM), pages);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	for (u64 i = 0; i < 16; i++)
		EXPECT_TRUE(in_vram(BASE + i * PAGE)) << i;
	EXPECT_EQ(device_write(BASE + 3 * PAGE, 33), 0);

	u64 v = 0;

	EXPECT_EQ(device_read(BASE + 5 * PAGE, &v), 0);
	EXPECT_EQ(v, 6u);
	/* The CPU's touch brings one page home, and takes the device's leaf first. */
	EXPECT_EQ(proc->read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 33u);
	EXPECT_EQ(device().look(BASE + 3 * PAGE).what, translation::outcome::absent);
	EXPECT_TRUE(in_vram(BASE + 4 * PAGE));
	EXPECT_EQ(fault(BASE + 3 * PAGE, SVM_READ), 0);
	EXPECT_FALSE(in_vram(BASE + 3 * PAGE));
	EXPECT_EQ(count().moved_in, pages);
	EXPECT_EQ(move(SVM_SYSTEM), pages - 1);
	EXPECT_EQ(count().moved_home, pages - 1);
	for (u64 i = 0; i < pages; i++) {
		EXPECT_EQ(proc->read(BASE + i * PAGE, &v), 0);
		EXPECT_EQ(v, i == 3 ? 33 : 1 + i);
	}
}

/* Both kinds lie in one table, and nothing is unmapped for DMA that was not mapped. The machine counts. */
TEST_F(migrate_test, a_table_holds_both)
{
	EXPECT_EQ(move(SVM_VRAM, BASE + 8 * PAGE, BASE + 24 * PAGE), 16u);
	EXPECT_EQ(fault(BASE + 8 * PAGE, SVM_READ), 0);
	EXPECT_EQ(fault(BASE + 24 * PAGE, SVM_READ), 0);
	for (u64 i = 0; i < pages; i++)
		if (device().look(BASE + i * PAGE).what == translation::outcome::mapped) {
			EXPECT_EQ(in_vram(BASE + i * PAGE), i >= 8 && i < 24) << i;
		}

	u64 mapped = mem->dma_live();

	EXPECT_EQ(mapped, pages - 16);
	EXPECT_EQ(proc->dontneed(BASE + 4 * PAGE, BASE + 12 * PAGE), 0);
	EXPECT_EQ(mem->dma_live(), mapped - 4);
	EXPECT_EQ(proc->munmap(BASE, BASE + pages * PAGE), 0);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(count().present, 0u);
}

/* What lies beside a hole that is cut is given back by what it is, also where the table belongs to several bindings. */
TEST_F(migrate_test, a_mixed_table_gives_back_what_it_must)
{
	EXPECT_EQ(move(SVM_VRAM, BASE, BASE + 20 * PAGE), 20u);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_EQ(fault(BASE + 32 * PAGE, SVM_WRITE), 0);

	svm_bind_op op{.start = BASE + 16 * PAGE, .end = BASE + 24 * PAGE, .offset = 0, .kind = SVM_BIND_NULL, .flags = 0, .object = nullptr};

	ASSERT_EQ(svm_bind_many(vm, &op, 1), 0);
	EXPECT_EQ(fault(BASE + 16 * PAGE, SVM_WRITE), 0);
	EXPECT_EQ(fault(BASE, SVM_WRITE), 0);
	EXPECT_TRUE(in_vram(BASE));
	EXPECT_EQ(svm_unbind(vm, BASE + 4 * PAGE, BASE + 20 * PAGE), 0);
	EXPECT_EQ(proc->dontneed(BASE, BASE + 2 * PAGE), 0);
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + pages * PAGE), 0);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(count().present, 0u);
}

/* The device is lost with its tables: what was mapped for DMA is counted off, and pages of VRAM are not. */
TEST_F(migrate_test, lost_device)
{
	EXPECT_EQ(move(SVM_VRAM, BASE, BASE + 16 * PAGE), 16u);
	EXPECT_EQ(fault(BASE), 0);
	EXPECT_EQ(fault(BASE + 16 * PAGE), 0);
	EXPECT_GT(mem->dma_live(), 0u);
	gpus->lose();
	EXPECT_EQ(proc->munmap(BASE, BASE + pages * PAGE), 0);
	EXPECT_EQ(mem->dma_live(), 0u);
	EXPECT_EQ(count().present, 0u);
}

/* Memory beside it that other bindings lead to is nobody's to move. */
TEST_F(migrate_test, only_what_mirrors_moves)
{
	svm_bind_op op{.start = BASE + 8 * PAGE, .end = BASE + 16 * PAGE, .offset = 0, .kind = SVM_BIND_NULL, .flags = 0, .object = nullptr};

	ASSERT_EQ(svm_bind_many(vm, &op, 1), 0);
	EXPECT_EQ(move(SVM_VRAM), pages - 8);
	EXPECT_EQ(move(SVM_VRAM, BASE + 8 * PAGE, BASE + 16 * PAGE), 0u);
	/* The same page of the process, by another address of the device's. */
	ASSERT_EQ(svm_bind(vm, BASE + GiB, BASE + GiB + pages * PAGE, GiB), 0);
	EXPECT_EQ(move(SVM_VRAM, BASE + GiB, BASE + GiB + pages * PAGE), 8u);
}

/* A right that the page lacks there comes with it home. */
TEST_F(migrate_test, a_write_without_the_right_brings_it_home)
{
	EXPECT_EQ(move(SVM_VRAM), pages);

	auto shared = proc->fork();

	EXPECT_EQ(fault(BASE, SVM_READ), 0);
	EXPECT_TRUE(in_vram(BASE));
	EXPECT_EQ(device_write(BASE, 77), 0);
	EXPECT_FALSE(in_vram(BASE));
	EXPECT_EQ(shared->read(BASE), 1u);
}

TEST_F(migrate_test, where_there_is_no_room_the_rest_stays)
{
	mem->vram_left = 10;
	EXPECT_EQ(move(SVM_VRAM), 10u);
	EXPECT_EQ(fault(BASE + 9 * PAGE, SVM_READ), 0);
	EXPECT_TRUE(in_vram(BASE + 9 * PAGE));
	EXPECT_FALSE(in_vram(BASE + 10 * PAGE));
	EXPECT_EQ(move(SVM_VRAM, BASE + 20 * PAGE, BASE + 30 * PAGE), 0u);
	EXPECT_EQ(move(SVM_SYSTEM), 10u);
	EXPECT_EQ(move(SVM_VRAM, BASE + 20 * PAGE, BASE + 30 * PAGE), 10u);
}

TEST_F(migrate_test, bad_input)
{
	u64 moved = 1;

	EXPECT_EQ(svm_migrate(vm, BASE + 1, BASE + PAGE, SVM_VRAM, &moved), -EINVAL);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + PAGE + 1, SVM_VRAM, &moved), -EINVAL);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE, SVM_VRAM, &moved), -EINVAL);
	EXPECT_EQ(svm_migrate(vm, BASE + PAGE, BASE, SVM_VRAM, &moved), -EINVAL);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + PAGE, svm_aperture(2), &moved), -EINVAL);
	EXPECT_EQ(svm_unbind(vm, BASE + 8 * PAGE, BASE + 9 * PAGE), 0);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + pages * PAGE, SVM_VRAM, &moved), -EINVAL);
	EXPECT_EQ(moved, 0u);
	/* A hole of the process costs nothing and is no error. */
	EXPECT_EQ(svm_migrate(vm, BASE + GiB, BASE + 512 * GiB, SVM_VRAM, &moved), 0);
	EXPECT_EQ(moved, 0u);
}

TEST_F(migrate_test, killed_or_gone)
{
	u64 moved = 0;

	current().killed = true;
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + pages * PAGE, SVM_VRAM, &moved), -EINTR);
	current().killed = false;
	gpus->why_gone = -ENODEV;
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + pages * PAGE, SVM_VRAM, &moved), -ENODEV);
	gpus->why_gone = 0;
	EXPECT_EQ(moved, 0u);
}

/* mlx5's entries lead to host memory alone. */
TEST_F(migrate_test, a_format_without_vram)
{
	u64 moved = 1;

	destroy();
	format = "mlx5_odp";
	ASSERT_EQ(create(), 0);
	ASSERT_EQ(svm_bind_all(vm), 0);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + PAGE, SVM_VRAM, &moved), -EOPNOTSUPP);
	EXPECT_EQ(svm_migrate(vm, BASE, BASE + PAGE, SVM_SYSTEM, &moved), 0);
	EXPECT_EQ(moved, 0u);

	svm_vm_params p = params();
	svm_vm *other = nullptr;

	p.memory = &vram;
	EXPECT_EQ(svm_vm_create(&p, &other), -EINVAL);
}

} // namespace svm_test
