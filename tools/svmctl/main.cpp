// SPDX-License-Identifier: GPL-2.0-only
/*
 * svmctl: shows and exercises shared virtual memory of the virtual GPU.
 * With --json, stdout is one JSON document, an error too; only --help is text. Exit
 * status 0 only if everything asked for was done and written, and every check held.
 */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "commands.hpp"
#include "demo.hpp"
#include "workload.hpp"

namespace {

using svmctl::json;

struct settings {
	bool as_json = false;
	std::string device;
	std::string json_out;
	svmctl::demo_options demo;
	svmctl::run_options run;
	svmctl::faults_options faults;
	std::string address;
};

void show(const json &report, const settings &set, void (*print)(const json &))
{
	if (set.as_json)
		std::cout << svmctl::text_of(report);
	else
		print(report);
	if (!std::cout.flush() || std::fflush(stdout))
		throw std::system_error(errno, std::generic_category(), "cannot write to stdout");
}

void save(const json &report, const std::string &path)
{
	std::ofstream out(path);
	out << svmctl::text_of(report);
	if (!out.flush())
		throw std::runtime_error("cannot write " + path);
}

json demo(const settings &set)
{
	svmctl::demo_options options = set.demo;
	options.device = set.device;
	json report = svmctl::run_demo(options, [&](const std::string &line) {
		fmt::print(stderr, "{}\n", line);
	});
	if (!set.json_out.empty())
		save(report, set.json_out);
	return report;
}

void add_run_options(CLI::App &command, svmctl::run_options &run, bool kernel_required)
{
	auto *kernel = command.add_option("kernel", run.kernel, "what to run")
			       ->check(CLI::IsMember(svmctl::workload_names()));
	if (kernel_required)
		kernel->required();
	else
		run.kernel = "copy";
	command.add_option("--input", run.input, "work on this file")->check(CLI::ExistingFile);
	command.add_option("--size", run.size, "bytes of data (suffixes KiB, MiB); for cas: additions; default 4 MiB")
		->transform(CLI::AsSizeValue(false))
		->check(CLI::Range(std::uint64_t{64}, std::uint64_t{1} << 32));
	command.add_option("--granule", run.granule_lg2, "log2 of the bytes that one fault makes present (12 to 21)")
		->check(CLI::Range(12, 21));
}

// Prints what went wrong in the form asked for; the exit status.
int failed(bool as_json, const std::string &message, int error)
{
	if (as_json) {
		json out = {{"ok", false}, {"error", {{"message", message}}}};
		if (error)
			out["error"]["errno"] = svmctl::errno_name(error);
		std::cout << svmctl::text_of(out);
	} else {
		fmt::print(stderr, "svmctl: {}\n", message);
	}
	return 1;
}

svmirror::device open_device(const settings &set)
{
	return svmirror::device(set.device.empty() ? nullptr : set.device.c_str());
}

// What a command line asks for, and how its document is shown to people.
struct plan {
	std::function<json()> action;
	void (*print)(const json &) = nullptr;
};

void declare_info(CLI::App &app, settings &set, plan &todo)
{
	app.add_subcommand("info", "what the device is")->callback([&] {
		todo = {[&] { return svmctl::info(open_device(set)); },
			[](const json &report) { svmctl::print_fields(report); }};
	});
}

void declare_demo(CLI::App &app, settings &set, plan &todo)
{
	auto *command =
		app.add_subcommand("demo", "six jobs over memory under churn and binds that change, all checked");
	command->add_option("--input", set.demo.input, "real data to work on")->required()->check(CLI::ExistingFile);
	command->add_option("--json-out", set.json_out, "write the report to this file as well");
	command->callback([&] { todo = {[&] { return demo(set); }, svmctl::print_demo}; });
}

void declare_kernels(CLI::App &app, settings &set, plan &todo)
{
	auto *stat = app.add_subcommand("stat", "device, and what its counters do under a kernel");
	add_run_options(*stat, set.run, false);
	stat->callback([&] {
		todo = {[&] { return svmctl::stat(open_device(set), set.run); }, svmctl::print_stat};
	});

	auto *run = app.add_subcommand("run", "run one kernel and check its result");
	add_run_options(*run, set.run, true);
	run->add_option("--passes", set.run.passes, "how often")->check(CLI::Range(1, 1000));
	run->add_option("--queues", set.run.queues, "on how many queues at once")->check(CLI::Range(1, 64));
	run->callback([&] {
		todo = {[&] { return svmctl::run(open_device(set), set.run); }, svmctl::print_run};
	});
}

std::uint64_t parse_address(const std::string &text)
{
	char *end = nullptr;
	errno = 0;
	std::uint64_t address = std::strtoull(text.c_str(), &end, 0);
	if (text.empty() || text[0] == '-' || *end || errno)
		throw CLI::ValidationError("--at", text + " is not an address");
	return address;
}

void declare_faults(CLI::App &app, settings &set, plan &todo)
{
	auto *faults = app.add_subcommand("faults", "let jobs fail, and show the vm's fault log");
	auto *at = faults->add_option("--at", set.address, "touch this address only (default: one bad access of each kind)");
	faults->add_flag("--write", set.faults.write, "write there")->needs(at);
	faults->callback([&, at] {
		if (*at)
			set.faults.address = parse_address(set.address);
		todo = {[&] { return svmctl::faults(open_device(set), set.faults); }, svmctl::print_faults};
	});
}

} // namespace

int main(int argc, char **argv)
{
	settings set;
	plan todo;
	CLI::App app("Shared virtual memory of the virtual GPU", "svmctl");
	app.require_subcommand(1);
	app.fallthrough();
	app.add_flag("--json", set.as_json, "one JSON document on stdout");
	app.add_option("--device", set.device, "render node (default: the first one of driver " SVMIRROR_DRIVER ")");
	for (auto declare : {declare_info, declare_demo, declare_kernels, declare_faults})
		declare(app, set, todo);
	try {
		app.parse(argc, argv);
	} catch (const CLI::Success &asked) {
		return app.exit(asked);
	} catch (const CLI::ParseError &error) {
		// parsing may have ended before it came to the flag
		for (int i = 1; i < argc; i++)
			set.as_json = set.as_json || !std::strcmp(argv[i], "--json");
		std::vector<std::string> unknown = app.remaining();
		bool no_command = app.get_subcommands().empty() && !unknown.empty();
		const char *kind = no_command && unknown[0].starts_with('-') ? "option" : "command";
		failed(set.as_json, no_command ? fmt::format("there is no {} '{}'", kind, unknown[0]) : error.what(), 0);
		return 2;
	}
	try {
		json report = todo.action();
		show(report, set, todo.print);
		return report["ok"].get<bool>() ? 0 : 1;
	} catch (const std::system_error &error) {
		return failed(set.as_json, error.what(), error.code().value());
	} catch (const std::exception &error) {
		return failed(set.as_json, error.what(), 0);
	}
}
