/* SPDX-License-Identifier: GPL-2.0-only */
/* A vm whose device has little memory for tables, and others beside it. */
#ifndef SVM_TESTS_UNIT_ROOM_MACHINE_HPP
#define SVM_TESTS_UNIT_ROOM_MACHINE_HPP

#include "mm/vm.hpp"
#include "tests/unit/machine.hpp"

namespace svm_test
{

class room_machine : public bound_machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	/* A second vm on the same device; it is only faulted in, since the device walks the first one. */
	svm_vm *make_other()
	{
		svm_vm_params p = params();
		svm_vm *other = nullptr;

		EXPECT_EQ(svm_vm_create(&p, &other), 0);
		return other;
	}

	static svm_counters counted(const svm_vm *of)
	{
		svm_counters c;

		svm_vm_counters(of, &c);
		return c;
	}

	/* One page in each of n tables, so that all of them are in use. */
	void use(u64 start, u64 n, u64 step = TABLE)
	{
		for (u64 i = 0; i < n; i++)
			ASSERT_EQ(device_write(start + i * step, i + 1), 0) << i;
	}

	/* Tables and directories that are taken and not yet freed. */
	u64 on_their_way() const
	{
		return vm->pt.pending.load_relaxed();
	}
};

} // namespace svm_test

#endif
