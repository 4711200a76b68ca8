// SPDX-License-Identifier: GPL-2.0-only
// One function per sync operation; each says in words why it refuses.
#include "model/sync_unit.hpp"

#include <cstring>

namespace svgpu {

sync_unit::sync_unit(const physical &memory, std::span<std::byte> vram, unsigned contexts, unsigned engines,
		     unsigned format, unsigned announced, scheduler &jobs, const violation_report &violated, const log &log)
	: memory_(memory)
	, vram_(vram)
	, engines_(engines)
	, format_(format)
	, announced_(announced)
	, jobs_(jobs)
	, violated_(violated)
	, log_(log)
	, contexts_(contexts)
{
}

void sync_unit::reset()
{
	for (auto &c : contexts_)
		c.reset();
	flushed_.where.reset();
	last_seq_ = 0;
}

void sync_unit::refuse(const svgpu_sync &op, const char *why)
{
	log_("sync {}: operation {} refused: {} (context {}, queue {}, [{:#x}, {:#x}), address {:#x})", op.seq, op.op,
	     why, op.context, op.queue, op.start, op.end, op.address);
	last_seq_ = op.seq;
}

svgpu_sync_status sync_unit::execute(const svgpu_sync &op, bool pretend)
{
	// After an epoch any first number will do.
	bool in_turn = !last_seq_ || op.seq == last_seq_ + 1;
	const char *why = in_turn ? dispatch(op, pretend) : "out of sequence";

	if (why) {
		refuse(op, why);
		return SVGPU_SYNC_BAD;
	}
	last_seq_ = op.seq;
	return SVGPU_SYNC_OK;
}

void sync_unit::acknowledge()
{
	if (flushed_.where)
		flushed_.where->space.acknowledge(flushed_.start, flushed_.end, flushed_.begun);
	flushed_.where.reset();
}

const char *sync_unit::dispatch(const svgpu_sync &op, bool pretend)
{
	switch (op.op) {
	case SVGPU_SYNC_INVALIDATE:
		return invalidate(op, pretend);
	case SVGPU_SYNC_CONTEXT_SET:
		return set_context(op);
	case SVGPU_SYNC_CONTEXT_CLEAR:
		return clear_context(op);
	case SVGPU_SYNC_QUEUE_SET:
		return set_queue(op);
	case SVGPU_SYNC_QUEUE_CLEAR:
		return jobs_.clear_queue(op.queue) ? nullptr : "no such queue, or not set";
	case SVGPU_SYNC_POISON:
		return poison(op);
	case SVGPU_SYNC_TRANSLATE:
		return translate(op);
	case SVGPU_SYNC_CONTEXT_STOP:
		return stop_context(op, true);
	case SVGPU_SYNC_CONTEXT_RESUME:
		return stop_context(op, false);
	case SVGPU_SYNC_COPY:
		return copy(op);
	default:
		return "unknown operation";
	}
}

context *sync_unit::find(unsigned id)
{
	return id < contexts_.size() ? contexts_[id].get() : nullptr;
}

const char *sync_unit::invalidate(const svgpu_sync &op, bool pretend)
{
	context *c = find(op.context);

	if (!c)
		return "no such context, or not set";
	if (op.start > op.end)
		return "span ends before it begins";
	if (op.start == op.end)
		return nullptr;
	flushed_ = { contexts_[op.context], op.start, op.end, c->space.begin_invalidation() };
	if (!pretend)
		c->space.invalidate(op.start, op.end);
	return nullptr;
}

const char *sync_unit::set_context(const svgpu_sync &op)
{
	if (op.context >= contexts_.size())
		return "no such context";
	if (op.format != announced_)
		return "not the format of this device";
	if (op.flags & ~SVGPU_CONTEXT_NO_FAULT)
		return "unknown flags";

	auto &slot = contexts_[op.context];
	auto c = slot ? slot : std::make_shared<context>(op.context, memory_, engines_, violated_, format_);

	if (!c->space.set_root(op.address, op.aperture))
		return "root table misaligned or out of bounds";
	c->no_fault.store(op.flags & SVGPU_CONTEXT_NO_FAULT, std::memory_order_relaxed);
	if (c->stopped)
		jobs_.resume_context(*c);
	slot = std::move(c);
	return nullptr;
}

const char *sync_unit::clear_context(const svgpu_sync &op)
{
	context *c = find(op.context);

	if (!c)
		return "no such context, or not set";
	jobs_.clear_context(*c);
	contexts_[op.context].reset();
	return nullptr;
}

const char *sync_unit::stop_context(const svgpu_sync &op, bool stop)
{
	context *c = find(op.context);

	if (!c)
		return "no such context, or not set";
	if (stop)
		jobs_.stop_context(*c);
	else
		jobs_.resume_context(*c);
	return nullptr;
}

const char *sync_unit::set_queue(const svgpu_sync &op)
{
	if (!find(op.context))
		return "no such context, or not set";
	return jobs_.set_queue(op.queue, contexts_[op.context], op.owner) ? nullptr : "no such queue, or it has jobs";
}

const char *sync_unit::poison(const svgpu_sync &op)
{
	if (op.start > op.end || op.end > vram_.size())
		return "span outside of VRAM";
	std::memset(vram_.data() + op.start, SVGPU_VRAM_POISON, op.end - op.start);
	return nullptr;
}

const char *sync_unit::copy(const svgpu_sync &op)
{
	const std::uint64_t most = ~std::uint64_t{ 0 } / sizeof(svgpu_copy);
	const std::byte *list = op.end > most ? nullptr : memory_.at(SVGPU_SYSTEM, op.address, op.end * sizeof(svgpu_copy));
	const bool in = op.aperture == SVGPU_VRAM;

	if (!list)
		return "the list lies outside of system memory";
	if (op.aperture > SVGPU_VRAM)
		return "no such aperture";
	for (std::uint64_t i = 0; i < op.end; ++i) {
		svgpu_copy each;

		std::memcpy(&each, list + i * sizeof(each), sizeof(each));
		std::byte *vram = memory_.at(SVGPU_VRAM, each.vram, SVGPU_COPY_BYTES);
		const bool zero = in && each.system == SVGPU_COPY_ZERO;
		std::byte *system = zero ? nullptr : memory_.at(SVGPU_SYSTEM, each.system, SVGPU_COPY_BYTES);

		if (!vram || (!zero && !system))
			return "a page lies outside of memory";
		if (zero)
			std::memset(vram, 0, SVGPU_COPY_BYTES);
		else
			std::memcpy(in ? vram : system, in ? system : vram, SVGPU_COPY_BYTES);
	}
	return nullptr;
}

const char *sync_unit::translate(const svgpu_sync &op)
{
	context *c = find(op.context);

	if (!c)
		return "no such context, or not set";

	// This is the thread that closes the gate.
	translated t = c->space.translate(op.start, SVGPU_WRITE);

	if (t.verdict != verdict::ok || t.page.null)
		return "the address leads to no memory that may be written";
	if (t.page.aperture != op.aperture || t.page.address + (op.start - t.page.va) != op.address)
		return "the address leads elsewhere";
	return nullptr;
}

} // namespace svgpu
