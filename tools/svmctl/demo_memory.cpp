// SPDX-License-Identifier: GPL-2.0-only
#include "demo_memory.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace svmctl {

namespace {

constexpr std::size_t border = 16 * page_size;

std::size_t round_up(std::size_t value, std::size_t to)
{
	return (value + to - 1) / to * to;
}

[[noreturn]] void fail(const std::string &what)
{
	throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

class descriptor {
public:
	explicit descriptor(const std::string &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC))
	{
		if (fd_ < 0)
			fail(path);
	}
	descriptor(const descriptor &) = delete;
	descriptor &operator=(const descriptor &) = delete;
	~descriptor() { close(fd_); }
	int get() const { return fd_; }
	std::size_t size() const
	{
		struct stat st;
		if (fstat(fd_, &st))
			fail("fstat");
		return static_cast<std::size_t>(st.st_size);
	}

private:
	int fd_;
};

neighbourhood::~neighbourhood()
{
	for (std::size_t i = 0; i < pages_.size(); i++)
		if (malloced_[i] && !lost_[i])
			std::free(pages_[i].data());
}

void neighbourhood::add(page memory, bool malloced)
{
	pages_.push_back(memory);
	malloced_.push_back(malloced);
	lost_.push_back(false);
}

/*
 * malloc keeps its own words before the page and behind it, never in it, so the
 * page may be unmapped and mapped again under malloc's feet.
 */
void neighbourhood::add_from_malloc()
{
	void *memory = std::aligned_alloc(page_size, page_size);
	if (!memory)
		throw std::bad_alloc();
	add(page(static_cast<std::byte *>(memory), page_size), true);
}

void neighbourhood::add_mapped(std::span<std::byte> memory)
{
	for (std::size_t at = 0; at + page_size <= memory.size(); at += 2 * page_size)
		add(page(memory.data() + at, page_size), false);
}

reservation::reservation(std::size_t size)
{
	std::size_t length = round_up(size, huge_size) + huge_size;
	void *at = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	raw_ = {static_cast<std::byte *>(at), length};
	std::size_t skip = round_up(svmirror::address(at), huge_size) - svmirror::address(at);
	memory_ = raw_.subspan(skip, round_up(size, huge_size));
}

reservation::reservation(reservation &&other) noexcept
	: raw_(std::exchange(other.raw_, {})), memory_(std::exchange(other.memory_, {}))
{
}

reservation::~reservation()
{
	if (!raw_.empty())
		munmap(raw_.data(), raw_.size());
}

mapped_file::mapped_file(const std::string &path, neighbourhood &near)
	: mapped_file(descriptor(path), near)
{
}

mapped_file::mapped_file(const descriptor &file, neighbourhood &near)
	: place_(2 * border + round_up(file.size(), page_size))
{
	std::size_t size = file.size();
	if (!size)
		throw std::system_error(EINVAL, std::generic_category(), "the input is empty");
	std::byte *at = place_.memory().data() + border;
	if (mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, file.get(), 0) == MAP_FAILED)
		fail("mmap of the input");
	contents_ = {at, size};
	near.add_mapped(place_.memory().first(border));
	near.add_mapped({at + round_up(size, page_size), border});
}

huge_buffer::huge_buffer(std::size_t size, neighbourhood &near)
	: place_(round_up(size, page_size) + border)
{
	contents_ = place_.memory().first(size);
	if (madvise(place_.memory().data(), place_.memory().size(), MADV_HUGEPAGE))
		fail("madvise(MADV_HUGEPAGE)");
	near.add_mapped(place_.memory().subspan(round_up(size, page_size), border));
}

} // namespace svmctl
