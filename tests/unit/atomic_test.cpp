// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/atomic.hpp: what each operation does, and the orders that the core builds on. */
#include "mm/base/atomic.hpp"

#include <svm/types.h>

#include <atomic>
#include <barrier>
#include <gtest/gtest.h>
#include <thread>

namespace svm_test
{

enum class colour : u8 { red, green };

TEST(atomic_test, values)
{
	svm::atomic<u64> n{5};
	svm::atomic<colour> c{colour::green};
	svm::atomic<void *> p;

	EXPECT_EQ(n.load_relaxed(), 5u);
	EXPECT_EQ(n.fetch_add_relaxed(3), 5u);
	EXPECT_EQ(n.fetch_add_relaxed(~0ull), 8u);
	EXPECT_EQ(n.load_acquire(), 7u);
	EXPECT_EQ(n.fetch_or_acquire(8), 7u);
	EXPECT_EQ(n.fetch_and_release(~1ull), 15u);
	EXPECT_EQ(n.load_relaxed(), 14u);
	EXPECT_EQ(c.load_acquire(), colour::green);
	c.store_release(colour::red);
	EXPECT_EQ(c.load_relaxed(), colour::red);
	EXPECT_EQ(p.load_relaxed(), nullptr);
	p.store_relaxed(&n);
	EXPECT_EQ(p.load_relaxed(), &n);
}

TEST(atomic_test, exchange_if)
{
	svm::atomic<u64> n{1};
	u64 seen = 2;

	EXPECT_FALSE(n.exchange_if(seen, 9));
	EXPECT_EQ(seen, 1u); /* what is there instead */
	EXPECT_EQ(n.load_relaxed(), 1u);
	EXPECT_TRUE(n.exchange_if(seen, 9));
	EXPECT_EQ(n.load_relaxed(), 9u);
}

TEST(atomic_test, one_winner)
{
	for (int round = 0; round < 200; round++) {
		svm::atomic<u64> n;
		std::atomic<unsigned> winners{0};
		auto race = [&](u64 mine) {
			u64 none = 0;

			if (n.exchange_if(none, mine))
				winners++;
			else
				EXPECT_EQ(none, n.load_relaxed());
		};
		std::thread a(race, 1), b(race, 2);

		a.join();
		b.join();
		ASSERT_EQ(winners, 1u);
	}
}

/* Release and acquire carry what was written before; ThreadSanitizer objects where they do not. */
TEST(atomic_test, release_carries_plain_writes)
{
	for (int round = 0; round < 200; round++) {
		svm::atomic<u64 *> shared;
		std::thread writer([&] { shared.store_release(new u64(42)); });
		u64 *got;

		while (!(got = shared.load_acquire()))
			std::this_thread::yield();
		EXPECT_EQ(*got, 42u);
		writer.join();
		delete got;
	}
}

/* Two threads store and then look at the other's: with a full barrier in between, one of them must see it. */
TEST(atomic_test, full_barrier_orders_store_before_load)
{
	constexpr unsigned rounds = 5000;
	svm::atomic<u64> x, y;
	std::barrier<> meet(2);
	u64 saw[2] = {};
	unsigned both_missed = 0;
	auto side = [&](unsigned me, svm::atomic<u64> &mine, svm::atomic<u64> &theirs) {
		for (u64 r = 1; r <= rounds; r++) {
			meet.arrive_and_wait();
			mine.store_relaxed(r);
			svm::full_barrier();
			saw[me] = theirs.load_relaxed();
			meet.arrive_and_wait();
			if (me == 0 && saw[0] < r && saw[1] < r)
				both_missed++;
		}
	};
	std::thread other([&] { side(1, y, x); });

	side(0, x, y);
	other.join();
	EXPECT_EQ(both_missed, 0u);
}

} // namespace svm_test
