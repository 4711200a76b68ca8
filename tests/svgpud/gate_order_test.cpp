// SPDX-License-Identifier: GPL-2.0-only
// The gate's memory orders. A real processor shows an order that is too weak in one of millions of rounds. So the gate is
// built here on an atomic that always does the worst that a weak order allows two sides which each store and then load:
//
//  - A store weaker than seq_cst stays in the thread's store buffer until the thread drains it or makes a seq_cst store.
//  - A load weaker than seq_cst reads the value before the latest one, the first time that the thread meets that one.
#include "model/access_gate.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

using namespace svgpu;

namespace {

std::atomic<unsigned> looks{ 0 }; // loads of all threads, and rounds of waiting

// The store buffer of this thread; no other thread sees what is in it.
thread_local std::vector<std::function<void()>> buffer;

void drain()
{
	for (auto &store : std::exchange(buffer, {}))
		store();
}

template <class T> class worst_atomic {
public:
	worst_atomic(T value)
		: value_(value)
		, before_(value)
	{
	}

	void store(T value, std::memory_order order)
	{
		auto make = [this, value] {
			std::lock_guard hold(lock_);

			before_ = std::exchange(value_, value);
			++version_;
		};

		buffer.push_back(make);
		if (order == std::memory_order_seq_cst)
			drain();
	}

	T load(std::memory_order order) const
	{
		std::lock_guard hold(lock_);
		unsigned seen = std::exchange(seen_[std::this_thread::get_id()], version_);

		++looks;
		return order == std::memory_order_seq_cst || seen == version_ ? value_ : before_;
	}

	void wait(T old, std::memory_order) const
	{
		drain();
		for (;; std::this_thread::yield()) {
			std::lock_guard hold(lock_);

			++looks;
			if (value_ != old)
				return;
		}
	}

	void notify_all() { drain(); }

private:
	mutable std::mutex lock_;
	T value_, before_;
	unsigned version_ = 0;
	mutable std::map<std::thread::id, unsigned> seen_;
};

// The other side runs in a thread of its own, until it is through or has looked often in vain.
class other_side {
public:
	template <class Step>
	explicit other_side(Step step)
		: before_(looks)
		, thread_([this, step] {
			step();
			through_ = true;
		})
	{
		while (!through_ && looks - before_ < 20)
			std::this_thread::yield();
	}
	~other_side() { thread_.join(); }

	bool through() const { return through_; }

private:
	const unsigned before_;
	std::atomic<bool> through_{ false };
	std::thread thread_;
};

TEST(gate_order, a_closer_sees_the_engine_that_came_first)
{
	basic_access_gate<worst_atomic> gate(2);

	gate.enter(1);

	other_side closer([&] {
		gate.close();
		gate.open();
	});

	EXPECT_FALSE(closer.through()) << "closed while an engine is inside";
	gate.leave(1);
	drain();
}

TEST(gate_order, an_engine_sees_the_closer_that_came_first)
{
	basic_access_gate<worst_atomic> gate(2);

	gate.close();

	other_side engine([&] {
		gate.enter(1);
		gate.leave(1);
		drain();
	});

	EXPECT_FALSE(engine.through()) << "inside while the gate is closed";
	gate.open();
}

} // namespace
