/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backend whose table memory is write-combining: what the core stores stays in the CPU's buffer, and the device sees
 * it from publish() on. The core writes to a copy of each table; publish() brings the copies to the tables that
 * the device reads.
 *
 * It publishes the stores of all CPUs at once, which real hardware does not: whether each CPU publishes its own stores
 * is for the simulation (tests/sim) to find out.
 */
#ifndef SVM_TESTS_HOST_BUFFERED_BACKEND_HPP
#define SVM_TESTS_HOST_BUFFERED_BACKEND_HPP

#include "tests/host/backend.hpp"

#include <list>

namespace svm_host
{

class buffered_backend
{
public:
	explicit buffered_backend(backend &device)
		: device_(device)
	{
	}

	static const svm_backend_ops ops;

private:
	struct copy {
		std::unique_ptr<u64[]> words;
		svm_table_mem seen{}; /* what the device reads */
	};

	static int table_alloc(void *self, u32 bytes, svm_table_mem *mem)
	{
		auto &b = *static_cast<buffered_backend *>(self);
		copy fresh;

		if (int err = backend::ops.table_alloc(&b.device_, bytes, &fresh.seen))
			return err;
		fresh.words = std::make_unique<u64[]>(bytes / 8);

		std::lock_guard hold(b.lock_);

		b.copies_.push_back(std::move(fresh));
		*mem = b.copies_.back().seen;
		mem->cpu = b.copies_.back().words.get();
		return 0;
	}

	static void table_free(void *self, const svm_table_mem *mem)
	{
		auto &b = *static_cast<buffered_backend *>(self);
		svm_table_mem seen{};
		{
			std::lock_guard hold(b.lock_);

			for (auto it = b.copies_.begin(); it != b.copies_.end(); ++it)
				if (it->words.get() == mem->cpu) {
					seen = it->seen;
					b.copies_.erase(it);
					break;
				}
		}
		backend::ops.table_free(&b.device_, &seen);
	}

	static u64 flush_begin(void *self, u64 start, u64 end)
	{
		return backend::ops.flush_begin(&static_cast<buffered_backend *>(self)->device_, start, end);
	}

	static void flush_wait(void *self, u64 token, bool may_sleep)
	{
		backend::ops.flush_wait(&static_cast<buffered_backend *>(self)->device_, token, may_sleep);
	}

	static void publish(void *self)
	{
		auto &b = *static_cast<buffered_backend *>(self);
		std::lock_guard hold(b.lock_);

		for (const copy &c : b.copies_) {
			auto *seen = static_cast<u64 *>(c.seen.cpu);

			for (u32 i = 0; i < c.seen.bytes / 8; i++)
				std::atomic_ref<u64>(seen[i]).store(
					std::atomic_ref<u64>(c.words[i]).load(std::memory_order_relaxed), std::memory_order_release);
		}
		backend::ops.publish(&b.device_);
	}

	backend &device_;
	mutex lock_;
	std::list<copy> copies_;
};

inline const svm_backend_ops buffered_backend::ops = {
	.table_alloc = table_alloc,
	.table_free = table_free,
	.flush_begin = flush_begin,
	.flush_wait = flush_wait,
	.publish = publish,
	.lost = nullptr,
	.gone = nullptr,
	.stop = nullptr,
	.resume = nullptr,
	.delay = nullptr,
};

} // namespace svm_host

#endif
