// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may be in a page. A page is written as a whole with one word, and words
 * name the page that they were written to and when. While jobs run a page can
 * hold what it held before, what each of them writes, and what the CPU puts
 * there meanwhile; when they have ended it holds what order and status leave.
 *
 * A window is the time from before jobs are submitted until they have ended.
 *	rest	what may be in the page if no job of the window has written it
 *	seen	all that may have been in it at any time of the window
 */
#ifndef SVM_TESTS_CHAOS_ORACLE_HPP
#define SVM_TESTS_CHAOS_ORACLE_HPP

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace chaos {

inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t words_per_page = page_bytes / sizeof(std::uint64_t);

// A few values, each once.
class values {
public:
	void clear() { size_ = 0; }
	void only(std::uint64_t value)
	{
		clear();
		add(value);
	}
	// A set that is full takes everything from then on: never wrong, only weaker.
	void add(std::uint64_t value);
	void add(const values &more);
	bool holds(std::uint64_t value) const;
	bool exact() const { return size_ == 1 && !any_; }
	std::uint64_t first() const { return at_[0]; }
	unsigned size() const { return size_; }
	std::string text() const;

private:
	std::array<std::uint64_t, 14> at_;
	std::uint8_t size_ = 0;
	bool any_ = false;
};

enum class reach : std::uint8_t { hole, none, read, write };

struct page_state {
	values rest, seen;
	std::uint64_t reset = 0; // what is there when the page is thrown away
	reach access = reach::hole;
	bool locked = false;
	bool lazy = false;	 // MADV_FREE: the kernel may put reset there until it is written
	bool changed = false;	 // in this window: what the device may do here
	bool destroyed = false;	 // in this window: something may have undone a job's write
	bool may_fault = false, may_deny = false; // in this window: errors that jobs may get here

	void open_window();
	void set_access(reach to);
	// The kernel or the CPU put this there, on top of whatever jobs wrote so far.
	void put(std::uint64_t value);
	// This too may be there now.
	void may_be(std::uint64_t value);
};

// A job that writes pages [first, first + count), in order: each gets the word of the one before it plus step.
struct flight {
	std::size_t first, count;
	std::uint64_t value, step;
	std::size_t landed = 0; // pages that it wrote, known when it has ended

	std::uint64_t at(std::size_t page) const { return value + (page - first) * step; }
};

class oracle {
public:
	std::vector<page_state> pages;

	void open_window();
	void launch(flight job);
	std::vector<flight> &flights() { return flights_; }
	// What the page may hold now.
	values now(std::size_t page) const;
	// All jobs have ended.
	void close_window();

private:
	std::vector<flight> flights_;
};

} // namespace chaos

#endif
