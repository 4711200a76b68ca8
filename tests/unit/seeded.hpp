/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random numbers of a test: from the test's fixed seed, or from SVM_TEST_SEED. There `fresh` is another seed in each run of the
 * program, which prints how to repeat it.
 */
#ifndef SVM_TESTS_UNIT_SEEDED_HPP
#define SVM_TESTS_UNIT_SEEDED_HPP

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace svm_test
{

class seeded : public std::mt19937_64
{
public:
	explicit seeded(std::uint64_t fixed)
		: std::mt19937_64(fixed + chosen())
	{
	}

private:
	static std::uint64_t chosen()
	{
		static const std::uint64_t base = [] {
			const char *text = std::getenv("SVM_TEST_SEED");

			if (!text)
				return std::uint64_t(0);
			if (std::strcmp(text, "fresh") != 0)
				return std::uint64_t(std::strtoull(text, nullptr, 0));

			auto drawn = std::uint64_t(std::random_device{}());

			std::printf("again: SVM_TEST_SEED=%llu %s, with the same filter\n", static_cast<unsigned long long>(drawn),
				    program_invocation_short_name);
			return drawn;
		}();

		return base;
	}
};

} // namespace svm_test

#endif
