/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers of a test: from the test's fixed seed, or from SVM_TEST_SEED. There `fresh` is another seed in each run of the
 * program, which prints how to repeat it.
 */
#ifndef SVM_TESTS_UNIT_SEEDED_HPP
#define SVM_TESTS_UNIT_SEEDED_HPP

#include <svm/types.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace svm_test
{

class seeded : public std::mt19937_64
{
public:
	explicit seeded(u64 fixed)
		: std::mt19937_64(fixed + chosen())
	{
	}

private:
	static u64 chosen()
	{
		static const u64 base = [] {
			const char *text = std::getenv("SVM_TEST_SEED");

			if (!text)
				return u64(0);
			if (std::strcmp(text, "fresh") != 0)
				return u64(std::strtoull(text, nullptr, 0));

			u64 drawn = std::random_device{}();

			std::printf("again: SVM_TEST_SEED=%llu svm_unit_tests, with the same filter\n", drawn);
			return drawn;
		}();

		return base;
	}
};

} // namespace svm_test

#endif
