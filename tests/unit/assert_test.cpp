// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/assert.hpp */
#include "mm/base/assert.hpp"
#include "tests/host/check.hpp"

#include <gtest/gtest.h>

namespace svm_test
{

TEST(assert_test, what_holds_says_nothing)
{
	SVM_ASSERT(1 + 1 == 2);
	EXPECT_TRUE(svm_host::take_complaints().empty());
}

TEST(assert_test, what_broke_is_named_with_its_place_and_the_code_goes_on)
{
	unsigned line = __LINE__ + 1;
	SVM_ASSERT(1 + 1 == 3);

	auto said = svm_host::take_complaints();

	ASSERT_EQ(said.size(), 1u);
	EXPECT_NE(said[0].find("assert_test.cpp:" + std::to_string(line)), std::string::npos) << said[0];
	EXPECT_NE(said[0].find("1 + 1 == 3"), std::string::npos) << said[0];
}

/* It binds like a statement. */
TEST(assert_test, in_an_if_without_braces)
{
	bool other = false;

	if (svm_host::current().callbacks)
		SVM_ASSERT(false);
	else
		other = true;
	EXPECT_TRUE(other);
	EXPECT_TRUE(svm_host::take_complaints().empty());
}

} // namespace svm_test
