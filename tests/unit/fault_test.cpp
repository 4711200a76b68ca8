// SPDX-License-Identifier: GPL-2.0-only
/* svm_fault(): what it maps, what it leaves out, what it costs. */
#include "tests/unit/machine.hpp"

namespace svm_test
{

using fault_test = bound_machine;

TEST_F(fault_test, read_sees_what_the_cpu_wrote)
{
	map(BASE, 1 * MiB);
	touch(BASE, 64 * KiB, 100);

	u64 v;

	ASSERT_EQ(device_read(BASE + 3 * PAGE, &v), 0);
	EXPECT_EQ(v, 103u);
}

} // namespace svm_test
