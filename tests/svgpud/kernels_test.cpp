// SPDX-License-Identifier: GPL-2.0-only
// Programs over arrays, each against a plain version on the CPU. Buffers begin and end amid pages, and their pages lie
// in memory in another order than in the address space.
#include "driver_rig.hpp"
#include "../unit/seeded.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>

using namespace svgpu;
using namespace svgpu::test;

namespace {

constexpr u64 a_va = 0x10'0000'0000;
constexpr u64 b_va = 0x20'0000'0000;
constexpr u64 c_va = 0x30'0000'0000;

template <class T> std::span<const std::byte> raw(const std::vector<T> &v)
{
	return std::as_bytes(std::span(v));
}

class kernels : public testing::Test {
protected:
	kernels() { rig.set_up(); }

	std::vector<std::byte> random_bytes(std::size_t count)
	{
		std::vector<std::byte> v(count);

		for (std::byte &b : v)
			b = static_cast<std::byte>(random());
		return v;
	}

	template <class T> std::vector<T> random_numbers(std::size_t count)
	{
		std::vector<T> v(count);

		for (T &x : v)
			x = static_cast<T>(random()) - static_cast<T>(random()) / 3;
		return v;
	}

	template <class T> void put(u64 va, const std::vector<T> &v)
	{
		rig.pages.map_fresh(va, v.size() * sizeof(T));
		rig.pages.write(va, raw(v));
	}

	template <class T> std::vector<T> get(u64 va, std::size_t count)
	{
		std::vector<T> v(count);

		rig.pages.read(va, std::as_writable_bytes(std::span(v)));
		return v;
	}

	svgpu_done must(unsigned kernel, std::vector<u64> args)
	{
		svgpu_done done = rig.run(kernel, std::move(args));

		EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
		return done;
	}

	void refused(unsigned kernel, std::vector<u64> args)
	{
		EXPECT_EQ(rig.run(kernel, std::move(args)).status, unsigned{ SVGPU_DONE_INVALID });
	}

	driver_rig rig;
	svm_test::seeded random{ 20260101 };
};

TEST_F(kernels, nop)
{
	u64 cookie = rig.submit(SVGPU_KERNEL_NOP);
	svgpu_done done = rig.wait_done();

	EXPECT_EQ(done.cookie, cookie);
	EXPECT_EQ(done.status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(done.bytes, 0u);
}

TEST_F(kernels, fill_touches_nothing_beside_its_bytes)
{
	auto before = random_bytes(5 * page);
	auto expected = before;

	put(a_va, before);
	std::fill(expected.begin() + 1234, expected.begin() + 1234 + 13000, std::byte{ 0x5a });
	EXPECT_EQ(must(SVGPU_KERNEL_FILL, { a_va + 1234, 13000, 0xffffff5a }).bytes, 13000u);
	EXPECT_EQ(get<std::byte>(a_va, before.size()), expected);
	must(SVGPU_KERNEL_FILL, { a_va, 0, 0 });
	EXPECT_EQ(get<std::byte>(a_va, before.size()), expected);
}

TEST_F(kernels, copy_between_unlike_offsets)
{
	auto source = random_bytes(6 * page);
	auto target = random_bytes(6 * page);
	constexpr std::size_t bytes = 17777;

	put(a_va, source);
	put(b_va, target);
	std::copy_n(source.begin() + 999, bytes, target.begin() + 31);
	EXPECT_EQ(must(SVGPU_KERNEL_COPY, { b_va + 31, a_va + 999, bytes }).bytes, 2 * bytes);
	EXPECT_EQ(get<std::byte>(b_va, target.size()), target);
	EXPECT_EQ(get<std::byte>(a_va, source.size()), source);
}

TEST_F(kernels, copy_refuses_overlap)
{
	put(a_va, random_bytes(2 * page));
	refused(SVGPU_KERNEL_COPY, { a_va, a_va + 100, 101 });
	refused(SVGPU_KERNEL_COPY, { a_va + 100, a_va, 101 });
	must(SVGPU_KERNEL_COPY, { a_va, a_va + 100, 100 });
}

TEST_F(kernels, histogram_adds_to_the_bins)
{
	auto bytes = random_bytes(100'001);
	auto bins = random_numbers<u64>(256);

	put(a_va, bytes);
	put(b_va, bins);
	for (std::byte b : bytes)
		++bins[std::to_integer<unsigned>(b)];
	must(SVGPU_KERNEL_HISTOGRAM, { a_va, bytes.size(), b_va });
	EXPECT_EQ(get<u64>(b_va, 256), bins);
	refused(SVGPU_KERNEL_HISTOGRAM, { a_va, 1, b_va + 4 });
}

TEST_F(kernels, sum_wraps_around)
{
	auto numbers = random_numbers<u64>(3333);

	put(a_va, numbers);
	put(b_va, std::vector<u64>{ 77 });
	must(SVGPU_KERNEL_SUM, { a_va + 8, 3332, b_va });
	EXPECT_EQ(get<u64>(b_va, 1)[0], std::accumulate(numbers.begin() + 1, numbers.end(), u64{ 0 }));
	must(SVGPU_KERNEL_SUM, { a_va, 0, b_va });
	EXPECT_EQ(get<u64>(b_va, 1)[0], 0u);
	refused(SVGPU_KERNEL_SUM, { a_va + 1, 1, b_va });
	refused(SVGPU_KERNEL_SUM, { a_va, 1, b_va + 1 });
	refused(SVGPU_KERNEL_SUM, { a_va, u64{ 1 } << 61, b_va });
}

TEST_F(kernels, saxpy_rounds_each_step_to_float)
{
	constexpr std::size_t count = 5001;
	std::uniform_real_distribution<float> wide(-1e6f, 1e6f);
	std::vector<float> x(count);
	std::vector<float> y(count);
	const float a = 1.0f / 3.0f;
	bool fused_differs = false;

	for (std::size_t i = 0; i < count; ++i) {
		x[i] = wide(random);
		y[i] = wide(random);
	}
	// Unlike offsets within the page, so that pieces of x and y do not end together.
	put(a_va + 4, x);
	put(b_va + 3000, y);
	for (std::size_t i = 0; i < count; ++i) {
		volatile float product = a * x[i];
		float fused = static_cast<float>(static_cast<double>(a) * x[i] + y[i]);

		y[i] = product + y[i];
		fused_differs |= fused != y[i];
	}
	EXPECT_TRUE(fused_differs) << "the input cannot tell the two apart";
	EXPECT_EQ(must(SVGPU_KERNEL_SAXPY, { a_va + 4, b_va + 3000, count, std::bit_cast<std::uint32_t>(a) }).bytes,
		  3 * 4 * count);

	auto result = get<float>(b_va + 3000, count);

	EXPECT_EQ(std::memcmp(result.data(), y.data(), count * sizeof(float)), 0);
	refused(SVGPU_KERNEL_SAXPY, { a_va + 2, b_va, 1, 0 });
	refused(SVGPU_KERNEL_SAXPY, { a_va, b_va + 1, 1, 0 });
}

TEST_F(kernels, cas_add_of_several_engines_and_the_host_is_exact)
{
	constexpr u64 times = 5000;
	constexpr unsigned engines = 4;

	put(c_va, std::vector<u64>{ 1'000 });
	for (unsigned i = 0; i < engines; ++i) {
		rig.add_queue(10 + i);
		rig.submit(SVGPU_KERNEL_CAS_ADD, { c_va, times }, 10 + i);
	}

	std::atomic_ref<u64> counter(*rig.pages.look<u64>(c_va));

	for (u64 i = 0; i < times; ++i)
		counter.fetch_add(1);
	for (unsigned i = 0; i < engines; ++i)
		EXPECT_EQ(rig.wait_done().status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(counter.load(), 1'000 + (engines + 1) * times);
	refused(SVGPU_KERNEL_CAS_ADD, { c_va + 4, 1 });
}

TEST_F(kernels, touch_reads_or_rewrites_one_byte_per_stride)
{
	auto bytes = random_bytes(4 * page);

	put(a_va, bytes);
	EXPECT_EQ(must(SVGPU_KERNEL_TOUCH, { a_va + 5, 3 * page, page, 0 }).bytes, 3u);
	EXPECT_EQ(must(SVGPU_KERNEL_TOUCH, { a_va + 5, 3 * page + 1, page, 1 }).bytes, 8u);
	EXPECT_EQ(must(SVGPU_KERNEL_TOUCH, { a_va, 1, ~u64{ 0 }, 0 }).bytes, 1u);
	EXPECT_EQ(get<std::byte>(a_va, bytes.size()), bytes);
	refused(SVGPU_KERNEL_TOUCH, { a_va, page, 0, 0 });
	refused(SVGPU_KERNEL_TOUCH, { ~u64{ 0 }, page, 1, 0 });
}

TEST_F(kernels, null_pages_read_zero_and_swallow_writes)
{
	rig.pages.map(a_va, 0, PRESENT | RW | AE | NIL);
	put(b_va, random_bytes(page));
	put(c_va, std::vector<u64>{ 5 });
	must(SVGPU_KERNEL_FILL, { a_va, page, 0xff });
	must(SVGPU_KERNEL_COPY, { b_va, a_va, page });
	EXPECT_EQ(get<std::byte>(b_va, page), std::vector<std::byte>(page));
	must(SVGPU_KERNEL_SUM, { a_va, 512, c_va });
	EXPECT_EQ(get<u64>(c_va, 1)[0], 0u);
}

TEST_F(kernels, vram_pages)
{
	u64 at = rig.memory.take(page, SVGPU_VRAM);

	rig.pages.map(a_va, at, PRESENT | RW | DM);
	put(b_va, random_bytes(page));
	must(SVGPU_KERNEL_COPY, { b_va, a_va, page });
	EXPECT_EQ(get<std::byte>(b_va, page), std::vector<std::byte>(page, std::byte{ SVGPU_VRAM_POISON }));
	must(SVGPU_KERNEL_FILL, { a_va, page, 0x11 });
	EXPECT_EQ(*rig.memory.at<unsigned char>(at + page - 1, SVGPU_VRAM), 0x11);
}

TEST_F(kernels, tables_in_vram)
{
	driver_rig other({}, SVGPU_VRAM);

	other.set_up();
	other.pages.map_fresh(a_va, 3 * page);
	EXPECT_EQ(other.run(SVGPU_KERNEL_FILL, { a_va, 3 * page, 7 }).status, unsigned{ SVGPU_DONE_OK });
	EXPECT_EQ(*other.pages.look<unsigned char>(a_va + 3 * page - 1), 7);
}

TEST_F(kernels, tlb_counts)
{
	put(a_va, random_bytes(2 * page));

	svgpu_done first = must(SVGPU_KERNEL_TOUCH, { a_va, 2 * page, 1024, 0 });
	svgpu_done again = must(SVGPU_KERNEL_TOUCH, { a_va, 2 * page, 1024, 0 });

	EXPECT_EQ(first.tlb_misses, 2u);
	EXPECT_EQ(first.tlb_hits, 6u);
	EXPECT_EQ(again.tlb_misses, 0u);
	EXPECT_EQ(again.tlb_hits, 8u);
}

} // namespace
