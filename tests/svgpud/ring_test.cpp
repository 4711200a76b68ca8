// SPDX-License-Identifier: GPL-2.0-only
// Rings by themselves: full ones, garbled ones, two threads at once.
#include "model/ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <thread>

using namespace svgpu;

namespace {

struct entry {
	std::uint64_t value;
};

constexpr std::uint32_t entries = 8;

struct ring_memory {
	alignas(64) std::array<std::byte, SVGPU_RING_SLOTS + entries * sizeof(entry)> bytes{};

	std::atomic_ref<std::uint32_t> index(unsigned which) { return shared_word<std::uint32_t>(bytes.data() + which); }
};

TEST(ring, empty_then_full_then_in_order)
{
	ring_memory memory;
	producer<entry, entries> in(memory.bytes.data());
	consumer<entry, entries> out(memory.bytes.data());
	entry e;

	for (int round = 0; round < 5; ++round) {
		EXPECT_EQ(out.peek(e), ring_state::empty);
		for (std::uint64_t i = 0; i < entries; ++i)
			EXPECT_TRUE(in.push({ i }));
		EXPECT_FALSE(in.push({ 99 }));
		for (std::uint64_t i = 0; i < entries; ++i) {
			ASSERT_EQ(out.peek(e), ring_state::ready);
			EXPECT_EQ(e.value, i);
			out.pop();
		}
	}
}

TEST(ring, tail_too_far_ahead_keeps_the_newest_entry)
{
	ring_memory memory;
	consumer<entry, entries> out(memory.bytes.data());
	entry e = { 42 };

	std::memcpy(memory.bytes.data() + SVGPU_RING_SLOTS + (entries * 3 + 2) % entries * sizeof(e), &e, sizeof(e));
	memory.index(SVGPU_RING_TAIL).store(entries * 3 + 3);
	e = {};
	EXPECT_EQ(out.peek(e), ring_state::malformed);
	EXPECT_EQ(e.value, 42u);
	out.pop();
	EXPECT_EQ(out.peek(e), ring_state::empty);
	EXPECT_EQ(memory.index(SVGPU_RING_HEAD).load(), entries * 3 + 3);
}

TEST(ring, tail_that_goes_back_is_malformed)
{
	ring_memory memory;
	consumer<entry, entries> out(memory.bytes.data());
	entry e;

	memory.index(SVGPU_RING_TAIL).store(1);
	EXPECT_EQ(out.peek(e), ring_state::ready);
	out.pop();
	memory.index(SVGPU_RING_TAIL).store(0);
	EXPECT_EQ(out.peek(e), ring_state::malformed);
}

TEST(ring, garbled_head_stops_the_producer)
{
	ring_memory memory;
	producer<entry, entries> in(memory.bytes.data());

	memory.index(SVGPU_RING_HEAD).store(3);
	EXPECT_TRUE(in.garbled());
	EXPECT_FALSE(in.push({ 1 }));
	EXPECT_EQ(memory.index(SVGPU_RING_TAIL).load(), 0u);
	memory.index(SVGPU_RING_HEAD).store(0);
	EXPECT_TRUE(in.push({ 1 }));
	EXPECT_FALSE(in.garbled());
}

TEST(ring, between_two_threads)
{
	constexpr std::uint64_t count = 100'000;
	ring_memory memory;
	producer<entry, entries> in(memory.bytes.data());
	consumer<entry, entries> out(memory.bytes.data());
	std::thread writer([&] {
		for (std::uint64_t i = 0; i < count;) {
			if (in.push({ i }))
				++i;
			else
				std::this_thread::yield();
		}
	});

	for (std::uint64_t i = 0; i < count;) {
		entry e;

		if (out.peek(e) == ring_state::empty) {
			std::this_thread::yield();
			continue;
		}
		EXPECT_EQ(e.value, i++);
		out.pop();
	}
	writer.join();
}

} // namespace
