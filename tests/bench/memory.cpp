// SPDX-License-Identifier: GPL-2.0-only
#include "memory.hpp"

#include <cstdio>
#include <cstring>

namespace bench {

namespace {

constexpr std::uint64_t first_place = 1ull << 40; // far from what the C library maps
// Pages are touched in an order that leaves no neighbours neighbours in physical memory too, whatever the allocator does: where
// they are, runs of them cost less, and whether they are differs from turn to turn. Coprime to each number of pages.
constexpr std::uint64_t touch_stride = 37;

void *at(std::uint64_t address)
{
	return reinterpret_cast<void *>(address);
}

std::uint64_t huge_kib()
{
	std::FILE *file = std::fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	unsigned long long kib = 0;

	must(file ? 0 : -1, "smaps_rollup");
	while (std::fgets(line, sizeof(line), file))
		if (std::sscanf(line, "AnonHugePages: %llu kB", &kib) == 1)
			break;
	std::fclose(file);
	return kib;
}

} // namespace

std::uint64_t map(std::uint64_t bytes, std::uint64_t align, pages size, int protection)
{
	static std::uint64_t next = first_place;
	const std::uint64_t start = (next + align - 1) / align * align;

	// A hole behind it, so that no two mappings are joined.
	next = start + bytes + page_bytes;
	must(mmap(at(start), bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0) == MAP_FAILED
		     ? -1
		     : 0,
	     "mmap");
	must(madvise(at(start), bytes, size == pages::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE), "madvise");
	return start;
}

void touch(std::uint64_t start, std::uint64_t bytes, pages size)
{
	const std::uint64_t before = size == pages::huge ? huge_kib() : 0;
	const std::uint64_t count = bytes / page_bytes;

	for (std::uint64_t i = 0; i < count; i++)
		*static_cast<volatile char *>(at(start + i * touch_stride % count * page_bytes)) = 1;
	if (size == pages::huge && huge_kib() != before + bytes / KiB)
		fail("KiB in huge pages", huge_kib(), before + bytes / KiB);
}

void unmap(std::uint64_t start, std::uint64_t bytes)
{
	must(munmap(at(start), bytes), "munmap");
}

} // namespace bench
