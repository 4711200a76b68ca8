// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/gather.hpp: retire, then one flush, then the pages; and never without. */
#include "tests/unit/tree.hpp"

namespace svm_test
{

template <typename F>
class gather_test : public tree_machine<F>
{
protected:
	using M = tree_machine<F>;

	/* One page in the table around va. */
	svm::table &mapped(u64 va)
	{
		svm::table *found = M::walk::find(M::pt, va);
		svm::table &t = found ? *found : M::table_at(va);

		if (!found)
			M::equip(t);

		u32 f = M::mem->take(0);
		u64 word = memory::dma_of(f) >> PORT_PAGE_LG2 | PORT_PAGE_VALID | PORT_PAGE_WRITE;
		unsigned i = unsigned(va % M::span / PAGE);
		svm::mirrored_pages source(&word, i);
		svm::table_guard lock(t.lock);

		frames.push_back(f);
		M::mem->dma_map(f, 12);
		M::leaves::map(M::pt, t, i, 1, source);
		return t;
	}

	void retire(svm::gather &g, svm::table &t, svm::va_span part)
	{
		svm::table_guard lock(t.lock);

		g.retire(t, part);
	}

	void TearDown() override
	{
		M::TearDown_tables([this] {
			for (u32 f : frames)
				M::mem->put(f);
		});
	}

	std::vector<u32> frames;
};
TYPED_TEST_SUITE(gather_test, all_formats, format_names);

TYPED_TEST(gather_test, one_flush_for_all)
{
	using M = TestFixture;
	std::vector<std::pair<u64, u64>> flushed;

	this->gpus->on_flush = [&](u64 start, u64 end) {
		EXPECT_EQ(this->mem->dma_live(), 3u); /* nothing was given back before */
		flushed.emplace_back(start, end);
	};
	{
		svm::gather g(this->pt, true);

		for (u64 i : {1, 2, 4}) {
			svm::table &t = this->mapped(i * M::span + 9 * PAGE);

			this->retire(g, t, {i * M::span, (i + 1) * M::span});
		}
		EXPECT_EQ(this->mem->dma_live(), 3u);
		g.finish();
		EXPECT_EQ(this->mem->dma_live(), 0u);
		g.finish(); /* nothing is owed any more */
	}
	ASSERT_EQ(flushed.size(), 1u);
	EXPECT_LE(flushed[0].first, M::span + 9 * PAGE);
	EXPECT_GE(flushed[0].second, 4 * M::span + 10 * PAGE);
	this->gpus->on_flush = nullptr;
}

TYPED_TEST(gather_test, empty_ones_flush_nothing)
{
	using M = TestFixture;
	svm::table &t = this->mapped(PAGE);
	u64 flushes = this->gpus->flushes;

	svm::gather g(this->pt, true);

	this->retire(g, t, {16 * PAGE, M::span});
	g.finish();
	EXPECT_EQ(this->gpus->flushes, flushes);
	EXPECT_EQ(this->mem->dma_live(), 1u);
}

TYPED_TEST(gather_test, unfinished_ones_are_an_error)
{
	svm::table &t = this->mapped(PAGE);
	{
		svm::gather g(this->pt, true);

		this->retire(g, t, {PAGE, 2 * PAGE});
	}
	auto said = take_complaints();

	ASSERT_EQ(said.size(), 1u);
	EXPECT_NE(said[0].find("gather.hpp"), std::string::npos) << said[0];

	svm::gather second(this->pt, true);

	this->retire(second, t, {PAGE, 2 * PAGE}); /* meets what the first one left */
	second.finish();
	EXPECT_EQ(this->mem->dma_live(), 0u);
}

/* Two over the same page: each flushes for itself, one gives the page back. */
TYPED_TEST(gather_test, two_over_one_page)
{
	svm::table &t = this->mapped(PAGE);
	svm::gather a(this->pt, true), b(this->pt, true);
	u64 flushes = this->gpus->flushes;

	this->retire(a, t, {0, 2 * PAGE});
	this->retire(b, t, {PAGE, 3 * PAGE});
	b.finish();
	EXPECT_EQ(this->gpus->flushes, flushes + 1);
	EXPECT_EQ(this->mem->dma_live(), 0u);
	a.finish();
	EXPECT_EQ(this->gpus->flushes, flushes + 2);
	EXPECT_EQ(this->mem->dma_live(), 0u);
}

/* One gives back only what it retired: its flush says nothing about what another took beside it. */
TYPED_TEST(gather_test, neighbours_are_left_to_their_own_gather)
{
	svm::table &t = this->mapped(PAGE);

	this->mapped(2 * PAGE);
	{
		svm::gather a(this->pt, true), b(this->pt, true);

		this->retire(a, t, {PAGE, 2 * PAGE});
		this->retire(b, t, {2 * PAGE, 3 * PAGE});
		a.finish();
		EXPECT_EQ(this->mem->dma_live(), 1u);
		b.finish();
		EXPECT_EQ(this->mem->dma_live(), 0u);
	}
}

} // namespace svm_test
