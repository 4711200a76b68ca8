// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/owner.hpp */
#include "mm/base/owner.hpp"
#include "tests/host/check.hpp"

#include <gtest/gtest.h>
#include <utility>

namespace svm_test
{

struct thing {
	explicit thing(int *count, int v = 0)
		: alive(count)
		, value(v)
	{
		++*alive;
	}
	~thing()
	{
		--*alive;
	}

	int *alive;
	int value;
};

class owner_test : public ::testing::Test
{
protected:
	void TearDown() override
	{
		EXPECT_EQ(alive, 0);
		EXPECT_EQ(svm_host::live.heap, 0u);
	}

	int alive = 0;
};

TEST_F(owner_test, frees_at_the_end_of_its_scope)
{
	auto t = svm::make<thing>(&alive, 3);

	ASSERT_TRUE(bool(t));
	EXPECT_EQ(t->value, 3);
	EXPECT_EQ((*t).value, 3);
	EXPECT_EQ(alive, 1);
	EXPECT_EQ(svm_host::live.heap, 1u);
}

TEST_F(owner_test, moves)
{
	auto a = svm::make<thing>(&alive, 1);
	thing *raw = a.get();
	svm::owner<thing> b = std::move(a);

	EXPECT_FALSE(bool(a));
	EXPECT_EQ(b.get(), raw);
	EXPECT_EQ(alive, 1);
}

TEST_F(owner_test, release_and_destroy)
{
	thing *raw = svm::make<thing>(&alive).release();

	EXPECT_EQ(alive, 1);
	svm::destroy(raw);
	EXPECT_EQ(alive, 0);
	svm::destroy<thing>(nullptr);
}

TEST_F(owner_test, memory_out)
{
	svm_host::inject.arm(1);
	auto t = svm::make<thing>(&alive);

	EXPECT_FALSE(bool(t));
	EXPECT_EQ(alive, 0); /* no constructor ran */
}

} // namespace svm_test
