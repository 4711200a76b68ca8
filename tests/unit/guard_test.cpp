// SPDX-License-Identifier: GPL-2.0-only
/* mm/base/guard.hpp: each guard takes what it names and lets go of it, in each way out. */
#include "mm/base/guard.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class guard_test : public machine
{
protected:
	void SetUp() override
	{
		domain = port_domain_create(this, proc.get(), &dev, nullptr);
	}
	void TearDown() override
	{
		port_domain_destroy(domain);
		machine::TearDown();
	}

	port_domain *domain = nullptr;
};

TEST_F(guard_test, table_guard_excludes)
{
	svm::table_lock lock;
	u64 plain = 0; /* ThreadSanitizer watches it */
	auto add = [&] {
		for (int i = 0; i < 10000; i++) {
			svm::table_guard hold(lock);

			plain++;
		}
	};
	std::thread a(add), b(add);

	a.join();
	b.join();
	EXPECT_EQ(plain, 20000u);
}

TEST_F(guard_test, table_guard_on_each_way_out)
{
	svm::table_lock lock;
	auto leave_early = [&](bool early) {
		svm::table_guard hold(lock);

		EXPECT_EQ(current().table_locks, 1u);
		if (early)
			return 1;
		return 2;
	};

	EXPECT_EQ(leave_early(true), 1);
	EXPECT_EQ(current().table_locks, 0u);
	EXPECT_EQ(leave_early(false), 2);
	EXPECT_EQ(current().table_locks, 0u);
}

TEST_F(guard_test, interval_guard_says_whether_it_holds)
{
	std::atomic<int> err{1};
	{
		svm::interval_guard hold(domain);

		ASSERT_TRUE(hold.held().ok());

		std::thread other([&] {
			kill(current());
			svm::interval_guard again(domain);

			err = again.held().error();
		}); /* and does not unlock what it did not lock */

		other.join();
		EXPECT_EQ(err, -EINTR);

		std::thread third([&] {
			kill(current());
			EXPECT_FALSE(domain->lock(PORT_INTERVALS)); /* still taken */
		});

		third.join();
	}
	svm::interval_guard free_again(domain);

	EXPECT_TRUE(free_again.held().ok());
}

TEST_F(guard_test, reader_holds_off_synchronize)
{
	std::atomic<bool> synchronized{false};
	std::thread t;
	{
		svm::reader outer(domain);
		svm::reader nested(domain);

		t = std::thread([&] {
			port_synchronize(domain);
			synchronized = true;
		});
		std::this_thread::sleep_for(std::chrono::milliseconds(50));
		EXPECT_FALSE(synchronized);
	}
	t.join();
	EXPECT_TRUE(synchronized);
	port_synchronize(domain); /* with nobody inside */
}

} // namespace svm_test
