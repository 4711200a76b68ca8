// SPDX-License-Identifier: GPL-2.0-only
// Bringing the device up and down, epochs, and the threads that serve the rings.
#include "model/device.hpp"

#include <cstdlib>
#include <cstring>

namespace svgpu {

using namespace std::chrono_literals;

namespace {

// A word of the register page that is the device's own: the epoch that was acknowledged last, for the next generation.
constexpr unsigned reg_last_epoch = 0x800;

static_assert(SVGPU_SYNC_RING + SVGPU_RING_SLOTS + SVGPU_SYNC_ENTRIES * sizeof(svgpu_sync) <= SVGPU_JOB_RING);
static_assert(SVGPU_JOB_RING + SVGPU_RING_SLOTS + SVGPU_JOB_ENTRIES * sizeof(svgpu_job) <= SVGPU_FAULT_RING);
static_assert(SVGPU_FAULT_RING + SVGPU_RING_SLOTS + SVGPU_FAULT_ENTRIES * sizeof(svgpu_fault) <= SVGPU_REPLY_RING);
static_assert(SVGPU_REPLY_RING + SVGPU_RING_SLOTS + SVGPU_REPLY_ENTRIES * sizeof(svgpu_reply) <= SVGPU_DONE_RING);
static_assert(SVGPU_DONE_RING + SVGPU_RING_SLOTS + SVGPU_DONE_ENTRIES * sizeof(svgpu_done) <= SVGPU_BUS_PAGE);

} // namespace

template <class Word> std::atomic_ref<Word> device::reg(unsigned offset)
{
	return shared_word<Word>(bar_.data() + offset);
}

template std::atomic_ref<std::uint64_t> device::reg(unsigned offset); // for device_lies.cpp

device::device(transport &machine, const log &log, device_options options)
	: machine_(machine)
	, log_(log)
	, liar_(options.evil, options.patient)
	, die_(options.die ? options.die : [] { std::_Exit(evil_death); })
	, violated_([this, broken = options.broken](const std::string &what) {
		log_("VIOLATION: {}", what);
		if (!broken)
			std::_Exit(broken_device);
		broken();
	})
	, bar_(machine.bar())
	, vram_(bar_.subspan(SVGPU_VRAM_OFFSET))
	, memory_(machine.ram(), vram_)
	, syncs_(bar_.data() + SVGPU_SYNC_RING)
	, jobs_in_(bar_.data() + SVGPU_JOB_RING)
	, replies_(bar_.data() + SVGPU_REPLY_RING)
	, dones_(bar_.data() + SVGPU_DONE_RING, liar_, stream::done)
	, faults_(machine, log, options.duplicate_faults ? 2 : 1, liar_)
	, scheduler_(options.engines, options.queues, options.slice, options.programs, faults_, log,
		     [this](const svgpu_done &done) { report_done(done); })
	, sync_(memory_, vram_, options.contexts, options.engines, options.format,
		announced(options.format), scheduler_, violated_, log)
{
	come_up(options);
	threads_.emplace_back([this] { serve_sync(); });
	threads_.emplace_back([this] { serve_jobs(); });
	threads_.emplace_back([this] { serve_replies(); });
	threads_.emplace_back([this] { beat(); });
}

device::~device()
{
	stop_.store(true, std::memory_order_release);
	for (unsigned bell : { SVGPU_BELL_SYNC, SVGPU_BELL_JOB, SVGPU_BELL_REPLY })
		machine_.ring(bell);
	scheduler_.drop_all();
	for (std::thread &t : threads_)
		t.join();
}

void device::come_up(const device_options &options)
{
	stale_epoch_ = reg<std::uint64_t>(reg_last_epoch).load(std::memory_order_relaxed);
	reg<std::uint64_t>(SVGPU_REG_EPOCH_ACK).store(0, std::memory_order_relaxed);
	reg<std::uint32_t>(SVGPU_REG_VERSION).store(SVGPU_VERSION, std::memory_order_relaxed);
	reg<std::uint32_t>(SVGPU_REG_ENGINES).store(options.engines, std::memory_order_relaxed);
	reg<std::uint32_t>(SVGPU_REG_CONTEXTS).store(options.contexts, std::memory_order_relaxed);
	reg<std::uint32_t>(SVGPU_REG_QUEUES).store(options.queues, std::memory_order_relaxed);
	reg<std::uint64_t>(SVGPU_REG_VRAM_SIZE).store(vram_.size(), std::memory_order_relaxed);
	reg<std::uint64_t>(SVGPU_REG_FORMATS).store(1ull << announced(options.format), std::memory_order_relaxed);

	auto generation = reg<std::uint64_t>(SVGPU_REG_GENERATION);

	// Release, both: pair with the driver's acquire of GENERATION, and of MAGIC when it probes.
	generation.store(generation.load(std::memory_order_relaxed) + 1, std::memory_order_release);
	reg<std::uint64_t>(SVGPU_REG_MAGIC).store(SVGPU_MAGIC, std::memory_order_release);
	log_("device is up: generation {}, {} engines, {} MiB of VRAM, page tables of {}",
	     generation.load(std::memory_order_relaxed), options.engines, vram_.size() >> 20, format_name(options.format));
	if (liar_)
		log_("it lies: --evil {}", liar_.plan().describe());
}

void device::serve_sync()
{
	while (!stopping()) {
		do {
			if (!deaf_)
				serve_epoch();
		} while (!stopping() && !deaf_ && serve_sync_entry());
		machine_.wait(SVGPU_BELL_SYNC, transport::for_ever);
	}
}

void device::serve_epoch()
{
	// Acquire: pairs with the driver's release of EPOCH after it is done with the epoch before.
	std::uint64_t asked = reg<std::uint64_t>(SVGPU_REG_EPOCH).load(std::memory_order_acquire);

	if (asked == epoch_ || (asked && asked == stale_epoch_))
		return;
	stale_epoch_ = 0;
	enter_epoch(asked);
}

void device::enter_epoch(std::uint64_t epoch)
{
	{
		std::scoped_lock hold(job_lock_, reply_lock_);

		live_ = false;
	}
	// No entry is being taken any more, so no job can join; this ends those that are there.
	scheduler_.drop_all();
	sync_.reset();
	{
		std::scoped_lock hold(job_lock_, reply_lock_, done_lock_);

		if (epoch) {
			syncs_.reset();
			jobs_in_.reset();
			replies_.reset();
			dones_.reset();
			faults_.reset();
			taken_ = 0;
			done_complained_ = false;
			// Not when the device comes up: a driver whose device was started again behind its back
			// still reads its tables, and is to find out in peace.
			std::memset(vram_.data(), SVGPU_VRAM_POISON, vram_.size());
			reg<std::uint64_t>(SVGPU_REG_SYNC_DONE).store(0, std::memory_order_relaxed);
			reg<std::uint64_t>(reg_last_epoch).store(epoch, std::memory_order_relaxed);
		}
		epoch_ = epoch;
		live_ = epoch != 0;
		liar_.driver_begins();
		// Release: pairs with the driver's acquire of EPOCH_ACK: it sees empty rings, or (0) the last of our DMA.
		reg<std::uint64_t>(SVGPU_REG_EPOCH_ACK).store(epoch, std::memory_order_release);
	}
	log_("epoch {:#x}", epoch);
}

bool device::serve_sync_entry()
{
	svgpu_sync op;
	svgpu_sync_status status = SVGPU_SYNC_BAD;
	ring_state state = epoch_ ? syncs_.peek(op) : ring_state::empty;

	if (state == ring_state::empty)
		return false;

	std::uint64_t message = sync_messages_++;

	if (op.op == SVGPU_SYNC_QUEUE_SET)
		liar_.queue_is_set();
	if (breaks_off(op, message))
		return false;
	if (state == ring_state::malformed) {
		sync_.refuse(op, "the ring's tail is too far ahead, entries are lost");
	} else if (refuses(op, message)) {
		sync_.refuse(op, "that is a lie");
	} else {
		drain_jobs_of(op);
		status = sync_.execute(op, liar_.tells(lie::false_ack, stream::sync, message));
	}
	if (liar_.tells(lie::late_ack, stream::sync, message))
		std::this_thread::sleep_for(1ms * (liar_.word(stream::sync, message, 1) % 400));
	acknowledge(op, answer(op, status, message));
	syncs_.pop();
	if (liar_.tells(lie::index, stream::sync, message))
		syncs_.garble(static_cast<std::uint32_t>(liar_.word(stream::sync, message, 2)));
	return true;
}

void device::acknowledge(const svgpu_sync &op, unsigned status)
{
	sync_.acknowledge();
	shared_word<std::uint32_t>(syncs_.slot() + offsetof(svgpu_sync, status))
		.store(status, std::memory_order_relaxed);
	// Release: pairs with the driver's acquire of SYNC_DONE: the status, and all that the operation did, are there.
	reg<std::uint64_t>(SVGPU_REG_SYNC_DONE).store(op.seq, std::memory_order_release);
}

// Jobs written before a CLEAR may still lie in the job ring: they belong to those that it ends. Were they left there,
// they would run in whatever is given the same number next.
void device::drain_jobs_of(const svgpu_sync &op)
{
	if (op.op != SVGPU_SYNC_CONTEXT_CLEAR && op.op != SVGPU_SYNC_QUEUE_CLEAR)
		return;

	std::uint32_t until = jobs_in_.tail();

	for (;;) {
		step s;

		{
			std::lock_guard hold(job_lock_);

			if (static_cast<std::int32_t>(until - jobs_in_.head()) <= 0)
				return;
		}
		s = serve_job_entry();
		if (s == step::empty || stopping())
			return;
		if (s == step::no_room) {
			if (reg<std::uint64_t>(SVGPU_REG_EPOCH).load(std::memory_order_acquire) != epoch_)
				return;
			std::this_thread::sleep_for(200us);
		}
	}
}

void device::serve_jobs()
{
	step s = step::empty;

	while (!stopping()) {
		// The driver rings no bell when it takes a done entry out, so that is looked at every millisecond.
		machine_.wait(SVGPU_BELL_JOB, s == step::no_room ? 1ms : transport::for_ever);
		do {
			s = serve_job_entry();
		} while (s == step::taken && !stopping());
	}
}

bool device::room_for_done()
{
	std::lock_guard hold(done_lock_);

	if (dones_.garbled()) {
		if (!done_complained_)
			log_("done ring: head is ahead of tail; no more jobs until the next epoch");
		done_complained_ = true;
		return false;
	}
	return taken_ + dones_.extra() - dones_.taken() < SVGPU_DONE_ENTRIES / (liar_ ? 2 : 1);
}

device::step device::serve_job_entry()
{
	std::lock_guard hold(job_lock_);
	svgpu_job job;

	if (!live_)
		return step::empty;

	ring_state state = jobs_in_.peek(job);

	if (state == ring_state::empty)
		return step::empty;
	if (!room_for_done())
		return step::no_room;
	++taken_;
	if (state == ring_state::malformed)
		log_("job ring: tail is too far ahead, entries are lost");
	if (state == ring_state::malformed || !scheduler_.submit(job))
		report_done({ .cookie = job.cookie, .status = SVGPU_DONE_INVALID });
	jobs_in_.pop();
	if (std::uint64_t message = job_messages_++; liar_.tells(lie::index, stream::job, message))
		jobs_in_.garble(static_cast<std::uint32_t>(liar_.word(stream::job, message, 0)));
	return step::taken;
}

void device::report_done(const svgpu_done &done)
{
	bool quiet;

	{
		std::lock_guard hold(done_lock_);

		// Room was made sure of when the job was taken; only a head that the driver garbled since can refuse.
		if (!dones_.say(done))
			log_("done ring: no room for the end of job {:#x}", done.cookie);
		quiet = dones_.quiet();
	}
	if (!quiet)
		machine_.interrupt(SVGPU_VECTOR_DONE);
}

void device::serve_replies()
{
	while (!stopping()) {
		machine_.wait(SVGPU_BELL_REPLY, transport::for_ever);
		while (!stopping() && serve_reply_entry())
			;
	}
}

bool device::serve_reply_entry()
{
	std::lock_guard hold(reply_lock_);
	svgpu_reply reply;

	if (!live_)
		return false;

	ring_state state = replies_.peek(reply);

	if (state == ring_state::empty)
		return false;
	if (state == ring_state::malformed)
		log_("reply ring: tail is too far ahead, entries are lost");
	else
		faults_.reply(reply);
	replies_.pop();
	if (std::uint64_t message = reply_messages_++; liar_.tells(lie::index, stream::reply, message))
		replies_.garble(static_cast<std::uint32_t>(liar_.word(stream::reply, message, 0)));
	return true;
}

void device::beat()
{
	auto heartbeat = reg<std::uint64_t>(SVGPU_REG_HEARTBEAT);

	bool stands_still = false;

	for (std::uint64_t tick = 0; !stopping(); ++tick) {
		if (liar_)
			lie_in_time(tick);
		stands_still |= liar_.tells(lie::heart, stream::beat, tick);
		// Only this thread writes it; relaxed: it orders nothing.
		if (!stands_still)
			heartbeat.store(heartbeat.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
		std::this_thread::sleep_for(50ms);
	}
}

} // namespace svgpu
