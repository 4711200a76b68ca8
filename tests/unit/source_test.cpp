// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/source.hpp */
#include "mm/pt/source.hpp"
#include "tests/unit/seeded.hpp"

#include <gtest/gtest.h>
#include <random>

namespace svm_test
{

static constexpr u64 valid = PORT_PAGE_VALID, write = PORT_PAGE_WRITE;

TEST(source_test, words)
{
	u64 word[4] = {0x7000 | valid | write, 0x8000 | valid, 0, 0x9000 | write};
	svm::mirrored_pages s(word, 100);

	EXPECT_TRUE(s.has(100));
	EXPECT_EQ(s.address(100), 0x7000u);
	EXPECT_TRUE(s.attrs(100).write);
	EXPECT_TRUE(s.attrs(100).atomic);
	EXPECT_EQ(s.attrs(100).aperture, SVM_SYSTEM);
	EXPECT_TRUE(s.has(101));
	EXPECT_FALSE(s.attrs(101).write);
	EXPECT_FALSE(s.attrs(101).atomic);
	EXPECT_FALSE(s.has(102));
	EXPECT_FALSE(s.has(103));
	s.take(100);
	EXPECT_FALSE(s.has(100));
	EXPECT_TRUE(s.has(101));
}

/* one_block() against its definition, over words that are almost a block. */
TEST(source_test, one_block)
{
	seeded r(3);
	unsigned yes = 0, no = 0;

	for (int round = 0; round < 20000; round++) {
		u64 word[32];
		u64 base = (r() % 4 ? 0x10000 : 0x11000) * (1 + r() % 8);

		for (u64 i = 0; i < 32; i++)
			word[i] = (base + (i - 16) * 0x1000) | valid | (base & 0x20000 ? write : 0);
		for (u64 flaws = r() % 2; flaws--;)
			switch (r() % 4) {
			case 0:
				word[r() % 32] ^= write;
				break;
			case 1:
				word[r() % 32] = 0;
				break;
			case 2:
				word[r() % 32] += 0x1000;
				break;
			case 3:
				word[r() % 32] &= ~valid;
				break;
			}

		svm::mirrored_pages s(word, 0);
		bool expect = (word[16] & 0xf000) == 0;

		for (u64 i = 16; i < 32; i++)
			expect &= word[i] == word[16] + (i - 16) * 0x1000 && (word[i] & valid);
		ASSERT_EQ(svm::one_block(s, 16, 4), expect);
		(expect ? yes : no)++;
		ASSERT_EQ(svm::one_block(s, 5, 0), s.has(5));
	}
	EXPECT_GT(yes, 1000u);
	EXPECT_GT(no, 1000u);
}

} // namespace svm_test
