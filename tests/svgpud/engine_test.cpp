// SPDX-License-Identifier: GPL-2.0-only
// Engines go from job to job: a job that waits holds none, a job that runs for ever gives way, and any job can be ended.
#include "engines_rig.hpp"

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = engines_rig::va;
constexpr unsigned other_context = engines_rig::other_context;

TEST(engines, endless_jobs_all_get_on)
{
	constexpr unsigned jobs = 40;
	engines_rig rig(4);
	std::vector<u64> words;

	for (unsigned i = 0; i < jobs; ++i) {
		words.push_back(rig.new_word());
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { words[i], for_ever }, 100 + i);
	}
	for (unsigned round = 0; round < 3; ++round) {
		std::vector<u64> before;

		for (u64 word : words)
			before.push_back(rig.read_word(word));
		wait_until("all jobs to get on", [&] {
			for (unsigned i = 0; i < jobs; ++i) {
				if (rig.read_word(words[i]) == before[i])
					return false;
			}
			return true;
		});
	}
	// And a job that has an end comes to it.
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
	rig.must({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = rig.context });
	for (auto [cookie, status] : ends(rig, jobs))
		EXPECT_EQ(status, unsigned{ SVGPU_DONE_CANCELED });
}

// The share of all accesses that the one queue of an owner gets beside 32 endless queues of another, in 4 contexts.
double share_of_one_among(unsigned engines)
{
	constexpr unsigned attackers = 32;
	constexpr u64 enough = 200000;
	engines_rig rig(engines);
	u64 word = rig.new_word();
	u64 before = 0, total = 0;
	auto all = [&] {
		u64 sum = 0;

		for (unsigned i = 0; i < attackers; ++i)
			sum += rig.count(i);
		return sum;
	};

	for (unsigned i = 0; i < 4; ++i)
		rig.add_context(other_context + i);
	for (unsigned i = 0; i < attackers; ++i) {
		rig.add_queue_of(other_context + i % 4, 100 + i, 1);
		rig.submit(count_program, { word, i }, 100 + i);
	}
	wait_until("the attackers", [&] { return all() > 1000; });
	rig.submit(count_program, { word, attackers });
	wait_until("the victim", [&] { return rig.count(attackers) > 0; });
	before = all();
	wait_until("a measure", [&] { return (total = all() - before + rig.count(attackers)) > enough; });
	return static_cast<double>(rig.count(attackers)) / static_cast<double>(total);
}

TEST(engines, an_owner_of_one_queue_is_not_starved_by_one_of_many)
{
	// Its fair share is a half of one engine, and of two; of four it can use one.
	EXPECT_GT(share_of_one_among(1), 0.25);
	EXPECT_GT(share_of_one_among(2), 0.25);
	EXPECT_GT(share_of_one_among(4), 0.125);
}

TEST(engines, a_job_that_runs_alone_keeps_its_engine)
{
	engines_rig rig(1, 0us);
	u64 word = rig.new_word();

	EXPECT_EQ(rig.run(SVGPU_KERNEL_CAS_ADD, { word, 100000 }).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(rig.read_word(word), 100000u);
}

// A job that runs out of its slice goes on where it was: nothing is done twice and nothing is left out.
TEST(engines, jobs_that_take_turns_come_out_right)
{
	constexpr unsigned jobs = 12;
	constexpr u64 times = 5000;
	engines_rig rig(3, 0us);
	u64 word = rig.new_word();

	for (unsigned i = 0; i < jobs; ++i) {
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { word, times }, 100 + i);
	}
	for (auto [cookie, status] : ends(rig, jobs))
		EXPECT_EQ(status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(rig.read_word(word), jobs * times);
}

TEST(engines, never_more_jobs_at_once_than_engines)
{
	constexpr unsigned engines = 3, jobs = 20;
	std::atomic<unsigned> now{ 0 }, most{ 0 };
	device_options o;

	o.engines = engines;
	o.slice = 0us;
	o.programs.push_back([&](memory_view &view, program_args args) {
		for (unsigned i = 0; i < 300; ++i) {
			auto p = view.open(args[0], 8, SVGPU_READ);
			unsigned n = ++now;

			for (unsigned seen = most; n > seen && !most.compare_exchange_weak(seen, n);)
				;
			std::this_thread::yield();
			--now;
		}
	});

	driver_rig rig(std::move(o));

	rig.set_up();
	rig.pages.map(va, rig.memory.take(page));
	for (unsigned i = 0; i < jobs; ++i) {
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNELS, { va }, 100 + i);
	}
	ends(rig, jobs);
	EXPECT_LE(most, engines);
}

TEST(engines, a_stalled_job_holds_none)
{
	constexpr unsigned stalled = 20;
	engines_rig rig(1, 1h);
	std::vector<unsigned> ids;

	for (unsigned i = 0; i < stalled; ++i) {
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNEL_FILL, { va + i * page, 1, 7 }, 100 + i);
		ids.push_back(rig.wait_fault().id);
	}
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
	rig.pages.map_fresh(va, stalled * page);
	for (unsigned id : ids)
		rig.reply(id, SVGPU_REPLY_RETRY);
	for (auto [cookie, status] : ends(rig, stalled))
		EXPECT_EQ(status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(*rig.pages.look<unsigned char>(va + (stalled - 1) * page), 7);
}

TEST(engines, every_queue_can_have_a_stalled_job)
{
	driver_rig rig;
	unsigned queues = rig.reg<__u32>(SVGPU_REG_QUEUES).load();
	std::map<unsigned, unsigned> id_of; // by queue

	EXPECT_EQ(queues, 1024u);
	rig.set_up(0);
	for (unsigned q = 1; q < queues; ++q)
		rig.add_queue(q);
	// One is left over, and works while all others stall.
	for (unsigned q = 0; q < queues - 1; ++q)
		rig.submit(SVGPU_KERNEL_FILL, { va + q, 1, 1 }, q);
	for (unsigned q = 0; q < queues - 1; ++q) {
		svgpu_fault fault = rig.wait_fault();

		EXPECT_TRUE(id_of.emplace(fault.queue, fault.id).second);
	}
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP, {}, queues - 1).status, unsigned{ SVGPU_DONE_OK });
	rig.pages.map_fresh(va, page);
	for (auto [queue, id] : id_of)
		rig.reply(id, queue % 2 ? SVGPU_REPLY_RETRY : SVGPU_REPLY_FAIL);

	unsigned well = 0;

	for (auto [cookie, status] : ends(rig, queues - 1))
		well += status == SVGPU_DONE_OK;
	EXPECT_EQ(well, (queues - 1) / 2);
}

// An answered job waits for an engine behind the queues that wait already, and gets one.
TEST(engines, an_answered_job_waits_for_its_turn)
{
	engines_rig rig(1, 1h);
	unsigned id;

	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 7 });
	id = rig.wait_fault().id;
	rig.hold_an_engine();
	rig.pages.map_fresh(va, page);
	rig.reply(id, SVGPU_REPLY_RETRY);
	settle();
	EXPECT_EQ(*rig.pages.look<unsigned char>(va), 0) << "two jobs on one engine";
	rig.let_go();
	for (auto [cookie, status] : ends(rig, 2))
		EXPECT_EQ(status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(*rig.pages.look<unsigned char>(va), 7);
}

// How a job may be when it is ended: each time the one engine is another job's.
enum class state {
	not_begun,
	stalled,
	answered, // and waits for an engine
	slice_over, // likewise
};

using ending = std::tuple<state, unsigned>;

std::string name_of(const testing::TestParamInfo<ending> &info)
{
	const char *const states[] = { "not_begun", "stalled", "answered", "slice_over" };
	const char *const ends[] = { "queue_clear", "context_clear", "epoch" };

	return std::string(states[static_cast<int>(std::get<0>(info.param))]) + "_" + ends[std::get<1>(info.param)];
}

class cancel : public testing::TestWithParam<ending> {
protected:
	// Returns when the job is in this state.
	void bring_to(state s)
	{
		unsigned id;

		switch (s) {
		case state::not_begun:
			rig.hold_an_engine();
			rig.submit(SVGPU_KERNEL_NOP);
			break;
		case state::stalled:
			rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
			rig.wait_fault();
			rig.hold_an_engine();
			break;
		case state::answered:
			rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
			id = rig.wait_fault().id;
			rig.hold_an_engine();
			rig.reply(id, SVGPU_REPLY_RETRY);
			settle();
			break;
		case state::slice_over:
			rig.submit(SVGPU_KERNEL_CAS_ADD, { rig.new_word(), for_ever });
			wait_until("the job", [&] { return rig.read_word(va) > 0; });
			rig.hold_an_engine();
		}
		// It has another one behind it.
		rig.submit(SVGPU_KERNEL_NOP);
	}

	engines_rig rig{ 1, 0us };
};

TEST_P(cancel, ends_it_without_an_engine)
{
	auto [s, how] = GetParam();
	svgpu_done done;

	bring_to(s);
	if (how < 2) {
		rig.must(how ? svgpu_sync{ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = rig.context } :
			       svgpu_sync{ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
		// Before the acknowledge, and while the other job still has the engine.
		for (unsigned i = 0; i < 2; ++i) {
			ASSERT_TRUE(rig.try_done(done));
			EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_CANCELED });
		}
		rig.let_go();
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
		rig.must({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = other_context });
	} else {
		rig.let_go();
		rig.begin_epoch(0x2002);
	}
	// The engine is there for the next.
	EXPECT_FALSE(rig.try_done(done));
	rig.set_up();
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
}

INSTANTIATE_TEST_SUITE_P(states, cancel,
			 testing::Combine(testing::Values(state::not_begun, state::stalled, state::answered,
							  state::slice_over),
					  testing::Range(0u, 3u)),
			 name_of);

// Ten times as many jobs as engines in all states at once, ended at random moments.
TEST(engines, clears_at_random_moments)
{
	constexpr unsigned jobs = 20;
	engines_rig rig(2, 0us);
	std::vector<u64> words;

	for (unsigned i = 0; i < jobs; ++i)
		words.push_back(rig.new_word());
	for (unsigned round = 0; round < 30; ++round) {
		std::vector<unsigned> ids;

		for (unsigned i = 0; i < jobs; ++i) {
			rig.add_queue(100 + i);
			rig.submit(SVGPU_KERNEL_CAS_ADD, { i % 3 ? words[i] : va + (1000 + i) * page, for_ever }, 100 + i);
		}
		std::this_thread::sleep_for(round * 100us);
		for (svgpu_fault fault; rig.try_fault(fault);)
			rig.reply(fault.id, SVGPU_REPLY_RETRY);
		for (unsigned i = 0; i < jobs; ++i)
			rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = 100 + i });
		for (auto [cookie, status] : ends(rig, jobs))
			ASSERT_EQ(status, unsigned{ SVGPU_DONE_CANCELED });
	}
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_OK });
}

} // namespace
