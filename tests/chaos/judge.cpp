// SPDX-License-Identifier: GPL-2.0-only
/* How a job ended, against what the memory did meanwhile. */
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "work.hpp"

namespace chaos {

// The page that a failed job names must have given it reason, and no page before it may have had to stop it.
void worker::judge_error(const running &done, const svmirror::job_result &result)
{
	std::uint64_t start = area_->base() + done.first * page_bytes;
	std::size_t index = (result.va - start) / page_bytes;
	if (result.va < start || index >= done.count)
		me_.out.fail(me_.thread, "a job on [%zu, %zu) at %#llx ended with %s at %#llx", done.first, done.first + done.count,
			     static_cast<unsigned long long>(start), strerrorname_np(-result.status),
			     static_cast<unsigned long long>(result.va));
	const page_state &page = area_->model().pages[done.first + index];
	bool allowed = (result.status == -EFAULT && page.may_fault) ||
		       (result.status == -EPERM && page.may_deny && writes(done.what));
	if (!allowed)
		me_.out.fail(me_.thread, "a job on [%zu, %zu) ended with %s at page %zu, which allowed it all the time", done.first,
			     done.first + done.count, strerrorname_np(-result.status), done.first + index);
	me_.out.add(jobs_failed);
}

// Where every page held one and the same value all the time, results are exact.
bool worker::exactly_known(const running &done) const
{
	for (std::size_t i = done.first; i < done.first + done.count; i++)
		if (!area_->model().pages[i].seen.exact())
			return false;
	return true;
}

void worker::judge_reads(const running &done, std::size_t pages)
{
	const std::vector<page_state> &model = area_->model().pages;
	std::span<const std::uint64_t> buffer = buffers_[done.buffer];
	for (std::size_t i = 0; i < done.count; i++) {
		values untouched;
		untouched.only(0x5e5e5e5e5e5e5e5e);
		const values &allowed = i < pages ? model[done.first + i].seen : untouched;
		for (std::size_t w = 0; w < words_per_page; w++) {
			std::uint64_t value = buffer[i * words_per_page + w];
			if ((!w || value != buffer[i * words_per_page + w - 1]) && !allowed.holds(value))
				me_.out.fail(me_.thread, "the device read %016llx in word %zu of page %zu at %#llx; expected: %s",
					     static_cast<unsigned long long>(value), w, done.first + i,
					     static_cast<unsigned long long>(area_->base() + (done.first + i) * page_bytes),
					     allowed.text().c_str());
		}
	}
	me_.out.add(pages_by_device, pages);
}

void worker::judge(running &done)
{
	me_.out.note(me_.thread, "wait for job on [%zu, %zu)", done.first, done.first + done.count);
	if (!done.job.done().wait(job_limit))
		me_.out.fail_hung(me_.thread, fmt::format("a job on [{}, {})", done.first, done.first + done.count).c_str(),
				  job_limit);
	svmirror::job_result result = done.job.result();
	std::size_t pages = done.count;
	if (result.status) {
		judge_error(done, result);
		pages = (result.va - area_->base()) / page_bytes - done.first;
	}
	const std::vector<page_state> &model = area_->model().pages;
	for (std::size_t i = done.first; i < done.first + pages; i++) {
		reach access = model[i].access;
		bool shut = access == reach::hole || access == reach::none || (writes(done.what) && access == reach::read);
		if (shut && !model[i].changed)
			me_.out.fail(me_.thread, "a job on [%zu, %zu) passed page %zu, which was shut all the time", done.first,
				     done.first + done.count, i);
	}
	if (writes(done.what))
		area_->model().flights()[done.flight].landed = pages;
	if (done.what == work::read)
		judge_reads(done, pages);
	if (result.status || !exactly_known(done))
		return;
	std::uint64_t sum = 0;
	std::array<std::uint64_t, 256> bins{};
	for (std::size_t i = done.first; i < done.first + done.count; i++) {
		std::uint64_t word = model[i].seen.first();
		sum += word * words_per_page;
		for (unsigned shift = 0; shift < 64; shift += 8)
			bins[word >> shift & 255] += words_per_page;
	}
	if (done.what == work::sum && sum != sums_[done.buffer])
		me_.out.fail(me_.thread, "the device's sum of [%zu, %zu) is %#llx, not %#llx", done.first, done.first + done.count,
			     static_cast<unsigned long long>(sums_[done.buffer]), static_cast<unsigned long long>(sum));
	if (done.what == work::histogram && bins != bins_[done.buffer])
		me_.out.fail(me_.thread, "the device's histogram of [%zu, %zu) differs", done.first, done.first + done.count);
	if (done.what == work::sum || done.what == work::histogram)
		me_.out.add(exact_results);
}

} // namespace chaos
