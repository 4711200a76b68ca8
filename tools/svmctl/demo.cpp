// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demo: six jobs at once, each in a vm and on queues of its own so that its
 * counters are its own, over memory that never moves amid memory that always
 * does. Jobs go on until the churn has met them often enough to matter.
 */
#include "demo.hpp"

#include <chrono>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "demo_churn.hpp"
#include "demo_memory.hpp"
#include "demo_mixed.hpp"
#include "workload.hpp"

namespace svmctl {

namespace {

using clock = std::chrono::steady_clock;

// A job ends after this many passes and rounds of the churn, or when the time is up.
constexpr unsigned least_passes = 2;
constexpr unsigned most_passes = 12;
constexpr std::uint64_t least_rounds = 3;
constexpr std::chrono::seconds enough{8};

// Bounds for sizes that follow the input's, so that a small or a huge file works too.
constexpr std::size_t most_nodes = 20000;
constexpr std::size_t most_floats = 512 * 1024;
constexpr std::size_t most_copied = 8 << 20;

struct outcome {
	unsigned passes = 0;
	std::string error;
	svmirror::counters counters{};
	double seconds = 0;
};

// What runs on one thread: a vm, two queues, passes over one workload.
void run_job(const svmirror::device &gpu, const workload &work, const churn &noise, outcome &out)
try {
	auto begin = clock::now();
	svmirror::vm space(gpu);
	space.bind_all();
	std::array<svmirror::queue, 2> queues{svmirror::queue(space), svmirror::queue(space)};
	std::shared_ptr<void> kept = work.move_in ? work.move_in(space) : nullptr;
	std::uint64_t from = noise.rounds();
	do {
		work.pass(queues);
		out.passes++;
	} while (out.passes < most_passes && clock::now() - begin < enough &&
		 (out.passes < least_passes || noise.rounds() < from + least_rounds));
	out.counters = space.counters();
	out.seconds = std::chrono::duration<double>(clock::now() - begin).count();
} catch (const std::exception &error) {
	out.error = error.what();
}

std::vector<workload> make_jobs(const svmirror::device &gpu, const std::string &path, const mapped_file &file,
				const huge_buffer &buffer, neighbourhood &near)
{
	bytes input = file.contents();
	std::size_t nodes = std::clamp<std::size_t>(input.size() / 64, 256, most_nodes);
	std::size_t floats = std::clamp<std::size_t>(input.size() / 8, 4096, most_floats);
	between hook = [&near] { near.add_from_malloc(); };
	std::vector<workload> jobs;
	jobs.push_back(make_histogram(input));
	jobs.push_back(make_list(input, nodes, hook));
	jobs.push_back(make_graph(input, nodes, hook));
	jobs.push_back(make_saxpy(input, floats));
	jobs.push_back(make_copy(buffer.contents(), input));
	jobs.push_back(make_mixed(gpu, path, input));
	return jobs;
}

std::vector<outcome> run_all(const svmirror::device &gpu, const std::vector<workload> &jobs, const churn &noise)
{
	std::vector<outcome> outcomes(jobs.size());
	std::vector<std::jthread> threads;
	for (std::size_t i = 0; i < jobs.size(); i++)
		threads.emplace_back([&, i] { run_job(gpu, jobs[i], noise, outcomes[i]); });
	return threads.clear(), outcomes;
}

json churn_json(const churn_report &report)
{
	return {{"ok", report.error.empty()}, {"rounds", report.rounds},     {"remaps", report.remaps},
		{"protects", report.protects}, {"discards", report.discards}, {"forks", report.forks}};
}

json job_json(const workload &work, const outcome &out)
{
	verdict checked = out.error.empty() ? work.check(out.passes) : verdict{false, out.error};
	return {
		{"name", work.name},	   {"bytes", work.size},	   {"ok", checked.ok},
		{"checked", checked.text}, {"passes", out.passes},	   {"seconds", out.seconds},
		{"counters", to_json(out.counters)},
	};
}

} // namespace

json run_demo(const demo_options &options, const std::function<void(const std::string &)> &say)
{
	auto begin = clock::now();
	svmirror::device gpu(options.device.empty() ? nullptr : options.device.c_str());
	neighbourhood near;
	mapped_file file(options.input, near);
	huge_buffer buffer(std::min(file.contents().size(), most_copied), near);
	std::vector<workload> jobs = make_jobs(gpu, options.device, file, buffer, near);
	say(fmt::format("{} bytes of {}, {} jobs at once, {} neighbouring pages in motion", file.contents().size(),
			options.input, jobs.size(), near.pages().size()));

	churn noise(near);
	std::vector<outcome> outcomes = run_all(gpu, jobs, noise);
	churn_report moved = noise.stop();
	say("the GPU is done; the CPU checks");

	json report = {{"format", format_name(gpu.info())}, {"input", options.input},
		       {"input_bytes", file.contents().size()}};
	svmirror::counters total{};
	bool ok = moved.error.empty();
	report["jobs"] = json::array();
	for (std::size_t i = 0; i < jobs.size(); i++) {
		report["jobs"].push_back(job_json(jobs[i], outcomes[i]));
		ok = ok && report["jobs"].back()["ok"];
		total = total + outcomes[i].counters;
	}
	report["counters"] = to_json(total);
	report["churn"] = churn_json(moved);
	if (!moved.error.empty())
		report["churn"]["error"] = moved.error;
	report["seconds"] = std::chrono::duration<double>(clock::now() - begin).count();
	report["ok"] = ok;
	return report;
}

void print_demo(const json &report)
{
	auto line = [](const std::string &name, const std::string &size, const json &counters, const std::string &checked) {
		std::vector<std::string> row{name, size};
		for (const char *column : {"faults", "ptes_written", "huge_leaves", "invalidations", "retries"})
			row.push_back(counters[column].dump());
		row.push_back(checked);
		return row;
	};
	std::vector<std::vector<std::string>> rows{
		{"job", "bytes", "faults", "PTEs", "huge leaves", "invalidations", "retries", "checked"}};
	for (const json &job : report["jobs"])
		rows.push_back(line(job["name"], job["bytes"].dump(), job["counters"],
				    (job["ok"] ? "ok: " : "WRONG: ") + job["checked"].get<std::string>()));
	rows.push_back(line("all", "", report["counters"], report["ok"] ? "ok" : "FAILED"));
	print_table(rows);
	const json &churn = report["churn"];
	fmt::print("meanwhile: {} x munmap and mmap, {} x mprotect, {} x MADV_DONTNEED, {} x fork; {}\n",
		   churn["remaps"].dump(), churn["protects"].dump(), churn["discards"].dump(), churn["forks"].dump(),
		   churn.value("error", "nothing leaked across"));
	fmt::print("page tables: {}; {:.1f} s\n", report["format"].get<std::string>(), report["seconds"].get<double>());
}

} // namespace svmctl
