// SPDX-License-Identifier: GPL-2.0-only
// Opening a piece: translate, stall while that faults, check the address, hand out the memory.
#include "model/memory_view.hpp"

#include <cstring>
#include <optional>
#include <stdexcept>

namespace svgpu {

translated memory_view::lookup(std::uint64_t va, svgpu_access access)
{
	std::uint64_t generation = space_.gate.generation();

	if (last_generation_ == generation && last_.covers(va) && address_space::allows(last_, access)) {
		std::uint64_t acknowledged = space_.acknowledged();

		if (acknowledged != last_acknowledged_)
			space_.check(last_);
		last_acknowledged_ = acknowledged;
		return { .verdict = verdict::ok, .hit = true, .page = last_ };
	}

	translated t = space_.translate(va, access);

	if (t.verdict == verdict::ok) {
		last_ = t.page;
		last_generation_ = generation;
	}
	return t;
}

std::byte *memory_view::reach(const translation &page, std::uint64_t va, std::size_t bytes)
{
	if (page.null) {
		std::memset(nowhere_.data(), 0, bytes);
		return nowhere_.data();
	}
	return space_.memory().at(page.aperture, page.address + (va - page.va), bytes);
}

memory_view::piece memory_view::open(std::uint64_t va, std::uint64_t most, svgpu_access access)
{
	std::size_t bytes = std::min<std::uint64_t>(most, piece_bytes - va % piece_bytes);

	if (open_ || !bytes)
		throw std::logic_error("a program may hold one piece of memory at a time, and no empty one");
	for (;;) {
		port_.check();

		std::optional<inside_gate> inside(std::in_place, space_.gate, port_.engine());
		if (space_.stopped()) {
			inside.reset();
			port_.pause();
			continue;
		}

		translated t = lookup(va, access);

		++(t.hit ? count_.hits : count_.misses);
		if (t.verdict == verdict::bus)
			throw job_ended{ SVGPU_DONE_BUS, va, access, t.address };
		if (t.verdict == verdict::ok) {
			std::byte *memory = reach(t.page, va, bytes);

			if (!memory)
				throw job_ended{ SVGPU_DONE_BUS, va, access, t.page.address + (va - t.page.va) };
			count_.bytes += bytes;
			return piece({ memory, bytes }, std::move(*inside), open_);
		}
		// Outside of the gate: the driver invalidates before it answers.
		inside.reset();
		port_.stall(va, access);
	}
}

void memory_view::read(std::uint64_t va, std::span<std::byte> to)
{
	while (!to.empty()) {
		piece p = open(va, to.size(), SVGPU_READ);

		std::memcpy(to.data(), p.bytes.data(), p.bytes.size());
		va += p.bytes.size();
		to = to.subspan(p.bytes.size());
	}
}

void memory_view::write(std::uint64_t va, std::span<const std::byte> from)
{
	while (!from.empty()) {
		piece p = open(va, from.size(), SVGPU_WRITE);

		std::memcpy(p.bytes.data(), from.data(), p.bytes.size());
		va += p.bytes.size();
		from = from.subspan(p.bytes.size());
	}
}

std::uint64_t memory_view::compare_exchange(std::uint64_t va, std::uint64_t expected, std::uint64_t desired)
{
	need_aligned(va, sizeof(std::uint64_t));
	piece p = open(va, sizeof(std::uint64_t), SVGPU_ATOMIC);

	// Acquire and release: pairs with the host's own atomic operations on this word.
	word<std::uint64_t>(p).compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
						       std::memory_order_acquire);
	return expected;
}

void memory_view::need(bool sane)
{
	if (!sane)
		throw job_ended{};
}

void memory_view::need_span(std::uint64_t va, std::uint64_t count, std::uint64_t element)
{
	std::uint64_t bytes;
	std::uint64_t end;

	need(!__builtin_mul_overflow(count, element, &bytes) && !__builtin_add_overflow(va, bytes, &end));
}

} // namespace svgpu
