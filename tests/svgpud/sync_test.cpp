// SPDX-License-Identifier: GPL-2.0-only
// Sync operations: what each does, the order of their acknowledges, and each reason for a refusal.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace svgpu;
using namespace svgpu::test;

namespace {

class sync_ops : public testing::Test {
protected:
	void refused(const svgpu_sync &op) { EXPECT_EQ(rig.sync(op), unsigned{ SVGPU_SYNC_BAD }); }
	void accepted(const svgpu_sync &op) { EXPECT_EQ(rig.sync(op), unsigned{ SVGPU_SYNC_OK }); }

	svgpu_sync context_set(u64 address)
	{
		svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = 1 };

		op.address = address;
		return op;
	}

	driver_rig rig;
};

TEST_F(sync_ops, unknown_operations)
{
	refused({ .op = 0 });
	refused({ .op = SVGPU_SYNC_CONTEXT_RESUME + 1 });
	refused({ .op = ~0u });
}

TEST_F(sync_ops, context_set_checks_root_format_and_id)
{
	svgpu_sync op = context_set(rig.pages.root());

	op.format = 1;
	refused(op);
	op.format = SVGPU_FORMAT_XE2;
	op.aperture = 2;
	refused(op);
	op.aperture = SVGPU_SYSTEM;
	op.context = rig.reg<__u32>(SVGPU_REG_CONTEXTS).load();
	refused(op);
	op.context = ~0u;
	refused(op);
	op.context = 0;
	accepted(op);
	op.context = rig.reg<__u32>(SVGPU_REG_CONTEXTS).load() - 1;
	accepted(op);
	refused(context_set(rig.pages.root() + 1));
	refused(context_set(memory_rig::ram_bytes));
	refused(context_set(u64{ 1 } << 63));
}

TEST_F(sync_ops, ids_that_are_not_set)
{
	refused({ .op = SVGPU_SYNC_INVALIDATE, .context = 1, .start = 0, .end = page });
	refused({ .op = SVGPU_SYNC_INVALIDATE, .context = 12345, .start = 0, .end = page });
	refused({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = 1 });
	refused({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = ~0u });
	refused({ .op = SVGPU_SYNC_QUEUE_SET, .context = 1, .queue = 0 });
	refused({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = 0 });
	accepted(context_set(rig.pages.root()));
	refused({ .op = SVGPU_SYNC_QUEUE_SET, .context = 1, .queue = rig.reg<__u32>(SVGPU_REG_QUEUES).load() });
	accepted({ .op = SVGPU_SYNC_QUEUE_SET, .context = 1, .queue = rig.reg<__u32>(SVGPU_REG_QUEUES).load() - 1 });
	refused({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = ~0u });
	accepted({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = 1 });
	refused({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = 1 });
}

TEST_F(sync_ops, a_queue_outlives_its_context_but_runs_nothing)
{
	rig.set_up();
	accepted({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = rig.context });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_INVALID });
	accepted({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
	refused({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
}

TEST_F(sync_ops, a_busy_queue_cannot_be_set_anew)
{
	svgpu_fault fault;

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { 0, 1, 1 });
	fault = rig.wait_fault();
	refused({ .op = SVGPU_SYNC_QUEUE_SET, .context = rig.context, .queue = rig.queue });
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	rig.wait_done();
	wait_until("the queue to come to rest", [&] {
		return rig.sync({ .op = SVGPU_SYNC_QUEUE_SET, .context = rig.context, .queue = rig.queue }) ==
		       SVGPU_SYNC_OK;
	});
}

TEST_F(sync_ops, invalidation_spans)
{
	rig.set_up();
	refused({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = page, .end = 0 });
	accepted({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = page, .end = page });
	accepted({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = 1, .end = 2 });
	accepted({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = 0, .end = ~u64{ 0 } });
}

TEST_F(sync_ops, new_root_replaces_the_old_translations)
{
	tables other(rig.memory);
	svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = driver_rig::context };
	u64 old_page = rig.memory.take(page);
	u64 new_page = rig.memory.take(page);

	rig.set_up();
	rig.pages.map(0, old_page);
	other.map(0, new_page);
	rig.run(SVGPU_KERNEL_FILL, { 0, 1, 1 });
	op.address = other.root();
	rig.must(op);
	rig.run(SVGPU_KERNEL_FILL, { 0, 1, 2 });
	EXPECT_EQ(*rig.memory.at<unsigned char>(old_page), 1);
	EXPECT_EQ(*rig.memory.at<unsigned char>(new_page), 2);
}

// When the new root is acknowledged, a job that runs all the while is through with the old tables.
TEST_F(sync_ops, a_new_root_takes_the_old_tables_from_a_job_that_runs)
{
	tables other(rig.memory);
	u64 words[2] = { rig.memory.take(page), rig.memory.take(page) };
	svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = driver_rig::context };

	rig.set_up();
	rig.pages.map(0, words[0]);
	other.map(0, words[1]);
	rig.submit(SVGPU_KERNEL_CAS_ADD, { 0, ~u64{ 0 } });
	for (unsigned round = 0; round < 200; ++round) {
		u64 now = words[round % 2], next = words[(round + 1) % 2];
		u64 before = rig.memory.get(now, SVGPU_SYSTEM);

		wait_until("the job to get on", [&] { return rig.memory.get(now, SVGPU_SYSTEM) != before; });
		op.address = round % 2 ? rig.pages.root() : other.root();
		rig.must(op);
		before = rig.memory.get(now, SVGPU_SYSTEM);
		// A write by the old tables would show while the job writes by the new ones.
		u64 begin = rig.memory.get(next, SVGPU_SYSTEM);

		wait_until("the job to get on elsewhere",
			   [&] { return rig.memory.get(next, SVGPU_SYSTEM) != begin; });
		ASSERT_EQ(rig.memory.get(now, SVGPU_SYSTEM), before);
	}
}

TEST_F(sync_ops, poison_fills_its_span_of_vram_and_no_more)
{
	auto vram = rig.memory.vram();
	std::byte poison{ SVGPU_VRAM_POISON };

	EXPECT_TRUE(std::all_of(vram.begin(), vram.end(), [&](std::byte b) { return b == poison; }));
	std::fill_n(vram.begin(), 3 * page, std::byte{ 0 });
	accepted({ .op = SVGPU_SYNC_POISON, .start = page + 1, .end = 2 * page });
	EXPECT_EQ(vram[page], std::byte{ 0 });
	EXPECT_TRUE(std::all_of(&vram[page + 1], &vram[2 * page], [&](std::byte b) { return b == poison; }));
	EXPECT_EQ(vram[2 * page], std::byte{ 0 });
	accepted({ .op = SVGPU_SYNC_POISON, .start = vram.size(), .end = vram.size() });
	refused({ .op = SVGPU_SYNC_POISON, .start = 0, .end = vram.size() + 1 });
	refused({ .op = SVGPU_SYNC_POISON, .start = 2, .end = 1 });
	refused({ .op = SVGPU_SYNC_POISON, .start = ~u64{ 0 } - 1, .end = ~u64{ 0 } });
}

TEST_F(sync_ops, many_in_flight_end_in_order)
{
	u64 last = 0;

	rig.set_up();
	for (int i = 0; i < 1000; ++i) {
		u64 done = rig.reg<u64>(SVGPU_REG_SYNC_DONE).load(std::memory_order_acquire);

		EXPECT_GE(done, last);
		last = done;
		rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = 0, .end = page });
	}
	rig.invalidate(0, page);
}

} // namespace
