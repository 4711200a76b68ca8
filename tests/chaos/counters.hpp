// SPDX-License-Identifier: GPL-2.0-only
/* Memory that CPU threads and the device change at the same time, atomically or by turns: nothing may get lost. */
#ifndef SVM_TESTS_CHAOS_COUNTERS_HPP
#define SVM_TESTS_CHAOS_COUNTERS_HPP

#include "board.hpp"
#include "random.hpp"

namespace chaos {

// Runs @rounds of it; ends the process if a sum is wrong.
void count_together(board &shared, slot &out, unsigned process, random numbers, unsigned rounds);

} // namespace chaos

#endif
