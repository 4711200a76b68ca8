// SPDX-License-Identifier: GPL-2.0-only
/* Each turn takes fresh memory: no table, range or page is there from the turn before, but the interval's notifier is. */
#include "rows.hpp"

#include "memory.hpp"
#include "region.hpp"

namespace bench {

namespace {

constexpr std::uint64_t table = 2 * MiB, table_pages = table / page_bytes;
constexpr std::uint64_t much = 64 * MiB;
constexpr std::uint64_t some = 16 * MiB;
constexpr std::uint64_t sparse_tables = 2048;
constexpr std::uint64_t in_the_middle = 100 * page_bytes;
constexpr std::uint64_t above_all = 1ull << 47;
constexpr std::uint64_t many_bindings = 100'000;

std::uint64_t present(std::uint64_t bytes, pages size)
{
	const std::uint64_t start = map(bytes, table, size);

	touch(start, bytes, size);
	return start;
}

// Memory that is present, and that the device reaches.
std::uint64_t mirrored(const device &gpu, std::uint64_t bytes, pages size)
{
	const std::uint64_t start = present(bytes, size);
	const std::uint64_t before = gpu.state().pages;

	gpu.bring(start, bytes);
	gpu.expect_more(before, bytes / page_bytes);
	return start;
}

void *at(std::uint64_t address)
{
	return reinterpret_cast<void *>(address);
}

cost fault_present(const device &gpu, pages size)
{
	const std::uint64_t start = present(table, size);
	const std::uint64_t before = gpu.state().pages;
	// hmm says of one page how large its mapping is: of a huge page the floor needs no more.
	const bool one = !gpu.who().mirrors && size == pages::huge;
	const std::uint64_t count = gpu.fault(start, one ? page_bytes : table, table);

	gpu.expect_more(before, table_pages);
	unmap(start, table);
	return {0, count};
}

cost fault_small(const device &gpu)
{
	return fault_present(gpu, pages::small);
}

cost fault_huge(const device &gpu)
{
	return fault_present(gpu, pages::huge);
}

cost duplicate(const device &gpu)
{
	const std::uint64_t start = mirrored(gpu, table, pages::small);
	const std::uint64_t count = gpu.who().mirrors ? gpu.fault(start + in_the_middle, page_bytes, page_bytes) : 0;

	unmap(start, table);
	return {0, count};
}

cost first_touch(const device &gpu)
{
	const std::uint64_t start = map(table, table, pages::small);
	const std::uint64_t before = gpu.state().pages;
	const std::uint64_t count = gpu.fault(start, table, gpu.granule());

	gpu.expect_more(before, table_pages);
	unmap(start, table);
	return {0, count};
}

cost dontneed(const device &gpu)
{
	const std::uint64_t start = mirrored(gpu, table, pages::small);
	const std::uint64_t count = counted([&] { must(madvise(at(start + in_the_middle), page_bytes, MADV_DONTNEED), "madvise"); });

	unmap(start, table);
	return {count, 0};
}

cost protect(const device &gpu)
{
	const std::uint64_t start = mirrored(gpu, table, pages::small);
	const std::uint64_t page = start + in_the_middle;
	cost sum = {};

	sum.process += counted([&] { must(mprotect(at(page), page_bytes, PROT_READ), "mprotect"); });
	sum.process += counted([&] { must(mprotect(at(page), page_bytes, PROT_READ | PROT_WRITE), "mprotect"); });
	sum.device += gpu.fault(page, page_bytes, page_bytes, access::write);
	unmap(start, table);
	return sum;
}

cost unmap_mirrored(const device &gpu, std::uint64_t bytes, pages size)
{
	const std::uint64_t start = mirrored(gpu, bytes, size);

	return {counted([&] { unmap(start, bytes); }), 0};
}

cost unmap_small(const device &gpu)
{
	return unmap_mirrored(gpu, some, pages::small);
}

cost unmap_huge(const device &gpu)
{
	return unmap_mirrored(gpu, much, pages::huge);
}

cost prefetch(const device &gpu)
{
	const std::uint64_t start = present(some, pages::small);
	const std::uint64_t before = gpu.state().pages;
	const std::uint64_t count = gpu.prefetch(start, some);

	gpu.expect_more(before, some / page_bytes);
	unmap(start, some);
	return {0, count};
}

// Single pages of null with a hole behind each, above all addresses of the process; bound in the first turn.
cost fault_beside_bindings(const device &gpu)
{
	static bool bound;

	if (!bound)
		gpu.bind_null(above_all, many_bindings, 2 * page_bytes);
	bound = true;
	return fault_present(gpu, pages::small);
}

cost bytes_sparse(const device &gpu)
{
	// Reading leaves the page of zeroes everywhere: a contender that brings 2 MiB at a time needs no memory for them.
	const std::uint64_t start = map(sparse_tables * table, GiB, pages::small, PROT_READ);

	gpu.bring(start, sparse_tables * table, access::read);
	const std::uint64_t bytes = gpu.state().host_bytes;
	unmap(start, sparse_tables * table);
	return {0, bytes};
}

cost bytes_dense(const device &gpu)
{
	const std::uint64_t start = mirrored(gpu, much, pages::small);
	const std::uint64_t bytes = gpu.state().host_bytes;

	unmap(start, much);
	return {0, bytes};
}

} // namespace

const std::vector<row> &rows()
{
	static const std::vector<row> all = {
		{"fault-4k", "fault, 2 MiB of present 4K pages", "fault", 1, 5, 1, false, fault_small},
		{"fault-thp", "fault, a present THP", "fault", 1, 5, 1, false, fault_huge},
		{"duplicate", "duplicate fault", "fault", 1, 5, 1, false, duplicate},
		{"first-touch", "first touch, 2 MiB of 4K pages", "page", table_pages, 5, 1, false, first_touch},
		{"dontneed", "MADV_DONTNEED of one mirrored page", "call", 1, 5, 1, false, dontneed},
		{"mprotect", "mprotect of one page to RO and to RW, and a fault", "pair", 1, 5, 1, false, protect},
		{"munmap-4k", "munmap of 16 MiB of 4K pages, added", "page", some / page_bytes, 3, 1, true, unmap_small},
		{"munmap-thp", "munmap of 64 MiB of THPs, added", "THP", much / table, 3, 6, true, unmap_huge},
		{"prefetch-4k", "prefetch, 16 MiB of present 4K pages", "page", some / page_bytes, 1, 1, false, prefetch},
		{"fault-bound", "fault, 2 MiB of present 4K pages, beside 100,000 bindings", "fault", 1, 5, 1, false, fault_beside_bindings},
		{"bytes-sparse", "bookkeeping, one page touched in each 2 MiB", "bytes/table", sparse_tables, 1, 0, false, bytes_sparse},
		{"bytes-dense", "bookkeeping, 64 MiB of 4K pages", "bytes/page", much / page_bytes, 1, 0, false, bytes_dense},
	};
	return all;
}

} // namespace bench
