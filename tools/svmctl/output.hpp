// SPDX-License-Identifier: GPL-2.0-only
/* How svmctl says things: one JSON document, or tables for people. */
#ifndef SVMCTL_OUTPUT_HPP
#define SVMCTL_OUTPUT_HPP

#include <string>
#include <vector>

#include <svmirror.hpp>
#include <nlohmann/json.hpp>

namespace svmctl {

using json = nlohmann::ordered_json;

json to_json(const svmirror::counters &counters);
json to_json(const svmirror::device_info &info, const svmirror::gpu_info &gpu);
json to_json(const svmirror::job_result &result);
json to_json(const svmirror::fault_record &record);

svmirror::counters operator+(svmirror::counters a, const svmirror::counters &b);
svmirror::counters operator-(svmirror::counters a, const svmirror::counters &b);

std::string format_name(const svmirror::device_info &info);
const char *access_name(std::uint32_t access);
// "EFAULT" and the like; the number where there is no name.
std::string errno_name(int error);
// A document as it is written. Bytes of a name that are no UTF-8 become U+FFFD.
std::string text_of(const json &report);

// Columns as wide as they need; the first is left-aligned, the others are right-aligned.
void print_table(const std::vector<std::vector<std::string>> &rows);
// Name and value of every field, nested ones indented.
void print_fields(const json &object, unsigned indent = 0);

} // namespace svmctl

#endif
