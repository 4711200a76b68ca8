// SPDX-License-Identifier: GPL-2.0-only
#include "commands.hpp"

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <sys/mman.h>

#include <fmt/format.h>

#include "demo_memory.hpp"
#include "workload.hpp"

namespace svmctl {

namespace {

constexpr std::chrono::seconds job_limit{60};

// What a workload reads: the input file, or bytes of our own that look like noise.
class source {
public:
	explicit source(const run_options &options)
	{
		if (!options.input.empty()) {
			file_ = std::make_unique<mapped_file>(options.input, near_);
			return;
		}
		own_.resize(std::max<std::size_t>(options.size, 64));
		std::uint64_t state = 88172645463325252ull;
		for (std::byte &b : own_) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			b = static_cast<std::byte>(state);
		}
	}
	bytes contents() const { return file_ ? file_->contents() : bytes(own_); }

private:
	neighbourhood near_; // here only somewhere to put the file's neighbours
	std::unique_ptr<mapped_file> file_;
	std::vector<std::byte> own_;
};

workload make(const run_options &options, const source &from)
{
	// the counter's size is a number of additions; else a file decides
	bool sized_by_file = !options.input.empty() && options.kernel != "cas";
	return make_workload(options.kernel, from.contents(),
			     sized_by_file ? from.contents().size() : options.size);
}

// Page-aligned memory of one kind, for one bad access.
class trap {
public:
	explicit trap(int protection) : at_(mmap(nullptr, page_size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	{
		if (at_ == MAP_FAILED)
			throw std::system_error(errno, std::generic_category(), "mmap");
	}
	trap(const trap &) = delete;
	trap &operator=(const trap &) = delete;
	~trap() { munmap(at_, page_size); }
	std::uint64_t address() const { return svmirror::address(at_); }

private:
	void *at_;
};

json provoke(svmirror::vm &space, const std::string &what, std::uint64_t address, bool write, std::optional<int> expected)
{
	svmirror::queue queue(space);
	svmirror::job_result result =
		queue.submit(SVMIRROR_TOUCH, {address, 1, 1, std::uint64_t{write}}).result(job_limit);
	json out = {{"access", what}, {"queue", queue.id()}, {"job", to_json(result)}, {"log", json::array()}};
	bool logged = !result.status;
	for (const svmirror::fault_record &record : space.fault_log()) {
		out["log"].push_back(to_json(record));
		logged = logged || (record.va == address && record.error == result.status &&
				    record.queue_id == queue.id());
	}
	out["ok"] = logged && (!expected || result.status == -*expected);
	return out;
}

} // namespace

json info(const svmirror::device &gpu)
{
	json out = to_json(gpu.info(), gpu.gpu());
	std::ifstream known("/sys/module/svmirror/parameters/formats");
	std::string line;
	std::getline(known, line);
	std::istringstream names(line);
	out["formats"] = json::array();
	for (std::string name; std::getline(names, name, ',');)
		out["formats"].push_back(name);
	out["ok"] = true;
	return out;
}

json run(const svmirror::device &gpu, const run_options &options)
{
	source from(options);
	workload work = make(options, from);
	svmirror::vm space(gpu, {.interval_lg2 = 0, .granule_lg2 = options.granule_lg2, .flags = 0});
	space.bind_all();
	std::vector<svmirror::queue> queues;
	for (unsigned i = 0; i < options.queues; i++)
		queues.emplace_back(space);
	auto begin = std::chrono::steady_clock::now();
	for (unsigned pass = 0; pass < options.passes; pass++)
		work.pass(queues);
	double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
	verdict checked = work.check(options.passes);
	return {
		{"kernel", work.name}, {"bytes", work.size},	     {"passes", options.passes},
		{"queues", options.queues}, {"seconds", seconds},	     {"checked", checked.text},
		{"counters", to_json(space.counters())}, {"ok", checked.ok},
	};
}

json stat(const svmirror::device &gpu, const run_options &options)
{
	source from(options);
	workload work = make(options, from);
	svmirror::vm space(gpu, {.interval_lg2 = 0, .granule_lg2 = options.granule_lg2, .flags = 0});
	space.bind_all();
	svmirror::queue queue(space);
	std::span<svmirror::queue> one(&queue, 1);
	reservation own(huge_size);
	std::span<std::byte> memory = own.memory();
	json phases = json::array();
	svmirror::counters last{};
	auto phase = [&](const char *name, auto action) {
		action();
		svmirror::counters now = space.counters();
		phases.push_back({{"phase", name}, {"counters", to_json(now - last)}});
		last = now;
	};
	phase("first pass", [&] { work.pass(one); });
	phase("again", [&] { work.pass(one); });
	phase("2 MiB more", [&] { queue.touch(memory, page_size, true).wait(job_limit); });
	phase("one page taken away", [&] {
		if (madvise(memory.data() + 17 * page_size, page_size, MADV_DONTNEED))
			throw std::system_error(errno, std::generic_category(), "madvise(MADV_DONTNEED)");
	});
	phase("touched again", [&] { queue.touch(memory, page_size, true).wait(job_limit); });
	verdict checked = work.check(2);
	json report = {{"device", info(gpu)}, {"kernel", work.name}, {"bytes", work.size}};
	report["device"].erase("ok");
	report["checked"] = checked.text;
	report["phases"] = phases;
	report["counters"] = to_json(last);
	report["ok"] = checked.ok;
	return report;
}

json faults(const svmirror::device &gpu, const faults_options &options)
{
	svmirror::vm space(gpu);
	space.bind_all();
	json report = {{"accesses", json::array()}};
	auto add = [&](json one) { report["accesses"].push_back(std::move(one)); };
	if (options.address) {
		add(provoke(space, options.write ? "write" : "read", *options.address, options.write, {}));
	} else {
		trap none(PROT_NONE), readable(PROT_READ);
		// last: what is mapped after it could be put in its place
		std::uint64_t gone = trap(PROT_READ).address();
		add(provoke(space, "read of a hole", gone, false, EFAULT));
		add(provoke(space, "read of a PROT_NONE page", none.address(), false, EFAULT));
		add(provoke(space, "write to a read-only page", readable.address(), true, EPERM));
		add(provoke(space, "read beyond the address space", ~0ull - page_size, false, EFAULT));
		add(provoke(space, "read of a good page", readable.address(), false, 0));
	}
	bool ok = true;
	for (const json &one : report["accesses"])
		ok = ok && one["ok"];
	report["ok"] = ok;
	return report;
}

void print_run(const json &report)
{
	fmt::print("{}: {} bytes, {} pass(es) on {} queue(s), {:.3f} s, {}: {}\n", report["kernel"].get<std::string>(),
		   report["bytes"].dump(), report["passes"].dump(), report["queues"].dump(),
		   report["seconds"].get<double>(), report["ok"] ? "ok" : "WRONG", report["checked"].get<std::string>());
	print_fields(report["counters"], 2);
}

void print_stat(const json &report)
{
	print_fields(report["device"]);
	fmt::print("\n{} over {} bytes, {}: {}\n", report["kernel"].get<std::string>(), report["bytes"].dump(),
		   report["ok"] ? "ok" : "WRONG", report["checked"].get<std::string>());
	std::vector<std::vector<std::string>> rows{{"counter"}};
	for (const auto &[name, value] : report["counters"].items())
		rows.push_back({name});
	for (const json &phase : report["phases"]) {
		rows[0].push_back(phase["phase"]);
		std::size_t row = 1;
		for (const auto &[name, value] : phase["counters"].items())
			rows[row++].push_back(fmt::format("{}", static_cast<std::int64_t>(value.get<std::uint64_t>())));
	}
	print_table(rows);
}

void print_faults(const json &report)
{
	std::vector<std::vector<std::string>> rows{{"access", "job", "address", "logged as", ""}};
	for (const json &one : report["accesses"]) {
		std::string log;
		for (const json &record : one["log"])
			log += fmt::format("{}{} {} of {}", log.empty() ? "" : "; ", record["error"].get<std::string>(),
					   record["access"].get<std::string>(), record["address"].get<std::string>());
		rows.push_back({one["access"], one["job"]["status"], one["job"].value("address", "-"),
				log.empty() ? "-" : log, one["ok"] ? "as expected" : "NOT AS EXPECTED"});
	}
	print_table(rows);
}

} // namespace svmctl
