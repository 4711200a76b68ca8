// SPDX-License-Identifier: GPL-2.0-only
// Queues: order within one, parallelism among several, and how they are cleared.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x4000'0000;

TEST(queues, jobs_of_one_queue_end_in_order_and_never_overlap)
{
	std::atomic<int> running{ 0 };
	std::atomic<bool> overlapped{ false };
	device_options options;

	options.programs.push_back([&](memory_view &, program_args) {
		if (running.fetch_add(1))
			overlapped = true;
		std::this_thread::yield();
		running.fetch_sub(1);
	});

	driver_rig rig(std::move(options));
	std::vector<u64> cookies;

	rig.set_up();
	for (int i = 0; i < 200; ++i)
		cookies.push_back(rig.submit(SVGPU_KERNELS));
	for (u64 cookie : cookies)
		EXPECT_EQ(rig.wait_done().cookie, cookie);
	EXPECT_FALSE(overlapped);
}

TEST(queues, as_many_run_at_once_as_there_are_engines)
{
	constexpr unsigned engines = 3;
	std::atomic<unsigned> arrived{ 0 };
	device_options options;

	options.engines = engines;
	options.programs.push_back([&](memory_view &, program_args) {
		++arrived;
		wait_until("the other engines", [&] { return arrived == engines; });
	});

	driver_rig rig(std::move(options));

	EXPECT_EQ(rig.reg<__u32>(SVGPU_REG_ENGINES).load(), engines);
	rig.set_up();
	for (unsigned q = 0; q < engines; ++q) {
		rig.add_queue(30 + q);
		rig.submit(SVGPU_KERNELS, {}, 30 + q);
	}
	for (unsigned q = 0; q < engines; ++q)
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST(queues, a_failed_job_does_not_stop_the_next)
{
	driver_rig rig;

	rig.set_up();
	rig.submit(999);
	rig.submit(SVGPU_KERNEL_NOP);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_INVALID });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

// One job stalls on a fault, others wait behind it; clearing ends all of them before it is acknowledged.
void clear_while_stalled(const svgpu_sync &clear)
{
	driver_rig rig;
	std::set<u64> cookies;
	svgpu_fault fault;
	svgpu_done done;

	rig.set_up();
	rig.add_queue(6);
	for (int i = 0; i < 5; ++i)
		cookies.insert(rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 }));
	fault = rig.wait_fault();
	rig.must(clear);
	while (rig.try_done(done)) {
		EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_CANCELED });
		EXPECT_EQ(cookies.erase(done.cookie), 1u);
	}
	EXPECT_TRUE(cookies.empty()) << "not all jobs were reported before the acknowledge";
	// A late answer harms nobody.
	rig.reply(fault.id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_NOP).status, unsigned{ SVGPU_DONE_INVALID });
}

TEST(queues, cleared_while_stalled)
{
	clear_while_stalled({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = driver_rig::queue });
}

TEST(queues, context_cleared_while_stalled)
{
	clear_while_stalled({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = driver_rig::context });
}

TEST(queues, clearing_one_leaves_the_others_alone)
{
	driver_rig rig;
	svgpu_fault mine;
	svgpu_fault other;

	rig.set_up();
	rig.add_queue(6);
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	mine = rig.wait_fault();
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 }, 6);
	other = rig.wait_fault();
	rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
	EXPECT_EQ(rig.wait_done().cookie, mine.cookie);
	rig.pages.map_fresh(va, page);
	rig.reply(other.id, SVGPU_REPLY_RETRY);

	svgpu_done done = rig.wait_done();

	EXPECT_EQ(done.cookie, other.cookie);
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
}

TEST(queues, long_jobs_notice_a_clear)
{
	driver_rig rig;

	rig.set_up();
	rig.pages.map_fresh(va, page);
	rig.submit(SVGPU_KERNEL_CAS_ADD, { va, ~u64{ 0 } });
	wait_until("the job to begin", [&] { return std::atomic_ref(*rig.pages.look<u64>(va)).load() > 0; });
	rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });

	svgpu_done done;

	ASSERT_TRUE(rig.try_done(done));
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_CANCELED });
}

// Jobs are written and the clear follows at once: those still in the ring belong to the old queue.
TEST(queues, jobs_before_a_clear_never_run_after_it)
{
	std::atomic<unsigned> runs_of_new{ 0 };
	std::atomic<bool> old_ran_late{ false };
	std::atomic<bool> second_life{ false };
	device_options options;

	options.programs.push_back([&](memory_view &, program_args args) {
		if (args[0] == 0 && second_life)
			old_ran_late = true;
		if (args[0] == 1)
			++runs_of_new;
	});

	driver_rig rig(std::move(options));

	rig.set_up();
	for (int round = 0; round < 50; ++round) {
		second_life = false;
		for (int i = 0; i < 20; ++i)
			rig.submit(SVGPU_KERNELS, { 0 });
		rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
		second_life = true;
		for (int i = 0; i < 20; ++i) {
			unsigned status;
			svgpu_done done;

			ASSERT_TRUE(rig.try_done(done)) << "a job was not reported before the acknowledge";
			status = done.status;
			EXPECT_TRUE(status == SVGPU_DONE_OK || status == SVGPU_DONE_CANCELED) << status;
		}
		rig.add_queue(rig.queue);
		rig.submit(SVGPU_KERNELS, { 1 });
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
	}
	EXPECT_FALSE(old_ran_late);
	EXPECT_EQ(runs_of_new, 50u);
}

TEST(queues, jobs_wait_while_the_done_ring_is_full)
{
	driver_rig rig;
	std::vector<u64> cookies;

	rig.set_up();
	for (unsigned i = 0; i < SVGPU_DONE_ENTRIES + 100; ++i)
		cookies.push_back(rig.submit(SVGPU_KERNEL_NOP));
	wait_until("a full ring", [&] {
		return rig.index(SVGPU_DONE_RING, SVGPU_RING_TAIL).load(std::memory_order_acquire) ==
		       SVGPU_DONE_ENTRIES;
	});
	settle();
	EXPECT_EQ(rig.ring_tail(SVGPU_DONE_RING), unsigned{ SVGPU_DONE_ENTRIES });
	// Invalidations do not wait for it.
	rig.invalidate(0, ~u64{ 0 });
	for (u64 cookie : cookies)
		EXPECT_EQ(rig.wait_done().cookie, cookie);
}

} // namespace
