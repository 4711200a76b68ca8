// SPDX-License-Identifier: GPL-2.0-only
#include <cstring>

#include "harness.hpp"

int after_exec(char **argv);

int main(int argc, char **argv)
{
	// what a test that calls exec becomes
	if (argc == 5 && !std::strcmp(argv[1], "--after-exec"))
		return after_exec(argv + 2);
	testing::InitGoogleTest(&argc, argv);
	return RUN_ALL_TESTS();
}
