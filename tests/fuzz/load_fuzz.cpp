// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_fuzz_load: the load that the seeded simulation and the stress tests run on several threads
 * (tests/host/workload.hpp), by one thread whose bytes say what comes next. Byte 0 chooses the
 * scenario; then one byte an action, each followed by what it decides.
 *
 * What must hold is the load's own: nothing that was added to kept memory is lost, no error but
 * those that a scenario allows, and no complaint of the machine.
 */
#include "tests/fuzz/input.hpp"
#include "tests/host/workload.hpp"

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <sstream>

using namespace svm_host;

/* By the input's length, so that no byte of it is needed. */
static std::string format_of(size_t size)
{
	std::istringstream words(svm_format_names());
	std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};

	return all[size % all.size()];
}

extern "C" int LLVMFuzzerInitialize(int *, char ***)
{
	setenv("SVM_HOST_ABORT", "1", 1);
	return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const bool trace = std::getenv("SVM_FUZZ_TRACE");
	svm_fuzz::input in(data, size);
	const auto &all = workload::scenarios();
	const workload::scenario &s = all[in.below(unsigned(all.size()))];
	machine m;

	m.format = format_of(size);

	workload load(m, s);
	/* Two bytes: enough for whatever an action chooses among. */
	workload::random decide = [&] {
		u64 low = in.byte();

		return low | u64(in.byte()) << 8;
	};

	load.prepare();
	if (s.name == "reclaim_inside_allocation")
		reclaim_on_alloc(true);
	while (!in.empty()) {
		unsigned which = in.below(unsigned(s.threads.size()));

		if (trace)
			std::fprintf(stderr, "%s: as its thread %u\n", s.name.c_str(), which);
		(load.*s.threads[which])(decide);
	}
	/* Its threads have nothing left to do but to look at what has become of it all. */
	hook.alloc = nullptr;
	inject.arm(0);
	load.run([] { return true; }, [&](size_t) { return decide; });
	m.close();
	return 0;
}
