// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each format in mm/fmt against the walker of tools/svgpud/mmu that was written from the same layout: what one encodes at any level, the
 * other reads.
 */
#include "tests/unit/all_formats.hpp"
#include "tests/unit/seeded.hpp"
#include "tools/svgpud/mmu/mmu.h"

#include <cstring>
#include <map>
#include <memory>

namespace svm_test
{

using svm::cache_policy, svm::entry_state, svm::leaf_attrs;

/* Tables that the encoder alone fills and the walker reads. */
template <typename F>
class decode_test : public ::testing::Test
{
protected:
	using G = svm::geometry<F>;
	static constexpr u64 root = 0x100000, apart = 0x10000;
	static constexpr unsigned last = F::depth - 1;

	struct table {
		alignas(16) unsigned char bytes[apart] = {};
	};

	table &at(u64 addr, unsigned lv)
	{
		auto &t = tables[addr];

		if (!t) {
			t = std::make_unique<table>();
			for (u32 i = 0; i < 1u << F::levels[lv].index_bits; i++)
				F::store(t->bytes + (i << F::levels[lv].entry_lg2), lv, F::empty(lv));
		}
		return *t;
	}

	/* The entry of level lv for va; links lead there. */
	void *entry(u64 va, unsigned lv, svm_aperture where = SVM_SYSTEM)
	{
		u64 addr = root;

		for (unsigned l = 0; l < lv; l++) {
			void *e = at(addr, l).bytes + (G::index(l, va) << F::levels[l].entry_lg2);
			u64 &below = links[{l, va >> F::levels[l].shift}];

			if (!below) {
				below = root + apart * ++made;
				at(below, l + 1);
				F::link(e, l, below, where);
			}
			addr = below;
		}
		return at(addr, lv).bytes + (G::index(lv, va) << F::levels[lv].entry_lg2);
	}

	void place(u64 va, unsigned lv, u64 word)
	{
		F::store(entry(va, lv), lv, word);
	}

	void clear()
	{
		tables.clear();
		links.clear();
		made = 0;
		at(root, 0);
	}

	static u64 read(void *self, u64 addr, u32 where)
	{
		auto *t = static_cast<decode_test *>(self);
		auto found = t->tables.find(addr / apart * apart);
		u64 word = 0;

		EXPECT_EQ(where, u32(t->where));
		EXPECT_NE(found, t->tables.end()) << "the walker leaves the tables";
		if (found != t->tables.end())
			memcpy(&word, found->second->bytes + addr % apart, 8);
		return word;
	}

	mmu_translation walk(u64 va)
	{
		mmu_memory memory = {read, this, nullptr};
		mmu_translation t{};

		mmu_find(F::name)->walk(&memory, root, where, va, &t);
		return t;
	}

	void SetUp() override
	{
		clear();
		ASSERT_NE(mmu_find(F::name), nullptr);
		ASSERT_EQ(mmu_find(F::name)->va_bits, F::va_bits);
	}

	std::map<u64, std::unique_ptr<table>> tables;
	std::map<std::pair<unsigned, u64>, u64> links;
	u64 made = 0;
	svm_aperture where = SVM_SYSTEM; /* of all tables */
};
TYPED_TEST_SUITE(decode_test, all_formats, format_names);

TYPED_TEST(decode_test, every_level_and_attribute)
{
	using F = TypeParam;
	seeded r(11);
	unsigned leaves[F::depth] = {};

	for (int round = 0; round < 4000; round++) {
		unsigned lv = unsigned(r() % F::depth), shift = F::levels[lv].shift;

		if (!F::levels[lv].leaf)
			continue;
		leaves[lv]++;

		u64 va = r() & ((1ull << F::va_bits) - 1);
		cache_policy policy = cache_policy(r() % 3);
		leaf_attrs a{bool(r() % 2), bool(r() % 2), F::vram && r() % 2 ? SVM_VRAM : SVM_SYSTEM, policy};
		/* NVIDIA v2 has 37 bits of address in VRAM, AMD 48. */
		u64 addr = (r() & ((1ull << (a.aperture == SVM_VRAM ? 37 : 47)) - 1)) >> shift << shift;
		u64 word = F::leaf(lv, addr, a);

		this->clear();
		this->place(va, lv, word);

		mmu_translation t = this->walk(va);

		ASSERT_EQ(t.what, MMU_MAPPED) << (t.wrong ? t.wrong : "absent") << ", level " << lv;
		ASSERT_EQ(t.lg2, shift);
		ASSERT_EQ(t.address, addr);
		ASSERT_TRUE(t.read);
		ASSERT_EQ(t.write, a.write);
		ASSERT_EQ(t.atomic, a.write && (a.atomic || !F::denies_atomics));
		ASSERT_EQ(t.aperture, a.aperture == SVM_VRAM ? MMU_VRAM : MMU_SYSTEM);
		ASSERT_FALSE(t.null);
		if (a.aperture == SVM_VRAM && policy == cache_policy::noncoherent) {
			ASSERT_NE(t.cache, MMU_UNCACHED);
		} else if (F::vram) { /* mlx5 has no caches to choose from */
			ASSERT_EQ(t.cache, u8(policy));
		}

		this->place(va, lv, F::retire(word));
		ASSERT_EQ(this->walk(va).what, MMU_ABSENT) << "level " << lv;
		this->place(va, lv, F::grant_write(word, true));
		t = this->walk(va);
		ASSERT_TRUE(t.what == MMU_MAPPED && t.write && t.atomic);
		ASSERT_EQ(t.address, addr);
		this->place(va, lv, F::empty(lv));
		ASSERT_EQ(this->walk(va).what, MMU_ABSENT);
	}
	for (unsigned lv = 0; lv < F::depth; lv++) {
		if (F::levels[lv].leaf) {
			EXPECT_GT(leaves[lv], 100u);
		}
	}
}

TYPED_TEST(decode_test, null_at_every_level)
{
	using F = TypeParam;
	u64 va = 0x123456789000 & ((1ull << F::va_bits) - 1);

	for (unsigned lv = 0; lv < F::depth; lv++) {
		if (!F::levels[lv].null)
			continue;
		this->clear();
		this->place(va, lv, F::null_leaf(lv));

		mmu_translation t = this->walk(va);

		ASSERT_EQ(t.what, MMU_MAPPED) << (t.wrong ? t.wrong : "absent") << ", level " << lv;
		EXPECT_TRUE(t.null && t.read && t.write && t.atomic);
		EXPECT_EQ(t.lg2, F::levels[lv].shift);
		this->place(va, lv, F::retire(F::null_leaf(lv)));
		EXPECT_EQ(this->walk(va).what, MMU_ABSENT) << "level " << lv;
	}
}

/* A group of each size at each place of its address: all of its entries lead to the same block. */
TYPED_TEST(decode_test, groups)
{
	using F = TypeParam;
	constexpr unsigned lv = F::depth - 1;
	u64 table = 0x7654321ull << 21 & ((1ull << F::va_bits) - 1);

	for (unsigned n = 1; F::hints >> n; n++) {
		u64 size = 4096ull << n, va = table + (n < 9 ? size : 0), addr = 0x40000000 + 3 * size;

		if (!(F::hints >> n & 1))
			continue;
		this->clear();
		for (u64 i = 0; i < size; i += 4096)
			this->place(va + i, lv, F::with_hint(F::leaf(lv, addr + i, {true, true, SVM_SYSTEM}), n));
		if (F::side_bytes)
			F::set_side(this->entry(table, lv), unsigned(va - table) >> (12 + n), F::leaf(lv, addr, {true, true, SVM_SYSTEM}));
		for (u64 i = 0; i < size; i += 4096) {
			mmu_translation t = this->walk(va + i + 0x123);

			ASSERT_EQ(t.what, MMU_MAPPED) << (t.wrong ? t.wrong : "absent");
			ASSERT_EQ(t.lg2, 12 + n);
			ASSERT_EQ(t.address, addr);
		}
		EXPECT_EQ(this->walk(va + size).what, MMU_ABSENT);
		if (F::side_bytes) {
			F::clear_side(this->entry(table, lv), unsigned(va - table) >> (12 + n));
			EXPECT_EQ(this->walk(va).lg2, 12u);
			EXPECT_EQ(this->walk(va).address, addr);
		}
	}
}

/* An entry above the tables is one thing at a time, whatever it was before. */
TYPED_TEST(decode_test, links_and_leaves_take_turns)
{
	using F = TypeParam;
	constexpr unsigned lv = F::depth - 2;
	u64 va = 0x7f0012345000;

	for (svm_aperture where : {SVM_SYSTEM, SVM_VRAM}) {
		if (where == SVM_VRAM && !F::vram)
			continue;
		this->where = where;
		this->clear();
		F::store(this->entry(va, lv + 1, where), lv + 1, F::leaf(lv + 1, 0x5000, {true, true, SVM_SYSTEM}));
		EXPECT_EQ(this->walk(va).address, 0x5000u);

		void *e = this->entry(va, lv);

		EXPECT_EQ(F::classify(F::load(e), lv), entry_state::link);
		if (F::levels[lv].leaf) {
			F::store(e, lv, F::leaf(lv, 0x40000000, {true, true, SVM_SYSTEM}));
			EXPECT_EQ(F::classify(F::load(e), lv), entry_state::valid);
			EXPECT_EQ(this->walk(va).lg2, F::levels[lv].shift);
			F::store(e, lv, F::retire(F::load(e)));
			EXPECT_EQ(F::classify(F::load(e), lv), entry_state::retired);
			EXPECT_EQ(this->walk(va).what, MMU_ABSENT);
		}
		F::store(e, lv, F::empty(lv));
		EXPECT_EQ(F::load(e), F::empty(lv));
		EXPECT_EQ(this->walk(va).what, MMU_ABSENT);
		EXPECT_EQ(this->walk(va ^ 1ull << (F::va_bits - 1)).what, MMU_ABSENT);
	}
}

TEST(mmu_test, unknown_names)
{
	for (const char *name : {"", "xe", "xe22", "nv_v4"})
		EXPECT_EQ(mmu_find(name), nullptr);
}

} // namespace svm_test
