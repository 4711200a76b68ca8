// SPDX-License-Identifier: GPL-2.0-only
/*
 * The load of tests/host/workload.hpp on real threads, each scenario for a while: the
 * judges are its own checks, the machine's, and the sanitizer that the build has. (The same on
 * a scheduler whose runs can be repeated: tests/sim.)
 *
 * SVM_STRESS_SECONDS says for how long each; unset, it is short. The seed is a fresh one each time and printed; SVM_STRESS_SEED
 * chooses one.
 */
#include "tests/host/workload.hpp"
#include "tests/unit/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <random>

namespace svm_host
{

/* So that a failure names the scenario and does not print its bytes. */
static void PrintTo(const workload::scenario &s, std::ostream *out)
{
	*out << s.name;
}

} // namespace svm_host

namespace svm_test
{

static double setting(const char *name, double otherwise)
{
	const char *text = std::getenv(name);

	return text ? std::strtod(text, nullptr) : otherwise;
}

class stress_test : public machine, public ::testing::WithParamInterface<workload::scenario>
{
protected:
	void SetUp() override
	{
		current().killed = false;
	}
};

TEST_P(stress_test, runs)
{
	auto seed = u64(setting("SVM_STRESS_SEED", double(std::random_device{}())));
	auto time = std::chrono::duration<double>(setting("SVM_STRESS_SECONDS", 0.3));
	auto end = std::chrono::steady_clock::now() + time;
	workload load(*this, GetParam());

	std::printf("again: SVM_STRESS_SEED=%llu SVM_STRESS_SECONDS=%g svm_unit_tests --gtest_filter='*stress*%s'\n", seed,
		    time.count(), GetParam().name.c_str());
	load.prepare();
	load.run([=] { return std::chrono::steady_clock::now() > end; },
		 [=](size_t thread) { return workload::random(std::mt19937_64(seed + thread)); });

	svm_counters c = count();

	std::printf("faults %llu duplicates %llu retries %llu failed %llu invalidations %llu zapped %llu huge %llu "
		    "tables made %llu freed %llu, device walks %llu\n",
		    c.faults, c.duplicates, c.retries, c.failed, c.invalidations, c.ptes_zapped, c.huge_leaves,
		    c.tables_made, c.tables_freed, device().walks());
}

INSTANTIATE_TEST_SUITE_P(load, stress_test, ::testing::ValuesIn(workload::scenarios()),
			 [](const auto &info) { return info.param.name; });

} // namespace svm_test
