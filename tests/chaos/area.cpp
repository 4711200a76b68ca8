// SPDX-License-Identifier: GPL-2.0-only
/* An area's life and what it changes; what only looks at it is in area_look.cpp. */
#include "area.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace chaos {

namespace {

constexpr std::uint64_t side_place = (8ull << 30) + 37 * page_bytes; // not at the same place in its table

bool mapped(const page_state &page)
{
	return page.access != reach::hole;
}

} // namespace

// fd in the highest bits: never what fresh_word() makes
std::uint64_t userfault_word(std::uint64_t address)
{
	return 0xfdull << 56 | address / page_bytes;
}

area::area(const identity &me, backing kind, std::uint64_t base, std::size_t pages) : me_(me), kind_(kind), base_(base)
{
	model_.pages.resize(pages);
	if (kind == backing::shared_memory) {
		fd_ = memfd_create("chaos", MFD_CLOEXEC);
	} else if (kind == backing::private_file || kind == backing::shared_file) {
		char name[] = "/mnt/chaos-XXXXXX";
		fd_ = mkostemp(name, O_CLOEXEC);
		unlink(name);
	}
	if (kind != backing::anonymous && kind != backing::userfault)
		must(fd_ < 0 ? -1 : ftruncate(fd_, static_cast<off_t>(pages * page_bytes)), "file", 0, pages);
	for (std::size_t i = 0; i < pages; i++) {
		std::uint64_t word = 0;
		if (kind == backing::userfault)
			word = userfault_word(base + i * page_bytes);
		if (kind == backing::private_file) {
			std::uint64_t content[words_per_page];
			word = fresh_word(i);
			std::fill(content, content + words_per_page, word);
			if (pwrite(fd_, content, page_bytes, static_cast<off_t>(i * page_bytes)) != page_bytes)
				must(-1, "pwrite", i, 1);
		}
		page(i).reset = word;
		page(i).rest.only(word);
	}
	map_at(0, pages);
}

area::~area()
{
	munmap(reinterpret_cast<void *>(base_), size() * page_bytes);
	if (fd_ >= 0)
		close(fd_);
}

std::span<std::byte> area::bytes(std::size_t first, std::size_t count) const
{
	return {reinterpret_cast<std::byte *>(base_ + first * page_bytes), count * page_bytes};
}

std::uint64_t *area::words(std::size_t index) const
{
	return reinterpret_cast<std::uint64_t *>(base_ + index * page_bytes);
}

// c5, process, thread, page, how many were written before
std::uint64_t area::fresh_word(std::size_t index)
{
	return 0xc5ull << 56 | std::uint64_t{me_.process & 15} << 52 | std::uint64_t{me_.thread & 15} << 48 |
	       std::uint64_t{index & 0xffff} << 32 | (++written_ & 0xffffffff);
}

void area::must(int rc, const char *what, std::size_t first, std::size_t count)
{
	if (rc)
		me_.out.fail(me_.thread, "%s of pages [%zu, %zu) at %#llx: %s", what, first, first + count,
			     static_cast<unsigned long long>(base_), strerror(errno));
}

// A call that spans mappings of different kinds may do half of what it was asked for: one call per kind.
std::size_t area::each_run(std::size_t first, std::size_t count, const which &wanted,
			   const std::function<void(std::size_t, std::size_t)> &body)
{
	std::size_t runs = 0;
	for (std::size_t at = first, end = first + count; at < end;) {
		std::size_t stop = at;
		while (stop < end && wanted(page(stop)))
			stop++;
		if (stop > at) {
			body(at, stop - at);
			runs++;
		}
		at = stop + 1;
	}
	return runs;
}

void area::map_at(std::size_t first, std::size_t count)
{
	int flags = (is_private() ? MAP_PRIVATE : MAP_SHARED) | (fd_ < 0 ? MAP_ANONYMOUS : 0) | MAP_FIXED_NOREPLACE;
	void *at = mmap(words(first), count * page_bytes, PROT_READ | PROT_WRITE, flags, fd_,
			fd_ < 0 ? 0 : static_cast<off_t>(first * page_bytes));
	must(at == MAP_FAILED ? -1 : 0, "mmap", first, count);
	if (kind_ == backing::userfault) {
		uffdio_register span{};
		span.range = {base_ + first * page_bytes, count * page_bytes};
		span.mode = UFFDIO_REGISTER_MODE_MISSING;
		must(ioctl(me_.userfault_fd, UFFDIO_REGISTER, &span), "UFFDIO_REGISTER", first, count);
	}
	for (std::size_t i = first; i < first + count; i++) {
		page_state &state = page(i);
		state.set_access(reach::write);
		state.locked = false;
		if (is_private())
			state.put(state.reset);
		// between mmap and the registration of a userfaultfd the page could be touched as plain memory
		if (kind_ == backing::userfault)
			state.may_be(0);
	}
}

void area::store(std::size_t first, std::size_t count)
{
	each_run(first, count, [](const page_state &s) { return s.access == reach::write; }, [&](std::size_t at, std::size_t n) {
		for (std::size_t i = at; i < at + n; i++) {
			std::uint64_t word = fresh_word(i);
			page(i).may_be(word); // before it is there: a job may read it at once
			std::fill(words(i), words(i) + words_per_page, word);
			page(i).put(word);
		}
	});
}

void area::dontneed(std::size_t first, std::size_t count)
{
	each_run(first, count, [](const page_state &s) { return mapped(s) && !s.locked; }, [&](std::size_t at, std::size_t n) {
		must(madvise(words(at), n * page_bytes, MADV_DONTNEED), "MADV_DONTNEED", at, n);
		for (std::size_t i = at; is_private() && i < at + n; i++)
			page(i).put(page(i).reset);
	});
}

void area::lazy_free(std::size_t first, std::size_t count)
{
	if (kind_ != backing::anonymous && kind_ != backing::userfault)
		return;
	each_run(first, count, [](const page_state &s) { return mapped(s) && !s.locked; }, [&](std::size_t at, std::size_t n) {
		must(madvise(words(at), n * page_bytes, MADV_FREE), "MADV_FREE", at, n);
		for (std::size_t i = at; i < at + n; i++) {
			page(i).may_be(page(i).reset);
			page(i).lazy = true;
		}
	});
}

void area::unmap(std::size_t first, std::size_t count)
{
	must(munmap(words(first), count * page_bytes), "munmap", first, count);
	for (std::size_t i = first; i < first + count; i++)
		page(i).set_access(reach::hole);
}

void area::map(std::size_t first, std::size_t count)
{
	each_run(first, count, [](const page_state &s) { return !mapped(s); },
		 [&](std::size_t at, std::size_t n) { map_at(at, n); });
}

void area::protect(std::size_t first, std::size_t count, reach to)
{
	int protection = to == reach::none ? PROT_NONE : to == reach::read ? PROT_READ : PROT_READ | PROT_WRITE;
	each_run(first, count, mapped, [&](std::size_t at, std::size_t n) {
		must(mprotect(words(at), n * page_bytes, protection), "mprotect", at, n);
		for (std::size_t i = at; i < at + n; i++)
			page(i).set_access(to);
	});
}

void area::advise(std::size_t first, std::size_t count, int advice, const char *name)
{
	each_run(first, count, mapped, [&](std::size_t at, std::size_t n) {
		if (!madvise(words(at), n * page_bytes, advice))
			return;
		if (errno != EINVAL && errno != EAGAIN && errno != EBUSY && errno != ENOMEM)
			must(-1, name, at, n);
		me_.out.add(refused_ops);
	});
}

void area::lock(std::size_t first, std::size_t count, bool locked)
{
	// what cannot be read cannot be made present, and mlock says so
	each_run(first, count, [&](const page_state &s) { return s.access == reach::read || s.access == reach::write; },
		 [&](std::size_t at, std::size_t n) {
			 must(locked ? mlock(words(at), n * page_bytes) : munlock(words(at), n * page_bytes),
			      locked ? "mlock" : "munlock", at, n);
			 for (std::size_t i = at; i < at + n; i++)
				 page(i).locked = locked;
		 });
}

void area::detour(std::size_t first, std::size_t count, bool leave_zeros)
{
	if (kind_ == backing::userfault)
		return; // a moved mapping loses its manager
	bool zeros = leave_zeros && kind_ == backing::anonymous;
	void *aside = reinterpret_cast<void *>(base_ + side_place);
	if (mremap(words(first), count * page_bytes, count * page_bytes,
		   MREMAP_MAYMOVE | MREMAP_FIXED | (zeros ? MREMAP_DONTUNMAP : 0), aside) == MAP_FAILED) {
		if (errno != EFAULT && errno != EINVAL) // it spans several mappings; locked ones are not left behind
			must(-1, "mremap aside", first, count);
		me_.out.add(refused_ops);
		return;
	}
	for (std::size_t i = first; i < first + count; i++) {
		page(i).may_fault = page(i).changed = true;
		if (zeros) { // what a job writes here now is lost when the mapping comes back
			page(i).seen.add(0);
			page(i).destroyed = true;
		}
	}
	if (mremap(aside, count * page_bytes, count * page_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, words(first)) == MAP_FAILED)
		must(-1, "mremap back", first, count);
}

void area::truncate(std::size_t first)
{
	if (fd_ < 0 || first >= size())
		return;
	must(ftruncate(fd_, static_cast<off_t>(first * page_bytes)), "ftruncate to", first, 0);
	for (std::size_t i = first; i < size(); i++) {
		page(i).may_fault = page(i).changed = true;
		page(i).reset = 0;
		page(i).put(0);
	}
	must(ftruncate(fd_, static_cast<off_t>(size() * page_bytes)), "ftruncate to", size(), 0);
}

void area::punch(std::size_t first, std::size_t count)
{
	if (fd_ < 0)
		return;
	must(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first * page_bytes),
		       static_cast<off_t>(count * page_bytes)), "fallocate", first, count);
	for (std::size_t i = first; i < first + count; i++) {
		page_state &state = page(i);
		// a private mapping keeps the pages that were written through it
		if (is_private())
			state.may_be(0);
		else
			state.put(0);
		state.reset = 0;
	}
}

void area::sync(std::size_t first, std::size_t count)
{
	if (fd_ < 0)
		return;
	each_run(first, count, mapped, [&](std::size_t at, std::size_t n) {
		must(msync(words(at), n * page_bytes, MS_SYNC), "msync", at, n);
	});
}

} // namespace chaos
