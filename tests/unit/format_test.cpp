// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/format.hpp and ops.hpp: what a format must have, the geometry that follows from it, and its table of functions. */
#include "drivers/mmu/formats.hpp"
#include "tests/unit/nv_v2.hpp"
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

template <typename F>
class format_test : public ::testing::Test
{
};
using formats = ::testing::Types<svm::xe2, nv_v2>;
TYPED_TEST_SUITE(format_test, formats);

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

		ASSERT_TRUE(F::valid(word));
		ASSERT_FALSE(F::retired(word));
		if (lv + 1 < F::depth) {
			ASSERT_FALSE(F::is_link(word));
		}
		for (u64 w : {word, F::retire(word)}) {
			ASSERT_EQ(F::address(w, lv), addr);
			ASSERT_EQ(F::writable(w), a.write);
		}
		ASSERT_FALSE(F::valid(F::retire(word)));
		if (addr) { /* the page at 0 is nobody's on a format that keeps no other bit */
			ASSERT_TRUE(F::retired(F::retire(word)));
		}
		ASSERT_TRUE(F::allows(word, SVM_READ));
		ASSERT_EQ(F::allows(word, SVM_WRITE), a.write);
		ASSERT_EQ(F::allows(word, SVM_ATOMIC), a.write && a.atomic);
		ASSERT_TRUE(F::allows(F::grant_write(word), SVM_ATOMIC));
		ASSERT_EQ(F::address(F::grant_write(word), lv), addr);
	}
	EXPECT_FALSE(F::valid(F::empty));
	EXPECT_FALSE(F::retired(F::empty));
	EXPECT_FALSE(F::allows(F::empty, SVM_READ));
}

/* An entry is a leaf or a link, whatever it was before. */
TYPED_TEST(format_test, entries)
{
	using F = TypeParam;
	alignas(16) u64 entry[2] = {};
	constexpr unsigned lv = F::depth - 2;

	F::store(entry, lv, F::empty);
	EXPECT_EQ(F::load(entry), F::empty);
	F::link(entry, lv, 0x123456789000, SVM_SYSTEM);
	EXPECT_TRUE(F::is_link(F::load(entry)));
	F::store(entry, lv, F::leaf(lv, 0x40000000, {true, true, SVM_SYSTEM}));
	EXPECT_FALSE(F::is_link(F::load(entry)));
	EXPECT_EQ(F::address(F::load(entry), lv), 0x40000000u);
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
	EXPECT_EQ(f.table_bytes, G::entries << F::levels[G::table_level].entry_lg2);
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
