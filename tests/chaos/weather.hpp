// SPDX-License-Identifier: GPL-2.0-only
/* What befalls all processes alike: swap, a memory limit, KSM, compaction, reclaim. */
#ifndef SVM_TESTS_CHAOS_WEATHER_HPP
#define SVM_TESTS_CHAOS_WEATHER_HPP

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "board.hpp"

namespace chaos {

// Sets the machine up; what it could not is returned as text, or empty.
std::string make_weather();
void clear_weather();
// Puts the calling process under the limit, or beside it.
void join_group(bool limited);
// Goes on until the board says stop.
[[noreturn]] void weather(board &shared, std::uint64_t seed);
// How it was: pages to swap and from there, rounds of KSM, how often the limit was met and killed for.
struct weather_record {
	std::uint64_t swapped_out, swapped_in, ksm_rounds, limit_met, killed;
};
weather_record weather_report();

} // namespace chaos

#endif
