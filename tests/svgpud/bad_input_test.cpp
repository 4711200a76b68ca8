// SPDX-License-Identifier: GPL-2.0-only
// A driver that writes nonsense gets an error for it, and the device goes on.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x1'0000'0000;

class bad_input : public testing::Test {
protected:
	bad_input() { rig.set_up(); }

	void still_works()
	{
		rig.pages.map_fresh(va, page);
		EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, page, 3 }).status, unsigned{ SVGPU_DONE_OK });
		rig.invalidate(0, ~u64{ 0 });
	}

	driver_rig rig;
};

TEST_F(bad_input, unknown_kernel)
{
	EXPECT_EQ(rig.run(SVGPU_KERNELS).status, unsigned{ SVGPU_DONE_INVALID });
	EXPECT_EQ(rig.run(~0u).status, unsigned{ SVGPU_DONE_INVALID });
	still_works();
}

TEST_F(bad_input, unknown_queue)
{
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP, {}, 6).status, unsigned{ SVGPU_DONE_INVALID });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP, {}, ~0u).status, unsigned{ SVGPU_DONE_INVALID });
	still_works();
}

TEST_F(bad_input, sync_out_of_sequence)
{
	unsigned slot = rig.ring_tail(SVGPU_SYNC_RING) % SVGPU_SYNC_ENTRIES;
	u64 seq = rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = 0, .end = page });

	wait_until("the operation", [&] { return rig.finished(seq); });
	EXPECT_EQ(rig.sync_slot(slot).status, unsigned{ SVGPU_SYNC_OK });

	// The same entry once more.
	svgpu_sync &again = rig.sync_slot((slot + 1) % SVGPU_SYNC_ENTRIES);

	again = { .seq = seq, .op = SVGPU_SYNC_INVALIDATE, .status = ~0u, .context = rig.context, .end = page };
	rig.index(SVGPU_SYNC_RING, SVGPU_RING_TAIL).fetch_add(1, std::memory_order_release);
	rig.machine.ring(SVGPU_BELL_SYNC);
	wait_until("the ring to empty", [&] {
		return rig.index(SVGPU_SYNC_RING, SVGPU_RING_HEAD).load(std::memory_order_acquire) ==
		       rig.ring_tail(SVGPU_SYNC_RING);
	});
	EXPECT_EQ(again.status, unsigned{ SVGPU_SYNC_BAD });
	still_works();
}

TEST_F(bad_input, sync_tail_beyond_the_ring)
{
	unsigned tail = rig.ring_tail(SVGPU_SYNC_RING) + 1000;
	svgpu_sync &newest = rig.sync_slot((tail - 1) % SVGPU_SYNC_ENTRIES);

	newest = { .seq = 2, .op = SVGPU_SYNC_INVALIDATE, .status = ~0u, .context = rig.context, .end = page };
	rig.index(SVGPU_SYNC_RING, SVGPU_RING_TAIL).store(tail, std::memory_order_release);
	rig.machine.ring(SVGPU_BELL_SYNC);
	wait_until("the ring to empty", [&] {
		return rig.index(SVGPU_SYNC_RING, SVGPU_RING_HEAD).load(std::memory_order_acquire) == tail;
	});
	EXPECT_EQ(newest.status, unsigned{ SVGPU_SYNC_BAD });
}

TEST_F(bad_input, job_tail_beyond_the_ring)
{
	rig.index(SVGPU_JOB_RING, SVGPU_RING_TAIL).store(0x80000000, std::memory_order_release);
	rig.machine.ring(SVGPU_BELL_JOB);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_INVALID });
	wait_until("the ring to empty", [&] {
		return rig.index(SVGPU_JOB_RING, SVGPU_RING_HEAD).load(std::memory_order_acquire) == 0x80000000;
	});
	still_works();
}

TEST_F(bad_input, reply_tail_beyond_the_ring)
{
	svgpu_fault fault;

	rig.index(SVGPU_REPLY_RING, SVGPU_RING_TAIL).store(12345, std::memory_order_release);
	rig.machine.ring(SVGPU_BELL_REPLY);
	wait_until("the ring to empty", [&] {
		return rig.index(SVGPU_REPLY_RING, SVGPU_RING_HEAD).load(std::memory_order_acquire) == 12345;
	});
	rig.submit(SVGPU_KERNEL_FILL, { va + page, 1, 1 });
	fault = rig.wait_fault();
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
	still_works();
}

TEST_F(bad_input, done_head_beyond_the_tail_stops_jobs_only)
{
	rig.index(SVGPU_DONE_RING, SVGPU_RING_HEAD).store(7, std::memory_order_release);
	rig.submit(SVGPU_KERNEL_NOP);
	settle();
	EXPECT_EQ(rig.ring_tail(SVGPU_DONE_RING), 0u);
	rig.invalidate(0, ~u64{ 0 });
	// The driver comes to its senses.
	rig.index(SVGPU_DONE_RING, SVGPU_RING_HEAD).store(0, std::memory_order_release);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST_F(bad_input, fault_head_beyond_the_tail_stalls_the_job_until_cleared)
{
	rig.index(SVGPU_FAULT_RING, SVGPU_RING_HEAD).store(7, std::memory_order_release);
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	settle();
	EXPECT_EQ(rig.ring_tail(SVGPU_FAULT_RING), 0u);
	rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
}

TEST_F(bad_input, leaf_outside_of_ram)
{
	svgpu_done done;

	rig.pages.map(va, memory_rig::ram_bytes);
	done = rig.run(SVGPU_KERNEL_FILL, { va + 5, 1, 1 });
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_BUS });
	EXPECT_EQ(done.va, va + 5);
	EXPECT_EQ(done.access, unsigned{ SVGPU_WRITE });
	EXPECT_EQ(done.address, memory_rig::ram_bytes + 5);
}

TEST_F(bad_input, leaf_outside_of_vram)
{
	u64 vram = rig.memory.vram().size();
	svgpu_done done;

	rig.pages.map(va, vram, PRESENT | DM);
	done = rig.run(SVGPU_KERNEL_TOUCH, { va, 1, 1, 0 });
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_BUS });
	EXPECT_EQ(done.address, vram);
	EXPECT_EQ(rig.reg<u64>(SVGPU_REG_VRAM_SIZE).load(), vram);
}

TEST_F(bad_input, large_leaf_that_ends_outside_of_memory)
{
	constexpr u64 inside = memory_rig::ram_bytes;
	svgpu_done done;

	rig.pages.set(0, 2, 0 | PRESENT | RW | PS);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_TOUCH, { inside - 1, 1, 1, 0 }).status, unsigned{ SVGPU_DONE_OK });
	done = rig.run(SVGPU_KERNEL_TOUCH, { inside - page, 2 * page, page, 0 });
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_BUS });
	EXPECT_EQ(done.va, inside);
	EXPECT_EQ(done.bytes, 1u);
}

TEST_F(bad_input, reserved_bit_names_the_entry)
{
	svgpu_done done;

	rig.pages.map(va, 0x5000, PRESENT | u64{ 1 } << 55);
	done = rig.run(SVGPU_KERNEL_TOUCH, { va, 1, 1, 0 });
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_BUS });
	EXPECT_EQ(done.address, rig.pages.entry(va, 0));
	still_works();
}

} // namespace
