// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of the demo that is more than malloc: a file mapped amid free pages, a
 * buffer of huge pages, and the list of neighbours, pages that lie among the
 * jobs' data and belong to nobody but the churn.
 */
#ifndef SVMCTL_DEMO_MEMORY_HPP
#define SVMCTL_DEMO_MEMORY_HPP

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "workload.hpp"

namespace svmctl {

inline constexpr std::size_t page_size = 4096;
inline constexpr std::size_t huge_size = 2 << 20;

using page = std::span<std::byte, page_size>;

class neighbourhood {
public:
	neighbourhood() = default;
	neighbourhood(const neighbourhood &) = delete;
	neighbourhood &operator=(const neighbourhood &) = delete;
	~neighbourhood();
	// One page from malloc's heap, between what was and what will be allocated.
	void add_from_malloc();
	// Every other page of a mapping (the others stay as they are).
	void add_mapped(std::span<std::byte> memory);
	std::span<const page> pages() const { return pages_; }
	// Somebody else's mapping is where page @index was: it must not be touched again.
	void lose(std::size_t index) { lost_[index] = true; }
	bool lost(std::size_t index) const { return lost_[index]; }

private:
	void add(page memory, bool malloced);

	std::vector<page> pages_;
	std::vector<bool> malloced_;
	std::vector<bool> lost_;
};

// Address space of its own, with readable, writable, anonymous memory; unmapped at the end.
class reservation {
public:
	explicit reservation(std::size_t size);
	reservation(reservation &&other) noexcept;
	reservation &operator=(reservation &&) = delete;
	~reservation();
	// Starts at a multiple of 2 MiB.
	std::span<std::byte> memory() const { return memory_; }

private:
	std::span<std::byte> raw_;
	std::span<std::byte> memory_;
};

class descriptor;

// A file, MAP_PRIVATE and read-only, with neighbours before and after it in the same 2 MiB.
class mapped_file {
public:
	mapped_file(const std::string &path, neighbourhood &near);
	bytes contents() const { return contents_; }

private:
	mapped_file(const descriptor &file, neighbourhood &near);
	reservation place_;
	bytes contents_;
};

// MADV_HUGEPAGE memory of @size bytes; what is left of its last 2 MiB are neighbours.
class huge_buffer {
public:
	huge_buffer(std::size_t size, neighbourhood &near);
	std::span<std::byte> contents() const { return contents_; }

private:
	reservation place_;
	std::span<std::byte> contents_;
};

} // namespace svmctl

#endif
