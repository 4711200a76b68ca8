// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/format.hpp and page_table.hpp: what a format must have, the geometry that follows from it, and its table of functions. */
#include "mm/fmt/formats.hpp"
#include "tests/unit/all_formats.hpp"
#include "tests/unit/seeded.hpp"

#include <gtest/gtest.h>
#include <random>

namespace svm_test
{

/* One requirement short each. */
struct no_retire : svm::xe2 {
	static u64 retire(u64) = delete;
};
struct wrong_address : svm::xe2 {
	static void *address(u64, unsigned);
};
struct link_without_aperture : svm::xe2 {
	static void link(void *entry, unsigned lv, u64 addr);
};
static_assert(svm::format<svm::xe2>);
static_assert(!svm::format<no_retire>);
static_assert(!svm::format<wrong_address>);
static_assert(!svm::format<link_without_aperture>);
static_assert(!svm::format<int>);

/* One law broken each. */
struct forgets_address_0 : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return w & ~(present | ps64 | pat(pat_coherent, false));
	}
};
struct forgets_permission : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return w & ~(present | ps64 | rw);
	}
};
struct stays_valid : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return w & ~ps64;
	}
};
struct hint_outlives_leaf : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return w & ~present;
	}
};
struct hint_in_an_address_bit : svm::xe2 {
	static constexpr u64 with_hint(u64 w, unsigned)
	{
		return w | 1 << 12;
	}
};
struct large_leaf_is_a_link : svm::xe2 {
	static constexpr svm::entry_state classify(u64 w, unsigned lv)
	{
		svm::entry_state was = svm::xe2::classify(w, lv);

		return lv == 1 && was == svm::entry_state::valid ? svm::entry_state::link : was;
	}
};
struct grants_no_atomics : svm::xe2 {
	static constexpr u64 grant_write(u64 w, bool)
	{
		return w | rw;
	}
};
struct null_is_forgotten : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return svm::xe2::retire(w) & ~null;
	}
};
struct null_may_not_be_written : svm::xe2 {
	static constexpr u64 null_leaf(unsigned lv)
	{
		return svm::xe2::null_leaf(lv) & ~rw;
	}
};
struct pages_look_null : svm::xe2 {
	static constexpr bool is_null(u64 w)
	{
		return !(w & svm::xe2::address_mask);
	}
};
struct forgets_aperture : svm::xe2 {
	static constexpr u64 retire(u64 w)
	{
		return svm::xe2::retire(w) & ~dm;
	}
};
struct uncached_is_no_leaf : svm::xe2 {
	static constexpr svm::entry_state classify(u64 w, unsigned lv)
	{
		return (w & pat(3, false)) == pat(3, false) ? svm::entry_state::empty : svm::xe2::classify(w, lv);
	}
};
struct next_page_elsewhere : svm::xe2 {
	static constexpr u64 leaf(unsigned lv, u64 addr, svm::leaf_attrs a)
	{
		return svm::xe2::leaf(lv, addr == PORT_PAGE_SIZE ? 2 * addr : addr, a);
	}
};
static_assert(svm::laws<svm::xe2>());
static_assert(!svm::laws<null_is_forgotten>());
static_assert(!svm::laws<null_may_not_be_written>());
static_assert(!svm::laws<pages_look_null>());
static_assert(!svm::laws<forgets_aperture>());
static_assert(!svm::laws<uncached_is_no_leaf>());
static_assert(!svm::laws<next_page_elsewhere>());
static_assert(!svm::laws<forgets_address_0>());
static_assert(!svm::laws<forgets_permission>());
static_assert(!svm::laws<stays_valid>());
static_assert(!svm::laws<hint_outlives_leaf>());
static_assert(!svm::laws<hint_in_an_address_bit>());
static_assert(!svm::laws<large_leaf_is_a_link>());
static_assert(!svm::laws<grants_no_atomics>());

template <typename F>
class format_test : public ::testing::Test
{
};
TYPED_TEST_SUITE(format_test, all_formats, format_names);

/* The indices of all levels and the offset in the page make up the address again. */
TYPED_TEST(format_test, indices_are_the_address)
{
	using F = TypeParam;
	using G = svm::geometry<F>;
	seeded r(1);

	for (int i = 0; i < 10000; i++) {
		u64 va = r() & ((1ull << F::va_bits) - 1), sum = va & 0xfff;

		for (unsigned lv = 0; lv < F::depth; lv++) {
			ASSERT_LT(G::index(lv, va), 1u << F::levels[lv].index_bits);
			sum += u64(G::index(lv, va)) << F::levels[lv].shift;
		}
		ASSERT_EQ(sum, va);
	}
	EXPECT_EQ(G::entries * (1ull << G::page_lg2), 1ull << G::table_lg2);
}

/* Each word has one state, and says again what it was made from. */
TYPED_TEST(format_test, words)
{
	using F = TypeParam;
	seeded r(2);

	for (int i = 0; i < 10000; i++) {
		unsigned lv = F::depth - 1 - (F::levels[F::depth - 2].leaf ? unsigned(r() % 2) : 0);
		u64 addr = (r() & ((1ull << 46) - 1)) >> F::levels[lv].shift << F::levels[lv].shift;
		svm::leaf_attrs a{bool(r() % 2), bool(r() % 2), SVM_SYSTEM};
		u64 word = F::leaf(lv, addr, a);

		ASSERT_EQ(F::classify(word, lv), svm::entry_state::valid);
		for (u64 w : {word, F::retire(word)}) {
			ASSERT_EQ(F::address(w, lv), addr);
			ASSERT_EQ(F::writable(w), a.write);
		}
		ASSERT_EQ(F::classify(F::retire(word), lv), svm::entry_state::retired);
		ASSERT_TRUE(F::allows(word, SVM_READ));
		ASSERT_EQ(F::allows(word, SVM_WRITE), a.write);
		ASSERT_EQ(F::allows(word, SVM_ATOMIC), a.write && (a.atomic || !F::denies_atomics));
		ASSERT_TRUE(F::allows(F::grant_write(word, true), SVM_ATOMIC));
		ASSERT_TRUE(F::allows(F::grant_write(word, false), SVM_WRITE));
		ASSERT_EQ(F::allows(F::grant_write(word, false), SVM_ATOMIC), F::allows(word, SVM_ATOMIC) || !F::denies_atomics);
		ASSERT_EQ(F::address(F::grant_write(word, true), lv), addr);
	}
	EXPECT_EQ(F::classify(F::empty(F::depth - 1), F::depth - 1), svm::entry_state::empty);
	EXPECT_FALSE(F::allows(F::empty(F::depth - 1), SVM_READ));
}

TYPED_TEST(format_test, table_of_functions)
{
	using F = TypeParam;
	using G = svm::geometry<F>;
	const svm_format &f = svm::format_ops<F>;

	EXPECT_STREQ(f.info.name, F::name);
	EXPECT_EQ(f.info.va_bits, F::va_bits);
	EXPECT_EQ(f.info.table_lg2, G::table_lg2);
	EXPECT_EQ(f.entries, G::entries);
	EXPECT_EQ(f.table_bytes, (G::entries << F::levels[G::table_level].entry_lg2) + F::side_bytes);
	EXPECT_TRUE(f.info.leaf_sizes & 1ull << 12);
	EXPECT_EQ(bool(f.info.leaf_sizes & 1ull << G::table_lg2), f.huge);
}

/* Names are how drivers find them: there may not be two alike. */
TEST(format_list_test, names_differ)
{
	const auto &all = svm::formats::all;

	for (const svm_format *a : all)
		for (const svm_format *b : all)
			EXPECT_EQ(a == b, std::string(a->info.name) == b->info.name);
}

} // namespace svm_test
