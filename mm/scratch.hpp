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
		for (u64 *&b : buffer) {
			b = make(words);
			if (!b)
				return false;
		}
		capacity = words;
		return true;
	}

	void drop()
	{
		for (u64 *&b : buffer) {
			port_free(b);
			b = nullptr;
		}
	}

private:
	friend class scratch;

	static u64 *make(u32 words) { return static_cast<u64 *>(port_alloc(words * sizeof(u64))); }

	u64 *buffer[slots] = {};
	u32 capacity = 0;
	atomic<u32> busy{ 0 }; // bit n: slot n is taken
};

class scratch {
public:
	// Sleeps where none of the pool's is free.
	explicit scratch(scratch_pool &p) : pool(p)
	{
		// One pass only: do not look again.
		for (unsigned i = 0, at = port_cpu(); i < scratch_pool::slots; i++, at++) {
			u32 bit = 1u << (at % scratch_pool::slots);

			if (!(p.busy.load_relaxed() & bit) && !(p.busy.fetch_or_acquire(bit) & bit)) { // with the release in ~scratch()
				held = bit;
				use(p.buffer[at % scratch_pool::slots], p.capacity);
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
			pool.busy.fetch_and_release(~held); // with the acquire in scratch()
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

	scratch_pool &pool;
	u32 held = 0;	    // bit of the pool's buffer
	u64 *own = nullptr; // buffer from the heap
	u64 small[1u << small_lg2];
};

} // namespace svm
