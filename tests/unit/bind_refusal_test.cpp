// SPDX-License-Identifier: GPL-2.0-only
/* mm/bind/: what may not be bound, and binds that find no memory: the call says why, and changes nothing. */
#include "tests/unit/bind_machine.hpp"

namespace svm_test
{

using bind_refusal_test = bind_machine;

TEST_F(bind_refusal_test, bind_refuses)
{
	constexpr u64 table = 2 * MiB;
	constexpr u64 device_end = 1ull << 48;

	EXPECT_EQ(svm_bind(vm, BASE + 1, BASE + PAGE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE - 1, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE + PAGE, BASE, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, ~0ull << 12, 0, 0), -EINVAL);
	EXPECT_EQ(svm_bind(vm, USER_END - PAGE, USER_END + PAGE, 0), -EINVAL); /* beyond the user's space */
	EXPECT_EQ(svm_bind(vm, device_end - PAGE, device_end + table, s64(device_end - table)),
		  -EINVAL); /* the device's */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, 1), -EINVAL);
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, s64(PAGE / 2)), -EINVAL);
	EXPECT_EQ(svm_bind(vm, 0, PAGE, s64(table)), -EINVAL); /* CPU address below 0 */
	EXPECT_EQ(svm_bind(vm, 0, 2 * table, s64(table)), -EINVAL); /* wraps on the CPU's side */
	EXPECT_EQ(svm_bind(vm, BASE, BASE + PAGE, -s64(table) * 4096 * 1024),
		  -EINVAL); /* CPU address beyond the user's */
	EXPECT_EQ(svm_unbind(vm, BASE, BASE + PAGE), 0); /* a hole already */
	EXPECT_TRUE(bindings().empty());
}

/* One that is wrong, and nothing of the others is done. */
TEST_F(bind_refusal_test, many_refuse)
{
	const svm_bind_op good = mirror(BASE, BASE + PAGE), bad[] = {
		{BASE + MiB, BASE + MiB + PAGE, 0, 4, 0, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, 0, SVM_BIND_MIRROR, 1, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, PAGE, SVM_BIND_NULL, 0, nullptr},
		{BASE + MiB, BASE + MiB + PAGE, PAGE, SVM_BIND_NOTHING, 0, nullptr},
		{BASE + MiB, BASE + MiB, 0, SVM_BIND_NULL, 0, nullptr},
		{BASE + MiB, BASE + MiB + 1, 0, SVM_BIND_NULL, 0, nullptr},
		{(1ull << 48) - PAGE, (1ull << 48) + PAGE, 0, SVM_BIND_NULL, 0, nullptr},
		{~0ull << 12, 0, 0, SVM_BIND_NOTHING, 0, nullptr},
		good,
		{BASE - PAGE, BASE + PAGE, 0, SVM_BIND_NULL, 0, nullptr},
		{BASE - PAGE, BASE + 2 * PAGE, 0, SVM_BIND_NOTHING, 0, nullptr},
	};

	for (const svm_bind_op &op : bad) {
		EXPECT_EQ(bind({good, op}), -EINVAL);
		EXPECT_EQ(bind({op, good}), -EINVAL);
		EXPECT_TRUE(bindings().empty());
	}
	EXPECT_EQ(bind({}), 0);
	EXPECT_EQ(bind({good, null(BASE + PAGE, BASE + 2 * PAGE)}), 0);
}

/* A format without null entries says so. */
TEST_F(bind_refusal_test, null_where_the_format_has_none)
{
	svm_format none = *vm->pt.format;

	none.info.null = false;
	vm->pt.format = &none;
	EXPECT_EQ(bind({mirror(BASE, BASE + PAGE), null(GiB, GiB + PAGE)}), -EOPNOTSUPP);
	EXPECT_TRUE(bindings().empty());
	vm->pt.format = svm_format_find("xe2");
}

/* A call that finds no memory, for whatever it allocates, changes nothing. */
TEST_F(bind_refusal_test, allocations_fail)
{
	auto before = mirror(BASE, BASE + TABLE);
	unsigned failed = 0;
	u64 v;

	map(BASE, TABLE);
	touch(BASE, TABLE);
	for (unsigned nth = 1;; nth++) {
		ASSERT_EQ(bind({before}), 0);
		ASSERT_EQ(read(BASE + 5 * PAGE, v), 0);
		inject.arm(nth);
		int err = bind({mirror(BASE + 9 * PAGE, BASE + 10 * PAGE, s64(PAGE)), hole(BASE + 20 * PAGE, BASE + 30 * PAGE),
				null(BASE + 40 * PAGE, BASE + 41 * PAGE), mirror(GiB, GiB + PAGE, s64(GiB) - s64(BASE))});
		inject.arm(0);
		if (!err)
			break;
		EXPECT_EQ(err, -ENOMEM);
		EXPECT_EQ(bindings(), std::vector{before});
		EXPECT_EQ(device().read(BASE + 5 * PAGE).what, gpu::status::ok);
		EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::ok);
		failed++;
	}
	EXPECT_GT(failed, 5u);
	EXPECT_EQ(bindings().size(), 7u);
	EXPECT_EQ(device().read(BASE + 20 * PAGE).what, gpu::status::fault);
}

} // namespace svm_test
