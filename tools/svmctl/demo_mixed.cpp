// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each kind has two windows in the 2 MiB, one to read and one to write. A pass copies
 * each window that is read to one that is written, another one each time, and the CPU
 * compares what has arrived in the memory behind it.
 *
 * Meanwhile a thread binds every window anew, all of them atomically: what is read to
 * one of two memories of different kinds that hold the same, what is written to the
 * memory where it is. A rebind that loses a write, leads elsewhere for a moment or
 * leaves a hole shows as a wrong byte or a failed job. The rest of the 2 MiB becomes
 * NULL, a hole and the process's in turn. Then buffers that fill VRAM push the others out.
 */
#include "demo_mixed.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "demo_memory.hpp"

namespace svmctl {

namespace {

using clock = std::chrono::steady_clock;
using svmirror::place;

constexpr std::size_t window_size = 16 * page_size;
constexpr std::chrono::seconds limit{120}; // for a job, and for a round of the binds beside it
constexpr std::size_t vram_parts = 3;	   // so many buffers fill VRAM

enum class kind { own, vram, system, imported, elsewhere, null };

struct kind_names {
	kind what;
	kind twin; // of the memory that a window to read leads to in turn
	const char *name;
};

constexpr std::array kinds{
	kind_names{kind::own, kind::elsewhere, "own memory"},	  kind_names{kind::vram, kind::system, "VRAM"},
	kind_names{kind::system, kind::vram, "a system buffer"},  kind_names{kind::imported, kind::vram, "a dma-buf"},
	kind_names{kind::elsewhere, kind::imported, "a userptr"}, kind_names{kind::null, kind::null, "NULL"},
};

// Memory of one kind that a window leads to, as the CPU sees it and as it is bound.
struct memory {
	std::optional<svmirror::buffer> buffer;
	std::optional<svmirror::buffer_view> view;
	std::optional<reservation> pages;
	std::span<std::byte> cpu; // none of NULL
	drm_svm_bind_op op{};
};

memory make_memory(kind what, std::span<std::byte> window, const svmirror::device &gpu, const svmirror::device &other)
{
	memory made;
	made.op.start = svmirror::address(window.data());
	made.op.length = window.size();
	switch (what) {
	case kind::own:
		made.cpu = window;
		break;
	case kind::elsewhere:
		made.cpu = made.pages.emplace(window.size()).memory().first(window.size());
		break;
	case kind::vram:
		made.buffer.emplace(gpu, window.size(), place::vram);
		break;
	case kind::system:
		made.buffer.emplace(gpu, window.size(), place::system);
		break;
	case kind::imported:
		made.buffer.emplace(gpu, svmirror::buffer(other, window.size(), place::system).share());
		break;
	case kind::null:
		made.op.kind = DRM_SVM_BIND_NULL;
		return made;
	}
	if (made.buffer) {
		made.cpu = made.view.emplace(made.buffer->map()).bytes();
		made.op.kind = DRM_SVM_BIND_OBJECT;
		made.op.handle = made.buffer->id();
	} else {
		made.op.kind = DRM_SVM_BIND_MIRROR;
		made.op.offset = static_cast<std::int64_t>(made.op.start - svmirror::address(made.cpu.data()));
	}
	return made;
}

struct window {
	const char *name;
	std::span<std::byte> at;   // device addresses
	std::vector<memory> leads; // to one of these
	std::vector<std::byte> content;
};

class mixed {
public:
	mixed(const svmirror::device &gpu, const std::string &path, bytes seed)
		: gpu_(gpu), other_(path.empty() ? nullptr : path.c_str()), place_(huge_size), probe_(window_size)
	{
		auto at = place_.memory();
		auto take = [&] {
			auto taken = at.first(window_size);
			at = at.subspan(window_size);
			return taken;
		};
		bool null = gpu.info().capabilities & DRM_SVM_CAPABILITY_NULL;
		for (const kind_names &each : kinds) {
			if (each.what == kind::null && !null)
				continue;
			add(from_, each.name, take(), {each.what, each.twin});
			add(to_, each.name, take(), {each.what});
			if (each.what != kind::null)
				fill(from_.back(), seed);
		}
		rest_ = at;
		rests_ = {DRM_SVM_BIND_NOTHING, DRM_SVM_BIND_MIRROR};
		if (null)
			rests_.push_back(DRM_SVM_BIND_NULL);
	}

	// Bound, and moved until what is returned is dropped.
	std::shared_ptr<void> move_in(svmirror::vm &space)
	{
		bind(space, 0);
		settled_ = in_vram();
		return std::make_shared<std::jthread>([this, &space](const std::stop_token &stop) { run(space, stop); });
	}

	// Copies and compares until the binds beside it have gone round once.
	void pass(std::span<svmirror::queue> queues)
	{
		std::uint64_t before = rounds();
		auto late = clock::now() + limit;
		do {
			copy_all(queues, ++passes_);
			if (clock::now() > late)
				throw std::runtime_error("the binds beside it do not go on");
		} while (rounds() == before && !failed_.load(std::memory_order_acquire));
	}

	verdict check() const
	{
		if (!error_.empty())
			return {false, error_};
		if (settled_ && !evictions_)
			return {false, "nothing was pushed out of VRAM"};
		return {true, fmt::format("{} kinds, {} x bind, {} x eviction", from_.size(), binds_, evictions_)};
	}

private:
	void add(std::vector<window> &side, const char *name, std::span<std::byte> at, std::initializer_list<kind> leads)
	{
		window made{name, at, {}, std::vector<std::byte>(window_size)};
		for (kind what : leads)
			made.leads.push_back(make_memory(what, at, gpu_, other_));
		side.push_back(std::move(made));
	}

	// Other bytes in each window, the same in both memories that it leads to.
	void fill(window &each, bytes seed)
	{
		auto skip = from_.size() * 4099;
		for (std::size_t i = 0; i < window_size; i++)
			each.content[i] = seed[(skip + i) % seed.size()] ^ std::byte(from_.size() + i / page_size);
		for (memory &one : each.leads)
			std::copy(each.content.begin(), each.content.end(), one.cpu.begin());
	}

	void bind(svmirror::vm &space, std::uint64_t number)
	{
		std::vector<drm_svm_bind_op> ops;
		for (const auto *side : {&from_, &to_})
			for (const window &each : *side)
				ops.push_back(each.leads[number % each.leads.size()].op);
		drm_svm_bind_op rest{};
		rest.start = svmirror::address(rest_.data());
		rest.length = rest_.size();
		rest.kind = rests_[number % rests_.size()];
		ops.push_back(rest);
		space.bind_many(ops);
		binds_ += ops.size();
	}

	std::size_t in_vram() const
	{
		std::size_t count = 0;
		for (const auto *side : {&from_, &to_})
			for (const window &each : *side)
				for (const memory &one : each.leads)
					count += one.buffer && one.buffer->where() == place::vram;
		return count;
	}

	// One byte that the CPU touches brings all of a buffer.
	void crowd_out()
	{
		std::size_t part = gpu_.gpu().vram_bytes / vram_parts / window_size * window_size;
		std::size_t before = in_vram();
		std::vector<svmirror::buffer> crowd;
		for (std::size_t i = 0; i < vram_parts; i++) {
			crowd.emplace_back(gpu_, part, place::vram);
			crowd.back().map().bytes()[0] = std::byte{1};
		}
		std::size_t after = in_vram();
		evictions_ += before > after ? before - after : 0;
	}

	void run(svmirror::vm &space, const std::stop_token &stop)
	try {
		for (std::uint64_t number = 1; !stop.stop_requested(); number++) {
			bind(space, number);
			if (number % 8 == 0)
				crowd_out();
			// relaxed: a count
			rounds_.fetch_add(number % 8 == 0, std::memory_order_relaxed);
			std::this_thread::sleep_for(std::chrono::milliseconds(2));
		}
	} catch (const std::exception &error) {
		error_ = fmt::format("binding beside the jobs: {}", error.what());
		// pairs with the acquire in pass()
		failed_.store(true, std::memory_order_release);
	}

	std::uint64_t rounds() const { return rounds_.load(std::memory_order_relaxed); }

	void copy_all(std::span<svmirror::queue> queues, std::size_t turn)
	{
		std::vector<svmirror::job> jobs;
		for (std::size_t i = 0; i < from_.size(); i++)
			jobs.push_back(queues[i % queues.size()].copy(target(i, turn).at, from_[i].at));
		finish(jobs);
		for (std::size_t i = 0; i < from_.size(); i++) {
			const window &to = target(i, turn);
			if (!to.leads[0].cpu.empty()) {
				compare(to.leads[0].cpu, from_[i].content, from_[i], to);
				continue;
			}
			// NULL has dropped what was written
			std::ranges::fill(probe_.memory().first(window_size), std::byte{0xee});
			jobs.clear();
			jobs.push_back(queues[0].copy(probe_.memory().first(window_size), to.at));
			finish(jobs);
			compare(probe_.memory().first(window_size), to.content, to, to);
		}
	}

	window &target(std::size_t from, std::size_t turn) { return to_[(from + turn) % to_.size()]; }

	static void finish(std::span<const svmirror::job> jobs)
	{
		std::vector<svmirror::job_result> results;
		for (const svmirror::job &job : jobs)
			results.push_back(job.result(limit));
		for (const svmirror::job_result &result : results)
			if (result.status)
				throw std::system_error(-result.status, std::generic_category(),
							fmt::format("job failed at {:#x}", result.va));
	}

	static void compare(bytes got, bytes want, const window &from, const window &to)
	{
		auto [wrong, right] = std::mismatch(got.begin(), got.end(), want.begin());
		if (wrong != got.end())
			throw std::runtime_error(fmt::format("from {} to {}, byte {}: {:#x}, not {:#x}", from.name, to.name,
							     wrong - got.begin(), *wrong, *right));
	}

	const svmirror::device &gpu_;
	svmirror::device other_;
	reservation place_, probe_;
	std::vector<window> from_, to_;
	std::span<std::byte> rest_;	    // of the 2 MiB
	std::vector<std::uint32_t> rests_;  // kinds that it has in turn
	std::size_t passes_ = 0;
	bool settled_ = false;		    // buffers were in VRAM when all was bound
	// the thread's alone while it runs
	std::uint64_t binds_ = 0, evictions_ = 0;
	std::string error_;
	std::atomic<std::uint64_t> rounds_{0};
	std::atomic<bool> failed_{false};
};

} // namespace

workload make_mixed(const svmirror::device &gpu, const std::string &path, bytes seed)
{
	// made when the job begins: what fails is the job's
	auto own = std::make_shared<std::optional<mixed>>();
	return {
		"mixed", kinds.size() * window_size,
		[own](std::span<svmirror::queue> queues) { (*own)->pass(queues); },
		[own](unsigned) { return (*own)->check(); },
		[own, &gpu, path, seed](svmirror::vm &space) { return own->emplace(gpu, path, seed).move_in(space); },
	};
}

} // namespace svmctl
