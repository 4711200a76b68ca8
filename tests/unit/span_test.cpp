// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/span.hpp, each operation against sets of small numbers. */
#include "mm/base/span.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <iterator>
#include <set>

namespace svm_test
{

using svm::va_span;

static std::set<u64> members(va_span s)
{
	std::set<u64> all;

	for (u64 i = s.start; i < s.end; i++)
		all.insert(i);
	return all;
}

TEST(span_test, alignment)
{
	EXPECT_EQ(svm::align_down(0x1fff, 12), 0x1000u);
	EXPECT_EQ(svm::align_up(0x1001, 12), 0x2000u);
	EXPECT_EQ(svm::align_up(0x1000, 12), 0x1000u);
	EXPECT_EQ(svm::align_up(~0ull, 12), 0u); /* wraps, as it says */
	EXPECT_EQ(svm::align_down(~0ull, 48), 0xffff000000000000ull);
	EXPECT_TRUE(svm::aligned(0, 21));
	EXPECT_TRUE(svm::aligned(1 << 21, 21));
	EXPECT_FALSE(svm::aligned(1 << 20, 21));
}

TEST(span_test, against_sets)
{
	constexpr u64 n = 7;

	for (u64 as = 0; as < n; as++)
		for (u64 ae = 0; ae < n; ae++)
			for (u64 bs = 0; bs < n; bs++)
				for (u64 be = 0; be < n; be++) {
					va_span a{as, ae}, b{bs, be};
					auto ma = members(a), mb = members(b);
					std::set<u64> both;

					std::set_intersection(ma.begin(), ma.end(), mb.begin(), mb.end(),
							      std::inserter(both, both.end()));
					ASSERT_EQ(a.empty(), ma.empty());
					ASSERT_EQ(a.size(), ma.size());
					ASSERT_EQ(members(a.common(b)), both);

					va_span grown = a;

					grown.join(b);
					ASSERT_EQ(grown, b.empty() ? a : a.empty() ? b : a.joined(b));
					for (u64 i = 0; i < n; i++)
						ASSERT_EQ(a.holds(i), ma.count(i) > 0);
					if (a.empty() || b.empty())
						continue;
					ASSERT_EQ(a.meets(b), !both.empty());
					ASSERT_EQ(a.holds(b), both == mb);
					ASSERT_EQ(a.joined(b).start, std::min(as, bs));
					ASSERT_EQ(a.joined(b).end, std::max(ae, be));
				}
}

TEST(span_test, pages_and_pieces)
{
	va_span s{0x3000, 0x205000};

	EXPECT_TRUE(s.page_aligned());
	EXPECT_FALSE((va_span{0x3001, 0x4000}.page_aligned()));
	EXPECT_FALSE((va_span{0x3000, 0x4001}.page_aligned()));
	EXPECT_EQ(s.pages(), 0x202u);
	EXPECT_EQ(s.widened(21), (va_span{0, 0x400000}));
	EXPECT_EQ(s.widened(12), s);
	EXPECT_EQ(va_span::around(0x1ffffff, 21), (va_span{0x1e00000, 0x2000000}));
	EXPECT_EQ(va_span::around(0x200000, 21), (va_span{0x200000, 0x400000}));
	EXPECT_EQ((va_span{5, 2}.pages()), 0u);
}

} // namespace svm_test
