// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/source.hpp */
#include "mm/pt/source.hpp"
#include "tests/unit/seeded.hpp"

#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace svm_test
{

static constexpr u64 valid = PORT_PAGE_VALID, write = PORT_PAGE_WRITE;

TEST(source_test, words)
{
	u64 word[4] = {0x7 | valid | write, 0x8 | valid, 0, 0x9 | write};
	svm::mirrored_pages s(word, 100);

	EXPECT_TRUE(s.run_at(100, 4).there);
	EXPECT_EQ(s.run_at(100, 4).address, 0x7000u);
	EXPECT_EQ(s.run_at(100, 4).pages, 1u); /* the next one may not be written */
	EXPECT_TRUE(s.run_at(100, 4).attrs.write);
	EXPECT_TRUE(s.run_at(100, 4).attrs.atomic);
	EXPECT_EQ(s.run_at(100, 4).attrs.aperture, SVM_SYSTEM);
	EXPECT_FALSE(s.run_at(101, 3).attrs.write);
	EXPECT_FALSE(s.run_at(101, 3).attrs.atomic);
	EXPECT_FALSE(s.run_at(102, 2).there);
	EXPECT_EQ(s.run_at(102, 2).pages, 2u);
	EXPECT_EQ(s.run_at(102, 1).pages, 1u);
	EXPECT_EQ(s.pages_taken(), 0u);
	s.take(100, 1);
	EXPECT_FALSE(s.run_at(100, 4).there);
	EXPECT_TRUE(s.run_at(101, 3).there);
	EXPECT_EQ(s.pages_taken(), 1u);
}

/* What the port keeps between the address and the flags is no part of the address. */
TEST(source_test, bits_of_the_port)
{
	u64 word = 0x7 | valid | 1ull << 52 | 1ull << 61;

	EXPECT_EQ(svm::mirrored_pages(&word, 0).run_at(0, 1).address, 0x7000u);
}

/* One word that differs in what decides is enough, wherever it is; pages may differ as they like. */
TEST(source_test, alike)
{
	constexpr unsigned n = 16;
	u64 word[n + 2];
	svm::mirrored_pages s(word, 100);

	for (u64 flaw : {u64(0), valid, write, u64(PORT_PAGE_VRAM)})
		for (unsigned at = 0; at < n + 2; at++) {
			for (u64 i = 0; i < n + 2; i++)
				word[i] = (0x1000 - 3 * i) | valid | write;
			word[at] ^= flaw;
			EXPECT_EQ(s.alike(101, n), !flaw || at == 0 || at == n + 1) << at;
		}
}

/* One word of an order stands for all entries: its page is taken once. */
TEST(source_test, a_block)
{
	u64 word[2] = {0x40 | valid | write, 0x9 | valid};
	svm::mirrored_pages s(word, 0, 3);
	svm::run r = s.run_at(0, 8);

	EXPECT_EQ(r.address, 0x40000u);
	EXPECT_EQ(r.pages, 8u);
	EXPECT_EQ(r.leaf_pages, 8u);
	EXPECT_EQ(svm::mirrored_pages(word, 0).run_at(0, 2).leaf_pages, 1u);
	s.take(0, 8);
	EXPECT_EQ(word[0], 0u);
	EXPECT_EQ(word[1], 0x9 | valid);
	EXPECT_EQ(s.pages_taken(), 1u);
}

/* run_at() against its definition, over words that are almost one run. */
TEST(source_test, longest_run)
{
	seeded r(3);
	unsigned longer = 0, whole = 0;

	for (int round = 0; round < 20000; round++) {
		u64 word[32];
		u64 base = 0x100 * (1 + r() % 8);

		for (u64 i = 0; i < 32; i++)
			word[i] = (base + i) | valid | (base & 0x100 ? write : 0);
		for (u64 flaws = r() % 4; flaws--;)
			switch (r() % 4) {
			case 0:
				word[r() % 32] ^= write;
				break;
			case 1:
				word[r() % 32] = 0;
				break;
			case 2:
				word[r() % 32]++;
				break;
			case 3:
				word[r() % 32] &= ~valid;
				break;
			}

		svm::mirrored_pages s(word, 0);
		unsigned at = unsigned(r() % 32), most = unsigned(1 + r() % (32 - at)), expect = 1;
		bool there = word[at] & valid;

		while (expect < most) {
			u64 next = word[at + expect];
			bool next_there = next & valid;

			if (there ? next != word[at] + expect : next_there)
				break;
			expect++;
		}
		svm::run found = s.run_at(at, most);
		ASSERT_EQ(found.there, there);
		ASSERT_EQ(found.pages, expect);
		longer += expect > 1;
		whole += expect == most && most > 8;
	}
	EXPECT_GT(longer, 1000u);
	EXPECT_GT(whole, 100u);
}

} // namespace svm_test
