/* SPDX-License-Identifier: GPL-2.0-only */
/* The operations of the fuzzer: each does it to the machine and to the model, and compares what came of it. */
#ifndef SVM_TESTS_FUZZ_OPS_HPP
#define SVM_TESTS_FUZZ_OPS_HPP

#include "tests/fuzz/world.hpp"

namespace svm_fuzz
{

/* What the next call into the core meets besides: both end with it. */
struct disturbance {
	unsigned fail_step = 0; /* its nth fallible step fails */
	bool killed = false;
};

struct context {
	world &w;
	input &in;
	disturbance next{};
	bool trace = false;
	range touched{0, 0}; /* what the operation was about */
	u64 words = 0; /* each word that is written is another one */
};

struct operation {
	const char *name;
	void (*run)(context &);
};

/* By number; a byte chooses. */
extern const operation operations[];
extern const unsigned operation_count;

/* ---- device_ops.cpp ---- */
void device_read(context &);
void device_write(context &);
void device_add(context &);
void device_fault(context &);
void prefetch(context &);
void bind(context &);
void unbind(context &);
void remake_vm(context &);
void lose_device(context &);

} // namespace svm_fuzz

#endif
