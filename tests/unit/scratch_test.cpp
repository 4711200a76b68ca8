// SPDX-License-Identifier: GPL-2.0-only
/* mm/scratch.hpp: room for page words, a few at a time, then from the heap, and something for everybody. */
#include "mm/scratch.hpp"
#include "tests/unit/machine.hpp"

#include <memory>
#include <set>

namespace svm_test
{

class scratch_test : public ::testing::Test
{
protected:
	void TearDown() override
	{
		pool.drop();
		EXPECT_EQ(live.heap, 0u);
	}

	svm::scratch_pool pool;
};

TEST_F(scratch_test, each_gets_its_own_until_they_run_out)
{
	ASSERT_TRUE(pool.fill(512));

	std::vector<std::unique_ptr<svm::scratch>> all;
	std::set<u64 *> distinct;

	for (unsigned i = 0; i < svm::scratch_pool::slots; i++) {
		all.push_back(std::make_unique<svm::scratch>(pool));
		EXPECT_EQ(all.back()->capacity, 512u);
		EXPECT_TRUE(distinct.insert(all.back()->words).second);
		all.back()->words[511] = i;
	}
	u64 heap = live.heap;
	{
		svm::scratch one(pool), two(pool);

		EXPECT_EQ(one.capacity, 512u);
		EXPECT_TRUE(distinct.insert(one.words).second);
		EXPECT_TRUE(distinct.insert(two.words).second);
		EXPECT_EQ(live.heap, heap + 2);
		one.words[511] = two.words[511] = 1; /* all of it is there */
	}
	EXPECT_EQ(live.heap, heap);
	for (int i = 0; i < 3; i++) {
		inject.arm(1);
		svm::scratch small(pool);

		EXPECT_EQ(small.capacity, 1u << svm::scratch::small_lg2);
		EXPECT_FALSE(distinct.count(small.words));
		small.words[small.capacity - 1] = 1;
	}

	u64 *freed = all[3]->words;

	all[3].reset();
	svm::scratch again(pool);

	EXPECT_EQ(again.words, freed);
	EXPECT_EQ(again.capacity, 512u);
}

TEST_F(scratch_test, memory_out)
{
	for (unsigned n = 1; n <= svm::scratch_pool::slots; n++) {
		inject.arm(n);
		EXPECT_FALSE(pool.fill(64));
		pool.drop();
		EXPECT_EQ(live.heap, 0u);
	}
	pool.drop(); /* twice does no harm */
	EXPECT_TRUE(pool.fill(64));
}

/* A slot has one holder; what one wrote is not disturbed, and its next holder is ordered behind it. */
TEST_F(scratch_test, threads)
{
	std::vector<std::thread> threads;
	std::atomic<unsigned> large{0};

	ASSERT_TRUE(pool.fill(64));
	for (u64 id = 0; id < 12; id++)
		threads.emplace_back([&, id] {
			for (int k = 0; k < 2000; k++) {
				svm::scratch s(pool);

				large += s.capacity == 64;
				for (u32 i = 0; i < s.capacity; i++)
					s.words[i] = id;
				for (u32 i = 0; i < s.capacity; i++)
					ASSERT_EQ(s.words[i], id);
			}
		});
	for (auto &t : threads)
		t.join();
	EXPECT_GT(large, 0u);
}

} // namespace svm_test
