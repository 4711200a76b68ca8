// SPDX-License-Identifier: GPL-2.0-only
/* The reference. See model.hpp. */
#include "tests/fuzz/model.hpp"

#include <algorithm>
#include <cerrno>

namespace svm_fuzz
{

using namespace svm_host;

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
	const model_span *s = span_at(va);

	if (!s)
		return -EFAULT;
	if (s->kind == SVM_BIND_NULL)
		return 0;

	unsigned page = page_behind(va);

	return page < REACH ? access(page, write) : -EFAULT;
}

static int check(const svm_bind_op &op)
{
	u64 cpu_start = op.start - u64(op.offset), cpu_end = op.end - u64(op.offset);

	if (op.start >= op.end || op.start % PAGE || op.end % PAGE || op.end > DEVICE_END)
		return -EINVAL;
	if (op.kind > SVM_BIND_NULL || op.flags)
		return -EINVAL;
	if (op.kind != SVM_BIND_MIRROR)
		return op.offset ? -EINVAL : 0;
	return op.offset % s64(PAGE) || cpu_start >= cpu_end || cpu_end > USER_END ? -EINVAL : 0;
}

int model::bind(const std::vector<svm_bind_op> &ops) const
{
	for (size_t i = 0; i < ops.size(); i++) {
		if (int err = check(ops[i]))
			return err;
		for (size_t j = 0; j < i; j++)
			if (ops[i].start < ops[j].end && ops[j].start < ops[i].end)
				return -EINVAL;
	}
	return 0;
}

void model::bound_to(const svm_bind_op &op)
{
	std::vector<model_span> cut, joined;

	for (const model_span &s : spans_) {
		if (s.start < op.start)
			cut.push_back({s.start, std::min(s.end, op.start), s.kind, s.offset});
		if (s.end > op.end)
			cut.push_back({std::max(s.start, op.end), s.end, s.kind, s.offset});
	}
	if (op.kind != SVM_BIND_NOTHING)
		cut.push_back({op.start, op.end, op.kind, u64(op.offset)});
	std::sort(cut.begin(), cut.end(), [](const auto &a, const auto &b) { return a.start < b.start; });
	for (const model_span &s : cut) {
		if (!joined.empty() && joined.back().end == s.start && joined.back().leads_like(s))
			joined.back().end = s.end;
		else
			joined.push_back(s);
	}
	spans_ = std::move(joined);
}

const model_span *model::span_at(u64 va) const
{
	for (const model_span &s : spans_)
		if (s.holds(va))
			return &s;
	return nullptr;
}

unsigned model::page_behind(u64 va) const
{
	const model_span *s = span_at(va);

	if (!s || s->kind != SVM_BIND_MIRROR)
		return REACH;

	u64 cpu = va - s->offset;

	return cpu >= ARENA && cpu < address(REACH) ? unsigned((cpu - ARENA) / PAGE) : REACH;
}

bool model::bound(u64 start, u64 end) const
{
	while (start < end) {
		const model_span *s = span_at(start);

		if (!s)
			return false;
		start = s->end;
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
