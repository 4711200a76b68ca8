// SPDX-License-Identifier: GPL-2.0-only
/* The process's memory as the rows want it. */
#ifndef SVM_TESTS_BENCH_MEMORY_HPP
#define SVM_TESTS_BENCH_MEMORY_HPP

#include <cstdint>
#include <sys/mman.h>

#include "contender.hpp"

namespace bench {

enum class pages { small, huge };

// Anonymous memory at an address that no other mapping has, aligned to @align; 4 KiB or 2 MiB pages.
std::uint64_t map(std::uint64_t bytes, std::uint64_t align, pages size, int protection = PROT_READ | PROT_WRITE);
// Writes to each page; huge ones are checked to be huge.
void touch(std::uint64_t start, std::uint64_t bytes, pages size);
void unmap(std::uint64_t start, std::uint64_t bytes);

} // namespace bench

#endif
