// SPDX-License-Identifier: GPL-2.0-only
/* A window's end beside a prefetch and beside another unbind, and its intervals' borders. */
#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class unbind_test : public machine
{
protected:
	static constexpr u64 SIZE = 2 * MiB;
};

/* What happens beside the window calls nobody, though the interval's aligned piece of 512 MiB reaches there. */
TEST_F(unbind_test, intervals_end_with_their_window)
{
	map(BASE - SIZE, 3 * SIZE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + SIZE, 0), 0);
	ASSERT_EQ(fault(BASE), 0);
	proc->dontneed(BASE - SIZE, BASE);
	proc->dontneed(BASE + SIZE, BASE + 2 * SIZE);
	EXPECT_EQ(count().invalidations, 0u);
	proc->dontneed(BASE, BASE + PAGE);
	proc->dontneed(BASE + SIZE - PAGE, BASE + SIZE);
	EXPECT_EQ(count().invalidations, 2u);
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

/* The second unbind of a window finds none, while the first still waits for readers. */
TEST_F(unbind_test, a_window_is_taken_apart_once)
{
	std::atomic<int> second{1};
	int first = 1;

	map(BASE, SIZE);
	ASSERT_EQ(svm_bind(vm, BASE, BASE + SIZE, 0), 0);
	ASSERT_EQ(fault(BASE), 0);

	auto section = std::make_unique<svm::reader>(vm->domain());
	std::thread one([&] { first = svm_unbind(vm, BASE, BASE + SIZE); });

	ASSERT_TRUE(eventually([&] { return !svm::window_at(*vm, BASE); }));

	std::thread two([&] { second = svm_unbind(vm, BASE, BASE + SIZE); });

	EXPECT_TRUE(eventually([&] { return second != 1; }));
	section.reset();
	one.join();
	two.join();
	EXPECT_EQ(first, 0);
	EXPECT_EQ(second, -ENOENT);
	expect_empty();
}

} // namespace svm_test
