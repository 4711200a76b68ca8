// SPDX-License-Identifier: GPL-2.0-only
// The life of a device: coming up, epochs, being killed and started again.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x2'0000'0000;

TEST(epoch, registers_of_a_device_that_is_up)
{
	driver_rig rig;
	u64 beat;

	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_MAGIC).load(), SVGPU_MAGIC);
	EXPECT_EQ(rig.reg<__u32>(SVGPU_REG_VERSION).load(), unsigned{ SVGPU_VERSION });
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_FORMATS).load(), 1u);
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_GENERATION).load(), 1u);
	beat = rig.reg<u64>(SVGPU_REG_HEARTBEAT).load();
	wait_until("a beat", [&] { return rig.reg<u64>(SVGPU_REG_HEARTBEAT).load() > beat; });
}

TEST(epoch, nothing_is_read_without_one)
{
	driver_rig rig;
	u64 seq;

	rig.ask_epoch(0);
	wait_until("the end of the epoch",
		   [&] { return rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(std::memory_order_acquire) == 0; });
	seq = rig.post({ .op = SVGPU_SYNC_POISON });
	rig.submit(SVGPU_KERNEL_NOP);
	settle();
	EXPECT_FALSE(rig.finished(seq));
	EXPECT_EQ(rig.index(SVGPU_SYNC_RING, SVGPU_RING_HEAD).load(), 0u);
	EXPECT_EQ(rig.index(SVGPU_JOB_RING, SVGPU_RING_HEAD).load(), 0u);
}

TEST(epoch, drops_everything)
{
	driver_rig rig;
	svgpu_fault fault;
	svgpu_done done;

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	fault = rig.wait_fault();
	rig.begin_epoch(0x2002);
	for (unsigned ring : { SVGPU_SYNC_RING, SVGPU_JOB_RING, SVGPU_FAULT_RING, SVGPU_REPLY_RING, SVGPU_DONE_RING }) {
		EXPECT_EQ(rig.index(ring, SVGPU_RING_HEAD).load(), 0u);
		EXPECT_EQ(rig.index(ring, SVGPU_RING_TAIL).load(), 0u);
	}
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_SYNC_DONE).load(), 0u);
	rig.reply(fault.id, SVGPU_REPLY_RETRY);
	// Jobs of the old epoch are not reported, its contexts and queues are gone.
	EXPECT_FALSE(rig.try_done(done));
	EXPECT_EQ(rig.sync({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue }), unsigned{ SVGPU_SYNC_BAD });
	EXPECT_EQ(rig.sync({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = rig.context }), unsigned{ SVGPU_SYNC_BAD });
	rig.pages.map_fresh(va, page);
	rig.set_up();
	EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, 1, 1 }).status, unsigned{ SVGPU_DONE_OK });
}

TEST(epoch, translations_of_the_old_one_are_gone)
{
	driver_rig rig;
	u64 old_page = rig.memory.take(page);
	u64 new_page = rig.memory.take(page);

	rig.set_up();
	rig.pages.map(va, old_page);
	rig.run(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.pages.map(va, new_page);
	rig.begin_epoch(0x2002);
	rig.set_up();
	rig.run(SVGPU_KERNEL_FILL, { va, 1, 2 });
	EXPECT_EQ(*rig.memory.at<unsigned char>(old_page), 1);
	EXPECT_EQ(*rig.memory.at<unsigned char>(new_page), 2);
}

TEST(epoch, no_write_after_its_end)
{
	driver_rig rig;
	u64 counter = rig.memory.take(page);
	u64 before;

	rig.set_up();
	rig.pages.map(va, counter);
	rig.submit(SVGPU_KERNEL_CAS_ADD, { va, ~u64{ 0 } });
	wait_until("the job to begin", [&] { return rig.memory.get(counter, SVGPU_SYSTEM) > 0; });
	rig.ask_epoch(0);
	wait_until("the end of the epoch",
		   [&] { return rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(std::memory_order_acquire) == 0; });
	before = rig.memory.get(counter, SVGPU_SYSTEM);
	settle();
	EXPECT_EQ(rig.memory.get(counter, SVGPU_SYSTEM), before);
}

TEST(restart, adds_a_generation_and_forgets_the_epoch)
{
	driver_rig rig;

	rig.set_up();
	rig.stop();
	rig.start();
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_GENERATION).load(), 2u);
	// The driver's EPOCH still stands there; it is of an older generation.
	rig.machine.ring(SVGPU_BELL_SYNC);
	settle();
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(), 0u);
	rig.begin_epoch(0x2002);
	rig.set_up();
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
}

TEST(restart, twice_without_a_new_epoch)
{
	driver_rig rig;

	for (u64 generation = 2; generation < 4; ++generation) {
		rig.stop();
		rig.start();
		EXPECT_EQ(rig.reg<u64>(SVGPU_REG_GENERATION).load(), generation);
	}
	settle();
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(), 0u);
}

TEST(restart, epoch_written_while_the_device_was_dead)
{
	driver_rig rig;

	rig.stop();
	rig.ask_epoch(0x3003);
	rig.start();
	wait_until("the epoch's acknowledge",
		   [&] { return rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(std::memory_order_acquire) == 0x3003; });
}

TEST(restart, vram_is_lost_with_the_next_epoch_and_not_before)
{
	driver_rig rig;

	rig.memory.vram()[5 * page] = std::byte{ 1 };
	rig.stop();
	rig.start();
	EXPECT_EQ(rig.memory.vram()[5 * page], std::byte{ 1 });
	rig.begin_epoch(0x2002);
	EXPECT_EQ(rig.memory.vram()[5 * page], std::byte{ SVGPU_VRAM_POISON });
}

TEST(restart, end_of_a_device_with_jobs_under_way)
{
	driver_rig rig;

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.wait_fault();
	rig.pages.map_fresh(va + page, page);
	rig.add_queue(6);
	rig.submit(SVGPU_KERNEL_CAS_ADD, { va + page, ~u64{ 0 } }, 6);
	rig.stop();
}

} // namespace
