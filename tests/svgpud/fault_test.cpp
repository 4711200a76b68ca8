// SPDX-License-Identifier: GPL-2.0-only
// Faults: what they say, that they are replayed, who stalls meanwhile and who does not.
#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <set>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 va = 0x7f00'0000'0000;

class faults : public testing::Test {
protected:
	faults() { rig.set_up(); }

	driver_rig rig;
};

TEST_F(faults, entry_says_who_where_and_how)
{
	u64 cookie = rig.submit(SVGPU_KERNEL_FILL, { va + 0x123, 8, 1 });
	svgpu_fault fault = rig.wait_fault();

	EXPECT_EQ(fault.va, va + 0x123);
	EXPECT_EQ(fault.cookie, cookie);
	EXPECT_EQ(fault.context, rig.context);
	EXPECT_EQ(fault.queue, rig.queue);
	EXPECT_EQ(fault.access, unsigned{ SVGPU_WRITE });
	EXPECT_TRUE(rig.machine.wait_interrupt(SVGPU_VECTOR_FAULT, 0ms));
	rig.reply(fault.id, SVGPU_REPLY_FAIL);

	svgpu_done done = rig.wait_done();

	EXPECT_EQ(done.cookie, cookie);
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_FAULT });
	EXPECT_EQ(done.va, va + 0x123);
	EXPECT_EQ(done.access, unsigned{ SVGPU_WRITE });
	EXPECT_TRUE(rig.machine.wait_interrupt(SVGPU_VECTOR_DONE, 1s));
}

TEST_F(faults, each_kind_of_access)
{
	for (auto [kernel, access] : { std::pair{ SVGPU_KERNEL_HISTOGRAM, SVGPU_READ },
				       std::pair{ SVGPU_KERNEL_FILL, SVGPU_WRITE },
				       std::pair{ SVGPU_KERNEL_CAS_ADD, SVGPU_ATOMIC } }) {
		svgpu_fault fault;

		rig.submit(kernel, { va, 1, 0 });
		fault = rig.wait_fault();
		EXPECT_EQ(fault.access, unsigned{ access });
		rig.reply(fault.id, SVGPU_REPLY_FAIL);
		EXPECT_EQ(rig.wait_done().access, unsigned{ access });
	}
}

TEST_F(faults, retry_resumes_where_it_stalled)
{
	std::set<u64> seen;
	svgpu_done done;

	rig.submit(SVGPU_KERNEL_FILL, { va + 100, 3 * page, 0x77 });
	done = rig.serve_until_done([&](const svgpu_fault &f) {
		EXPECT_TRUE(seen.insert(f.va).second) << "a page that was mapped faulted again";
		rig.pages.map_fresh(f.va & ~(page - 1), page);
		return true;
	});
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(done.bytes, 3 * page);
	EXPECT_EQ(seen, (std::set<u64>{ va + 100, va + page, va + 2 * page, va + 3 * page }));
	EXPECT_EQ(*rig.pages.look<unsigned char>(va + 100), 0x77);
	EXPECT_EQ(*rig.pages.look<unsigned char>(va + 100 + 3 * page - 1), 0x77);
	EXPECT_EQ(*rig.pages.look<unsigned char>(va + 99), 0);
	EXPECT_EQ(*rig.pages.look<unsigned char>(va + 100 + 3 * page), 0);
}

TEST_F(faults, retry_without_a_mapping_faults_again)
{
	svgpu_fault first;
	svgpu_fault second;

	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	first = rig.wait_fault();
	rig.reply(first.id, SVGPU_REPLY_RETRY);
	second = rig.wait_fault();
	EXPECT_EQ(second.va, first.va);
	EXPECT_NE(second.id, first.id);
	rig.reply(second.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
}

TEST_F(faults, upgrade_without_invalidation_faults_again)
{
	unsigned rounds = 0;
	svgpu_done done;

	rig.pages.map_fresh(va, page, PRESENT);
	EXPECT_EQ(rig.run(SVGPU_KERNEL_TOUCH, { va, 1, 1, 0 }).status, unsigned{ SVGPU_DONE_OK });
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	done = rig.serve_until_done([&](const svgpu_fault &f) {
		EXPECT_EQ(f.access, unsigned{ SVGPU_WRITE });
		if (++rounds == 1)
			rig.pages.set(va, 0, rig.memory.get(rig.pages.entry(va, 0), SVGPU_SYSTEM) | RW);
		else
			rig.invalidate(va, va + page);
		return true;
	});
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(rounds, 2u);
}

TEST_F(faults, other_queues_go_on)
{
	svgpu_fault fault;

	rig.add_queue(6);
	rig.pages.map_fresh(va, page);
	u64 stalled = rig.submit(SVGPU_KERNEL_FILL, { va + page, 1, 1 });

	fault = rig.wait_fault();
	for (int i = 0; i < 10; ++i)
		EXPECT_EQ(rig.run(SVGPU_KERNEL_FILL, { va, page, 1 }, 6).status, unsigned{ SVGPU_DONE_OK });
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().cookie, stalled);
}

TEST_F(faults, two_engines_on_one_page_are_two_faults)
{
	svgpu_fault one;
	svgpu_fault two;

	rig.add_queue(6);
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 }, 6);
	one = rig.wait_fault();
	two = rig.wait_fault();
	EXPECT_NE(one.id, two.id);
	EXPECT_NE(one.queue, two.queue);
	rig.pages.map_fresh(va, page);
	rig.reply(one.id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.wait_done().cookie, one.cookie);
	rig.reply(two.id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.wait_done().cookie, two.cookie);
}

TEST_F(faults, replies_to_nobody_do_nothing)
{
	svgpu_fault fault;

	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	fault = rig.wait_fault();
	rig.reply(fault.id + 1000, SVGPU_REPLY_FAIL);
	rig.reply(fault.id + 1, SVGPU_REPLY_FAIL);
	rig.pages.map_fresh(va, page);
	rig.reply(fault.id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

// A job was ended while it stalled, and the driver answers its fault late: neither before nor after the next fault is
// reported may that answer be the next one's.
TEST_F(faults, a_reply_to_a_canceled_fault_answers_no_later_one)
{
	std::set<unsigned> ids;

	for (unsigned round = 0; round < 20; ++round) {
		svgpu_fault gone, next;

		rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
		gone = rig.wait_fault();
		EXPECT_TRUE(ids.insert(gone.id).second) << "an id is given twice";
		rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
		rig.add_queue(rig.queue);
		if (round % 2)
			rig.reply(gone.id, SVGPU_REPLY_FAIL);
		rig.submit(SVGPU_KERNEL_FILL, { va + (1 + round) * page, 1, 1 });
		next = rig.wait_fault();
		EXPECT_TRUE(ids.insert(next.id).second) << "an id is given twice";
		if (round % 2 == 0)
			rig.reply(gone.id, SVGPU_REPLY_FAIL);
		rig.pages.map_fresh(next.va, page);
		rig.reply(next.id, SVGPU_REPLY_RETRY);
		ASSERT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK }) << "round " << round;
	}
}

TEST_F(faults, unknown_reply_status_is_a_failure)
{
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.reply(rig.wait_fault().id, 17);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
}

TEST_F(faults, full_ring_is_waited_for)
{
	std::set<unsigned> ids;
	svgpu_fault fault;
	u64 cookie = 0;

	// Faults that nobody takes out of the ring, of jobs that are cleared away.
	for (unsigned i = 0; i < SVGPU_FAULT_ENTRIES; ++i) {
		unsigned before = rig.ring_tail(SVGPU_FAULT_RING);

		rig.submit(SVGPU_KERNEL_FILL, { va + i * page, 1, 1 });
		wait_until("a fault", [&] {
			return rig.index(SVGPU_FAULT_RING, SVGPU_RING_TAIL).load(std::memory_order_acquire) != before;
		});
		rig.must({ .op = SVGPU_SYNC_QUEUE_CLEAR, .queue = rig.queue });
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_CANCELED });
		rig.add_queue(rig.queue);
	}
	cookie = rig.submit(SVGPU_KERNEL_FILL, { 0x123000, 1, 1 });
	settle();
	EXPECT_EQ(rig.ring_tail(SVGPU_FAULT_RING), unsigned{ SVGPU_FAULT_ENTRIES });
	for (unsigned i = 0; i < SVGPU_FAULT_ENTRIES; ++i) {
		fault = rig.wait_fault();
		EXPECT_EQ(fault.va, va + i * page);
		EXPECT_TRUE(ids.insert(fault.id).second);
	}
	fault = rig.wait_fault();
	EXPECT_EQ(fault.va, 0x123000u);
	EXPECT_EQ(fault.cookie, cookie);
	rig.reply(fault.id, SVGPU_REPLY_FAIL);
	EXPECT_EQ(rig.wait_done().cookie, cookie);
}

TEST(duplicate_faults, both_must_be_answered)
{
	driver_rig rig({ .duplicate_faults = true });
	svgpu_fault one;
	svgpu_fault two;
	svgpu_done done;

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	one = rig.wait_fault();
	two = rig.wait_fault();
	EXPECT_NE(one.id, two.id);
	EXPECT_EQ(one.va, two.va);
	EXPECT_EQ(one.cookie, two.cookie);
	rig.pages.map_fresh(va, page);
	rig.reply(two.id, SVGPU_REPLY_RETRY);
	settle();
	EXPECT_FALSE(rig.try_done(done));
	rig.reply(one.id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
}

TEST(duplicate_faults, one_failure_is_a_failure)
{
	driver_rig rig({ .duplicate_faults = true });

	rig.set_up();
	rig.submit(SVGPU_KERNEL_FILL, { va, 1, 1 });
	rig.reply(rig.wait_fault().id, SVGPU_REPLY_FAIL);
	rig.reply(rig.wait_fault().id, SVGPU_REPLY_RETRY);
	EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_FAULT });
}

} // namespace
