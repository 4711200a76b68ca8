// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core on the host, by real threads in one vm: faults in tables that no two of them share, the same beside unmaps, and
 * duplicate faults. The simulated machine under it has locks of its own, and they are in all figures but those of duplicates.
 */
#include "tests/host/machine.hpp"

#include <benchmark/benchmark.h>

#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace bench {

namespace {

using namespace svm_host;

constexpr u64 table = 2 * MiB, granule = 64 * KiB, pages = table / PAGE;
constexpr int most_threads = 16;

void must(int error, const char *what)
{
	if (!error)
		return;
	std::fprintf(stderr, "svm_bench_host: %s: %d\n", what, error);
	std::exit(1);
}

// One machine for all threads of a benchmark; a table of memory for each.
class world {
public:
	world()
	{
		must(host.create(), "create");
		must(svm_bind_all(host.vm), "bind");
		must(host.proc->mmap({.start = BASE, .end = BASE + most_threads * table, .object = {}}), "mmap");
	}
	~world()
	{
		host.close();
		for (const std::string &what : take_complaints())
			must(1, what.c_str());
	}
	world(const world &) = delete;
	world &operator=(const world &) = delete;

	static u64 place(int thread) { return BASE + static_cast<u64>(thread) * table; }

	void touch(int thread)
	{
		for (u64 va = place(thread), end = va + table; va < end; va += PAGE)
			must(host.proc->write(va, va), "write");
	}

	// By as many faults as a device would need.
	void fault(int thread)
	{
		for (u64 va = place(thread), end = va + table; va < end; va += granule)
			must(host.fault(va, SVM_WRITE), "fault");
	}

	void drop(int thread) { must(host.proc->dontneed(place(thread), place(thread) + table), "dontneed"); }

private:
	machine host;
};

std::unique_ptr<world> shared;

void begin(const benchmark::State &)
{
	shared = std::make_unique<world>();
}

void end(const benchmark::State &)
{
	shared.reset();
}

void count(benchmark::State &state, u64 of_each)
{
	state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(of_each)); // of all threads: the library adds them up
}

// Faults alone are timed: no thread drops or touches memory while another one faults.
void faults(benchmark::State &state)
{
	static std::unique_ptr<std::barrier<>> together;

	if (state.thread_index() == 0)
		together = std::make_unique<std::barrier<>>(state.threads());
	for (auto _ : state) {
		shared->drop(state.thread_index());
		shared->touch(state.thread_index());
		together->arrive_and_wait();
		const auto from = std::chrono::steady_clock::now();
		shared->fault(state.thread_index());
		together->arrive_and_wait(); // the slowest one ends the round
		state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
	}
	count(state, pages);
}

void faults_and_unmaps(benchmark::State &state)
{
	for (auto _ : state) {
		shared->fault(state.thread_index());
		shared->drop(state.thread_index());
	}
	count(state, pages);
}

void duplicates(benchmark::State &state)
{
	shared->fault(state.thread_index());
	for (auto _ : state)
		shared->fault(state.thread_index());
	count(state, table / granule);
}

// Adds what all threads together do, in relation to one.
class reporter : public benchmark::ConsoleReporter {
public:
	void ReportRuns(const std::vector<Run> &runs) override
	{
		std::vector<Run> with_ratio = runs;

		for (Run &r : with_ratio) {
			const double rate = r.counters["items_per_second"];

			if (r.threads == 1)
				alone[r.run_name.function_name] = rate;
			if (const auto one = alone.find(r.run_name.function_name); one != alone.end())
				r.counters["of_one_thread"] = rate / one->second;
		}
		ConsoleReporter::ReportRuns(with_ratio);
	}

private:
	std::map<std::string, double> alone; // items per second of one thread
};

// To make the memory present again takes longer than the faults, so the number of rounds is not left to the library.
BENCHMARK(faults)->Setup(begin)->Teardown(end)->ThreadRange(1, most_threads)->UseManualTime()->Iterations(1000);
BENCHMARK(faults_and_unmaps)->Setup(begin)->Teardown(end)->ThreadRange(1, most_threads)->UseRealTime();
BENCHMARK(duplicates)->Setup(begin)->Teardown(end)->ThreadRange(1, most_threads)->UseRealTime();

} // namespace

} // namespace bench

int main(int argc, char **argv)
{
	bench::reporter out;

	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return 2;
	benchmark::RunSpecifiedBenchmarks(&out);
	return 0;
}
