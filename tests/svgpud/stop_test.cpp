// SPDX-License-Identifier: GPL-2.0-only
// Contexts that are stopped and resumed, and those whose jobs end where they fault.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <string>

using namespace svgpu;
using namespace svgpu::test;

namespace {

class stops : public testing::Test {
protected:
	static constexpr u64 va = 0x40000000;

	stops()
	{
		rig.set_up();
	}

	// A page at va; where it lies.
	u64 fresh()
	{
		u64 at = rig.memory.take(page);

		rig.pages.map(va, at, PRESENT | RW | AE);
		return at;
	}

	void tell(unsigned op, unsigned context = driver_rig::context)
	{
		rig.must({ .op = op, .context = context });
	}

	// What a job that never ends writes goes on, or does not.
	bool goes_on(u64 address)
	{
		u64 before = rig.memory.at<std::atomic<u64>>(address)->load();

		for (unsigned i = 0; i < 100; ++i) {
			std::this_thread::sleep_for(1ms);
			if (rig.memory.at<std::atomic<u64>>(address)->load() != before)
				return true;
		}
		return false;
	}

	driver_rig rig{ { .engines = 1 } };
};

TEST_F(stops, a_job_makes_no_access_until_it_is_resumed)
{
	u64 at = fresh();

	rig.submit(SVGPU_KERNEL_CAS_ADD, { va, ~0ull });
	EXPECT_TRUE(goes_on(at));
	for (unsigned round = 0; round < 20; ++round) {
		tell(SVGPU_SYNC_CONTEXT_STOP);

		u64 then = rig.memory.at<std::atomic<u64>>(at)->load();

		tell(SVGPU_SYNC_CONTEXT_STOP); // it may be told twice
		std::this_thread::sleep_for(2ms);
		EXPECT_EQ(rig.memory.at<std::atomic<u64>>(at)->load(), then);
		tell(SVGPU_SYNC_CONTEXT_RESUME);
		EXPECT_TRUE(goes_on(at));
	}
	rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
}

// What is not mapped while the context is stopped is no fault, since nothing looks.
TEST_F(stops, a_stopped_job_does_not_fault)
{
	rig.pages.map_fresh(va, page);
	tell(SVGPU_SYNC_CONTEXT_STOP);
	rig.submit(SVGPU_KERNEL_FILL, { va + page, 8, 1 });

	svgpu_fault fault;

	std::this_thread::sleep_for(20ms);
	EXPECT_FALSE(rig.try_fault(fault));
	rig.pages.map_fresh(va + page, page);
	tell(SVGPU_SYNC_CONTEXT_RESUME);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
	EXPECT_FALSE(rig.try_fault(fault));
}

TEST_F(stops, its_engine_is_another_contexts)
{
	constexpr unsigned other = 7, its_queue = 9;
	u64 at = fresh();

	rig.must({ .op = SVGPU_SYNC_CONTEXT_SET, .context = other, .address = rig.pages.root(), .aperture = rig.pages.aperture() });
	rig.must({ .op = SVGPU_SYNC_QUEUE_SET, .context = other, .queue = its_queue });
	rig.submit(SVGPU_KERNEL_CAS_ADD, { va, ~0ull });
	EXPECT_TRUE(goes_on(at));
	tell(SVGPU_SYNC_CONTEXT_STOP);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va + 64, 8, 1 }, its_queue).status, unsigned{ SVGPU_DONE_OK });
	// A stopped context is cleared as any other.
	rig.must({ .op = SVGPU_SYNC_CONTEXT_CLEAR, .context = rig.context });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
}

TEST_F(stops, a_queue_ends_while_it_is_stopped)
{
	rig.pages.map_fresh(va, page);
	tell(SVGPU_SYNC_CONTEXT_STOP);
	rig.submit(SVGPU_KERNEL_FILL, { va, 8, 1 });
	std::this_thread::sleep_for(5ms);
	rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
}

TEST_F(stops, an_epoch_ends_what_is_stopped)
{
	rig.pages.map_fresh(va, page);
	tell(SVGPU_SYNC_CONTEXT_STOP);
	rig.submit(SVGPU_KERNEL_FILL, { va, 8, 1 });
	std::this_thread::sleep_for(5ms);
	rig.begin_epoch(0x2002);
	rig.set_up();
	EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, 8, 1 }).status, unsigned{ SVGPU_DONE_OK });
}

TEST_F(stops, a_context_that_is_set_again_is_not_stopped)
{
	rig.pages.map_fresh(va, page);
	tell(SVGPU_SYNC_CONTEXT_STOP);
	rig.submit(SVGPU_KERNEL_FILL, { va, 8, 1 });
	rig.must({ .op = SVGPU_SYNC_CONTEXT_SET, .context = rig.context, .address = rig.pages.root(), .aperture = rig.pages.aperture() });
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST_F(stops, what_is_refused)
{
	svgpu_sync set = { .op = SVGPU_SYNC_CONTEXT_SET, .context = rig.context, .address = rig.pages.root(), .aperture = rig.pages.aperture() };

	for (unsigned op : { SVGPU_SYNC_CONTEXT_STOP, SVGPU_SYNC_CONTEXT_RESUME }) {
		EXPECT_EQ(rig.sync({ .op = op, .context = 1 }), unsigned{ SVGPU_SYNC_BAD });
		EXPECT_EQ(rig.sync({ .op = op, .context = ~0u }), unsigned{ SVGPU_SYNC_BAD });
	}
	set.flags = SVGPU_CONTEXT_NO_FAULT << 1;
	EXPECT_EQ(rig.sync(set), unsigned{ SVGPU_SYNC_BAD });
}

// In a context that cannot fault, nothing is asked: the job ends, and the next one runs.
TEST_F(stops, a_fault_ends_its_job)
{
	svgpu_sync set = { .op = SVGPU_SYNC_CONTEXT_SET, .context = rig.context, .address = rig.pages.root(), .aperture = rig.pages.aperture() };
	svgpu_fault fault;

	set.flags = SVGPU_CONTEXT_NO_FAULT;
	rig.must(set);
	rig.pages.map_fresh(va, page);
	rig.pages.map_fresh(va + page, page, PRESENT);

	svgpu_done hole = rig.run(SVGPU_KERNEL_FILL, { va + 3 * page, 8, 1 });

	EXPECT_EQ(hole.status, unsigned{ SVGPU_DONE_FAULT });
	EXPECT_EQ(hole.va, va + 3 * page);
	EXPECT_EQ(hole.access, unsigned{ SVGPU_WRITE });

	svgpu_done denied = rig.run(SVGPU_KERNEL_FILL, { va, 2 * page, 1 });

	EXPECT_EQ(denied.status, unsigned{ SVGPU_DONE_FAULT });
	EXPECT_EQ(denied.va, va + page);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, page, 1 }).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_FALSE(rig.try_fault(fault));
}

} // namespace
