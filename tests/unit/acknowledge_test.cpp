// SPDX-License-Identifier: GPL-2.0-only
/* An invalidation returns after the device's acknowledge, gives each page back once, and loses nothing that was written. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

using acknowledge_test = bound_machine;

TEST_F(acknowledge_test, unmap_returns_after_the_acknowledge)
{
	std::atomic<bool> done{false};
	u64 v;

	map(BASE, MiB);
	ASSERT_EQ(device_read(BASE, &v), 0);
	gpus->hold();

	std::thread t([&] {
		proc->munmap(BASE, BASE + MiB);
		done = true;
	});

	EXPECT_TRUE(eventually([&] { return gpus->waiting() == 1; }));
	std::this_thread::sleep_for(std::chrono::milliseconds(50));
	EXPECT_FALSE(done);
	EXPECT_GT(mem->dma_live(), 0u); /* not before the device has forgotten it */
	gpus->release();
	t.join();
	EXPECT_EQ(mem->dma_live(), 0u);
}

/* Two callbacks over the same page, the first still waiting for the device: the second finds no valid entry, and must not return either. */
TEST_F(acknowledge_test, second_callback_waits_for_the_first_ones_flush)
{
	std::atomic<unsigned> done{0};
	u64 v;

	map(BASE, MiB);
	touch(BASE, MiB);
	ASSERT_EQ(device_read(BASE, &v), 0);
	gpus->hold();

	std::thread first([&] {
		proc->dontneed(BASE, BASE + PAGE);
		done++;
	});

	EXPECT_TRUE(eventually([&] { return gpus->waiting() == 1; }));

	std::thread second([&] {
		proc->oom_reap(BASE, BASE + PAGE);
		done++;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_EQ(done, 0u);
	EXPECT_EQ(device().read(BASE).what, gpu::status::ok); /* it may still */
	gpus->release();
	first.join();
	second.join();
	EXPECT_EQ(device().read(BASE).what, gpu::status::fault);
	EXPECT_EQ(count().dirtied, 1u); /* given back once */
}

/* The same with one huge leaf. */
TEST_F(acknowledge_test, second_callback_over_a_huge_leaf_waits_as_well)
{
	std::atomic<unsigned> done{0};

	map(BASE, 2 * MiB, PROT_RW, true);
	ASSERT_EQ(device_write(BASE, 1), 0);
	ASSERT_EQ(count().huge_leaves, 1u);
	gpus->hold();

	std::thread first([&] {
		proc->notifiers().during({BASE, BASE + PAGE}, [] {});
		done++;
	});

	EXPECT_TRUE(eventually([&] { return gpus->waiting() == 1; }));

	std::thread second([&] {
		proc->notifiers().during({BASE + MiB, BASE + MiB + PAGE}, [] {});
		done++;
	});

	std::this_thread::sleep_for(std::chrono::milliseconds(100));
	EXPECT_EQ(done, 0u);
	gpus->release();
	first.join();
	second.join();
	EXPECT_EQ(device().read(BASE + MiB).what, gpu::status::fault);
	EXPECT_EQ(mem->dma_live(), 0u);
}

/* ---- dirty ---- */

/* The CPU's entry is writable but clean; the device writes; reclaim must not drop the page. */
TEST_F(acknowledge_test, what_the_device_wrote_survives_swap)
{
	u64 v;

	map(BASE, MiB);
	touch(BASE, PAGE, 1);
	proc->swap_out(BASE);
	ASSERT_EQ(proc->read(BASE, &v), 0); /* in again, clean, with a copy in swap */
	ASSERT_EQ(device_write(BASE, 2), 0);
	proc->swap_out(BASE);
	ASSERT_EQ(proc->read(BASE, &v), 0);
	EXPECT_EQ(v, 2u);
}

TEST_F(acknowledge_test, what_the_device_only_read_is_not_dirtied)
{
	u64 v;

	map(BASE, MiB, PROT_R);
	ASSERT_EQ(device_read(BASE, &v), 0);
	proc->dontneed(BASE, BASE + MiB);
	EXPECT_EQ(count().dirtied, 0u);
}

TEST_F(acknowledge_test, migration_and_files)
{
	auto object = std::make_shared<file>(*mem);
	u64 v;

	ASSERT_EQ(proc->mmap({.start = BASE, .end = BASE + MiB, .kind = backing::shared, .object = object}), 0);
	ASSERT_EQ(proc->mmap({.start = BASE + MiB, .end = BASE + 2 * MiB, .kind = backing::priv, .object = object}), 0);
	ASSERT_EQ(device_write(BASE + 3 * PAGE, 8), 0);
	ASSERT_EQ(device_read(BASE + MiB + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 8u); /* the same page of the file */
	ASSERT_EQ(device_write(BASE + MiB + 3 * PAGE, 9), 0); /* a copy of its own */
	ASSERT_EQ(proc->read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 8u);
	proc->truncate(BASE + 3 * PAGE);
	EXPECT_EQ(device().read(BASE + 3 * PAGE).what, gpu::status::fault);
	map(BASE + 2 * MiB, MiB);
	ASSERT_EQ(device_write(BASE + 2 * MiB, 4), 0);
	proc->migrate(BASE + 2 * MiB);
	ASSERT_EQ(device_read(BASE + 2 * MiB, &v), 0);
	EXPECT_EQ(v, 4u);
}

} // namespace svm_test
