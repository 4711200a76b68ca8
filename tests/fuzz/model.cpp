// SPDX-License-Identifier: GPL-2.0-only
/* The reference. See model.hpp. */
#include "tests/fuzz/model.hpp"

#include <algorithm>
#include <cerrno>

namespace svm_fuzz
{

using namespace svm_host;

constexpr u64 TABLE_SPAN = TABLE * PAGE;
constexpr u64 DEVICE_END = 1ull << 48;

model::model()
{
	std::fill(std::begin(file_), std::end(file_), 0);
}

int model::access(unsigned page, bool write) const
{
	const model_page &p = pages_[page];

	if (exited_ || !p.mapped || p.kind == backing::pfnmap || !(p.prot & PROT_R))
		return -EFAULT;
	if (write && !(p.prot & PROT_W))
		return -EPERM;
	return p.missing ? -EINPROGRESS : 0;
}

int model::device_access(u64 va, bool write) const
{
	const model_window *w = window_at(va);

	if (!w)
		return -EFAULT;

	u64 cpu = va - w->offset;

	if (cpu < ARENA || cpu >= address(REACH))
		return -EFAULT;
	return access(unsigned((cpu - ARENA) / PAGE), write);
}

static u64 down(u64 a)
{
	return a & ~(TABLE_SPAN - 1);
}

int model::bind(u64 start, u64 end, u64 offset) const
{
	u64 cpu_start = start - offset, cpu_end = end - offset;

	if (start >= end || start % PAGE || end % PAGE || offset % TABLE_SPAN)
		return -EINVAL;
	if (end > DEVICE_END || cpu_start >= cpu_end || cpu_end > USER_END)
		return -EINVAL;
	for (const model_window &w : windows)
		if (down(start) < down(w.end + TABLE_SPAN - 1) && down(w.start) < down(end + TABLE_SPAN - 1))
			return -EEXIST;
	return 0;
}

const model_window *model::window_at(u64 va) const
{
	for (const model_window &w : windows)
		if (va >= w.start && va < w.end)
			return &w;
	return nullptr;
}

const model_window *model::window_of(u64 start, u64 end) const
{
	for (const model_window &w : windows)
		if (w.start == start && w.end == end)
			return &w;
	return nullptr;
}

bool model::inside_windows(u64 start, u64 end) const
{
	while (start < end) {
		const model_window *w = window_at(start);

		if (!w)
			return false;
		start = w->end;
	}
	return true;
}

bool model::any_mapped(range r) const
{
	return std::any_of(pages_ + r.first, pages_ + r.last, [](const model_page &p) { return p.mapped; });
}

void model::map(range r, unsigned prot, backing kind, bool managed)
{
	for (unsigned i = r.first; i < r.last; i++)
		pages_[i] = {true, prot, kind, managed, managed, false, 0};
}

void model::unmap(range r)
{
	std::fill(pages_ + r.first, pages_ + r.last, model_page{});
}

void model::protect(range r, unsigned prot)
{
	for (unsigned i = r.first; i < r.last; i++)
		pages_[i].prot = prot;
}

/* Where the page's word is kept now. */
std::optional<u64> &model::slot(unsigned page)
{
	model_page &p = pages_[page];
	bool file = p.kind == backing::shared || (p.kind == backing::priv && !p.own);

	return file ? file_[page] : p.value;
}

std::optional<u64> model::value(unsigned page) const
{
	return const_cast<model *>(this)->slot(page);
}

/* The process's own copy goes. */
void model::lose(unsigned page)
{
	model_page &p = pages_[page];

	p.own = false;
	p.value = 0;
	p.missing = p.managed;
}

void model::discard(range r)
{
	for (unsigned i = r.first; i < r.last; i++)
		lose(i);
}

/* It takes what it finds, and a copy in swap comes back: nobody is promised anything but pages of their own. */
void model::reap(range r)
{
	for (unsigned i = r.first; i < r.last; i++) {
		lose(i);
		if (pages_[i].kind == backing::anon)
			pages_[i].value.reset();
	}
}

void model::truncate(unsigned page)
{
	model_page &p = pages_[page];

	if (!p.mapped || (p.kind != backing::shared && p.kind != backing::priv))
		return;
	lose(page);
	file_[page] = 0;
}

void model::supply(unsigned page, u64 value)
{
	pages_[page].missing = false;
	pages_[page].value = value;
}

void model::write(unsigned page, u64 value)
{
	if (pages_[page].kind == backing::priv)
		pages_[page].own = true;
	slot(page) = value;
}

bool model::saw(unsigned page, u64 value)
{
	std::optional<u64> &word = slot(page);

	if (!word)
		word = value;
	return *word == value;
}

void model::exit()
{
	exited_ = true;
	unmap({0, REACH});
}

} // namespace svm_fuzz
