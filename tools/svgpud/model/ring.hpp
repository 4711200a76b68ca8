// SPDX-License-Identifier: GPL-2.0-only
// The device's ends of the rings in BAR2. One side writes slots and tail, the other head; an index counts for ever and
// the slot is index % entries. The device keeps its own index privately and only ever publishes it, so whatever the
// driver does to the BAR, the device's idea of where it stands cannot be changed from outside.
#pragma once

#include "hw/svgpu_regs.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace svgpu {

template <class Word> std::atomic_ref<Word> shared_word(std::byte *at)
{
	return std::atomic_ref<Word>(*reinterpret_cast<Word *>(at));
}

enum class ring_state {
	empty,
	ready,
	malformed,
};

template <class Entry, std::uint32_t entries> class consumer {
public:
	explicit consumer(std::byte *ring)
		: ring_(ring)
	{
	}

	// Copies the oldest entry once (the driver may change it under us) and leaves it in the ring. A tail that is
	// further ahead than the ring is long gives `malformed`: everything but the newest entry is dropped, and that
	// one is what `out` holds, so that the caller can answer it as bad.
	ring_state peek(Entry &out)
	{
		// Acquire: pairs with the driver's release of tail after it wrote the slot.
		std::uint32_t tail = shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL).load(std::memory_order_acquire);
		ring_state state = ring_state::ready;

		if (tail == head_)
			return ring_state::empty;
		if (tail - head_ > entries) {
			head_ = tail - 1;
			state = ring_state::malformed;
		}
		std::memcpy(&out, slot(), sizeof(Entry));
		return state;
	}

	// Where the entry that peek() copied lies, for fields that the device answers in place.
	std::byte *slot() const { return ring_ + SVGPU_RING_SLOTS + (head_ % entries) * sizeof(Entry); }

	void pop()
	{
		++head_;
		// Release: pairs with the driver's acquire of head before it writes the slot anew.
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_HEAD).store(head_, std::memory_order_release);
	}

	std::uint32_t head() const { return head_; }

	// A lie: the other side sees an index that is further away than the ring is long. The device's own stays.
	void garble(std::uint32_t how)
	{
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_HEAD)
			.store(head_ + entries + 1 + how % 0x40000000, std::memory_order_release);
	}

	std::uint32_t tail() const
	{
		// Acquire: as in peek().
		return shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL).load(std::memory_order_acquire);
	}

	// Only while nobody uses the ring; the epoch's acknowledge publishes it.
	void reset()
	{
		head_ = 0;
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_HEAD).store(0, std::memory_order_relaxed);
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL).store(0, std::memory_order_relaxed);
	}

private:
	std::byte *ring_;
	std::uint32_t head_ = 0;
};

template <class Entry, std::uint32_t entries> class producer {
public:
	explicit producer(std::byte *ring)
		: ring_(ring)
	{
	}

	// Entries that the driver has not taken yet. More than the ring holds means that head is garbage.
	std::uint32_t used() const { return tail_ - taken(); }

	std::uint32_t taken() const
	{
		// Acquire: pairs with the driver's release of head after it read the slot.
		return shared_word<std::uint32_t>(ring_ + SVGPU_RING_HEAD).load(std::memory_order_acquire);
	}

	// False when the ring is full or its head is garbage: nothing is ever overwritten.
	bool push(const Entry &entry)
	{
		if (used() >= entries)
			return false;
		std::memcpy(ring_ + SVGPU_RING_SLOTS + (tail_ % entries) * sizeof(Entry), &entry, sizeof(Entry));
		++tail_;
		// Release: pairs with the driver's acquire of tail before it reads the slot.
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL).store(tail_, std::memory_order_release);
		return true;
	}

	bool garbled() const { return used() > entries; }

	// A lie, as the consumer's.
	void garble(std::uint32_t how)
	{
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL)
			.store(tail_ + entries + 1 + how % 0x40000000, std::memory_order_release);
	}

	void reset()
	{
		tail_ = 0;
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_HEAD).store(0, std::memory_order_relaxed);
		shared_word<std::uint32_t>(ring_ + SVGPU_RING_TAIL).store(0, std::memory_order_relaxed);
	}

private:
	std::byte *ring_;
	std::uint32_t tail_ = 0;
};

} // namespace svgpu
