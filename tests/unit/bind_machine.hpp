/* SPDX-License-Identifier: GPL-2.0-only */
/* A machine whose vm is bound operation by operation. */
#ifndef SVM_TESTS_UNIT_BIND_MACHINE_HPP
#define SVM_TESTS_UNIT_BIND_MACHINE_HPP

#include "mm/vm.hpp"
#include "tests/unit/bind_ops.hpp"
#include "tests/unit/machine.hpp"

inline bool operator==(const svm_bind_op &a, const svm_bind_op &b)
{
	return a.start == b.start && a.end == b.end && a.offset == b.offset && a.kind == b.kind && a.flags == b.flags && a.object == b.object;
}

namespace svm_test
{

class bind_machine : public machine
{
protected:
	static constexpr u64 TABLE = 2 * MiB;

	int bind(std::vector<svm_bind_op> ops)
	{
		return svm_bind_many(vm, ops.data(), u32(ops.size()));
	}

	/* All that is bound. */
	std::vector<svm_bind_op> bindings()
	{
		std::vector<svm_bind_op> all(1000);

		all.resize(svm_bindings(vm, 0, all.data(), u32(all.size())));
		return all;
	}

	/* The device's access as a driver serves it: 0 and the value, or the fault's error. */
	int read(u64 va, u64 &v)
	{
		return device_read(va, &v);
	}
};

} // namespace svm_test

#endif
