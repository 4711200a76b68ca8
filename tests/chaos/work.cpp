// SPDX-License-Identifier: GPL-2.0-only
/* An episode: what is drawn and done. How it is judged is in judge.cpp. */
#include "work.hpp"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace chaos {

namespace {

constexpr std::uint64_t interval = 512ull << 20, gib = 1ull << 30;

struct advice {
	int number;
	const char *name;
};
constexpr advice advices[] = {
	{MADV_PAGEOUT, "pageout"}, {MADV_PAGEOUT, "pageout"}, {MADV_COLD, "cold"}, {MADV_HUGEPAGE, "hugepage"},
	{MADV_NOHUGEPAGE, "nohugepage"}, {MADV_COLLAPSE, "collapse"}, {MADV_MERGEABLE, "mergeable"},
	{MADV_UNMERGEABLE, "unmergeable"}, {MADV_WILLNEED, "willneed"}};

} // namespace

worker::worker(const identity &me, svmirror::vm &vm, std::vector<backing> kinds, random numbers)
	: me_(me), vm_(vm), kinds_(std::move(kinds)), numbers_(numbers)
{
	queues_.emplace_back(vm);
	queues_.emplace_back(vm);
	running_.reserve(buffer_count);
	for (std::span<std::uint64_t> &buffer : buffers_) {
		void *at = mmap(nullptr, buffer_pages * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (at == MAP_FAILED)
			me_.out.fail(me_.thread, "mmap of a buffer: %s", strerror(errno));
		buffer = {static_cast<std::uint64_t *>(at), buffer_pages * words_per_page};
	}
	new_area();
}

void worker::new_area()
{
	static constexpr std::size_t sizes[] = {9, 40, 70, 130, 530, 800};
	std::uint64_t home = (32ull << 40) + ((me_.process * max_threads + me_.thread) * 64ull + numbers_.below(4)) * gib;
	// at a table's start, across two intervals, and at neither
	std::uint64_t place = std::array<std::uint64_t, 3>{0, interval - (1 << 20), 5 * page_bytes}[numbers_.below(3)];
	std::size_t pages = sizes[numbers_.below(std::size(sizes))];
	backing kind = kinds_[numbers_.below(kinds_.size())];
	if (area_)
		restore_behind();
	area_.reset();
	me_.out.note(me_.thread, "new area of %zu pages, backing %d, at %#llx", pages, static_cast<int>(kind),
		     static_cast<unsigned long long>(home + place));
	area_.emplace(me_, kind, home + place, pages);
}

void worker::submit_one(unsigned index)
{
	work what = static_cast<work>(numbers_.below(static_cast<std::size_t>(work::kinds)));
	std::size_t first = numbers_.below(area_->size());
	std::size_t most = what == work::write || what == work::read ? buffer_pages : area_->size();
	std::size_t count = 1 + numbers_.below(std::min(most, area_->size() - first));
	svmirror::queue &queue = queues_[numbers_.below(queues_.size())];
	auto fill = static_cast<std::byte>(1 + numbers_.below(15)); // few values, so that KSM finds equal pages
	std::span<std::uint64_t> buffer = buffers_[index].first(std::min<std::size_t>(count, buffer_pages) * words_per_page);
	std::span<std::byte> memory = area_->bytes(first, count);
	static constexpr const char *names[] = {"write", "fill", "read", "sum", "histogram", "touch"};

	me_.out.note(me_.thread, "submit %s of [%zu, %zu) on queue %u", names[static_cast<unsigned>(what)], first, first + count,
		     queue.id());
	std::uint64_t word = what == work::fill ? 0x0101010101010101 * std::to_integer<std::uint64_t>(fill) :
			     what == work::write ? area_->fresh_word(first) : 0x5e5e5e5e5e5e5e5e;
	std::uint64_t step = what == work::write ? area::word_step : 0;
	for (std::size_t i = 0; i < buffer.size() && step + (what == work::read); i++)
		buffer[i] = word + i / words_per_page * step;
	if (writes(what))
		area_->model().launch({first, count, word, step});
	sums_[index] = 0;
	bins_[index].fill(0);
	auto submit = [&] {
		switch (what) {
		case work::write:
			return queue.copy(memory, std::as_bytes(buffer));
		case work::fill:
			return queue.fill(memory, fill);
		case work::read:
			return queue.copy(std::as_writable_bytes(buffer), memory);
		case work::sum:
			return queue.sum({reinterpret_cast<std::uint64_t *>(memory.data()), memory.size() / 8}, sums_[index]);
		case work::histogram:
			return queue.histogram(memory, bins_[index]);
		default:
			return queue.touch(memory, page_bytes, false);
		}
	};
	running_.push_back({what, first, count, area_->model().flights().size() - 1, index, submit()});
	me_.out.add(jobs);
}

void worker::operate_on_part(unsigned which, std::size_t first, std::size_t count)
{
	area &memory = *area_;
	switch (which) {
	case 0:
		return memory.store(first, count);
	case 1:
		return memory.look(first, count);
	case 2:
		return memory.dontneed(first, count);
	case 3:
		return memory.lazy_free(first, count);
	case 4:
		return memory.unmap(first, count);
	case 5:
		return memory.map(first, count);
	case 6:
		return memory.protect(first, count, reach::read);
	case 7:
		return memory.protect(first, count, reach::none);
	case 8:
		return memory.protect(first, count, reach::write);
	case 9:
		return memory.lock(first, std::min<std::size_t>(count, 16), true);
	case 10:
		return memory.lock(first, count, false);
	case 11:
	case 12:
		return memory.detour(first, count, which == 12);
	case 13:
		return memory.truncate(first);
	case 14:
		return memory.punch(first, count);
	case 15:
		return memory.sync(first, count);
	}
}

void worker::operate()
{
	static constexpr const char *names[] = {"store", "look", "dontneed", "free", "munmap", "mmap", "mprotect r", "mprotect none",
						"mprotect rw", "mlock", "munlock", "mremap", "mremap dontunmap", "truncate",
						"punch", "msync"};
	std::size_t first = numbers_.below(area_->size());
	std::size_t count = 1 + numbers_.below(area_->size() - first);
	unsigned kind = static_cast<unsigned>(numbers_.below(100)), which = static_cast<unsigned>(numbers_.below(std::size(names)));
	const advice &say = advices[numbers_.below(std::size(advices))];
	auto pause = static_cast<unsigned>(numbers_.below(4000));

	me_.out.add(cpu_ops);
	if (kind < 55) {
		me_.out.note(me_.thread, "%s [%zu, %zu)", names[which], first, first + count);
		operate_on_part(which, first, count);
	} else if (kind < 75) {
		me_.out.note(me_.thread, "madvise %s [%zu, %zu)", say.name, first, first + count);
		area_->advise(first, count, say.number, say.name);
	} else if (kind < 80) {
		me_.out.note(me_.thread, "fork");
		area_->fork_child(pause);
	} else if (kind < 88) {
		me_.out.note(me_.thread, "prefetch%s [%zu, %zu)", pause % 2 ? " for writing" : "", first, first + count);
		std::uint64_t got = vm_.prefetch(area_->bytes(first, count), pause % 2);
		if (got > count)
			me_.out.fail(me_.thread, "prefetch of %zu pages made %llu present", count,
				     static_cast<unsigned long long>(got));
	} else if (kind < 94) {
		rebind_behind();
	} else {
		usleep(pause); // so that jobs get further
	}
}

void worker::episode(unsigned number)
{
	if (number && numbers_.percent(4))
		new_area();
	area &memory = *area_;
	// what is not known well is looked at, or the oracle would allow ever more
	for (std::size_t i = 0; i < memory.size(); i++)
		if (memory.model().pages[i].rest.size() > 4) {
			memory.heal();
			memory.verify(0, memory.size());
			break;
		}
	std::size_t jobs_now = numbers_.below(buffer_count + 1), ops = 1 + numbers_.below(5);
	bool heal = numbers_.percent(15), all = numbers_.percent(25), part = numbers_.percent(50);
	std::size_t at = numbers_.below(memory.size());

	memory.model().open_window();
	for (unsigned i = 0; i < jobs_now; i++)
		submit_one(i);
	for (std::size_t i = 0; i < ops; i++)
		operate();
	for (running &job : running_)
		judge(job);
	running_.clear();
	memory.model().close_window();
	if (heal) {
		me_.out.note(me_.thread, "heal");
		memory.heal();
	}
	if (all || part) {
		std::size_t from = all ? 0 : at, count = all ? memory.size() : std::min<std::size_t>(memory.size() - at, 32);
		me_.out.note(me_.thread, "verify [%zu, %zu)", from, from + count);
		memory.verify(from, count);
	}
	me_.out.add(episodes);
}

void worker::finish()
{
	me_.out.note(me_.thread, "verify everything");
	area_->heal();
	area_->verify(0, area_->size());
}

void worker::leave_jobs_behind()
{
	area_->model().open_window();
	for (unsigned i = 0; i < buffer_count; i++)
		submit_one(i);
}

} // namespace chaos
