// SPDX-License-Identifier: GPL-2.0-only
/* An unbind beside a prefetch, and the end of intervals. */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class unbind_test : public machine
{
protected:
	static constexpr u64 SIZE = 2 * MiB;
};

/* A notifier ends with the last span in its block, and not before. */
TEST_F(unbind_test, intervals_end_with_their_last_span)
{
	map(BASE, 4 * SIZE);
	map(BASE + 4 * GiB, SIZE);
	ASSERT_EQ(svm_bind_all(vm), 0);
	ASSERT_EQ(fault(BASE), 0);
	ASSERT_EQ(fault(BASE + 4 * GiB), 0);
	EXPECT_EQ(live.intervals, 2u);
	ASSERT_EQ(svm_unbind(vm, BASE, BASE + SIZE), 0);
	EXPECT_EQ(live.intervals, 2u);
	ASSERT_EQ(svm_unbind(vm, BASE - GiB, BASE + GiB), 0);
	EXPECT_EQ(live.intervals, 1u);
	EXPECT_EQ(count().intervals, 1u);
	EXPECT_EQ(device().read(BASE + 4 * GiB).what, gpu::status::ok);
	ASSERT_EQ(svm_unbind(vm, 0, USER_END), 0);
	EXPECT_EQ(live.intervals, 0u);
	expect_empty();
}

/* An unbind waits for the tables that a prefetch has under way, not for all that it has before it. */
TEST_F(unbind_test, goes_on_beside_a_long_prefetch)
{
	constexpr u64 size = 8 * GiB;
	task &self = current();
	std::thread unbinding;
	u64 pages = 0;
	int err = 1;

	map(BASE, size);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + size, 0), 0);
	ASSERT_EQ(svm_bind(vm, BASE + size, BASE + size + SIZE, 0), 0);

	std::atomic<bool> started{false};

	hook.fault_entry = [&](const auto &) {
		if (!started.exchange(true))
			unbinding = std::thread([&] {
				err = svm_unbind(vm, BASE + size, BASE + size + SIZE);
				kill(self); /* the prefetch may end now */
			});
	};
	EXPECT_EQ(svm_prefetch(vm, BASE, BASE + size, SVM_READ, &pages), -EINTR);
	unbinding.join();
	hook.fault_entry = nullptr;
	self.killed = false;
	EXPECT_EQ(err, 0);
	EXPECT_LT(count().tables, size / SIZE);
}

} // namespace svm_test
