// SPDX-License-Identifier: GPL-2.0-only
/* mm/stat.hpp */
#include "mm/stat.hpp"
#include "tests/host/check.hpp"

#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace svm_test
{

using svm::stat;

/* Each name counts in the field of the same name, and in no other. */
TEST(stat_test, names_are_fields)
{
	const std::pair<stat, u64 svm_counters::*> all[] = {
#define SVM_COUNTER(name) {stat::name, &svm_counters::name}
#include <svm/counters.h>
#undef SVM_COUNTER
	};
	static_assert(std::size(all) == size_t(stat::count));

	for (auto [name, field] : all) {
		svm::counters c;
		svm_counters out;

		c.add(name, 5);
		c.read(out);
		for (auto [other, value] : all)
			EXPECT_EQ(out.*value, other == name ? 5u : 0u);
		EXPECT_EQ(out.*field, 5u);
	}
}

/* A gauge counts up on one CPU and down on another. */
TEST(stat_test, threads_and_gauges)
{
	svm::counters c;
	svm_counters out;
	std::vector<std::thread> threads;

	for (int i = 0; i < 20; i++)
		threads.emplace_back([&, i] {
			for (int k = 0; k < 1000; k++)
				c.add(stat::faults);
			if (i % 2)
				c.add(stat::tables, 3);
			else
				c.sub(stat::tables, 2);
		});
	for (auto &t : threads)
		t.join();
	c.read(out);
	EXPECT_EQ(out.faults, 20000u);
	EXPECT_EQ(out.tables, 10u);
	EXPECT_EQ(out.present, 0u);
}

} // namespace svm_test
