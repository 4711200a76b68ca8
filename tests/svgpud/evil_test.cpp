// SPDX-License-Identifier: GPL-2.0-only
// The lies: each is told, the same ones for the same seed, and behind them the device does what it should not.
#include "lying_rig.hpp"

#include <algorithm>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = lying_rig::va;

std::string refusal(const std::string &text)
{
	try {
		parse_evil(text);
	} catch (const std::invalid_argument &e) {
		return e.what();
	}
	return {};
}

TEST(evil, what_is_asked_for)
{
	EXPECT_FALSE(evil_plan());
	EXPECT_EQ(parse_evil("7").describe(), "7");
	EXPECT_EQ(parse_evil("18446744073709551615:die").seed, ~u64{ 0 });
	EXPECT_EQ(parse_evil("1:no-ack,late").describe(), "1:late,no-ack");
	EXPECT_FALSE(parse_evil("1").has(lie::false_ack)) << "no driver can bear this one";
	EXPECT_FALSE(parse_evil("1").has(lie::other_format)) << "nothing else would come to pass";
	EXPECT_NE(refusal("x").find("seed 'x'"), std::string::npos);
	EXPECT_NE(refusal("").find("seed ''"), std::string::npos);
	EXPECT_NE(refusal("-1").find("seed '-1'"), std::string::npos);
	EXPECT_NE(refusal("18446744073709551616").find("no number"), std::string::npos);
	EXPECT_NE(refusal("3:").find("unknown lie ''"), std::string::npos);
	EXPECT_NE(refusal("3:late,").find("unknown lie ''"), std::string::npos);
	EXPECT_NE(refusal("3:often").find("unknown lie 'often'; there are: malformed, duplicate"), std::string::npos);
}

// Everything that seed would do to the first messages of each stream.
std::vector<u64> all_of(u64 seed)
{
	evil_plan plan = parse_evil(std::to_string(seed));
	liar l(plan);
	std::vector<u64> told;

	for (unsigned what = 0; what < lies; ++what) {
		for (stream s : { stream::sync, stream::fault, stream::done, stream::job, stream::reply, stream::beat }) {
			for (u64 n = 0; n < 500; ++n) {
				if (l.tells(static_cast<lie>(what), s, n))
					told.push_back(what << 24 | static_cast<u64>(s) << 16 | n);
			}
		}
	}
	return told;
}

TEST(evil, a_seed_is_a_seed)
{
	std::set<std::vector<u64>> different;
	liar l(parse_evil("5"));

	for (u64 seed = 0; seed < 50; ++seed) {
		EXPECT_EQ(all_of(seed), all_of(seed));
		different.insert(all_of(seed));
	}
	EXPECT_EQ(different.size(), 50u);
	EXPECT_EQ(l.word(stream::fault, 3, 1), liar(parse_evil("5")).word(stream::fault, 3, 1));
	EXPECT_NE(l.word(stream::fault, 3, 1), l.word(stream::fault, 3, 2));
	EXPECT_NE(l.word(stream::fault, 3, 1), l.word(stream::fault, 4, 1));
	for (unsigned what = 0; what < static_cast<unsigned>(lie::false_ack); ++what) {
		std::vector<u64> told = all_of(5);

		EXPECT_TRUE(std::any_of(told.begin(), told.end(), [&](u64 t) { return t >> 24 == what; })) << what;
	}
}

TEST(evil, an_honest_device_never_lies)
{
	liar l{ evil_plan() };

	for (unsigned what = 0; what < lies; ++what) {
		for (u64 n = 0; n < 100; ++n)
			EXPECT_FALSE(l.tells(static_cast<lie>(what), stream::done, n));
	}
}

TEST(evil, garbage_among_faults)
{
	lying_rig rig("1:malformed");
	unsigned wrong = 0, right = 0;

	for (const svgpu_fault &f : rig.faults(20))
		++(f.context == rig.context && f.queue == rig.queue && f.access == SVGPU_WRITE && f.va >= va &&
				   f.va < va + 20 * page && f.id < 0x80000000 ?
			   right :
			   wrong);
	EXPECT_EQ(right, 20u);
	EXPECT_GT(wrong, 3u);
}

TEST(evil, garbage_among_ends)
{
	lying_rig rig("1:malformed");

	EXPECT_GT(rig.cookies(20).size(), 23u);
	EXPECT_GT(rig.statuses.size(), 1u);
}

TEST(evil, twice)
{
	lying_rig rig("1:duplicate");
	std::vector<u64> said = rig.cookies(20);
	std::multiset<u64> counted(said.begin(), said.end());
	std::multiset<unsigned> ids;

	EXPECT_TRUE(std::any_of(said.begin(), said.end(), [&](u64 c) { return counted.count(c) == 2; }));
	for (const svgpu_fault &f : rig.faults(20))
		ids.insert(f.id);
	EXPECT_TRUE(std::any_of(ids.begin(), ids.end(), [&](unsigned id) { return ids.count(id) == 2; }));
}

TEST(evil, out_of_order)
{
	for (const char *how : { "1:reorder", "1:late" }) {
		lying_rig rig(how);
		std::vector<u64> said = rig.cookies(30);

		EXPECT_EQ(said.size(), 30u);
		EXPECT_FALSE(std::is_sorted(said.begin(), said.end())) << how;
	}
}

TEST(evil, impossible_tail)
{
	lying_rig rig("1:index");
	bool seen = false;

	for (unsigned job = 0; job < SVGPU_DONE_ENTRIES / 3 && !seen; ++job) {
		unsigned before = rig.ring_tail(SVGPU_DONE_RING);

		if (rig.ring_tail(SVGPU_JOB_RING) - rig.index(SVGPU_JOB_RING, SVGPU_RING_HEAD) > SVGPU_JOB_ENTRIES)
			break; // the job ring's turn to lie
		rig.submit(SVGPU_KERNEL_NOP);
		wait_until("the end of a job", [&] { return rig.ring_tail(SVGPU_DONE_RING) != before; });
		std::this_thread::sleep_for(1ms);
		seen = rig.ring_tail(SVGPU_DONE_RING) > SVGPU_DONE_ENTRIES;
	}
	EXPECT_TRUE(seen);
}

TEST(evil, impossible_heads)
{
	lying_rig rig("1:index");

	wait_until("an impossible head of the sync ring", [&] {
		rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .end = page });
		std::this_thread::sleep_for(1ms);
		unsigned tail = rig.ring_tail(SVGPU_SYNC_RING);
		unsigned head = rig.index(SVGPU_SYNC_RING, SVGPU_RING_HEAD);

		return tail - head > SVGPU_SYNC_ENTRIES;
	});
}

TEST(evil, interrupts_without_cause)
{
	lying_rig rig("1:interrupt");

	EXPECT_TRUE(rig.machine.wait_interrupt(SVGPU_VECTOR_FAULT, patience));
	EXPECT_TRUE(rig.machine.wait_interrupt(SVGPU_VECTOR_DONE, patience));
}

TEST(evil, interrupts_that_do_not_come)
{
	lying_rig rig("1:lost-interrupt");
	unsigned came = 0;

	for (unsigned i = 0; i < 20; ++i) {
		rig.run(SVGPU_KERNEL_NOP);
		came += rig.machine.wait_interrupt(SVGPU_VECTOR_DONE, 50ms);
	}
	EXPECT_LT(came, 20u);
}

TEST(evil, answers_taken_for_their_opposite)
{
	lying_rig rig("1:reply");
	std::set<unsigned> ends;

	for (unsigned i = 0; i < 20; ++i) {
		u64 at = va + i * page;

		rig.submit(SVGPU_KERNEL_FILL, { at, 1, 1 });
		ends.insert(rig.serve_until_done([&](const svgpu_fault &f) {
				       rig.pages.map_fresh(f.va & ~(page - 1), 1);
				       return true;
			       }).status);
	}
	EXPECT_EQ(ends, (std::set<unsigned>{ SVGPU_DONE_OK, SVGPU_DONE_FAULT }));
}

TEST(evil, acknowledges_late)
{
	lying_rig rig("1:late-ack");
	liar same(parse_evil("1:late-ack"));

	// Messages 0 and 1 were the rig's.
	for (u64 n = 2; n < 10; ++n) {
		auto begin = std::chrono::steady_clock::now();

		rig.invalidate(0, page);
		if (same.tells(lie::late_ack, stream::sync, n)) {
			EXPECT_GE(std::chrono::steady_clock::now() - begin,
				  1ms * (same.word(stream::sync, n, 1) % 400));
		}
	}
}

// What all of these have in common: the page was taken away, and the device writes to it still.
class evil_deaf : public testing::TestWithParam<const char *> {};

TEST_P(evil_deaf, writes_on_by_what_it_should_have_forgotten)
{
	device_options o = telling(std::string("1:") + GetParam());

	// A program that writes to a word for ever, and sleeps in between: settle() does not wait for it.
	o.programs.push_back([](memory_view &view, program_args args) {
		for (;;) {
			view.store<u64>(args[0], 1);
			std::this_thread::sleep_for(100us);
		}
	});

	lying_rig rig(std::move(o));
	u64 at = rig.memory.take(page);
	u64 generation = rig.reg<u64>(SVGPU_REG_GENERATION).load();
	u64 seq;

	rig.pages.map(va, at);
	rig.submit(SVGPU_KERNELS, { va });
	wait_until("the job", [&] { return rig.memory.get(at, SVGPU_SYSTEM) != 0; });
	if (GetParam() == std::string("generation"))
		rig.invalidate(0, page); // the last one that is done
	rig.pages.unmap(va);
	seq = rig.post({ .op = SVGPU_SYNC_INVALIDATE, .context = rig.context, .start = va, .end = va + page });
	wait_until("the lie", [&] {
		return GetParam() == std::string("no-ack") ? true :
		       GetParam() == std::string("wild-ack") ?
							     rig.reg<u64>(SVGPU_REG_SYNC_DONE).load() > seq :
		       GetParam() == std::string("epoch") ?
							     rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load() != 0x1001 :
							     rig.reg<u64>(SVGPU_REG_GENERATION).load() != generation;
	});
	settle();
	if (GetParam() != std::string("wild-ack")) {
		EXPECT_FALSE(rig.finished(seq));
	}
	// Asking it to stop all DMA does not help either.
	rig.ask_epoch(0);
	settle();
	EXPECT_NE(rig.reg<u64>(SVGPU_REG_EPOCH_ACK).load(), 0u);
	for (unsigned round = 0; round < 3; ++round) {
		rig.memory.put(at, SVGPU_SYSTEM, 0);
		wait_until("a write to a page that was taken away",
			   [&] { return rig.memory.get(at, SVGPU_SYSTEM) != 0; });
	}
}

INSTANTIATE_TEST_SUITE_P(lies, evil_deaf, testing::Values("no-ack", "wild-ack", "epoch", "generation"));

TEST(evil, heart_stands_still)
{
	lying_rig rig("1:heart");
	u64 beat = 0;

	wait_until("the heart to stop", [&] {
		u64 before = std::exchange(beat, rig.reg<u64>(SVGPU_REG_HEARTBEAT).load());

		std::this_thread::sleep_for(1s);
		return beat == before;
	});
	// It works all the same.
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
}

TEST(evil, dies)
{
	std::atomic<bool> dead{ false };
	device_options o = telling("1:die");

	o.die = [&] { dead = true; };

	lying_rig rig(o);

	wait_until("its death", [&] {
		rig.run(SVGPU_KERNEL_NOP);
		return dead.load();
	});
}

TEST(evil, the_same_seed_says_the_same)
{
	auto said = [](const std::string &what) {
		lying_rig rig(what);
		std::vector<u64> all;

		for (unsigned i = 0; i < 20; ++i)
			rig.submit(SVGPU_KERNEL_NOP);
		wait_until("the last job", [&] {
			for (svgpu_done done; rig.try_done(done);)
				all.push_back(done.cookie);
			return !all.empty() && all.back() == 0xc001e000 + 19;
		});
		// Done when the device is through with the job, and with what it says of it.
		rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
		for (svgpu_done done; rig.try_done(done);)
			all.push_back(done.cookie);
		return all;
	};

	EXPECT_EQ(said("11:duplicate"), said("11:duplicate"));
	EXPECT_NE(said("11:duplicate"), said("12:duplicate"));
}

void try_reply(driver_rig &rig, unsigned id)
{
	if (rig.ring_tail(SVGPU_REPLY_RING) - rig.index(SVGPU_REPLY_RING, SVGPU_RING_HEAD) < SVGPU_REPLY_ENTRIES)
		rig.reply(id, SVGPU_REPLY_FAIL);
}

// Every lie at once for a while: whatever it says, the device itself survives.
TEST(evil, all_at_once)
{
	for (u64 seed = 1; seed <= 10; ++seed) {
		device_options o = telling(std::to_string(seed));

		o.die = [] {};

		driver_rig rig(o);

		rig.post({ .op = SVGPU_SYNC_CONTEXT_SET, .context = rig.context, .address = rig.pages.root() });
		rig.post({ .op = SVGPU_SYNC_QUEUE_SET, .context = rig.context, .queue = rig.queue });
		for (unsigned i = 0; i < 40; ++i) {
			svgpu_done done;
			svgpu_fault fault;

			if (rig.ring_tail(SVGPU_JOB_RING) - rig.index(SVGPU_JOB_RING, SVGPU_RING_HEAD) >=
			    SVGPU_JOB_ENTRIES)
				break;
			rig.submit(SVGPU_KERNEL_FILL, { va + i * page, 1, 1 });
			std::this_thread::sleep_for(1ms);
			for (unsigned n = 0; n < 100 && rig.try_fault(fault); ++n)
				try_reply(rig, fault.id);
			for (unsigned n = 0; n < 100 && rig.try_done(done); ++n)
				;
		}
	}
}

} // namespace
