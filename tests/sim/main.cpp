// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm_sim: the load of tests/host/workload.hpp on the seeded scheduler, seed after seed, with
 * the oracle looking on. Each scenario is a process of its own, so that a crash is a failure of
 * that scenario; results are KTAP. A failure says the command that repeats it, step by step.
 */
#include "tests/host/workload.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/scheduler.hpp"

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iterator>
#include <random>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace svm_host;

namespace
{

struct options {
	u64 seed = 0; /* 0: from 1, and as many steps from a fresh one */
	u64 fresh = 0;
	u64 steps = 20'000'000; /* all scenarios together */
	u64 run_steps = 60'000; /* of one seed, before it comes to its end */
	std::string scenario;
	std::string format; /* empty: by the seed */
	bool verbose = false;
	bool stop = false;
};

/* The run that is under way, for what ends it. */
struct run_state {
	const workload::scenario *what = nullptr;
	u64 seed = 0;
	u64 run_steps = 0;
	svm_sim::scheduler *by = nullptr;
	u64 before = 0; /* steps of the seeds before it */
} now;

[[noreturn]] void fail(const char *why)
{
	std::printf("# %s\n# seed %llu, step %llu, after %llu steps in all\n"
		    "# again: svm_sim --scenario %s --seed %llu --run-steps %llu --steps 1\n",
		    why, now.seed, now.by ? now.by->steps() : 0, now.before + (now.by ? now.by->steps() : 0),
		    now.what->name.c_str(), now.seed, now.run_steps);
	std::fflush(stdout);
	_exit(1);
}

/* Broken memory, most likely. Not all of this is safe in a handler, but there is nothing left to lose. */
void on_signal(int number)
{
	fail(strsignal(number));
}

void catch_signals()
{
	static char stack[64 * 1024];
	stack_t alternate = {};
	struct sigaction act = {};

	alternate.ss_sp = stack;
	alternate.ss_size = sizeof(stack);
	sigaltstack(&alternate, nullptr);
	act.sa_handler = on_signal;
	act.sa_flags = SA_ONSTACK | SA_RESETHAND;
	for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM})
		sigaction(number, &act, nullptr);
}

struct outcome {
	u64 steps = 0;
	u64 trace = 0;
	u64 looked = 0;
	svm_counters counted{};
};

std::vector<std::string> all_formats()
{
	std::istringstream words(svm_format_names());

	return {std::istream_iterator<std::string>(words), {}};
}

/* Every second seed walks as Xe2 does, whose device keeps pointers to tables; the others take turns. */
std::string format_of(u64 seed)
{
	static const std::vector<std::string> all = all_formats();

	return seed & 1 ? all[1 + seed / 2 % (all.size() - 1)] : all[0];
}

void run_load(svm_sim::scheduler &by, const workload::scenario &s, const std::string &by_name, u64 seed, u64 run_steps, outcome &o)
{
	machine m;

	m.format = by_name.empty() ? format_of(seed) : by_name;

	workload load(m, s);
	svm_sim::oracle watch(m, workload::ARENA, workload::ARENA + workload::ARENA_SIZE,
			      workload::ARENA + workload::ALL_SIZE, load.bindings());

	load.prepare();
	hook.announced = [&](u64 start, u64 end) { by.watch([&] { watch.announced(start, end); }); };
	hook.ending = [&](u64 start, u64 end) { by.watch([&] { watch.ending(start, end); }); };
	by.on_step = [&] { watch.step(); };
	load.run([&] { return by.steps() > run_steps; },
		 [=](size_t thread) { return workload::random(std::mt19937_64(seed * 1000 + thread)); });
	by.on_step = nullptr;
	o.counted = m.count();
	o.looked = watch.looked();
	hook.announced = hook.ending = nullptr;
	m.close();
}

outcome run_seed(const workload::scenario &s, const options &opt, u64 seed)
{
	outcome o;
	svm_sim::scheduler by(seed);

	now.seed = seed;
	now.by = &by;
	alarm(120); /* a loop that comes to no point */
	by.max_steps = opt.run_steps * 20 + 2'000'000;
	by.on_hang = [](const std::string &why) { fail(why.c_str()); };
	by.run([&] { run_load(by, s, opt.format, seed, opt.run_steps, o); });
	o.steps = by.steps();
	o.trace = by.trace();
	now.by = nullptr;
	return o;
}

/* What came of all seeds of a scenario. */
struct total {
	outcome all;
	u64 seeds = 0;

	void add(const outcome &o)
	{
		seeds++;
		all.steps += o.steps;
		all.looked += o.looked;
		all.counted.faults += o.counted.faults;
		all.counted.retries += o.counted.retries;
		all.counted.invalidations += o.counted.invalidations;
		all.counted.ptes_zapped += o.counted.ptes_zapped;
		all.counted.tables_freed += o.counted.tables_freed;
	}
};

/* Seeds from the first one on, for so many steps at least. */
void run_seeds(const workload::scenario &s, const options &opt, u64 first, u64 steps, total &t)
{
	u64 end = t.all.steps + steps;

	for (u64 seed = first; t.all.steps < end; seed++) {
		outcome o = run_seed(s, opt, seed);

		if (opt.verbose)
			std::printf("# %s: seed %llu: %llu steps, trace %016llx\n", s.name.c_str(), seed, o.steps, o.trace);
		/* The promise that a seed says it all. */
		if (seed == first && run_seed(s, opt, seed).trace != o.trace)
			fail("the same seed went another way");
		t.add(o);
		now.before = t.all.steps;
	}
}

/* Does not come back from a failure. */
void run_scenario(const workload::scenario &s, const options &opt, u64 steps)
{
	total t;
	auto begin = std::chrono::steady_clock::now();

	now = {&s, 0, opt.run_steps, nullptr, 0};
	catch_signals();
	hook.complaint = [](const std::string &what) { fail(what.c_str()); };
	if (opt.seed) {
		run_seeds(s, opt, opt.seed, steps, t);
	} else {
		run_seeds(s, opt, 1, steps / 2, t);
		run_seeds(s, opt, opt.fresh, steps / 2, t);
	}

	std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
	const svm_counters &c = t.all.counted;

	std::printf("# %s: %llu steps of %llu seeds in %.1f s; the oracle looked %llu times; %llu faults, %llu retries, "
		    "%llu invalidations, %llu leaves zapped, %llu tables freed\n",
		    s.name.c_str(), t.all.steps, t.seeds, took.count(), t.all.looked, c.faults, c.retries, c.invalidations,
		    c.ptes_zapped, c.tables_freed);
	std::fflush(stdout);
}

bool in_a_process(const workload::scenario &s, const options &opt, u64 steps)
{
	int status = 0;

	std::fflush(stdout);

	pid_t child = fork();

	if (child == 0) {
		run_scenario(s, opt, steps);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace

int main(int argc, char **argv)
{
	options opt;
	CLI::App app{"The mirror under a seeded scheduler."};
	std::vector<std::string> names;

	for (const auto &s : workload::scenarios())
		names.push_back(s.name);
	app.add_option("--seed", opt.seed, "the first seed; unset: from 1, and as many steps from a fresh one")
		->check(CLI::PositiveNumber);
	app.add_option("--steps", opt.steps, "steps of all scenarios together, at least");
	app.add_option("--run-steps", opt.run_steps, "steps of one seed before its threads stop")->check(CLI::PositiveNumber);
	app.add_option("--scenario", opt.scenario, "only this one")->check(CLI::IsMember(names));
	app.add_option("--format", opt.format, "of all seeds; unset: by the seed")->check(CLI::IsMember(all_formats()));
	app.add_flag("--stop", opt.stop, "at the first failure");
	app.add_flag("--verbose", opt.verbose, "a line for each seed");
	CLI11_PARSE(app, argc, argv);

	std::vector<const workload::scenario *> chosen;

	for (const auto &s : workload::scenarios())
		if (opt.scenario.empty() || s.name == opt.scenario)
			chosen.push_back(&s);

	size_t n = 0;
	bool all_ok = true;

	std::printf("KTAP version 1\n1..%zu\n", chosen.size());
	if (!opt.seed) {
		opt.fresh = std::random_device{}() | 1ull << 32; /* far from the fixed ones */
		std::printf("# fresh seeds; again: svm_sim --seed %llu --steps %llu%s%s\n", opt.fresh, opt.steps / 2,
			    opt.scenario.empty() ? "" : " --scenario ", opt.scenario.c_str());
	}
	for (const auto *s : chosen) {
		bool ok = in_a_process(*s, opt, (opt.steps + chosen.size() - 1) / chosen.size());

		all_ok &= ok;
		std::printf("%s %zu %s\n", ok ? "ok" : "not ok", ++n, s->name.c_str());
		if (!ok && opt.stop)
			break;
	}
	return all_ok ? 0 : 1;
}
