// SPDX-License-Identifier: GPL-2.0-only
// Invalidations wait for accesses under way, and new accesses wait for invalidations.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x1000'0000;

// A program that keeps a piece of memory open until the test lets go of it.
struct holder {
	std::atomic<bool> inside{ false };
	std::atomic<bool> leave{ false };

	device_options options()
	{
		device_options o;

		o.programs.push_back([this](memory_view &view, program_args args) {
			auto p = view.open(args[0], page, SVGPU_WRITE);

			inside.store(true);
			while (!leave.load())
				std::this_thread::sleep_for(100us);
		});
		return o;
	}
};

TEST(gate, nobody_comes_in_while_it_is_closed)
{
	access_gate gate(2);
	std::atomic<bool> inside{ false };

	gate.close();

	std::thread engine([&] {
		inside_gate in(gate, 1);

		inside = true;
	});

	std::this_thread::sleep_for(30ms);
	EXPECT_FALSE(inside);
	gate.open();
	engine.join();
	EXPECT_TRUE(inside);
}

// Two plain words that the closer changes one after the other: whoever is inside must find them equal.
TEST(gate, what_is_changed_while_closed_is_seen_whole)
{
	constexpr unsigned engines = 3;
	access_gate gate(engines);
	std::atomic<bool> stop{ false };
	std::atomic<unsigned> torn{ 0 };
	u64 pair[2] = { 0, 0 };
	std::vector<std::thread> threads;

	for (unsigned i = 0; i < engines; ++i) {
		threads.emplace_back([&, i] {
			while (!stop) {
				inside_gate in(gate, i);

				if (pair[0] != pair[1])
					++torn;
			}
		});
	}
	for (int i = 0; i < 500; ++i) {
		gate.close();
		++pair[0];
		std::this_thread::yield();
		++pair[1];
		gate.open();
	}
	stop = true;
	for (std::thread &t : threads)
		t.join();
	EXPECT_EQ(torn, 0u);
}

TEST(gate, invalidation_waits_for_the_access_under_way)
{
	holder hold;
	driver_rig rig(hold.options());
	u64 seq;

	rig.set_up();
	rig.pages.map(va, rig.memory.take(page));
	rig.submit(SVGPU_KERNELS, { va });
	wait_until("the program's access", [&] { return hold.inside.load(); });
	seq = rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = va, .end = va + page });
	std::this_thread::sleep_for(50ms);
	EXPECT_FALSE(rig.finished(seq));
	hold.leave = true;
	wait_until("the invalidation", [&] { return rig.finished(seq); });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST(gate, invalidation_does_not_wait_for_an_engine_that_stalls)
{
	driver_rig rig;
	svgpu_fault fault;

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { va, page, 0 });
	fault = rig.wait_fault();
	rig.invalidate(0, ~u64{ 0 });
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
}

TEST(gate, invalidation_does_not_wait_for_other_contexts)
{
	holder hold;
	driver_rig rig(hold.options());
	svgpu_sync other = { .op = SVGPU_SYNC_CONTEXT_SET, .context = 9 };

	rig.set_up();
	other.address = rig.pages.root();
	rig.must(other);
	rig.pages.map(va, rig.memory.take(page));
	rig.submit(SVGPU_KERNELS, { va });
	wait_until("the program's access", [&] { return hold.inside.load(); });
	rig.must({ .op = SVGPU_SYNC_INVALIDATE, .context = 9, .start = 0, .end = ~u64{ 0 } });
	hold.leave = true;
	rig.wait_done();
}

// Four engines write through a page while it is moved to and fro. After each acknowledged invalidation nobody may
// write to the page that it was taken from.
TEST(gate, no_write_reaches_a_page_after_its_invalidation)
{
	driver_rig rig;
	constexpr unsigned writers = 4;
	constexpr u64 times = 20000;
	u64 pages[2] = { rig.memory.take(page), rig.memory.take(page) };
	unsigned finished = 0;
	unsigned moves = 0;

	rig.set_up();
	rig.pages.map(va, pages[0]);
	for (unsigned i = 0; i < writers; ++i) {
		rig.add_queue(20 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { va + 8 * i, times }, 20 + i);
	}
	for (svgpu_done done; finished < writers; ++moves) {
		u64 from = pages[moves % 2];
		u64 to = pages[(moves + 1) % 2];
		u64 before[writers];

		rig.pages.unmap(va);
		rig.invalidate(va, va + page);
		for (unsigned i = 0; i < writers; ++i) {
			before[i] = rig.memory.get(from + 8 * i, SVGPU_SYSTEM);
			rig.memory.put(to + 8 * i, SVGPU_SYSTEM, before[i]);
		}
		for (unsigned i = 0; i < writers; ++i)
			ASSERT_EQ(rig.memory.get(from + 8 * i, SVGPU_SYSTEM), before[i]);
		rig.pages.map(va, to);
		for (svgpu_fault fault; rig.try_fault(fault);)
			rig.reply(fault.id, SVGPU_REPLY_RETRY);
		std::this_thread::sleep_for(300us); // let them get on
		while (rig.try_done(done)) {
			EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
			++finished;
		}
	}
	for (unsigned i = 0; i < writers; ++i)
		EXPECT_EQ(rig.memory.get(pages[moves % 2] + 8 * i, SVGPU_SYSTEM), times);
}

} // namespace
