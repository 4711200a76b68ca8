// SPDX-License-Identifier: GPL-2.0-only
#ifndef SVMCTL_DEMO_HPP
#define SVMCTL_DEMO_HPP

#include <functional>
#include <string>

#include "output.hpp"

namespace svmctl {

struct demo_options {
	std::string device; // empty: the first
	std::string input;
};

/*
 * Runs all jobs at once under churn and checks every result. "ok" in what it
 * returns says whether all held. @say gets a line for people now and then.
 */
json run_demo(const demo_options &options, const std::function<void(const std::string &)> &say);

// The table of what run_demo() returned.
void print_demo(const json &report);

} // namespace svmctl

#endif
