/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tests' device driver side: svm_backend_ops over host memory, with a gpu behind it.
 *
 * Each table gets an address that is never used again, so that a pointer to a freed table
 * is known for what it is. A freed table is filled with poison (and closed to AddressSanitizer)
 * and kept for a while; poison that changed, and any walk into it, is a complaint.
 *
 * A flush takes effect at the latest moment that it may: when it is waited for. hold() keeps
 * all acknowledges back.
 */
#ifndef SVM_TESTS_HOST_BACKEND_HPP
#define SVM_TESTS_HOST_BACKEND_HPP

#include "tests/host/gpu.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace svm_host
{

class backend
{
public:
	/* It can give out `tables` of them in its life. */
	explicit backend(memory &mem, svm_aperture where = SVM_SYSTEM, u64 tables = 1u << 18);
	/* Complains about tables that are left. */
	~backend();
	backend(const backend &) = delete;

	static const svm_backend_ops ops;

	gpu &device()
	{
		return device_;
	}

	/* The 8 bytes of a table at this address, as the device reads them. */
	u64 read(u64 addr, bool vram) const;

	/* No flush is acknowledged between the two. */
	void hold();
	void release();
	/* Threads that wait for an acknowledge now. */
	unsigned waiting();

	/* The device loses its tables' contents: they read as garbage from now on, and it says so. */
	void lose();

	/* Called in flush_begin, e.g. to look at what the caller left behind. Set while nothing runs. */
	std::function<void(u64 start, u64 end)> on_flush;

	/* So many tables at a time, and no more. */
	std::atomic<u64> limit{~0ull};

	std::atomic<u64> tables{0}; /* live */
	std::atomic<u64> bytes{0}; /* live */
	std::atomic<u64> allocs{0};
	std::atomic<u64> frees{0};
	std::atomic<u64> flushes{0};
	std::atomic<u64> publishes{0};
	/* What gone() says: 0, or why nothing more need be brought. */
	std::atomic<int> why_gone{0};
	/* Called in delay. Set while nothing runs. */
	std::function<void()> on_delay;
	std::atomic<u64> stops{0};
	std::atomic<u64> resumes{0};

private:
	struct slot {
		std::unique_ptr<u64[]> words;
		u32 count = 0;
		std::atomic<bool> freed{false};
	};
	struct request {
		u64 token;
		u64 start;
		u64 end;
		bool stop = false;
	};

	static int table_alloc(void *self, u32 bytes, svm_table_mem *mem);
	static void table_free(void *self, const svm_table_mem *mem);
	static u64 flush_begin(void *self, u64 start, u64 end);
	static void flush_wait(void *self, u64 token, bool may_sleep);
	static void publish(void *self);
	static bool lost(void *self);
	static int gone(void *self);
	static u64 stop(void *self);
	static void resume(void *self);
	static void delay(void *self);

	slot *at(u64 addr) const;
	void retire(slot *s);
	void discard(slot *s);

	svm_aperture where_;
	u64 max_tables_;
	/* By number; entries never change once set, so that the device looks without a lock. */
	std::unique_ptr<std::atomic<slot *>[]> slots_;
	std::atomic<u64> next_{0};
	mutex quarantine_lock_;
	std::deque<slot *> quarantine_;

	mutex flush_lock_;
	condition_variable flush_cv_;
	std::vector<request> pending_;
	u64 last_token_ = 0;
	unsigned waiting_ = 0;
	bool held_ = false;

	std::atomic<bool> lost_{false};
	gpu device_;
};

} // namespace svm_host

#endif
