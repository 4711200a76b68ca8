// SPDX-License-Identifier: GPL-2.0-only
#include "oracle.hpp"

#include <algorithm>
#include <cstdio>

namespace chaos {

void values::add(std::uint64_t value)
{
	if (holds(value))
		return;
	if (size_ < at_.size())
		at_[size_++] = value;
	else
		any_ = true;
}

void values::add(const values &more)
{
	for (unsigned i = 0; i < more.size_; i++)
		add(more.at_[i]);
	any_ |= more.any_;
}

bool values::holds(std::uint64_t value) const
{
	return any_ || std::find(at_.begin(), at_.begin() + size_, value) != at_.begin() + size_;
}

std::string values::text() const
{
	std::string out;
	char one[24];
	for (unsigned i = 0; i < size_; i++) {
		snprintf(one, sizeof one, "%s%016llx", i ? ", " : "", static_cast<unsigned long long>(at_[i]));
		out += one;
	}
	return any_ ? out + ", or any" : out;
}

void page_state::open_window()
{
	seen = rest;
	if (lazy) // from an earlier window: it may go at any time
		seen.add(reset);
	changed = destroyed = may_fault = may_deny = false;
	set_access(access);
	changed = false;
}

void page_state::set_access(reach to)
{
	changed = true;
	access = to;
	may_fault |= to == reach::hole || to == reach::none;
	may_deny |= to == reach::read;
}

void page_state::put(std::uint64_t value)
{
	rest.only(value);
	seen.add(value);
	destroyed = true;
	lazy = false;
}

void page_state::may_be(std::uint64_t value)
{
	rest.add(value);
	seen.add(value);
	destroyed = true;
}

void oracle::open_window()
{
	flights_.clear();
	for (page_state &page : pages)
		page.open_window();
}

void oracle::launch(flight job)
{
	flights_.push_back(job);
	for (std::size_t i = job.first; i < job.first + job.count; i++)
		pages[i].seen.add(job.at(i));
}

values oracle::now(std::size_t page) const
{
	values out = pages[page].rest;
	if (pages[page].lazy)
		out.add(pages[page].reset);
	for (const flight &job : flights_)
		if (page >= job.first && page < job.first + job.count)
			out.add(job.at(page));
	return out;
}

void oracle::close_window()
{
	for (std::size_t i = 0; i < pages.size(); i++) {
		page_state &page = pages[i];
		values landed;
		for (const flight &job : flights_)
			if (i >= job.first && i < job.first + job.landed)
				landed.add(job.at(i));
		if (!landed.size())
			continue;
		// with nothing in the window that could have undone it, a write must be there
		if (!page.destroyed) {
			page.rest.clear();
			page.lazy = false;
		}
		page.rest.add(landed);
	}
	flights_.clear();
}

} // namespace chaos
