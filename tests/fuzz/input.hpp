/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fuzzer's bytes as decisions: which operation, on which pages, how. Every input means
 * something, and small changes of it mean something near: one byte is one decision.
 *
 * Pages are chosen where the core has edges: the first of a table and the last, and those
 * around a group of 16 that one TLB entry may map.
 */
#ifndef SVM_TESTS_FUZZ_INPUT_HPP
#define SVM_TESTS_FUZZ_INPUT_HPP

#include <svm/types.h>

#include <cstddef>

namespace svm_fuzz
{

/* The arena: tables of 512 pages. Nothing is ever mapped in the last one. */
constexpr unsigned TABLE = 512;
constexpr unsigned TABLES = 3;
constexpr unsigned PAGES = TABLES * TABLE;
constexpr unsigned REACH = PAGES + TABLE;

/* Pages [first, last) of the arena. */
struct range {
	unsigned first, last;
};

class input
{
public:
	input(const u8 *data, size_t size)
		: at_(data)
		, end_(data + size)
	{
	}

	bool empty() const
	{
		return at_ == end_;
	}
	/* 0 where the input has ended */
	u8 byte()
	{
		return empty() ? 0 : *at_++;
	}
	unsigned below(unsigned n)
	{
		return byte() % n;
	}

	/* Of the arena and the hole behind it. */
	unsigned page()
	{
		u8 b = byte();
		unsigned in = b & 63;

		return (b >> 6) * TABLE + (in < 36 ? in : in < 48 ? 204 + in : TABLE - 64 + in);
	}

	/* A few pages, up to a table's end, or whole tables; not beyond `bound`. */
	range pages(unsigned bound)
	{
		unsigned first = page() % bound;
		u8 b = byte();
		unsigned last;

		if (b < 128) {
			last = first + 1 + b % 40;
		} else if (b < 192) {
			last = (first / TABLE + 1) * TABLE;
		} else {
			first = first / TABLE * TABLE;
			last = first + (1 + b % 3) * TABLE;
		}
		return {first, last < bound ? last : bound};
	}

private:
	const u8 *at_;
	const u8 *end_;
};

} // namespace svm_fuzz

#endif
