// SPDX-License-Identifier: GPL-2.0-only
/*
 * mm/fmt/xe2.hpp: golden words worked out by hand from the layout, and each level and
 * leaf size against the walker, which knows nothing of the encoder.
 */
#include "mm/fmt/xe2.hpp"
#include "tests/host/walker.hpp"
#include "tests/unit/seeded.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <vector>

namespace svm_test
{

using svm::entry_state, svm::leaf_attrs, svm::xe2;
using svm_host::translation;

static constexpr leaf_attrs ro{false, false, SVM_SYSTEM}, rw{true, false, SVM_SYSTEM}, rwa{true, true, SVM_SYSTEM},
	vram{true, true, SVM_VRAM};

TEST(xe2_test, golden_leaves)
{
	/* present 1, write 2, PAT index 2 is bit 4; AE bit 10, DM bit 11, PS bit 7 */
	EXPECT_EQ(xe2::leaf(3, 0x123456789000, ro), 0x123456789011u);
	EXPECT_EQ(xe2::leaf(3, 0x123456789000, rw), 0x123456789013u);
	EXPECT_EQ(xe2::leaf(3, 0x123456789000, rwa), 0x123456789413u);
	EXPECT_EQ(xe2::leaf(3, 0xffffffffff000, rwa), 0xffffffffff413u); /* 52 bits of address */
	EXPECT_EQ(xe2::leaf(3, 0x10000, vram), 0x10c13u);
	EXPECT_EQ(xe2::leaf(2, 0x123456600000, ro), 0x123456600091u);
	EXPECT_EQ(xe2::leaf(2, 0x123456600000, rwa), 0x123456600493u);
	EXPECT_EQ(xe2::leaf(1, 0x123440000000, rwa), 0x123440000493u);
	EXPECT_EQ(xe2::with_hint(xe2::leaf(3, 0x10000, rwa), 4), 0x10513u);
	EXPECT_EQ(xe2::empty(3), 0u);
	/* PAT indices 13 (bits 3, 7 or 12, and 62) and 3 (bits 3 and 4) */
	EXPECT_EQ(xe2::leaf(3, 0x10000, {true, false, SVM_SYSTEM, svm::cache_policy::noncoherent}), 0x400000000001008bu);
	EXPECT_EQ(xe2::leaf(2, 0x200000, {true, false, SVM_SYSTEM, svm::cache_policy::noncoherent}), 0x400000000020108bu);
	EXPECT_EQ(xe2::leaf(3, 0x10000, {true, false, SVM_VRAM, svm::cache_policy::uncached}), 0x1081bu);
	/* NULL is bit 9 */
	EXPECT_EQ(xe2::null_leaf(3), 0x613u);
	EXPECT_EQ(xe2::null_leaf(2), 0x693u);
	EXPECT_EQ(xe2::null_leaf(1), 0x693u);
}

TEST(xe2_test, golden_links)
{
	u64 e = 0;

	xe2::link(&e, 0, 0x123456789000, SVM_SYSTEM);
	EXPECT_EQ(e, 0x123456789013u);
	xe2::link(&e, 2, 0x7000, SVM_VRAM);
	EXPECT_EQ(e, 0x7813u);
	EXPECT_EQ(xe2::classify(e, 2), entry_state::link);
	EXPECT_EQ(xe2::classify(0, 2), entry_state::empty);
	EXPECT_EQ(xe2::classify(xe2::leaf(2, 0x200000, rw), 2), entry_state::valid);
}

/* PAT indices spread over the bits as the facts have them. */
TEST(xe2_test, memory_types)
{
	for (unsigned index = 0; index < 32; index++)
		for (bool large : {false, true}) {
			u64 expect = (index & 1 ? 1ull << 3 : 0) | (index & 2 ? 1ull << 4 : 0) |
				     (index & 4 ? 1ull << (large ? 12 : 7) : 0) | (index & 8 ? 1ull << 62 : 0) |
				     (index & 16 ? 1ull << 61 : 0);

			EXPECT_EQ(xe2::pat(index, large), expect);
		}
}

TEST(xe2_test, access)
{
	const u64 words[] = {0, xe2::leaf(3, 0x1000, ro), xe2::leaf(3, 0x1000, rw), xe2::leaf(3, 0x1000, rwa)};

	for (unsigned i = 0; i < 4; i++) {
		EXPECT_EQ(xe2::allows(words[i], SVM_READ), i >= 1);
		EXPECT_EQ(xe2::allows(words[i], SVM_WRITE), i >= 2);
		EXPECT_EQ(xe2::allows(words[i], SVM_ATOMIC), i >= 3);
		for (svm_access how : {SVM_READ, SVM_WRITE, SVM_ATOMIC})
			EXPECT_FALSE(xe2::allows(xe2::retire(words[i]), how));
	}
	/* No atomics without write. */
	EXPECT_EQ(xe2::leaf(3, 0x1000, {false, true, SVM_SYSTEM}), xe2::leaf(3, 0x1000, ro));
}

/* ---- round trips ---- */

/* Tables that the test fills by the encoder alone and the walker reads. */
class xe2_walk : public ::testing::Test
{
protected:
	static constexpr u64 root = 0x1000;

	std::vector<u64> &table(u64 addr)
	{
		auto &t = tables[addr];

		t.resize(512);
		return t;
	}

	/* Links down to `lv` and puts `word` there. */
	void place(u64 va, unsigned lv, u64 word)
	{
		u64 at = root;

		for (unsigned l = 0; l < lv; l++) {
			u64 &e = table(at)[svm::geometry<xe2>::index(l, va)];
			u64 below = root + (++made << 12);

			if (xe2::classify(e, l) == entry_state::link)
				below = xe2::address(e, 3);
			else
				xe2::link(&e, l, below, SVM_SYSTEM);
			at = below;
		}
		xe2::store(&table(at)[svm::geometry<xe2>::index(lv, va)], lv, word);
	}

	translation walk(u64 va)
	{
		return svm_host::walk_xe2(va, root, false, 39,
					  [this](u64 addr, bool, unsigned i) { return table(addr)[i]; });
	}

	std::map<u64, std::vector<u64>> tables;
	u64 made = 0;
};

TEST_F(xe2_walk, every_level_and_attribute)
{
	seeded r(11);

	for (int round = 0; round < 3000; round++) {
		unsigned lv = 1 + r() % 3, shift = xe2::levels[lv].shift;
		u64 va = r() & ((1ull << 48) - 1);
		u64 addr = (r() & ((1ull << 52) - 1)) >> shift << shift;
		unsigned policy = unsigned(r() % 3);
		leaf_attrs a{bool(r() % 2), bool(r() % 2), r() % 2 ? SVM_VRAM : SVM_SYSTEM, svm::cache_policy(policy)};

		tables.clear();
		place(va, lv, xe2::leaf(lv, addr, a));

		translation t = walk(va);

		ASSERT_EQ(t.what, translation::outcome::mapped);
		ASSERT_EQ(t.lg2, shift);
		ASSERT_EQ(t.depth, lv + 1);
		ASSERT_EQ(t.start, va >> shift << shift);
		ASSERT_EQ(t.addr, addr);
		ASSERT_EQ(t.write, a.write);
		ASSERT_EQ(t.atomic, a.write && a.atomic);
		ASSERT_EQ(t.vram, a.aperture == SVM_VRAM);
		ASSERT_EQ(t.memory_type, policy == 0 ? 2u : policy == 1 ? 13u : 3u);
		ASSERT_FALSE(t.null);

		/* Retired: gone for the device, kept for us. */
		u64 word = xe2::leaf(lv, addr, a), kept = xe2::retire(word);

		place(va, lv, kept);
		ASSERT_EQ(walk(va).what, translation::outcome::absent);
		ASSERT_EQ(xe2::classify(kept, lv), entry_state::retired);
		ASSERT_EQ(xe2::classify(word, lv), entry_state::valid);
		ASSERT_EQ(xe2::address(kept, lv), addr);
		ASSERT_EQ(xe2::writable(kept), a.write);

		/* Granted: the same page, all accesses. */
		place(va, lv, xe2::grant_write(word, true));
		t = walk(va);
		ASSERT_TRUE(t.write && t.atomic);
		ASSERT_EQ(t.addr, addr);
	}
}

TEST_F(xe2_walk, null_at_every_level)
{
	for (unsigned lv = 1; lv < 4; lv++) {
		tables.clear();
		place(0x7f0012345000, lv, xe2::null_leaf(lv));

		translation t = walk(0x7f0012345000);

		EXPECT_EQ(t.what, translation::outcome::mapped);
		EXPECT_TRUE(t.null && t.write && t.atomic);
		EXPECT_EQ(t.lg2, xe2::levels[lv].shift);
		place(0x7f0012345000, lv, xe2::retire(xe2::null_leaf(lv)));
		EXPECT_EQ(walk(0x7f0012345000).what, translation::outcome::absent);
	}
}

TEST_F(xe2_walk, hinted_group)
{
	for (unsigned i = 0; i < 16; i++)
		place(0x10000 + i * 0x1000, 3, xe2::with_hint(xe2::leaf(3, 0xabc0000 + i * 0x1000, rwa), 4));
	for (unsigned i = 0; i < 16; i++) {
		translation t = walk(0x10000 + i * 0x1000 + 0x123);

		EXPECT_EQ(t.lg2, 16u);
		EXPECT_EQ(t.start, 0x10000u);
		EXPECT_EQ(t.addr, 0xabc0000u);
		EXPECT_TRUE(t.hinted);
	}

	u64 word = xe2::with_hint(xe2::leaf(3, 0xabc0000, rwa), 4);

	EXPECT_TRUE(xe2::hint(word));
	EXPECT_EQ(xe2::without_hint(word), xe2::leaf(3, 0xabc0000, rwa));
	EXPECT_FALSE(xe2::hint(xe2::retire(word)));
}

/* Whatever address a retired word holds, the page at 0 among them, it is told from an empty one. */
TEST_F(xe2_walk, retired_page_zero)
{
	EXPECT_EQ(xe2::classify(xe2::retire(xe2::leaf(3, 0, ro)), 3), entry_state::retired);
	EXPECT_EQ(xe2::classify(xe2::retire(xe2::leaf(2, 0, rwa)), 2), entry_state::retired);
}

/* The walker itself: what must not be there is an error, not a mapping. */
TEST_F(xe2_walk, walker_refuses)
{
	const u64 page = xe2::leaf(3, 0x5000, rwa), large = xe2::leaf(2, 0x400000, rwa);

	for (unsigned b : {2u, 5u, 6u, 52u, 60u, 63u}) {
		place(0, 3, page | 1ull << b);
		EXPECT_EQ(walk(0).what, translation::outcome::bad) << b;
	}
	tables.clear();
	for (unsigned b : {2u, 5u, 6u, 8u, 13u, 20u, 52u}) {
		place(0, 2, large | 1ull << b);
		EXPECT_EQ(walk(0).what, translation::outcome::bad) << b;
	}
	tables.clear();
	place(0x1000, 3, xe2::with_hint(xe2::leaf(3, 0x5000, rwa), 4)); /* not where its group would be */
	EXPECT_EQ(walk(0x1000).what, translation::outcome::bad);
	EXPECT_EQ(walk(0x2000).what, translation::outcome::absent);
	EXPECT_EQ(walk(1ull << 48).what, translation::outcome::absent);
}

TEST_F(xe2_walk, compact_tables)
{
	u64 link;

	xe2::link(&link, 2, 0x9000, SVM_SYSTEM);
	place(0x200000, 2, link | 1 << 6);
	table(0x9000)[3] = 0x70001 | 1 << 1;

	translation t = walk(0x200000 + 0x3abcd);

	EXPECT_EQ(t.what, translation::outcome::mapped);
	EXPECT_EQ(t.lg2, 16u);
	EXPECT_EQ(t.addr, 0x70000u);
	EXPECT_TRUE(t.write);
}

} // namespace svm_test
