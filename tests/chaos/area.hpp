// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of one thread, and each thing that can happen to it: an operation does
 * what it says to the memory and to the oracle. Places are fixed and far below
 * where the kernel puts mappings of its own choice, so a hole stays a hole.
 *
 * Only the thread that owns an area changes it; jobs and other processes may be
 * at work on it meanwhile.
 */
#ifndef SVM_TESTS_CHAOS_AREA_HPP
#define SVM_TESTS_CHAOS_AREA_HPP

#include <cstddef>
#include <functional>
#include <span>

#include "board.hpp"
#include "oracle.hpp"

namespace chaos {

enum class backing { anonymous, shared_memory, private_file, shared_file, userfault };

// What is found where the manager of a userfaultfd filled the page at this address.
std::uint64_t userfault_word(std::uint64_t address);

struct identity {
	slot &out;
	unsigned process, thread;
	int userfault_fd; // of this thread's manager, or -1
};

class area {
public:
	area(const identity &me, backing kind, std::uint64_t base, std::size_t pages);
	area(const area &) = delete;
	area &operator=(const area &) = delete;
	~area();

	oracle &model() { return model_; }
	const oracle &model() const { return model_; }
	std::size_t size() const { return model_.pages.size(); }
	std::uint64_t base() const { return base_; }
	std::span<std::byte> bytes(std::size_t first, std::size_t count) const;
	// A word that no page held before, for one that @page is written with; plus word_step it names the next page.
	std::uint64_t fresh_word(std::size_t page);
	static constexpr std::uint64_t word_step = 1ull << 32;
	bool is_private() const { return kind_ != backing::shared_memory && kind_ != backing::shared_file; }
	backing kind() const { return kind_; }

	void store(std::size_t first, std::size_t count);
	void look(std::size_t first, std::size_t count);
	void dontneed(std::size_t first, std::size_t count);
	void lazy_free(std::size_t first, std::size_t count);
	void unmap(std::size_t first, std::size_t count);
	void map(std::size_t first, std::size_t count);
	void protect(std::size_t first, std::size_t count, reach to);
	// Keeps what is in the memory; the kernel may refuse it.
	void advise(std::size_t first, std::size_t count, int advice, const char *name);
	void lock(std::size_t first, std::size_t count, bool locked);
	// To another place and back.
	void detour(std::size_t first, std::size_t count, bool leave_zeros);
	void truncate(std::size_t first);
	void punch(std::size_t first, std::size_t count);
	void sync(std::size_t first, std::size_t count);
	// A child looks at all of it, twice, and scribbles on its own copy.
	void fork_child(unsigned pause_us);
	// Reads by the CPU; what it finds is what the pages are known to hold from then on.
	void verify(std::size_t first, std::size_t count);
	// Mapped and writable again, as a whole.
	void heal();

private:
	using which = std::function<bool(const page_state &)>;

	page_state &page(std::size_t index) { return model_.pages[index]; }
	std::uint64_t *words(std::size_t index) const;
	void map_at(std::size_t first, std::size_t count);
	std::size_t each_run(std::size_t first, std::size_t count, const which &wanted,
			     const std::function<void(std::size_t, std::size_t)> &body);
	bool mixed(std::size_t index, const values &allowed, const char *who);
	int look_as_child(unsigned pause_us);
	void must(int rc, const char *what, std::size_t first, std::size_t count);

	identity me_;
	backing kind_;
	std::uint64_t base_;
	int fd_ = -1;
	std::uint64_t written_ = 0;
	oracle model_;
};

} // namespace chaos

#endif
