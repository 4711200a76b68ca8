// SPDX-License-Identifier: GPL-2.0-only
// What makes "no access that used a dropped translation is still under way" true. An engine translates and accesses
// inside the gate; an invalidation closes the gate, which waits until everybody is out and keeps everybody from coming
// in, changes the translations and opens it again.
//
// Why not a reader-writer lock: readers may starve the writer, and the driver polls for the writer's end inside a
// notifier. Here a closer waits for at most one access per engine.
//
// A slot is an engine, which one job at a time has. The next one to have it is ordered behind leave() of the one before
// by the lock under which engines are handed over.
//
// Proof that both cannot be inside: enter() stores inside_[slot] and then loads closed_; close() stores closed_ and
// then loads inside_[slot]; all four are sequentially consistent, so at least one side sees the other's store. If the
// engine does, it steps back out; if the closer does, it waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

namespace svgpu {

// `Atomic`: std::atomic, or one of a test that lets weaker orders do their worst.
template <template <class> class Atomic> class basic_access_gate {
public:
	explicit basic_access_gate(unsigned slots)
		: slots_(slots)
		, inside_(std::make_unique<slot[]>(slots))
	{
	}

	void enter(unsigned number)
	{
		for (;;) {
			inside_[number].busy.store(true, std::memory_order_seq_cst);
			if (!closed_.load(std::memory_order_seq_cst))
				return;
			leave(number);
			// Acquire (also in the load above): pairs with the release in open(), so whoever comes in
			// sees the translations as the closer left them.
			closed_.wait(true, std::memory_order_acquire);
		}
	}

	void leave(unsigned number)
	{
		// Release: pairs with the load in close(): the access is over before the closer goes on.
		inside_[number].busy.store(false, std::memory_order_release);
	}

	// One closer at a time; the caller sees to that.
	void close()
	{
		closed_.store(true, std::memory_order_seq_cst);
		for (unsigned i = 0; i < slots_; ++i)
			await(inside_[i]);
	}

	void open()
	{
		++generation_;
		closed_.store(false, std::memory_order_release);
		closed_.notify_all();
	}

	// Changes with each close(); stable inside the gate.
	std::uint64_t generation() const { return generation_; }

private:
	struct alignas(64) slot {
		Atomic<bool> busy{ false };
	};

	static void await(const slot &s)
	{
		// An access is short, but its thread may have lost its CPU: spin, then yield, then sleep.
		for (unsigned round = 0; s.busy.load(std::memory_order_seq_cst); ++round) {
			if (round > 200)
				std::this_thread::sleep_for(std::chrono::microseconds(20));
			else if (round > 100)
				std::this_thread::yield();
		}
	}

	unsigned slots_;
	std::unique_ptr<slot[]> inside_;
	Atomic<bool> closed_{ false };
	std::uint64_t generation_ = 1; // written while closed, read inside
};

using access_gate = basic_access_gate<std::atomic>;

// Holds one engine inside the gate.
class inside_gate {
public:
	inside_gate(access_gate &gate, unsigned slot)
		: gate_(&gate)
		, slot_(slot)
	{
		gate.enter(slot);
	}
	inside_gate(inside_gate &&other) noexcept
		: gate_(other.gate_)
		, slot_(other.slot_)
	{
		other.gate_ = nullptr;
	}
	inside_gate &operator=(inside_gate &&) = delete;
	~inside_gate()
	{
		if (gate_)
			gate_->leave(slot_);
	}

private:
	access_gate *gate_;
	unsigned slot_;
};

} // namespace svgpu
