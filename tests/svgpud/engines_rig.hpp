// SPDX-License-Identifier: GPL-2.0-only
// A device with few engines and short slices, and jobs that take engines away from others.
#pragma once

#include "driver_rig.hpp"

#include <gtest/gtest.h>

#include <map>

namespace svgpu::test {

constexpr u64 for_ever = ~u64{ 0 };

// A program that keeps a piece of memory open until the test lets go of it, and so keeps its engine.
constexpr unsigned hold_program = SVGPU_KERNELS;
// A program that counts its accesses in a word of the test's own, for ever.
constexpr unsigned count_program = SVGPU_KERNELS + 1;

class engines_rig : public driver_rig {
public:
	static constexpr u64 va = 0x3000'0000;
	static constexpr unsigned other_context = 9;

	explicit engines_rig(unsigned engines, std::chrono::microseconds slice = 200us)
		: engines_rig(std::make_shared<shared>(), engines, slice)
	{
	}

	~engines_rig() { let_go(); }

	void add_context(unsigned which)
	{
		svgpu_sync op = { .op = SVGPU_SYNC_CONTEXT_SET, .context = which };

		op.address = pages.root();
		op.aperture = pages.aperture();
		must(op);
	}
	// Queues that name no owner are those of owner 0.
	void add_queue_of(unsigned which_context, unsigned which_queue, unsigned owner = 0)
	{
		must({ .op = SVGPU_SYNC_QUEUE_SET, .context = which_context, .queue = which_queue, .owner = owner });
	}

	// A job of a queue and a context of its own takes an engine and keeps it.
	void hold_an_engine(unsigned which_context = other_context, unsigned which_queue = 90)
	{
		u64 at = va + 512 * page;

		if (which_context != context)
			add_context(which_context);
		add_queue_of(which_context, which_queue);
		pages.map(at, memory.take(page));
		submit(hold_program, { at }, which_queue);
		wait_until("the engine to be held", [&] { return shared_->inside.load(); });
	}
	void let_go() { shared_->leave = true; }

	// A word in a page of its own, mapped at an address of its own.
	u64 new_word()
	{
		u64 at = va + words_++ * page;

		pages.map(at, memory.take(page));
		return at;
	}
	u64 read_word(u64 at) { return std::atomic_ref(*pages.look<u64>(at)).load(); }

	std::atomic<u64> &count(unsigned which) { return shared_->counts[which]; }

	u64 words_ = 0;

private:
	struct shared {
		std::atomic<bool> inside{ false };
		std::atomic<bool> leave{ false };
		std::array<std::atomic<u64>, 64> counts{};
	};

	static device_options options(const std::shared_ptr<shared> &s, unsigned engines, std::chrono::microseconds slice)
	{
		device_options o;

		o.engines = engines;
		o.slice = slice;
		o.programs.push_back([s](memory_view &view, program_args args) {
			auto p = view.open(args[0], page, SVGPU_WRITE);

			s->inside = true;
			while (!s->leave)
				std::this_thread::sleep_for(100us);
		});
		o.programs.push_back([s](memory_view &view, program_args args) {
			for (;;) {
				view.load<u64>(args[0]);
				s->counts[args[1]].fetch_add(1, std::memory_order_relaxed);
			}
		});
		return o;
	}

	engines_rig(std::shared_ptr<shared> s, unsigned engines, std::chrono::microseconds slice)
		: driver_rig(options(s, engines, slice))
		, shared_(std::move(s))
	{
		set_up();
	}

	std::shared_ptr<shared> shared_;
};

// The ends of so many jobs, by cookie.
inline std::map<u64, unsigned> ends(driver_rig &rig, unsigned how_many)
{
	std::map<u64, unsigned> statuses;

	for (unsigned i = 0; i < how_many; ++i) {
		svgpu_done done = rig.wait_done();

		EXPECT_TRUE(statuses.emplace(done.cookie, done.status).second) << "reported twice";
	}
	return statuses;
}

// Jobs of so many queues add to words of one page, so many times, while the page is moved to and fro. After each acknowledged
// invalidation no job may write to the page that it was taken from, and no addition is lost.
inline void move_a_page_under(engines_rig &rig, unsigned writers, u64 times)
{
	constexpr u64 va = engines_rig::va;
	u64 places[2] = { rig.memory.take(page), rig.memory.take(page) };
	std::vector<u64> before(writers);
	unsigned finished = 0, moves = 0;

	rig.pages.map(va, places[0]);
	for (unsigned i = 0; i < writers; ++i) {
		rig.add_queue(100 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { va + 8 * i, times }, 100 + i);
	}
	for (svgpu_done done; finished < writers; ++moves) {
		u64 from = places[moves % 2];
		u64 to = places[(moves + 1) % 2];

		rig.pages.unmap(va);
		rig.invalidate(va, va + page);
		for (unsigned i = 0; i < writers; ++i) {
			before[i] = rig.memory.get(from + 8 * i, SVGPU_SYSTEM);
			rig.memory.put(to + 8 * i, SVGPU_SYSTEM, before[i]);
		}
		std::this_thread::yield();
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
		EXPECT_EQ(rig.memory.get(places[moves % 2] + 8 * i, SVGPU_SYSTEM), times);
}

} // namespace svgpu::test
