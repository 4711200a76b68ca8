// SPDX-License-Identifier: GPL-2.0-only
// Room for the page words of one fault, a table's worth, so that a fault allocates nothing. A vm has a few; a fault
// that finds none free makes do with a small piece on its stack, and populates less.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/port.h"

namespace svm {

class scratch_pool {
public:
	static constexpr unsigned slots = 8;

	// words: per slot. False where memory ran out; drop() is safe either way.
	bool fill(u32 words)
	{
		for (u64 *&b : buffer) {
			b = static_cast<u64 *>(port_alloc(words * sizeof(u64)));
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

	u64 *buffer[slots] = {};
	u32 capacity = 0;
	atomic<u32> busy{ 0 }; // bit n: slot n is taken
};

class scratch {
public:
	explicit scratch(scratch_pool &p) : pool(p)
	{
		// One round: a slot that frees itself behind us is somebody else's luck.
		for (unsigned i = 0, at = port_cpu(); i < scratch_pool::slots; i++, at++) {
			u32 bit = 1u << (at % scratch_pool::slots);

			if (!(p.busy.load_relaxed() & bit) && !(p.busy.fetch_or_acquire(bit) & bit)) { // with the release in ~scratch()
				held = bit;
				words = p.buffer[at % scratch_pool::slots];
				capacity = p.capacity;
				return;
			}
		}
	}

	~scratch()
	{
		if (held)
			pool.busy.fetch_and_release(~held); // with the acquire in scratch()
	}

	scratch(const scratch &) = delete;
	scratch &operator=(const scratch &) = delete;

	// Room for 2^small_lg2 pages is always there.
	static constexpr u32 small_lg2 = 5;
	u64 *words = small;
	u32 capacity = 1u << small_lg2;

private:
	scratch_pool &pool;
	u32 held = 0;
	u64 small[1u << small_lg2];
};

} // namespace svm
