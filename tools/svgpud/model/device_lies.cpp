// SPDX-License-Identifier: GPL-2.0-only
// The lies of the device as a whole: those that end its listening, and those that come with time. What is said in the
// rings is evil.hpp's.
#include "model/device.hpp"

namespace svgpu {

// A liar's last word: the operation is not done, nor is anything that comes after it, and the engines go on with what
// they know.
bool device::breaks_off(const svgpu_sync &op, std::uint64_t message)
{
	auto tells = [&](lie what) { return liar_.tells(what, stream::sync, message); };
	std::uint64_t word = liar_.word(stream::sync, message, 3);
	const char *how;

	// Asked for by name, this is about invalidations, and the rest works until then.
	if (!liar_ || (op.op != SVGPU_SYNC_INVALIDATE && !liar_.mixed()))
		return false;
	if (tells(lie::no_ack)) {
		how = "not acknowledged";
	} else if (tells(lie::wild_ack)) {
		how = "acknowledged with a wild number";
		reg<std::uint64_t>(SVGPU_REG_SYNC_DONE).store(op.seq + (1ull << 32) + word % 1000000, std::memory_order_release);
	} else if (tells(lie::epoch)) {
		how = "answered with another epoch";
		reg<std::uint64_t>(SVGPU_REG_EPOCH_ACK).store(epoch_ ^ (word | 1), std::memory_order_release);
	} else if (tells(lie::generation)) {
		// The only one of these that is done: what comes next is what the driver must not believe.
		how = "done, and followed by another generation";
		acknowledge(op, sync_.execute(op));
		reg<std::uint64_t>(SVGPU_REG_GENERATION).fetch_add(1 + word % 1000, std::memory_order_release);
	} else {
		return false;
	}
	log_("lie: sync {} (operation {}) is {}; listens to nothing from now on", op.seq, op.op, how);
	deaf_ = true;
	return true;
}

// The format that the driver is told of.
unsigned device::announced(unsigned format) const
{
	if (!liar_.tells(lie::other_format, stream::beat, 0))
		return format;
	return static_cast<unsigned>(format + 1 + liar_.word(stream::beat, 0, 0) % (SVGPU_FORMATS - 1)) % SVGPU_FORMATS;
}

// The operation is answered with SVGPU_SYNC_BAD. The device has not done it, and listens to the next one.
bool device::refuses(const svgpu_sync &op, std::uint64_t message) const
{
	auto tells = [&](lie what) { return liar_.tells(what, stream::sync, message); };

	switch (op.op) {
	case SVGPU_SYNC_INVALIDATE:
		return tells(lie::bad_invalidate);
	case SVGPU_SYNC_CONTEXT_CLEAR:
		return tells(lie::bad_clear);
	case SVGPU_SYNC_QUEUE_CLEAR:
		return tells(lie::bad_queue_clear);
	default:
		return false;
	}
}

// A wrong status for a context or a queue that was set. Of an operation that takes something away this would be a
// refusal, which ends the device; the lies above are there for that. Rarer than garbage in other streams: most
// drivers do not begin again after the first refusal.
unsigned device::answer(const svgpu_sync &op, unsigned status, std::uint64_t message) const
{
	bool sets = op.op == SVGPU_SYNC_CONTEXT_SET || op.op == SVGPU_SYNC_QUEUE_SET;

	if (!sets || !liar_.tells(lie::malformed, stream::sync, message) || liar_.word(stream::sync, message, 4) % 8)
		return status;
	return static_cast<unsigned>(liar_.word(stream::sync, message, 0)) | 2;
}

void device::lie_in_time(std::uint64_t tick)
{
	bool due, dying;

	{
		std::lock_guard hold(done_lock_);

		due = dones_.tick();
		dying = dones_.dying();
	}
	if (due)
		machine_.interrupt(SVGPU_VECTOR_DONE);
	faults_.tick();
	for (unsigned vector = 0; vector < SVGPU_VECTORS; ++vector) {
		if (liar_.tells(lie::interrupt, stream::beat, tick * SVGPU_VECTORS + vector))
			machine_.interrupt(vector);
	}
	if (dying || faults_.dying()) {
		log_("lie: dies");
		die_();
	}
}

} // namespace svgpu
