// SPDX-License-Identifier: GPL-2.0-only
// A whole device and the driver's side of its interface, in one process. Every wait has a limit; what does not come
// within it is an exception, which fails the test with its text.
#pragma once

#include "memory_rig.hpp"
#include "model/device.hpp"
#include "model/local_transport.hpp"
#include "settle.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace svgpu::test {

using namespace std::chrono_literals;
constexpr auto patience = 20s;

template <class Test> void wait_until(const char *what, Test test)
{
	auto limit = std::chrono::steady_clock::now() + patience;

	while (!test()) {
		if (std::chrono::steady_clock::now() > limit)
			throw std::runtime_error(std::string("waited in vain for ") + what);
		std::this_thread::sleep_for(100us);
	}
}

class driver_rig {
public:
	static constexpr unsigned context = 3;
	static constexpr unsigned queue = 5;

	explicit driver_rig(device_options options = {}, unsigned table_aperture = SVGPU_SYSTEM)
		: machine(memory.bar(), memory.ram())
		, options_(std::move(options))
		, gpu_(std::make_unique<device>(machine, log_, options_))
		, pages((begin_epoch(0x1001), memory), table_aperture) // an epoch begins with VRAM poisoned
	{
	}

	void start() { gpu_ = std::make_unique<device>(machine, log_, options_); }
	void stop() { gpu_.reset(); }

	template <class Word> std::atomic_ref<Word> reg(unsigned offset)
	{
		return std::atomic_ref<Word>(*reinterpret_cast<Word *>(memory.bar().data() + offset));
	}

	void ask_epoch(u64 epoch)
	{
		reg<u64>(SVGPU_REG_EPOCH).store(epoch, std::memory_order_release);
		machine.ring(SVGPU_BELL_SYNC);
	}

	void begin_epoch(u64 epoch)
	{
		ask_epoch(epoch);
		wait_until("the epoch's acknowledge", [&] {
			return reg<u64>(SVGPU_REG_EPOCH_ACK).load(std::memory_order_acquire) == epoch;
		});
		next_seq_ = 1;
	}

	// A context with the rig's tables, and a queue in it.
	void set_up(unsigned which_queue = queue)
	{
		svgpu_sync c = { .op = SVGPU_SYNC_CONTEXT_SET, .context = context };

		c.address = pages.root();
		c.aperture = pages.aperture();
		must(c);
		add_queue(which_queue);
	}

	void add_queue(unsigned which_queue)
	{
		must({ .op = SVGPU_SYNC_QUEUE_SET, .context = context, .queue = which_queue });
	}

	u64 post(svgpu_sync op)
	{
		op.seq = next_seq_++;
		op.status = ~0u;
		put(SVGPU_SYNC_RING, SVGPU_SYNC_ENTRIES, &op, sizeof(op));
		machine.ring(SVGPU_BELL_SYNC);
		return op.seq;
	}

	bool finished(u64 seq) { return reg<u64>(SVGPU_REG_SYNC_DONE).load(std::memory_order_acquire) >= seq; }

	unsigned sync(const svgpu_sync &op)
	{
		unsigned slot = ring_tail(SVGPU_SYNC_RING) % SVGPU_SYNC_ENTRIES;
		u64 seq = post(op);

		wait_until("a sync operation", [&] { return finished(seq); });
		return sync_slot(slot).status;
	}

	void must(const svgpu_sync &op)
	{
		if (sync(op) != SVGPU_SYNC_OK)
			throw std::runtime_error("sync operation " + std::to_string(op.op) + " was refused");
	}

	void invalidate(u64 start, u64 end)
	{
		must({ .op = SVGPU_SYNC_INVALIDATE, .context = context, .start = start, .end = end });
	}

	svgpu_sync &sync_slot(unsigned slot)
	{
		return reinterpret_cast<svgpu_sync *>(memory.bar().data() + SVGPU_SYNC_RING + SVGPU_RING_SLOTS)[slot];
	}

	// Returns the cookie.
	u64 submit(unsigned kernel, std::vector<u64> args = {}, unsigned which_queue = queue)
	{
		svgpu_job job{};

		job.cookie = next_cookie_++;
		job.queue = which_queue;
		job.kernel = kernel;
		std::copy(args.begin(), args.end(), job.args);
		put(SVGPU_JOB_RING, SVGPU_JOB_ENTRIES, &job, sizeof(job));
		machine.ring(SVGPU_BELL_JOB);
		return job.cookie;
	}

	bool try_done(svgpu_done &done) { return get(SVGPU_DONE_RING, SVGPU_DONE_ENTRIES, &done, sizeof(done)); }

	svgpu_done wait_done()
	{
		svgpu_done done;

		wait_until("the end of a job", [&] { return try_done(done); });
		return done;
	}

	svgpu_done run(unsigned kernel, std::vector<u64> args = {}, unsigned which_queue = queue)
	{
		submit(kernel, std::move(args), which_queue);
		return wait_done();
	}

	bool try_fault(svgpu_fault &fault)
	{
		return get(SVGPU_FAULT_RING, SVGPU_FAULT_ENTRIES, &fault, sizeof(fault));
	}

	svgpu_fault wait_fault()
	{
		svgpu_fault fault;

		wait_until("a fault", [&] { return try_fault(fault); });
		return fault;
	}

	void reply(unsigned id, unsigned status)
	{
		svgpu_reply r = { .id = id, .status = status };

		put(SVGPU_REPLY_RING, SVGPU_REPLY_ENTRIES, &r, sizeof(r));
		machine.ring(SVGPU_BELL_REPLY);
	}

	// Plays a driver that mends each fault by `mend` (true: retry) until the job is over.
	svgpu_done serve_until_done(const std::function<bool(const svgpu_fault &)> &mend)
	{
		svgpu_done done;

		wait_until("the end of a faulting job", [&] {
			svgpu_fault fault;

			while (try_fault(fault))
				reply(fault.id, mend(fault) ? SVGPU_REPLY_RETRY : SVGPU_REPLY_FAIL);
			return try_done(done);
		});
		return done;
	}

	std::atomic_ref<__u32> index(unsigned ring, unsigned which) { return reg<__u32>(ring + which); }
	unsigned ring_tail(unsigned ring) { return index(ring, SVGPU_RING_TAIL).load(std::memory_order_relaxed); }

	memory_rig memory;
	local_transport machine;

private:
	void put(unsigned ring, unsigned entries, const void *entry, std::size_t bytes)
	{
		unsigned tail = ring_tail(ring);

		wait_until("room in a ring", [&] {
			return tail - index(ring, SVGPU_RING_HEAD).load(std::memory_order_acquire) < entries;
		});
		std::memcpy(memory.bar().data() + ring + SVGPU_RING_SLOTS + tail % entries * bytes, entry, bytes);
		index(ring, SVGPU_RING_TAIL).store(tail + 1, std::memory_order_release);
	}

	bool get(unsigned ring, unsigned entries, void *entry, std::size_t bytes)
	{
		unsigned head = index(ring, SVGPU_RING_HEAD).load(std::memory_order_relaxed);

		if (head == index(ring, SVGPU_RING_TAIL).load(std::memory_order_acquire))
			return false;
		std::memcpy(entry, memory.bar().data() + ring + SVGPU_RING_SLOTS + head % entries * bytes, bytes);
		index(ring, SVGPU_RING_HEAD).store(head + 1, std::memory_order_release);
		return true;
	}

	log log_{ -1 };
	device_options options_;
	std::unique_ptr<device> gpu_;
	u64 next_seq_ = 1;
	u64 next_cookie_ = 0xc001e000;

public:
	tables pages;
};

} // namespace svgpu::test
