// SPDX-License-Identifier: GPL-2.0-only
// Room for the page words of one fault, a table's worth, and for a bit beside each. A vm has a few buffers, so that a fault
// allocates nothing. A fault that finds none free takes one from the heap; where memory is short it makes do with a
// small piece on its stack, and populates less.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/port.h"
#include "mm/pt/format.hpp"

namespace svm {

class scratch_pool {
public:
	static constexpr unsigned slots = 8;

	// words: per slot. False where memory ran out; drop() is safe either way.
	bool fill(u32 words)
	{
		for (slot &s : slot_of) {
			s.buffer = make(words);
			if (!s.buffer)
				return false;
		}
		capacity = words;
		return true;
	}

	void drop()
	{
		for (slot &s : slot_of) {
			port_free(s.buffer);
			s.buffer = nullptr;
		}
	}

private:
	friend class scratch;

	static u64 *make(u32 words) { return static_cast<u64 *>(port_alloc(words * sizeof(u64))); }

	// A cache line each, so that faults on several CPUs write to none in common.
	struct slot {
		u64 *buffer = nullptr;
		atomic<u32> busy{ 0 }; // 1: a fault has it
		u64 apart[6];
	};
	static_assert(sizeof(slot) == 64);
	slot slot_of[slots];
	u32 capacity = 0;
};

class scratch {
public:
	// Sleeps where none of the pool's is free.
	explicit scratch(scratch_pool &p)
	{
		// One pass only: do not look again.
		for (unsigned i = 0, at = port_cpu(); i < scratch_pool::slots; i++, at++) {
			scratch_pool::slot &s = p.slot_of[at % scratch_pool::slots];

			if (!s.busy.load_relaxed() && !s.busy.fetch_or_acquire(1)) { // with the release in ~scratch()
				held = &s;
				use(s.buffer, p.capacity);
				return;
			}
		}
		own = scratch_pool::make(p.capacity);
		if (own) {
			use(own, p.capacity);
			return;
		}
		for (u64 &w : small) // as the port wants it
			w = 0;
	}

	~scratch()
	{
		if (held)
			held->busy.fetch_and_release(0); // with the acquire in scratch()
		port_free(own);
	}

	scratch(const scratch &) = delete;
	scratch &operator=(const scratch &) = delete;

	// Room for 2^small_lg2 pages is always there.
	static constexpr u32 small_lg2 = 5;
	u64 *words = small;
	u64 have[max_entries / 64]; // a bit for each word
	u32 capacity = 1u << small_lg2;

private:
	void use(u64 *buffer, u32 n)
	{
		words = buffer;
		capacity = n;
	}

	scratch_pool::slot *held = nullptr; // the pool's that the buffer is of
	u64 *own = nullptr; // buffer from the heap
	u64 small[1u << small_lg2];
};

} // namespace svm
