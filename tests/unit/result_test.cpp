// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/result.hpp */
#include "mm/base/result.hpp"

#include <cerrno>
#include <gtest/gtest.h>

namespace svm_test
{

using svm::err, svm::result, svm::status;

/* The numbers are Linux's. */
static_assert(int(err::perm) == -EPERM && int(err::intr) == -EINTR && int(err::opnotsupp) == -EOPNOTSUPP &&
	      int(err::again) == -EAGAIN && int(err::nomem) == -ENOMEM && int(err::fault) == -EFAULT &&
	      int(err::busy) == -EBUSY && int(err::inval) == -EINVAL);

TEST(result_test, value_or_error)
{
	constexpr result<int> good = 7, zero = 0;
	constexpr result<int> bad = err::nomem;

	EXPECT_TRUE(good.ok());
	EXPECT_EQ(good.value(), 7);
	EXPECT_EQ(good.error(), 0);
	EXPECT_TRUE(zero.ok());
	EXPECT_FALSE(bad.ok());
	EXPECT_EQ(bad.error(), -ENOMEM);
}

TEST(result_test, from_an_errno)
{
	EXPECT_EQ(result<int *>::from(-EIO).error(), -EIO);
	EXPECT_FALSE(result<int *>::from(-EIO).ok());
	EXPECT_EQ(status::from(-EIO).error(), -EIO);
	EXPECT_TRUE(status::from(0).ok());
}

TEST(result_test, status)
{
	EXPECT_TRUE(status().ok());
	EXPECT_EQ(status(err::busy).error(), -EBUSY);
	EXPECT_TRUE(status(err::busy).is(err::busy));
	EXPECT_FALSE(status(err::busy).is(err::again));
	EXPECT_FALSE(status().is(err::busy));
}

} // namespace svm_test
