// SPDX-License-Identifier: GPL-2.0-only
// Invalidations wait for accesses under way, and new accesses wait for invalidations.
#include "engines_rig.hpp"

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = engines_rig::va;

TEST(gate, nobody_comes_in_while_it_is_closed)
{
	access_gate gate(2);
	std::atomic<bool> inside{ false };

	gate.close();

	std::thread engine([&] {
		inside_gate in(gate, 1);

		inside = true;
	});

	settle();
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
	engines_rig rig(4);
	u64 seq;

	rig.hold_an_engine(rig.context);
	seq = rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = va, .end = va + gib });
	settle();
	EXPECT_FALSE(rig.finished(seq));
	rig.let_go();
	wait_until("the invalidation", [&] { return rig.finished(seq); });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST(gate, invalidation_does_not_wait_for_an_engine_that_stalls)
{
	engines_rig rig(4);
	svgpu_fault fault;

	rig.submit(SVGPU_KERNEL_FILL, { va, page, 0 });
	fault = rig.wait_fault();
	rig.invalidate(0, ~u64{ 0 });
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
}

TEST(gate, invalidation_does_not_wait_for_other_contexts)
{
	engines_rig rig(4);

	rig.hold_an_engine();
	rig.invalidate(0, ~u64{ 0 });
	rig.let_go();
	rig.wait_done();
}

// Four engines write through a page while it is moved to and fro.
TEST(gate, no_write_reaches_a_page_after_its_invalidation)
{
	engines_rig rig(4);

	move_a_page_under(rig, 4, 20000);
}

} // namespace
