// SPDX-License-Identifier: GPL-2.0-only
// Invalidations against jobs that move from engine to engine: what was taken from a job while it had none stays taken, and
// no access hides behind another job's engine.
#include "engines_rig.hpp"

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = engines_rig::va;

// The job keeps a translation and has no engine, so the invalidation does not meet it anywhere. When it gets an engine
// again, the translation is of no use to it.
TEST(engine_gate, an_invalidation_meets_a_job_that_waits_for_one)
{
	engines_rig rig(1, 0us);
	u64 word = rig.new_word();
	u64 *old_place = rig.pages.look<u64>(word);
	u64 before;
	svgpu_fault fault;

	rig.submit(SVGPU_KERNEL_CAS_ADD, { word, for_ever });
	wait_until("the job", [&] { return rig.read_word(word) > 0; });
	rig.hold_an_engine();
	rig.pages.unmap(word);
	rig.invalidate(word, word + page);
	before = std::atomic_ref(*old_place).load();
	rig.let_go();
	fault = rig.wait_fault();
	EXPECT_EQ(fault.va, word);
	EXPECT_EQ(std::atomic_ref(*old_place).load(), before) << "written through a translation that was dropped";
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	ends(rig, 2);
}

// Two endless jobs take turns on what is left of two engines, so one of them is on another engine than it began on. The
// third is inside the gate all the time, and no invalidation may overlook it.
TEST(engine_gate, a_job_that_has_moved_hides_no_access_of_another)
{
	engines_rig rig(2, 0us);
	u64 words[] = { rig.new_word(), rig.new_word() };
	u64 before[2], seq;
	auto both = [&](auto test) { return test(0) && test(1); };

	for (unsigned i = 0; i < 2; ++i) {
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { words[i], for_ever }, 100 + i);
	}
	wait_until("both jobs", [&] { return both([&](int i) { return rig.read_word(words[i]) > 0; }); });
	rig.hold_an_engine(rig.context);
	for (unsigned i = 0; i < 2; ++i)
		before[i] = rig.read_word(words[i]);
	wait_until("both jobs to have had turns",
		   [&] { return both([&](int i) { return rig.read_word(words[i]) > before[i] + 100; }); });
	seq = rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = va, .end = va + gib });
	// The jobs that never end stand at the gate then.
	settle([&] { return rig.finished(seq); });
	EXPECT_FALSE(rig.finished(seq)) << "acknowledged while an access was under way";
	rig.let_go();
	wait_until("the invalidation", [&] { return rig.finished(seq); });
}

// Three times as many jobs as engines, whose slices end all the time.
TEST(engine_gate, no_write_reaches_a_page_after_its_invalidation)
{
	engines_rig rig(3, 0us);

	move_a_page_under(rig, 9, 3000);
}

} // namespace
