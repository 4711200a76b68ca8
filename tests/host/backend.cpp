// SPDX-License-Identifier: GPL-2.0-only
/* The fake backend. See backend.hpp. */
#include "tests/host/backend.hpp"

#include "tests/host/check.hpp"

#include <cerrno>

#if defined(__SANITIZE_ADDRESS__)
#define SVM_HOST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SVM_HOST_ASAN 1
#endif
#endif
#ifdef SVM_HOST_ASAN
#include <sanitizer/asan_interface.h>
#define close_memory(p, n) __asan_poison_memory_region(p, n)
#define open_memory(p, n) __asan_unpoison_memory_region(p, n)
#else
#define close_memory(p, n) ((void)0)
#define open_memory(p, n) ((void)0)
#endif

namespace svm_host
{

static constexpr u64 table_base = 1ull << 30; /* a number of 32 bits too: a format's tables may have keys for addresses */
static constexpr u32 most_pages = 2; /* of 4 KiB, in a table */
static constexpr size_t quarantine_max = 1024;

const svm_backend_ops backend::ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
	.lost = lost,
	.gone = gone,
	.stop = stop,
	.resume = resume,
	.delay = delay,
};

backend::backend(memory &mem, svm_aperture where, u64 tables)
	: where_(where)
	, max_tables_(tables)
	, slots_(new std::atomic<slot *>[tables]())
	, device_(mem, [this](u64 addr, bool vram, unsigned index) { return read(addr + index * 8, vram); })
{
}

backend::~backend()
{
	if (tables)
		complain(std::to_string(tables) + " page tables leaked");
	for (u64 i = 0; i < next_ && i < max_tables_; i++)
		if (slot *s = slots_[i]) {
			if (s->words && s->freed)
				discard(s);
			delete s;
		}
}

backend::slot *backend::at(u64 addr) const
{
	u64 i = (addr - table_base) >> 12;

	if (addr < table_base || (addr & 0xfff) || i >= max_tables_)
		return nullptr;
	return slots_[i].load(std::memory_order_acquire);
}

/* The device's read of one word. Acquire: what the entry leads to was filled before it was written. */
u64 backend::read(u64 addr, bool vram) const
{
	point();

	u64 start = addr & ~0xfffull;
	slot *s = at(start);

	for (unsigned k = 1; !s && k < most_pages; k++)
		s = at(start -= 0x1000);

	u64 index = (addr - start) / 8;

	if (!s || vram != (where_ == SVM_VRAM) || index >= s->count) {
		complain("the device walks outside the tables");
		return 0;
	}
	if (s->freed.load(std::memory_order_acquire)) {
		complain("the device walks a freed table");
		return 0;
	}
	return std::atomic_ref<u64>(s->words[index]).load(std::memory_order_acquire);
}

int backend::table_alloc(void *self, u32 bytes, svm_table_mem *mem)
{
	auto &b = *static_cast<backend *>(self);

	if (alloc_step("table_alloc"))
		return -ENOMEM;

	if (b.tables.fetch_add(1, std::memory_order_relaxed) >= b.limit) {
		b.tables.fetch_sub(1, std::memory_order_relaxed);
		return -ENOSPC;
	}

	u64 i = b.next_.fetch_add((bytes + 0xfff) >> 12, std::memory_order_relaxed);

	if (bytes > most_pages << 12)
		complain("a table that is larger than any format's");
	if (i >= b.max_tables_) {
		b.tables.fetch_sub(1, std::memory_order_relaxed);
		return -ENOMEM;
	}

	auto *s = new slot;

	s->count = bytes / 8;
	s->words = std::make_unique<u64[]>(s->count);
	b.slots_[i].store(s, std::memory_order_release);
	b.bytes.fetch_add(bytes, std::memory_order_relaxed);
	b.allocs.fetch_add(1, std::memory_order_relaxed);
	*mem = {s->words.get(), table_base + (i << 12), s, u32(b.where_), bytes};
	return 0;
}

void backend::table_free(void *self, const svm_table_mem *mem)
{
	auto &b = *static_cast<backend *>(self);
	slot *s = b.at(mem->addr);

	might_sleep("table_free");
	if (!s || s != mem->priv || s->words.get() != mem->cpu || s->count * 8 != mem->bytes) {
		complain("table_free of something that was never given out");
		return;
	}
	if (s->freed.exchange(true, std::memory_order_acq_rel)) {
		complain("table_free twice");
		return;
	}
	b.tables.fetch_sub(1, std::memory_order_relaxed);
	b.bytes.fetch_sub(mem->bytes, std::memory_order_relaxed);
	b.frees.fetch_add(1, std::memory_order_relaxed);
	b.retire(s);
}

void backend::retire(slot *s)
{
	slot *oldest = nullptr;

	for (u32 i = 0; i < s->count; i++)
		s->words[i] = POISON;
	close_memory(s->words.get(), s->count * 8);
	{
		std::lock_guard hold(quarantine_lock_);

		quarantine_.push_back(s);
		if (quarantine_.size() > quarantine_max) {
			oldest = quarantine_.front();
			quarantine_.pop_front();
		}
	}
	if (oldest)
		discard(oldest);
}

/* Frees the memory, not the slot: its number stays known as freed. */
void backend::discard(slot *s)
{
	open_memory(s->words.get(), s->count * 8);
	for (u32 i = 0; i < s->count; i++)
		if (s->words[i] != POISON) {
			complain("a freed table was written");
			break;
		}
	s->words.reset();
}

u64 backend::flush_begin(void *self, u64 start, u64 end)
{
	auto &b = *static_cast<backend *>(self);

	if (start >= end)
		complain("flush of an empty span");
	if (b.on_flush)
		b.on_flush(start, end);
	b.flushes.fetch_add(1, std::memory_order_relaxed);

	std::lock_guard hold(b.flush_lock_);

	b.pending_.push_back({++b.last_token_, start, end});
	return b.last_token_;
}

/* Carries out every request up to the token, in order. */
void backend::flush_wait(void *self, u64 token, bool may_sleep)
{
	auto &b = *static_cast<backend *>(self);

	if (may_sleep)
		might_sleep("flush_wait");

	std::unique_lock hold(b.flush_lock_);

	if (token > b.last_token_)
		complain("flush_wait for a token that was never given out");
	b.waiting_++;
	b.flush_cv_.wait(hold, [&] { return !b.held_; });
	b.waiting_--;
	for (const request &r : b.pending_) {
		if (r.token > token)
			continue;
		if (r.stop)
			b.device_.stop();
		else
			b.device_.invalidate(r.start, r.end);
	}
	std::erase_if(b.pending_, [&](const request &r) { return r.token <= token; });
}

void backend::publish(void *self)
{
	static_cast<backend *>(self)->publishes.fetch_add(1, std::memory_order_relaxed);
	publish_entries();
	std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool backend::lost(void *self)
{
	/* acquire: with the release in lose(); whoever has read garbage sees the flag */
	return static_cast<backend *>(self)->lost_.load(std::memory_order_acquire);
}

int backend::gone(void *self)
{
	return static_cast<backend *>(self)->why_gone.load(std::memory_order_relaxed);
}

/* The device stops when that is waited for: until then its accesses go on. */
u64 backend::stop(void *self)
{
	auto &b = *static_cast<backend *>(self);

	b.stops.fetch_add(1, std::memory_order_relaxed);

	std::lock_guard hold(b.flush_lock_);

	b.pending_.push_back({++b.last_token_, 0, 0, true});
	return b.last_token_;
}

void backend::resume(void *self)
{
	auto &b = *static_cast<backend *>(self);

	b.resumes.fetch_add(1, std::memory_order_relaxed);
	{
		std::lock_guard hold(b.flush_lock_);

		for (const request &r : b.pending_)
			if (r.stop)
				complain("the jobs are resumed before they were seen to have stopped");
	}
	b.device_.resume();
}

void backend::delay(void *self)
{
	auto &b = *static_cast<backend *>(self);

	might_sleep("delay");
	if (b.on_delay)
		b.on_delay();
}

void backend::lose()
{
	lost_.store(true, std::memory_order_release);
	for (u64 i = 0; i < next_ && i < max_tables_; i++) {
		slot *s = slots_[i];

		for (u32 k = 0; s && !s->freed && k < s->count; k++)
			std::atomic_ref<u64>(s->words[k]).store(0xdbdbdbdbdbdbdbdbull, std::memory_order_release);
	}
}

void backend::hold()
{
	std::lock_guard hold(flush_lock_);

	held_ = true;
}

void backend::release()
{
	std::lock_guard hold(flush_lock_);

	held_ = false;
	flush_cv_.notify_all();
}

unsigned backend::waiting()
{
	std::lock_guard hold(flush_lock_);

	return waiting_;
}

} // namespace svm_host
