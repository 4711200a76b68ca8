// SPDX-License-Identifier: GPL-2.0-only
// The order in which queues get engines, and the threads that jobs run on.
#include "model/thread_pool.hpp"
#include "model/turns.hpp"
#include "../unit/seeded.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <string>

using namespace svgpu;
using namespace std::chrono_literals;

namespace {

constexpr turns::group a = 1, b = 2, c = 3;

// The queues that get the next turns, each of which ends at once, and wait again if they are endless.
std::string order(turns &t, const std::map<unsigned, turns::group> &group_of, unsigned how_many, bool endless)
{
	std::string text;

	for (unsigned i = 0; i < how_many; ++i) {
		std::optional<unsigned> queue = t.next();

		if (!queue)
			break;
		text += std::to_string(*queue);
		t.end(group_of.at(*queue));
		if (endless)
			t.want(group_of.at(*queue), *queue);
	}
	return text;
}

TEST(turns, nobody_waits)
{
	turns t;

	EXPECT_TRUE(t.empty());
	EXPECT_EQ(t.next(), std::nullopt);
	t.forget(a, 1);
	EXPECT_TRUE(t.empty());
}

TEST(turns, go_round_groups_and_then_round_a_group)
{
	std::map<unsigned, turns::group> of = { { 1, a }, { 2, a }, { 3, a }, { 4, b }, { 5, c }, { 6, c } };
	turns t;

	for (auto [queue, group] : of)
		t.want(group, queue);
	EXPECT_EQ(order(t, of, 12, true), "145246345146");
}

TEST(turns, are_first_come_first_served_in_a_group)
{
	turns t;

	for (unsigned queue : { 7, 3, 5 })
		t.want(a, queue);
	EXPECT_EQ(order(t, { { 3, a }, { 5, a }, { 7, a } }, 9, false), "735");
	EXPECT_TRUE(t.empty());
}

TEST(turns, the_group_with_the_fewest_is_next)
{
	turns t;

	for (unsigned queue : { 1, 2, 3 })
		t.want(a, queue);
	EXPECT_EQ(t.next(), 1u);
	EXPECT_EQ(t.next(), 2u);
	t.want(b, 4);
	t.want(b, 5);
	EXPECT_EQ(t.next(), 4u);
	EXPECT_EQ(t.next(), 5u);
	EXPECT_EQ(t.next(), 3u);
	// Now a has three and b two.
	t.want(a, 6);
	t.want(b, 7);
	EXPECT_EQ(t.next(), 7u);
	t.end(a);
	t.want(b, 8);
	EXPECT_EQ(t.next(), 6u);
}

TEST(turns, the_forgotten_get_none)
{
	turns t;

	t.want(a, 1);
	t.want(a, 2);
	t.want(b, 3);
	t.forget(a, 1);
	t.forget(b, 3);
	t.forget(b, 3);
	EXPECT_FALSE(t.empty());
	EXPECT_EQ(t.next(), 2u);
	EXPECT_TRUE(t.empty());
	EXPECT_EQ(t.next(), std::nullopt);
}

// As many turns at once as there are engines; each ends after a random time; the group of a single queue is there from
// the beginning or comes later. Of 4 engines it can use one, and it has that almost always.
TEST(turns, a_group_of_one_among_groups_of_many)
{
	constexpr unsigned engines = 4, alone = 99, rounds = 10000;
	svm_test::seeded random(1);
	std::map<unsigned, turns::group> of = { { alone, c } };
	std::vector<unsigned> running;
	unsigned turns_of_alone = 0;
	turns t;

	for (unsigned i = 0; i < 64; ++i)
		of[i] = i % 2 ? a : b;
	for (auto [queue, group] : of)
		t.want(group, queue);
	while (running.size() < engines)
		running.push_back(*t.next());
	for (unsigned i = 0; i < rounds; ++i) {
		unsigned &one = running[random() % engines];

		turns_of_alone += std::count(running.begin(), running.end(), alone);
		t.end(of[one]);
		t.want(of[one], one);
		one = *t.next();
	}
	EXPECT_GT(turns_of_alone, rounds * 9 / 10);
}

TEST(thread_pool, tasks_that_wait_for_each_other)
{
	constexpr unsigned tasks = 64;
	std::atomic<unsigned> arrived{ 0 };
	thread_pool pool;

	for (unsigned i = 0; i < tasks; ++i) {
		pool.run([&] {
			++arrived;
			while (arrived != tasks)
				std::this_thread::sleep_for(100us);
		});
	}
	while (arrived != tasks)
		std::this_thread::sleep_for(100us);
	EXPECT_LE(pool.size(), tasks);
}

TEST(thread_pool, an_idle_thread_is_used_again)
{
	thread_pool pool(1h);
	std::set<std::thread::id> seen;

	for (unsigned i = 0; i < 50; ++i) {
		std::atomic<bool> ended{ false };

		pool.run([&] {
			seen.insert(std::this_thread::get_id());
			ended = true;
		});
		while (!ended)
			std::this_thread::sleep_for(50us);
		std::this_thread::sleep_for(200us); // as a rule it is idle by then
	}
	// They live for an hour, so each new one adds itself. On a busy machine some were not idle in time.
	EXPECT_LT(seen.size(), 50u);
}

TEST(thread_pool, idle_threads_end)
{
	thread_pool pool(1ms);
	std::atomic<unsigned> ended{ 0 };

	for (unsigned i = 0; i < 16; ++i)
		pool.run([&] { ++ended; });
	while (ended != 16 || pool.size())
		std::this_thread::sleep_for(1ms);
	// And one that is made afterwards works.
	pool.run([&] { ++ended; });
	while (ended != 17)
		std::this_thread::sleep_for(1ms);
}

TEST(thread_pool, its_end_waits_for_tasks)
{
	std::atomic<unsigned> ended{ 0 };

	{
		thread_pool pool;

		for (unsigned i = 0; i < 16; ++i) {
			pool.run([&] {
				std::this_thread::sleep_for(5ms);
				++ended;
			});
		}
	}
	EXPECT_EQ(ended, 16u);
}

} // namespace
