// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two faults want the same scratch buffer, and the second takes it between the first one's look and its try.
 * mm/scratch.hpp once more, under another name, with atomics that stop there.
 */
#include "mm/port.h"
#include "tests/unit/machine.hpp"

#define svm svm_hooked
#include "tests/unit/hooked_atomic.hpp"
#include "mm/scratch.hpp"
#undef svm

namespace svm_test
{

TEST(scratch_meeting_test, a_buffer_has_one_holder)
{
	svm_hooked::scratch_pool pool;
	std::unique_ptr<svm_hooked::scratch> second;

	ASSERT_TRUE(pool.fill(64));
	svm_hooked::after_load = [&] {
		svm_hooked::after_load = nullptr;
		second = std::make_unique<svm_hooked::scratch>(pool);
	};
	{
		svm_hooked::scratch first(pool);

		ASSERT_TRUE(second);
		EXPECT_NE(first.words, second->words);
		EXPECT_EQ(first.capacity, 64u);
		EXPECT_EQ(second->capacity, 64u);

		/* A holder gives back its own buffer and no other one. */
		u64 *freed = second->words;

		second.reset();
		svm_hooked::scratch third(pool);

		EXPECT_EQ(third.words, freed);
	}
	for (int i = 0; i < 20; i++) { /* each is given back: they do not run out */
		svm_hooked::scratch one(pool);

		EXPECT_EQ(one.capacity, 64u);
	}
	pool.drop();
}

} // namespace svm_test
