// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_fuzz_ops: libFuzzer's bytes as a sequence of operations of a process, of the kernel and of
 * a device, run by one thread on the simulated machine and on a model of what must come of it.
 *
 * Byte 0 makes the vm; then one byte an operation, each followed by what it takes. With
 * SVM_FUZZ_TRACE=1 the operations are printed: how to read a file that failed.
 */
#include "tests/fuzz/ops.hpp"

#include <cstdio>
#include <cstdlib>

using namespace svm_fuzz;

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
	/* The machine's complaints end it where they arise. */
	setenv("SVM_HOST_ABORT", "1", 1);
	return 0;
}

constexpr unsigned max_operations = 300;

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const bool trace = std::getenv("SVM_FUZZ_TRACE");
	input in(data, size);
	world w(in.byte());
	context c{w, in};

	c.trace = trace;

	for (unsigned n = 0; n < max_operations && !in.empty(); n++) {
		const operation &op = operations[in.below(operation_count)];

		c.touched = {0, 0};
		if (trace)
			std::fprintf(stderr, "%3u %s\n", n, op.name);
		op.run(c);
		if (trace && c.touched.first < c.touched.last)
			std::fprintf(stderr, "    pages %u..%u\n", c.touched.first, c.touched.last - 1);
		if (!w.lost)
			w.check(c.touched);
	}
	w.check_all();
	return 0;
}
