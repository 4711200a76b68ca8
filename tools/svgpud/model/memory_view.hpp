// SPDX-License-Identifier: GPL-2.0-only
// Memory as a program on an engine sees it: device virtual addresses, through the context's MMU. A fault stalls the
// caller and is replayed; an access that cannot be made ends the job by an exception, job_ended.
//
// Accesses are made in pieces that stay within one 4 KiB page. A piece keeps the gate of the address space shut to
// invalidations, so a program holds one at a time, shortly, and touches nothing else of the view meanwhile.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/address_space.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace svgpu {

// Thrown to end a job early, and how.
struct job_ended {
	svgpu_done_status status = SVGPU_DONE_INVALID;
	std::uint64_t va = 0;
	svgpu_access access = SVGPU_READ;
	std::uint64_t address = 0;
};

// What the view needs of its job. check(), stall() and pause() are called outside of the gate, and may move the job to another
// engine.
class stall_port {
public:
	virtual ~stall_port() = default;
	// The job has it for itself until the next call of one of these.
	virtual unsigned engine() const = 0;
	// Throws job_ended when the job was canceled. Called before each piece.
	virtual void check() = 0;
	// Returns when the access is to be tried again; throws job_ended when it is not.
	virtual void stall(std::uint64_t va, svgpu_access access) = 0;
	// The space is stopped: returns when it may not be any more; throws job_ended when the job was canceled. Outside of the gate.
	virtual void pause() {}
};

struct access_count {
	std::uint64_t bytes = 0;
	std::uint64_t hits = 0;
	std::uint64_t misses = 0;
};

class memory_view {
public:
	static constexpr std::size_t piece_bytes = 4096;

	class piece {
	public:
		piece(std::span<std::byte> memory, inside_gate inside, bool &open)
			: bytes(memory)
			, inside_(std::move(inside))
			, open_(open)
		{
			open_ = true;
		}
		piece(const piece &) = delete;
		piece &operator=(const piece &) = delete;
		~piece() { open_ = false; }

		std::span<std::byte> bytes;

	private:
		inside_gate inside_;
		bool &open_;
	};

	memory_view(address_space &space, stall_port &port)
		: space_(space)
		, port_(port)
	{
	}

	// The first bytes of [va, va + most): at least one, and no further than the end of their 4 KiB page. A piece
	// opened for writing may be read too, if the program account()s for that.
	piece open(std::uint64_t va, std::uint64_t most, svgpu_access access);

	void read(std::uint64_t va, std::span<std::byte> to);
	void write(std::uint64_t va, std::span<const std::byte> from);

	// Naturally aligned words, each read or written at one stroke, in no order with others.
	template <class Word> Word load(std::uint64_t va)
	{
		need_aligned(va, sizeof(Word));
		piece p = open(va, sizeof(Word), SVGPU_READ);

		return word<Word>(p).load(std::memory_order_relaxed);
	}

	template <class Word> void store(std::uint64_t va, Word value)
	{
		need_aligned(va, sizeof(Word));
		piece p = open(va, sizeof(Word), SVGPU_WRITE);

		word<Word>(p).store(value, std::memory_order_relaxed);
	}

	// Returns what was there: the exchange was made if that is `expected`.
	std::uint64_t compare_exchange(std::uint64_t va, std::uint64_t expected, std::uint64_t desired);

	void account(std::uint64_t bytes) { count_.bytes += bytes; }
	const access_count &count() const { return count_; }

	// Arguments that make no sense end the job with SVGPU_DONE_INVALID.
	static void need(bool sane);
	static void need_aligned(std::uint64_t va, std::uint64_t alignment) { need(va % alignment == 0); }
	// `count` elements from `va` on do not wrap around.
	static void need_span(std::uint64_t va, std::uint64_t count, std::uint64_t element);

private:
	template <class Word> static std::atomic_ref<Word> word(piece &p)
	{
		return std::atomic_ref<Word>(*reinterpret_cast<Word *>(p.bytes.data()));
	}

	// Inside the gate.
	translated lookup(std::uint64_t va, svgpu_access access);
	std::byte *reach(const translation &page, std::uint64_t va, std::size_t bytes);

	address_space &space_;
	stall_port &port_;
	access_count count_;
	bool open_ = false;

	// The translation used last, good for as long as the gate was not closed: spares the common case the TLB's lock.
	// It is the job's and goes with it from engine to engine: the generation, read inside the gate, says whether an
	// invalidation came between, also while the job had no engine at all.
	translation last_;
	std::uint64_t last_generation_ = 0;
	std::uint64_t last_acknowledged_ = 0;

	alignas(piece_bytes) std::array<std::byte, piece_bytes> nowhere_{}; // behind NULL translations
};

} // namespace svgpu
