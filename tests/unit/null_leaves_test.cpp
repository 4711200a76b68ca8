// SPDX-License-Identifier: GPL-2.0-only
/* mm/pt/leaves.hpp with null runs, on every format: null leaves come and go like others, and no page is given back for them. */
#include "tests/unit/tree.hpp"

namespace svm_test
{

template <typename F>
class null_leaves_test : public tree_machine<F>
{
protected:
	using M = tree_machine<F>;
	static constexpr unsigned entries = M::geometry::entries;
	static constexpr u64 at = 3 * M::span;

	void SetUp() override
	{
		M::SetUp();
		t = &M::table_at(at);
		M::equip(*t);
		if (!M::ops.info.null)
			GTEST_SKIP() << F::name << " has no null pages";
	}

	void map_null(unsigned first, unsigned count)
	{
		svm::null_pages source;
		svm::table_guard lock(t->lock);

		M::leaves::map(M::pt, *t, first, count, source);
	}

	/* False: there was a leaf, and the page stays the caller's. */
	bool map_page(unsigned i)
	{
		u32 frame = M::mem->take(0);
		u64 word = memory::dma_of(frame) >> PORT_PAGE_LG2 | PORT_PAGE_VALID | PORT_PAGE_WRITE;
		svm::mirrored_pages source(&word, i);

		frames.push_back(frame);
		M::mem->dma_map(frame, 12);
		{
			svm::table_guard lock(t->lock);

			M::leaves::map(M::pt, *t, i, 1, source);
		}
		if (!source.pages_taken())
			M::mem->dma_unmap(PORT_PAGE_DMA(word), 12, false);
		return source.pages_taken();
	}

	svm::va_span retire(unsigned first, unsigned last)
	{
		svm::table_guard lock(t->lock);

		return M::leaves::retire(M::pt, *t, first, last);
	}

	void finish(unsigned first, unsigned last)
	{
		svm::table_guard lock(t->lock);

		M::leaves::finish(M::pt, *t, first, last, true);
	}

	u64 word(unsigned i)
	{
		svm::table_guard lock(t->lock);

		return F::load(static_cast<char *>(t->mem.cpu) + (i << F::levels[M::geometry::table_level].entry_lg2));
	}

	void expect(unsigned live, unsigned retired, unsigned nulls)
	{
		svm::table_guard lock(t->lock);

		EXPECT_EQ(t->live, live);
		EXPECT_EQ(t->retired, retired);
		EXPECT_EQ(t->unowned, nulls);
	}

	void TearDown() override
	{
		M::TearDown_tables([this] {
			for (u32 f : frames)
				M::mem->put(f);
		});
	}

	svm::table *t = nullptr;
	std::vector<u32> frames;
};
TYPED_TEST_SUITE(null_leaves_test, all_formats, format_names);

TYPED_TEST(null_leaves_test, beside_pages)
{
	using M = TestFixture;

	ASSERT_TRUE(this->map_page(10));
	this->map_null(4, 12); /* around it: what is there stays */
	this->expect(12, 0, 11);
	EXPECT_EQ(this->mem->dma_live(), 1u);
	EXPECT_FALSE(TypeParam::is_null(this->word(10)));
	EXPECT_FALSE(this->map_page(5)); /* a null leaf allows everything, so a page takes nothing away from it */
	EXPECT_TRUE(TypeParam::is_null(this->word(5)));
	EXPECT_TRUE(this->look(M::at + 5 * PAGE).null);
	EXPECT_FALSE(this->look(M::at + 10 * PAGE).null);
	EXPECT_EQ(this->look(M::at + 3 * PAGE).what, MMU_ABSENT);
	for (svm_access how : {SVM_READ, SVM_WRITE, SVM_ATOMIC})
		EXPECT_EQ(M::leaves::present(*this->t, 0, this->entries, how, nullptr), 12u);

	svm::va_span owed = this->retire(4, 11);

	EXPECT_TRUE(owed.holds(M::at + 4 * PAGE) && owed.holds(M::at + 10 * PAGE));
	this->expect(5, 7, 11);
	EXPECT_FALSE(M::leaves::allows(*this->t, M::at + 4 * PAGE, SVM_READ));
	this->finish(4, 11);
	this->expect(5, 0, 5);
	EXPECT_EQ(this->mem->dma_live(), 0u);
	EXPECT_EQ(this->word(4), TypeParam::empty(M::geometry::table_level));
	EXPECT_EQ(this->counted().dirtied, 1u);
	EXPECT_TRUE(this->map_page(4));
	this->retire(0, this->entries);
	this->finish(0, this->entries);
	this->expect(0, 0, 0);
}

TYPED_TEST(null_leaves_test, whole_table)
{
	using M = TestFixture;

	ASSERT_TRUE(this->map_page(0));
	this->retire(0, 1);
	this->finish(0, 1);
	this->map_null(0, this->entries);
	{
		svm::table_guard lock(this->t->lock);
		u64 top = TypeParam::load(M::walk::top_entry(*this->t));

		EXPECT_EQ(this->t->top, svm::table_top::huge);
		EXPECT_EQ(this->t->live, 0u);
		EXPECT_EQ(this->t->unowned, 1u);
		EXPECT_EQ(top, TypeParam::null_leaf(M::geometry::table_level - 1));
	}
	EXPECT_TRUE(M::leaves::allows(*this->t, M::at + M::span - 1, SVM_ATOMIC));
	EXPECT_TRUE(this->look(M::at).null);
	EXPECT_EQ(this->look(M::at).lg2, M::geometry::table_lg2);
	EXPECT_EQ(this->retire(7, 8), (svm::va_span{M::at, M::at + M::span}));
	EXPECT_FALSE(M::leaves::allows(*this->t, M::at, SVM_READ));
	EXPECT_EQ(this->look(M::at).what, MMU_ABSENT);
	this->finish(7, 8);
	this->expect(0, 0, 0);
	EXPECT_EQ(this->counted().dirtied, 1u); /* the page's */
	EXPECT_TRUE(this->map_page(0));
}

/* The device is lost: only pages are counted off. */
TYPED_TEST(null_leaves_test, lost)
{
	this->map_null(0, 8);
	ASSERT_TRUE(this->map_page(8));
	this->retire(6, 9);
	this->gpus->lose();
	EXPECT_EQ(this->retire(0, this->entries), svm::va_span{});
	EXPECT_EQ(this->mem->dma_live(), 0u);
	EXPECT_EQ(this->counted().present, 0u);
	this->expect(0, 0, 0);
}

} // namespace svm_test
