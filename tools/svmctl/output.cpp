// SPDX-License-Identifier: GPL-2.0-only
#include "output.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include <fmt/format.h>

namespace svmctl {

namespace {

struct field {
	const char *name;
	__u64 svmirror::counters::*value;
};

constexpr field fields[] = {
#define SVM_COUNTER(name) {#name, &svmirror::counters::name}
#include <svm/counters.h>
#undef SVM_COUNTER
};
static_assert(std::size(fields) * sizeof(__u64) == sizeof(svmirror::counters), "a counter has no name");

} // namespace

json to_json(const svmirror::counters &counters)
{
	json out = json::object();
	for (const field &f : fields)
		out[f.name] = static_cast<std::uint64_t>(counters.*f.value);
	return out;
}

svmirror::counters operator+(svmirror::counters a, const svmirror::counters &b)
{
	for (const field &f : fields)
		a.*f.value += b.*f.value;
	return a;
}

svmirror::counters operator-(svmirror::counters a, const svmirror::counters &b)
{
	for (const field &f : fields)
		a.*f.value -= b.*f.value;
	return a;
}

json to_json(const svmirror::device_info &info, const svmirror::gpu_info &gpu)
{
	json leaves = json::array();
	for (unsigned bit = 0; bit < 64; bit++)
		if (info.leaf_sizes >> bit & 1)
			leaves.push_back(std::uint64_t{1} << bit);
	json bindings = json::array();
	if (info.capabilities & DRM_SVM_CAPABILITY_MIRROR)
		bindings.push_back("mirror");
	if (info.capabilities & DRM_SVM_CAPABILITY_NULL)
		bindings.push_back("null");
	if (info.capabilities & DRM_SVM_CAPABILITY_OBJECT)
		bindings.push_back("object");
	json memory = json::array();
	if (info.capabilities & DRM_SVM_CAPABILITY_MIGRATE)
		memory.push_back("prefetch");
	if (info.capabilities & DRM_SVM_CAPABILITY_MIGRATE && info.capabilities & DRM_SVM_CAPABILITY_ADVISE)
		memory.push_back("advice");
	return {
		{"format", format_name(info)},
		{"va_bits", info.va_bits},
		{"table_bytes", std::uint64_t{1} << info.table_lg2},
		{"leaf_bytes", leaves},
		{"capabilities", std::uint64_t{info.capabilities}},
		{"bindings", bindings},
		{"moves_by", memory},
		{"engines", gpu.engines},
		{"contexts", gpu.contexts},
		{"queues", gpu.queues},
		{"vram_bytes", std::uint64_t{gpu.vram_bytes}},
		{"kernels", std::uint64_t{gpu.kernels}},
		{"tables_in", gpu.tables_in_vram ? "vram" : "system"},
		{"wedged", gpu.wedged != 0},
	};
}

json to_json(const svmirror::job_result &result)
{
	json out = {
		{"status", result.status ? errno_name(-result.status) : "ok"},
		{"bytes", std::uint64_t{result.bytes}},
		{"faults", result.faults},
		{"tlb_misses", std::uint64_t{result.tlb_misses}},
	};
	if (result.status) {
		out["address"] = fmt::format("{:#x}", result.va);
		out["access"] = access_name(result.access);
	}
	return out;
}

json to_json(const svmirror::fault_record &record)
{
	return {
		{"address", fmt::format("{:#x}", record.va)},
		{"access", access_name(record.access)},
		{"error", errno_name(-record.error)},
		{"queue", record.queue_id},
		{"time_ns", std::uint64_t{record.time_ns}},
		{"lost", record.lost},
	};
}

std::string format_name(const svmirror::device_info &info)
{
	return {info.format, strnlen(info.format, sizeof(info.format))};
}

const char *access_name(std::uint32_t access)
{
	switch (access) {
	case DRM_SVM_ACCESS_READ:
		return "read";
	case DRM_SVM_ACCESS_WRITE:
		return "write";
	case DRM_SVM_ACCESS_ATOMIC:
		return "atomic";
	}
	return "unknown";
}

std::string errno_name(int error)
{
	const char *name = strerrorname_np(error);
	return name ? name : fmt::format("{}", error);
}

std::string text_of(const json &report)
{
	return report.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

void print_table(const std::vector<std::vector<std::string>> &rows)
{
	std::vector<std::size_t> width;
	for (const auto &row : rows) {
		width.resize(std::max(width.size(), row.size()));
		for (std::size_t i = 0; i < row.size(); i++)
			width[i] = std::max(width[i], row[i].size());
	}
	for (const auto &row : rows) {
		std::string line;
		for (std::size_t i = 0; i < row.size(); i++)
			line += i ? fmt::format("  {:>{}}", row[i], width[i]) : fmt::format("{:<{}}", row[i], width[i]);
		fmt::print("{}\n", line);
	}
}

void print_fields(const json &object, unsigned indent)
{
	std::size_t width = 0;
	for (const auto &[name, value] : object.items())
		width = std::max(width, name.size());
	for (const auto &[name, value] : object.items()) {
		if (value.is_object()) {
			fmt::print("{:{}}{}:\n", "", indent, name);
			print_fields(value, indent + 2);
			continue;
		}
		std::string text = value.is_string() ? value.get<std::string>() : value.dump();
		fmt::print("{:{}}{:<{}}  {}\n", "", indent, name, width, text);
	}
}

} // namespace svmctl
