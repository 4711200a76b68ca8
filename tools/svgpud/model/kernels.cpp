// SPDX-License-Identifier: GPL-2.0-only
// Programs over arrays. Each goes through its data page by page, so an invalidation or a cancel never waits for more
// than one page of work.
#include "model/kernels.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace svgpu {
namespace kernels {
namespace {

// Elements of a piece that may be changed by the host meanwhile: copied in and out, never used in place.
template <class Element, class Piece, class Body> void for_each_element(Piece &p, Body body)
{
	for (std::size_t at = 0; at < p.bytes.size(); at += sizeof(Element)) {
		Element e;

		std::memcpy(&e, p.bytes.data() + at, sizeof(e));
		body(e, p.bytes.data() + at);
	}
}

} // namespace

void nop(memory_view &, program_args)
{
}

void fill(memory_view &view, program_args args)
{
	auto [va, bytes] = std::array{ args[0], args[1] };

	view.need_span(va, bytes, 1);
	while (bytes) {
		auto p = view.open(va, bytes, SVGPU_WRITE);

		std::memset(p.bytes.data(), static_cast<unsigned char>(args[2]), p.bytes.size());
		va += p.bytes.size();
		bytes -= p.bytes.size();
	}
}

void copy(memory_view &view, program_args args)
{
	auto [to, from, bytes] = std::array{ args[0], args[1], args[2] };
	std::array<std::byte, memory_view::piece_bytes> buffer;

	view.need_span(to, bytes, 1);
	view.need_span(from, bytes, 1);
	view.need(!bytes || to >= from + bytes || from >= to + bytes);
	while (bytes) {
		std::size_t now;

		{
			auto p = view.open(from, bytes, SVGPU_READ);

			now = p.bytes.size();
			std::memcpy(buffer.data(), p.bytes.data(), now);
		}
		view.write(to, std::span(buffer).first(now));
		from += now;
		to += now;
		bytes -= now;
	}
}

void histogram(memory_view &view, program_args args)
{
	auto [from, bytes, bins] = std::array{ args[0], args[1], args[2] };
	std::array<std::uint64_t, 256> counted{};

	view.need_span(from, bytes, 1);
	view.need_span(bins, counted.size(), sizeof(std::uint64_t));
	view.need_aligned(bins, sizeof(std::uint64_t));
	while (bytes) {
		auto p = view.open(from, bytes, SVGPU_READ);

		for (std::byte b : p.bytes)
			++counted[std::to_integer<unsigned>(b)];
		from += p.bytes.size();
		bytes -= p.bytes.size();
	}
	for (std::size_t i = 0; i < counted.size(); ++i) {
		std::uint64_t at = bins + i * sizeof(std::uint64_t);

		view.store<std::uint64_t>(at, view.load<std::uint64_t>(at) + counted[i]);
	}
}

void sum(memory_view &view, program_args args)
{
	auto [from, count, result] = std::array{ args[0], args[1], args[2] };
	std::uint64_t total = 0;

	view.need_span(from, count, sizeof(std::uint64_t));
	view.need_aligned(from, sizeof(std::uint64_t));
	view.need_aligned(result, sizeof(std::uint64_t));
	for (std::uint64_t bytes = count * sizeof(std::uint64_t); bytes;) {
		auto p = view.open(from, bytes, SVGPU_READ);

		for_each_element<std::uint64_t>(p, [&](std::uint64_t e, std::byte *) { total += e; });
		from += p.bytes.size();
		bytes -= p.bytes.size();
	}
	view.store(result, total);
}

void saxpy(memory_view &view, program_args args)
{
	auto [x, y, count] = std::array{ args[0], args[1], args[2] };
	float a = std::bit_cast<float>(static_cast<std::uint32_t>(args[3]));
	std::array<float, memory_view::piece_bytes / sizeof(float)> xs;

	view.need_span(x, count, sizeof(float));
	view.need_span(y, count, sizeof(float));
	view.need_aligned(x, sizeof(float));
	view.need_aligned(y, sizeof(float));
	for (std::uint64_t bytes = count * sizeof(float); bytes;) {
		// As much as lies in one page of y, so that y is read and written in one piece.
		std::size_t now = std::min<std::uint64_t>(bytes, memory_view::piece_bytes - y % memory_view::piece_bytes);
		const float *next = xs.data();

		view.read(x, std::as_writable_bytes(std::span(xs)).first(now));
		{
			auto p = view.open(y, now, SVGPU_WRITE);

			view.account(now);
			for_each_element<float>(p, [&](float e, std::byte *at) {
				float product = a * *next++;
				float result = product + e;

				std::memcpy(at, &result, sizeof(result));
			});
		}
		x += now;
		y += now;
		bytes -= now;
	}
}

void cas_add(memory_view &view, program_args args)
{
	auto [counter, times] = std::array{ args[0], args[1] };
	std::uint64_t seen = 0;

	view.need_aligned(counter, sizeof(std::uint64_t));
	while (times) {
		std::uint64_t was = view.compare_exchange(counter, seen, seen + 1);

		if (was == seen) {
			--times;
			++seen;
		} else {
			seen = was;
		}
	}
}

void touch(memory_view &view, program_args args)
{
	auto [start, bytes, stride, write] = std::array{ args[0], args[1], args[2], args[3] };

	view.need_span(start, bytes, 1);
	view.need(stride != 0);
	for (std::uint64_t at = 0; at < bytes;) {
		{
			auto p = view.open(start + at, 1, write ? SVGPU_WRITE : SVGPU_READ);
			std::atomic_ref<std::byte> byte(p.bytes[0]);
			std::byte value = byte.load(std::memory_order_relaxed);

			if (write) {
				view.account(1);
				byte.store(value, std::memory_order_relaxed);
			}
		}
		if (bytes - at <= stride)
			break;
		at += stride;
	}
}

} // namespace kernels

program_set builtin_programs()
{
	program_set set(SVGPU_KERNELS);

	set[SVGPU_KERNEL_NOP] = kernels::nop;
	set[SVGPU_KERNEL_FILL] = kernels::fill;
	set[SVGPU_KERNEL_COPY] = kernels::copy;
	set[SVGPU_KERNEL_HISTOGRAM] = kernels::histogram;
	set[SVGPU_KERNEL_SUM] = kernels::sum;
	set[SVGPU_KERNEL_SAXPY] = kernels::saxpy;
	set[SVGPU_KERNEL_LIST_WALK] = kernels::list_walk;
	set[SVGPU_KERNEL_BFS] = kernels::bfs;
	set[SVGPU_KERNEL_CAS_ADD] = kernels::cas_add;
	set[SVGPU_KERNEL_TOUCH] = kernels::touch;
	return set;
}

} // namespace svgpu
