// SPDX-License-Identifier: GPL-2.0-only
/*
 * mm/pt/leaves.hpp, on every format: random mapping, retiring and finishing of one table
 * against an array of what each page should be, by the words and by the device's walk.
 */
#include "tests/unit/tree.hpp"
#include "tests/unit/seeded.hpp"

namespace svm_test
{

template <typename F>
class leaves_test : public tree_machine<F>
{
protected:
	using M = tree_machine<F>;
	static constexpr unsigned entries = M::geometry::entries;
	static constexpr u64 at = 5 * M::span;

	/* What a page is: not there, or there with this frame. */
	struct page {
		u32 frame = NO_FRAME;
		bool write = false;
		bool retired = false;
	};

	void SetUp() override
	{
		M::SetUp();
		t = &M::table_at(at);
		M::equip(*t);
		block = M::mem->take_block(0);
		model.resize(entries);
	}

	void TearDown() override
	{
		M::TearDown_tables([this] {
			for (u32 i = 0; i < BLOCK_FRAMES; i++)
				M::mem->put(block + i);
		});
	}

	/* Maps frames for DMA as the port would, gives them to map(), and back what it left. */
	void map(unsigned first, std::vector<page> pages)
	{
		std::vector<u64> words(pages.size());
		u32 mapped = 0;

		for (size_t i = 0; i < pages.size(); i++) {
			if (pages[i].frame == NO_FRAME)
				continue;
			M::mem->dma_map(pages[i].frame, 12);
			mapped++;
			words[i] = memory::dma_of(pages[i].frame) >> PORT_PAGE_LG2 | PORT_PAGE_VALID |
				   (pages[i].write ? PORT_PAGE_WRITE : 0);
		}
		svm::mirrored_pages source(words.data(), first);
		{
			svm::table_guard lock(t->lock);

			M::leaves::map(M::pt, *t, first, unsigned(pages.size()), source);
		}
		/* As the mirror: words are looked at where leaves did not take all. */
		for (u64 w : words)
			if (source.pages_taken() < mapped && w)
				M::mem->dma_unmap(PORT_PAGE_DMA(w), 12, false);
	}

	/* Maps the whole block for DMA as one, and gives it to map(). False: no leaf took it. */
	bool map_block(bool write)
	{
		u32 lg2 = M::geometry::table_lg2;
		u64 word = memory::dma_of(block) >> PORT_PAGE_LG2 | PORT_PAGE_VALID | (write ? PORT_PAGE_WRITE : 0);
		svm::mirrored_pages source(&word, 0, lg2 - PORT_PAGE_LG2);

		M::mem->dma_map(block, lg2);
		{
			svm::table_guard lock(t->lock);

			M::leaves::map(M::pt, *t, 0, entries, source);
		}
		if (word)
			M::mem->dma_unmap(PORT_PAGE_DMA(word), lg2, false);
		return !word;
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

	/* Each entry says what the model says; the counts add up. */
	void check()
	{
		svm::table_guard lock(t->lock);
		unsigned live = 0, retired = 0;

		for (unsigned i = 0; i < entries; i++) {
			u64 word = F::load(static_cast<char *>(t->mem.cpu) +
					   (i << F::levels[M::geometry::table_level].entry_lg2));
			const page &p = model[i];
			bool valid = p.frame != NO_FRAME && !p.retired;

			svm::entry_state expect = p.frame == NO_FRAME ? svm::entry_state::empty :
						  p.retired	      ? svm::entry_state::retired :
									svm::entry_state::valid;
			ASSERT_EQ(F::classify(word, M::geometry::table_level), expect) << i;
			if (p.frame == NO_FRAME) {
				ASSERT_EQ(word, F::empty(M::geometry::table_level)) << i;
				continue;
			}
			ASSERT_EQ(F::address(word, M::geometry::table_level), memory::dma_of(p.frame)) << i;
			ASSERT_EQ(F::writable(word), p.write) << i;
			(valid ? live : retired)++;
		}
		ASSERT_EQ(t->live, live);
		ASSERT_EQ(t->retired, retired);
		ASSERT_EQ(M::mem->dma_live(), live + retired);
		ASSERT_EQ(M::counted().present, live);
	}

	/* The device finds what the model says. Where it takes a block as one, that is true of all of the block. */
	void look_at(unsigned i)
	{
		mmu_translation found = M::look(at + i * PAGE);
		const page &p = model[i];

		if (p.frame == NO_FRAME || p.retired) {
			ASSERT_EQ(found.what, MMU_ABSENT) << i;
			return;
		}
		ASSERT_EQ(found.what, MMU_MAPPED) << i;
		ASSERT_FALSE(found.null) << i;

		unsigned n = found.lg2 - 12, first = i >> n << n;

		for (unsigned k = first; k < first + (1u << n); k++) {
			ASSERT_NE(model[k].frame, NO_FRAME) << k;
			ASSERT_FALSE(model[k].retired) << k;
			ASSERT_EQ(found.address + (k - first) * PAGE, memory::dma_of(model[k].frame)) << k;
			ASSERT_EQ(found.write, model[k].write) << k;
		}
		groups_seen |= 1u << n;
	}

	svm::table *t = nullptr;
	u32 block = NO_FRAME;
	std::vector<page> model;
	u32 groups_seen = 0; /* bit n: of 2^n pages */
};
TYPED_TEST_SUITE(leaves_test, all_formats, format_names);

/* Page n of the table is always frame n of the block, or one shifted by one: contiguous runs and broken ones come about. */
TYPED_TEST(leaves_test, random_against_an_array)
{
	using page = typename TestFixture::page;
	seeded r(13);
	constexpr unsigned entries = TestFixture::entries;

	for (int step = 0; step < 2500; step++) {
		unsigned first = unsigned(r() % entries), count = unsigned(1 + r() % 70);

		if (r() % 2)
			first &= ~15u;
		count = std::min(count, entries - first);
		switch (r() % 3) {
		case 0: { /* map, also over what is there: the same page, perhaps with more permission */
			std::vector<page> pages(count);
			bool write = r() % 2, shift = r() % 8 == 0, holes = r() % 2;

			for (unsigned i = 0; i < count; i++) {
				page &m = this->model[first + i];

				if (m.frame != NO_FRAME && m.retired)
					continue; /* the sequence keeps faults out */
				if (holes && r() % 16 == 0)
					continue;
				if (m.frame == NO_FRAME)
					m = {this->block + (first + i + shift) % BLOCK_FRAMES, write, false};
				else
					m.write |= write;
				pages[i] = {m.frame, write, false};
			}
			this->map(first, pages);
			break;
		}
		case 1: {
			svm::va_span owed = this->retire(first, first + count);
			bool any = false;

			for (unsigned i = first; i < first + count; i++) {
				page &m = this->model[i];

				if (m.frame == NO_FRAME)
					continue;
				any = true;
				m.retired = true;
				/* Whatever was retired in the part is in the span that is to be flushed. */
				ASSERT_TRUE(owed.holds(TestFixture::at + u64(i) * PAGE));
			}
			if (any) {
				ASSERT_FALSE(owed.empty());
			}
			break;
		}
		case 2:
			this->finish(first, first + count);
			for (unsigned i = first; i < first + count; i++)
				if (this->model[i].retired)
					this->model[i] = {};
			break;
		}
		this->check();
		/* What the step was about, and its neighbours that it may have touched by mistake. */
		for (unsigned i = first; i < first + count && !this->HasFatalFailure(); i++)
			this->look_at(i);
		for (unsigned i = 0; i < 32 && !this->HasFatalFailure(); i++)
			this->look_at(unsigned(r() % entries));
		if (this->HasFatalFailure())
			return;
	}
	EXPECT_EQ(this->groups_seen & ~(TypeParam::hints | 1u), 0u);
	EXPECT_EQ(this->groups_seen & (TypeParam::hints & 0x3e), TypeParam::hints & 0x3e) << "of 2 to 32 pages";
}

/* Pages that are no run, most of them of one kind: a few differ in what they allow, or are not there. */
TYPED_TEST(leaves_test, scattered_pages)
{
	const unsigned n = TestFixture::entries;

	for (unsigned i = 0; i < n; i++)
		this->model[i] = {this->block + n - 1 - i, i != 40 && (i < 80 || i >= 96), false};
	for (unsigned i : {63u, n - 1})
		this->model[i] = {};
	this->map(0, this->model);
	this->check();
	for (unsigned i = 0; i < n; i++)
		this->look_at(i);
	this->retire(0, n);
	for (unsigned i = 0; i < n; i++)
		this->model[i].retired = true;
	this->check();
	this->finish(0, n);
	this->model.assign(n, {});
	this->check();
}

/* allows() and present() against each other, entry by entry. */
TYPED_TEST(leaves_test, allows_and_present)
{
	using page = typename TestFixture::page;
	using leaves = typename TestFixture::leaves;

	EXPECT_FALSE(leaves::allows(*this->t, TestFixture::at, SVM_READ));
	this->map(3, std::vector<page>{{this->block, false, false}, {this->block + 1, true, false}});
	this->model[3] = {this->block, false, false};
	this->model[4] = {this->block + 1, true, false};
	for (svm_access how : {SVM_READ, SVM_WRITE, SVM_ATOMIC}) {
		u64 have = ~0ull; /* written whole */
		u32 n = leaves::present(*this->t, 0, 8, how, &have);

		EXPECT_EQ(n, how == SVM_READ ? 2u : 1u);
		for (unsigned i = 0; i < 8; i++)
			EXPECT_EQ(have >> i & 1, leaves::allows(*this->t, TestFixture::at + i * PAGE, how)) << i;
		EXPECT_EQ(have >> 8, 0u);
	}
	this->retire(4, 5);
	EXPECT_FALSE(leaves::allows(*this->t, TestFixture::at + 4 * PAGE, SVM_READ));
	this->finish(4, 5);
}

/* Small leaves, a huge one over them, and small ones again: what is replaced is flushed and given back. */
TYPED_TEST(leaves_test, huge_and_back)
{
	if (!TestFixture::ops.huge)
		GTEST_SKIP() << "no large leaves";

	using page = typename TestFixture::page;
	using M = TestFixture;
	u64 flushes = this->gpus->flushes;

	this->map(0, std::vector<page>(40, page{this->block, false, false}));
	EXPECT_EQ(this->mem->dma_live(), 40u);
	EXPECT_TRUE(this->map_block(false));
	{
		svm::table_guard lock(this->t->lock);

		EXPECT_EQ(this->t->top, svm::table_top::huge);
	}
	EXPECT_EQ(this->mem->dma_live(), 1u);
	EXPECT_EQ(this->gpus->flushes, flushes + 1);
	EXPECT_EQ(this->counted().present, M::geometry::entries);
	EXPECT_TRUE(M::leaves::allows(*this->t, M::at + M::span - 1, SVM_READ));
	EXPECT_FALSE(M::leaves::allows(*this->t, M::at, SVM_WRITE));
	EXPECT_FALSE(this->map_block(true)); /* a second one keeps the first; it may only grant */
	EXPECT_TRUE(M::leaves::allows(*this->t, M::at, SVM_ATOMIC));
	EXPECT_EQ(this->gpus->flushes, flushes + 2);

	svm::va_span owed = this->retire(7, 8);

	EXPECT_EQ(owed, (svm::va_span{M::at, M::at + M::span})); /* a huge leaf goes whole */
	EXPECT_EQ(this->counted().present, 0u);
	EXPECT_FALSE(M::leaves::allows(*this->t, M::at, SVM_READ));
	EXPECT_EQ(this->mem->dma_live(), 1u);
	EXPECT_EQ(this->retire(100, 101), owed); /* still owed, whoever asks */
	this->finish(7, 8);
	EXPECT_EQ(this->mem->dma_live(), 0u);
	EXPECT_EQ(this->retire(0, M::geometry::entries), svm::va_span{});
	this->map(0, std::vector<page>{{this->block, true, false}});
	this->model[0] = {this->block, true, false};
	this->check();
}

/* A read-only huge leaf gives way to small ones that allow more: flushed before its page is given back, and before they show. */
TYPED_TEST(leaves_test, small_over_a_read_only_huge_leaf)
{
	if (!TestFixture::ops.huge)
		GTEST_SKIP() << "no large leaves";

	using page = typename TestFixture::page;
	using M = TestFixture;
	unsigned flushes = 0;

	ASSERT_TRUE(this->map_block(false));
	this->gpus->on_flush = [&](u64 start, u64 end) {
		flushes++;
		EXPECT_EQ(start, M::at);
		EXPECT_EQ(end, M::at + M::span);
		EXPECT_EQ(this->mem->dma_live(), 2u); /* the huge leaf's, and the page that is to be mapped */
		EXPECT_FALSE(M::leaves::allows(*this->t, M::at + 9 * PAGE, SVM_READ));
	};
	this->map(9, std::vector<page>{{this->block + 9, true, false}});
	this->gpus->on_flush = nullptr;
	EXPECT_EQ(flushes, 1u);
	this->model[9] = {this->block + 9, true, false};
	this->check();
	EXPECT_TRUE(M::leaves::allows(*this->t, M::at + 9 * PAGE, SVM_WRITE));
	EXPECT_FALSE(M::leaves::allows(*this->t, M::at + 8 * PAGE, SVM_READ));
}

/* Small pages for a table that one writable huge leaf maps already: they stay the caller's, and nothing changes. */
TYPED_TEST(leaves_test, small_under_a_writable_huge_leaf)
{
	if (!TestFixture::ops.huge)
		GTEST_SKIP() << "no large leaves";

	using page = typename TestFixture::page;
	using M = TestFixture;

	ASSERT_TRUE(this->map_block(true));

	u64 flushes = this->gpus->flushes;

	this->map(9, std::vector<page>{{this->block + 9, true, false}});
	EXPECT_EQ(this->gpus->flushes, flushes);
	EXPECT_EQ(this->mem->dma_live(), 1u);
	EXPECT_EQ(this->counted().present, M::geometry::entries);
	{
		svm::table_guard lock(this->t->lock);

		EXPECT_EQ(this->t->top, svm::table_top::huge);
		EXPECT_EQ(this->t->live, 0u);
	}
	EXPECT_TRUE(M::leaves::allows(*this->t, M::at, SVM_WRITE));
	this->retire(0, M::geometry::entries);
	this->finish(0, M::geometry::entries);
}

/* The device is lost, and what lies in its tables now looks like a retired leaf: nothing is made of it. */
TYPED_TEST(leaves_test, garbage_that_looks_retired)
{
	using page = typename TestFixture::page;
	using M = TestFixture;
	constexpr unsigned lv = M::geometry::table_level;

	this->map(0, std::vector<page>{{this->block, true, false}, {this->block + 1, true, false}});
	this->retire(1, 2);
	this->gpus->lose();
	{
		svm::table_guard lock(this->t->lock);
		char *entries = static_cast<char *>(this->t->mem.cpu);
		u64 leaf = TypeParam::leaf(lv, memory::dma_of(this->block + 9), {true, true, SVM_SYSTEM});

		TypeParam::store(entries + (9u << TypeParam::levels[lv].entry_lg2), lv, TypeParam::retire(leaf));
	}
	this->map(9, std::vector<page>{{this->block + 10, true, false}});
	EXPECT_EQ(this->mem->dma_live(), 2u); /* the page stayed the caller's, which gave it back */
	EXPECT_EQ(this->counted().present, 1u);
	EXPECT_EQ(this->retire(0, M::geometry::entries), svm::va_span{});
	EXPECT_EQ(this->counted().present, 0u);
	EXPECT_EQ(this->mem->dma_live(), 0u);
}

/* A table that maps nothing counts as idle, once. */
TYPED_TEST(leaves_test, idle_count)
{
	using page = typename TestFixture::page;

	EXPECT_EQ(this->pt.idle.load_relaxed(), 1u);
	this->map(0, std::vector<page>{{this->block, true, false}});
	EXPECT_EQ(this->pt.idle.load_relaxed(), 0u);
	this->retire(0, 1);
	EXPECT_EQ(this->pt.idle.load_relaxed(), 0u); /* its page is not given back yet */
	this->finish(0, 1);
	EXPECT_EQ(this->pt.idle.load_relaxed(), 1u);
	this->map(0, std::vector<page>{{this->block, true, false}});
	EXPECT_EQ(this->pt.idle.load_relaxed(), 0u);
}

} // namespace svm_test
