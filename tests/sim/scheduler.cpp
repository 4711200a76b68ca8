// SPDX-License-Identifier: GPL-2.0-only
/* The scheduler. See scheduler.hpp. */
#include "tests/sim/scheduler.hpp"

#include <algorithm>
#include <cstring>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define SVM_SIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SVM_SIM_ASAN 1
#endif
#endif
#ifdef SVM_SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

namespace svm_sim
{

static constexpr size_t stack_bytes = 256 * 1024;
static scheduler *active;

struct pending_store {
	void *at;
	u64 value;
	u32 bytes;
	bool release;
	std::shared_ptr<view> with; /* the fiber that acquires it learns this view */
};

struct pending_entry {
	u64 *at;
	u64 value;
};

enum class fiber_state { ready, waiting, asleep, ended };

struct fiber {
	u64 number = 0;
	fiber_state state = fiber_state::ready;
	bool spinning = false; /* it waits for another that is ready, or will be */
	std::function<void()> fn;
	std::unique_ptr<char[]> stack;
	ucontext_t context{};
	wait_queue *queue = nullptr; /* it waits there */
	u64 wake_at = 0;
	std::deque<pending_store> stores;
	std::deque<pending_entry> entries;
	view known;
	std::shared_ptr<view> at_barrier; /* what it knew at its last full barrier */
	std::vector<std::shared_ptr<void>> own;
	wait_queue joiners;
#ifdef SVM_SIM_ASAN
	void *fake_stack = nullptr;
#endif
};

/* Where run() was called: control comes back to it when all fibers have ended. */
struct scheduler::outside {
	ucontext_t context{};
#ifdef SVM_SIM_ASAN
	void *fake_stack = nullptr;
	const void *bottom = nullptr;
	size_t size = 0;
#endif
};

scheduler::scheduler(u64 seed)
	: random_(seed)
	, outside_(std::make_unique<outside>())
{
	static constexpr unsigned change[] = {1, 2, 4, 8, 16, 64};
	static constexpr unsigned stall[] = {64, 512, 4096, ~0u};
	static constexpr unsigned linger[] = {2, 32, 1024};
	static constexpr unsigned stale[] = {2, 8, ~0u};
	static constexpr u64 unseen[] = {100, 1000, 10000};

	change_in_ = change[draw(std::size(change))];
	stall_in_ = stall[draw(std::size(stall))];
	store_in_ = linger[draw(std::size(linger))];
	stale_in_ = stale[draw(std::size(stale))];
	unseen_for_ = unseen[draw(std::size(unseen))];
}

scheduler::~scheduler() = default;

scheduler *scheduler::here()
{
	return active && active->running_ && !active->watching_ ? active : nullptr;
}

unsigned next_kind()
{
	static unsigned kinds;

	return kinds++;
}

u64 scheduler::draw(u64 n)
{
	return n <= 1 ? 0 : random_() % n;
}

/* ---- life of a fiber ---- */

void scheduler::enter()
{
	scheduler &s = *active;

#ifdef SVM_SIM_ASAN
	const void *bottom = nullptr;
	size_t size = 0;

	__sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
	if (!s.outside_->bottom) { /* the first switch came from run() */
		s.outside_->bottom = bottom;
		s.outside_->size = size;
	}
#endif
	s.running_->fn();
	s.leave();
}

fiber *scheduler::start(std::function<void()> fn)
{
	auto f = std::make_unique<fiber>();

	f->number = started_++;
	f->fn = std::move(fn);
	if (running_) {
		drain();
		f->known = running_->known;
	}
	if (stacks_.empty()) {
		f->stack.reset(new char[stack_bytes]);
	} else {
		f->stack = std::move(stacks_.back());
		stacks_.pop_back();
	}
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = f->stack.get();
	f->context.uc_stack.ss_size = stack_bytes;
	f->context.uc_link = nullptr;
	makecontext(&f->context, enter, 0);
	ready_.push_back(f.get());
	fibers_.push_back(std::move(f));
	return fibers_.back().get();
}

void scheduler::run(std::function<void()> fn)
{
	active = this;
	start(std::move(fn));
	change_to(choose());
	running_ = nullptr;
	active = nullptr;
	fibers_.clear();
}

/* Exchanges the running fiber for next; nullptr: back to run(). */
void scheduler::change_to(fiber *next)
{
	fiber *from = running_;

	if (next == from)
		return;
	running_ = next;

	ucontext_t *out = from ? &from->context : &outside_->context;
	ucontext_t *in = next ? &next->context : &outside_->context;

#ifdef SVM_SIM_ASAN
	void **fake = from ? &from->fake_stack : &outside_->fake_stack;
	bool ends = from && from->state == fiber_state::ended;
	const void *bottom = next ? next->stack.get() : outside_->bottom;
	size_t size = next ? stack_bytes : outside_->size;

	__sanitizer_start_switch_fiber(ends ? nullptr : fake, bottom, size);
#endif
	swapcontext(out, in);
#ifdef SVM_SIM_ASAN
	__sanitizer_finish_switch_fiber(*fake, nullptr, nullptr);
#endif
}

void scheduler::leave()
{
	fiber &self = *running_;

	released(&self);
	publish();
	wake(self.joiners);
	self.state = fiber_state::ended;
	self.fn = nullptr;
	self.own.clear();
	std::erase(ready_, &self);
	change_to(choose());
}

void scheduler::join(fiber *f)
{
	while (f->state != fiber_state::ended)
		wait(f->joiners);
	acquired(f);
	memory_.locks.erase(f);
	stacks_.push_back(std::move(f->stack));
	std::erase_if(fibers_, [&](const auto &each) { return each.get() == f; });
}

/* ---- who is next ---- */

/* nullptr: all have ended. */
fiber *scheduler::choose()
{
	wake_sleepers();
	if (ready_.empty() && !asleep_.empty()) {
		time_ = asleep_.begin()->first;
		wake_sleepers();
	}
	if (ready_.empty()) {
		bool all_ended = std::all_of(fibers_.begin(), fibers_.end(),
					     [](const auto &f) { return f->state == fiber_state::ended; });

		if (!all_ended)
			on_hang("every thread waits for another");
		return nullptr;
	}

	fiber *next = ready_[draw(ready_.size())];

	trace_ = (trace_ ^ next->number) * 0x100000001b3ull + steps_;
	return next;
}

void scheduler::wake_sleepers()
{
	while (!asleep_.empty() && asleep_.begin()->first <= time_) {
		u64 number = asleep_.begin()->second;
		auto it = std::find_if(fibers_.begin(), fibers_.end(), [=](const auto &f) { return f->number == number; });
		fiber &f = **it;

		asleep_.erase(asleep_.begin());
		if (f.queue)
			std::erase(f.queue->waiting, &f);
		f.queue = nullptr;
		f.state = fiber_state::ready;
		ready_.push_back(&f);
	}
}

/* The running fiber is ready no more. */
void scheduler::park()
{
	fiber &self = *running_;

	std::erase(ready_, &self);
	if (self.wake_at)
		asleep_.insert({self.wake_at, self.number});
	self.state = self.wake_at ? fiber_state::asleep : fiber_state::waiting;
	change_to(choose());
	self.wake_at = 0;
}

void scheduler::step()
{
	steps_++;
	time_++;
	if (steps_ > max_steps)
		on_hang("it does not come to its end");
	drain_somebody();
	if (steps_ % 64 == 0 && steps_ > unseen_for_)
		memory_.settle(steps_ - unseen_for_);
	if (on_step)
		watch(on_step);
	wake_sleepers();
}

void scheduler::watch(const std::function<void()> &fn)
{
	watching_ = true;
	fn();
	watching_ = false;
}

void scheduler::point()
{
	step();
	if (draw(stall_in_) == 1) {
		running_->wake_at = time_ + 1 + draw(4000);
		park();
	} else if (draw(change_in_) == 0) {
		change_to(choose());
	}
}

void scheduler::give_way()
{
	step();
	running_->spinning = true;

	bool all = std::all_of(ready_.begin(), ready_.end(), [](const fiber *f) { return f->spinning; });

	if (all && !asleep_.empty())
		time_ = std::max(time_, asleep_.begin()->first); /* they spin until then */

	fiber *next = choose();

	while (!all && next->spinning)
		next = choose();
	change_to(next);
	running_->spinning = false;
}

void scheduler::sleep(u64 steps)
{
	step();
	running_->wake_at = time_ + std::max<u64>(steps, 1);
	park();
}

void scheduler::wait(wait_queue &q)
{
	step();
	q.waiting.push_back(running_);
	running_->queue = &q;
	park();
}

void scheduler::wait_for(wait_queue &q, u64 steps)
{
	step();
	q.waiting.push_back(running_);
	running_->queue = &q;
	running_->wake_at = time_ + std::max<u64>(steps, 1);
	park();
}

void scheduler::wake(wait_queue &q)
{
	for (fiber *f : q.waiting) {
		if (f->wake_at)
			asleep_.erase({f->wake_at, f->number});
		f->wake_at = 0;
		f->queue = nullptr;
		f->state = fiber_state::ready;
		ready_.push_back(f);
	}
	q.waiting.clear();
}

/* ---- atomics ---- */

static u64 merge(u64 bits, u32 bytes)
{
	return bytes == 8 ? bits : bits & ((1ull << bytes * 8) - 1);
}

u64 scheduler::load(const void *at, u32 bytes, bool acquire)
{
	u64 bits = 0;

	if (buffered(at, &bits))
		return bits;

	weak_memory::found f = memory_.any(at, bytes, running_->known, [this](u64 n) { return n > 1 && draw(stale_in_) == 0 ? draw(n) : 0; });

	if (f.stamp > memory_.settled())
		running_->known.raise(at, f.stamp);
	if (acquire && f.with)
		running_->known.join(*f.with);
	return merge(f.value, bytes);
}

void scheduler::store(void *at, u64 value, u32 bytes, bool release)
{
	std::shared_ptr<view> with = running_->at_barrier;

	if (release) {
		running_->known.prune(memory_.settled());
		with = std::make_shared<view>(running_->known);
	}
	running_->stores.push_back({at, value, bytes, release, std::move(with)});
}

u64 scheduler::change(void *at, u32 bytes, bool acquire, bool release, const std::function<bool(u64, u64 *)> &fn)
{
	fiber &self = *running_;
	u64 bits = 0;

	/* It may pass the fiber's stores to other places, but not those to its own. */
	if (release || buffered(at, &bits))
		drain();

	weak_memory::found was = memory_.newest(at, bytes);

	if (acquire && was.with)
		self.known.join(*was.with);
	if (fn(merge(was.value, bytes), &bits)) {
		carried with = was.with;

		if (release || self.at_barrier) {
			auto joined = std::make_shared<view>(release ? self.known : *self.at_barrier);

			if (was.with)
				joined->join(*was.with);
			joined->prune(memory_.settled());
			with = std::move(joined);
		}
		self.known.raise(at, memory_.commit(at, bits, bytes, std::move(with), steps_));
	} else if (was.stamp > memory_.settled()) {
		self.known.raise(at, was.stamp);
	}
	return merge(was.value, bytes);
}

void scheduler::full_barrier()
{
	fiber &self = *running_;

	drain();
	self.known.join(memory_.barriers);
	self.known.prune(memory_.settled());
	memory_.barriers = self.known;
	self.at_barrier = std::make_shared<view>(self.known);
}

void scheduler::released(const void *what)
{
	drain();
	running_->known.prune(memory_.settled());

	view &left = memory_.locks[what];

	left.prune(memory_.settled());
	left.join(running_->known);
}

void scheduler::acquired(const void *what)
{
	if (auto it = memory_.locks.find(what); it != memory_.locks.end())
		running_->known.join(it->second);
}

/* ---- store buffers ---- */

/* The newest of the fiber's own stores to it, if any is pending. */
bool scheduler::buffered(const void *at, u64 *value) const
{
	const auto &stores = running_->stores;

	for (auto it = stores.rbegin(); it != stores.rend(); ++it)
		if (it->at == at) {
			*value = it->value;
			return true;
		}
	return false;
}

void scheduler::carry_out(fiber &f, size_t i)
{
	pending_store s = f.stores[i];

	f.stores.erase(f.stores.begin() + std::ptrdiff_t(i));

	u64 stamp = memory_.commit(s.at, s.value, s.bytes, s.with, steps_);

	f.known.raise(s.at, stamp);
	for (size_t k = i; k < f.stores.size(); k++) /* those after it in the program that carry it along */
		if (f.stores[k].release)
			f.stores[k].with->raise(s.at, stamp);
}

void scheduler::drain()
{
	while (!running_->stores.empty())
		carry_out(*running_, 0);
}

/* One store that may become visible now: none before it is to the same place, and a release has none before it at all. */
void scheduler::drain_one(fiber &f)
{
	size_t i = draw(f.stores.size());

	if (i && f.stores[i].release)
		i = 0;
	for (size_t k = 0; k < i; k++)
		if (f.stores[k].at == f.stores[i].at)
			i = k;
	if (i && f.stores[i].release)
		i = 0;
	carry_out(f, i);
}

void scheduler::drain_somebody()
{
	if (draw(store_in_))
		return;
	for (const auto &f : fibers_) {
		if (!f->stores.empty() && draw(2))
			drain_one(*f);
		if (!f->entries.empty() && draw(2))
			drain_entry(*f);
	}
}

/* ---- entries of page tables ---- */

u64 scheduler::load_entry(const u64 *at) const
{
	const auto &entries = running_->entries;

	for (auto it = entries.rbegin(); it != entries.rend(); ++it)
		if (it->at == at)
			return it->value;
	return *at;
}

void scheduler::store_entry(u64 *at, u64 value)
{
	running_->entries.push_back({at, value});
}

/* Any of them, but those to one entry in their order. */
void scheduler::drain_entry(fiber &f)
{
	size_t i = draw(f.entries.size());

	for (size_t k = 0; k < i; k++)
		if (f.entries[k].at == f.entries[i].at)
			i = k;
	*f.entries[i].at = f.entries[i].value;
	f.entries.erase(f.entries.begin() + std::ptrdiff_t(i));
}

void scheduler::publish()
{
	for (const pending_entry &e : running_->entries)
		*e.at = e.value;
	running_->entries.clear();
}

unsigned scheduler::number() const
{
	return unsigned(running_->number);
}

std::shared_ptr<void> &scheduler::own(unsigned kind)
{
	auto &slots = running_->own;

	if (slots.size() <= kind)
		slots.resize(kind + 1);
	return slots[kind];
}

} // namespace svm_sim
