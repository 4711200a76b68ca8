// SPDX-License-Identifier: GPL-2.0-only
// A device that lies, on purpose and reproducibly: whether message n of a stream tells a certain lie, and with which
// garbage, is a pure function of the seed. Streams count their own messages from 0 when the device starts.
//
// What it lies about is what it says: entries of its rings, indices, acknowledges, interrupts, registers. Its engines go on
// working, with translations that it should have forgotten too: that is the danger which a driver has to contain.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/ring.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>

namespace svgpu {

// How a device of ours ends that died as a lie: the supervisor starts it again at once.
constexpr int evil_death = 42;

enum class lie : unsigned {
	malformed, // entries of garbage between the true ones; a wrong status
	duplicate, // a message twice
	reorder, // a message after the one that follows it
	late, // a message after some 100 ms
	index, // ring indices outside of their range
	interrupt, // interrupts without cause
	lost_interrupt, // none where one is due
	reply, // RETRY taken for FAIL and FAIL for RETRY
	late_ack, // a sync operation takes up to 400 ms
	// The rest of the device's life: it listens to nothing any more, and its jobs go on.
	no_ack, // an invalidation is neither done nor acknowledged
	wild_ack, // it is not done, and operations that nobody asked for are acknowledged
	epoch, // it is not done, and another epoch is acknowledged
	generation, // it is done, and then the device says that it was started again, which it was not
	heart, // the heartbeat stops
	die, // the process ends; the supervisor starts it again
	// The operation is answered with SVGPU_SYNC_BAD and not done. The device goes on as if it had never been asked.
	bad_invalidate,
	bad_clear, // CONTEXT_CLEAR
	bad_queue_clear,
	// Told only if asked for by name. No driver can find it out: an invalidation is acknowledged and not done.
	false_ack,
	// Only by name, too: the driver refuses such a device when it is bound, so nothing else would come to pass.
	other_format, // page tables of another format than that which it walks are announced
};

constexpr unsigned lies = 20;

enum class stream : unsigned {
	sync,
	fault,
	done,
	job,
	reply,
	beat, // every 50 ms
};

struct evil_plan {
	std::uint64_t seed = 0;
	std::uint32_t told = 0; // bit n: lie n; none: an honest device

	explicit operator bool() const { return told; }
	bool has(lie what) const { return told >> static_cast<unsigned>(what) & 1; }
	// As parse_evil() takes it.
	std::string describe() const;
};

// "SEED" or "SEED:LIE[,LIE…]". Throws std::invalid_argument, which says what is wrong.
evil_plan parse_evil(const std::string &text);

class liar {
public:
	explicit liar(evil_plan plan, bool patient = false)
		: plan_(plan)
		, patient_(patient)
	{
	}
	// A patient liar does what it is asked until a queue is set: a driver that tries the device when it binds it refuses
	// one that does not, and would never come to the other lies.
	void driver_begins() { trusted_.store(!patient_, std::memory_order_relaxed); }
	void queue_is_set() { trusted_.store(true, std::memory_order_relaxed); }

	explicit operator bool() const { return static_cast<bool>(plan_); }
	const evil_plan &plan() const { return plan_; }
	// It tells all that a driver can be asked to bear, not some by name.
	bool mixed() const;
	bool tells(lie what, stream where, std::uint64_t message) const;
	// Garbage for it; `which` tells several words of one message apart.
	std::uint64_t word(stream where, std::uint64_t message, unsigned which) const;

private:
	evil_plan plan_;
	bool patient_;
	std::atomic<bool> trusted_{ true };
};

svgpu_fault garbage(const liar &l, std::uint64_t message, const svgpu_fault &truth);
svgpu_done garbage(const liar &l, std::uint64_t message, const svgpu_done &truth);
// What is left of a true message that is garbled itself. A fault stays, since its engine waits for the answer.
inline void garble(const liar &, std::uint64_t, svgpu_fault &) {}
void garble(const liar &l, std::uint64_t message, svgpu_done &truth);

// The device's end of a ring that it fills, and what it says there. An honest one is producer<>, no more. The caller
// brings the locking.
template <class Entry, std::uint32_t entries> class mouth {
public:
	mouth(std::byte *ring, const liar &l, stream where)
		: ring_(ring)
		, liar_(l)
		, where_(where)
	{
	}

	// False, and nothing happened: the ring is full or its head is garbage.
	bool say(Entry entry)
	{
		if (!liar_)
			return ring_.push(entry);
		if (ring_.used() >= entries)
			return false;

		std::uint64_t n = messages_++;

		quiet_ = liar_.tells(lie::lost_interrupt, where_, n);
		if (liar_.tells(lie::malformed, where_, n)) {
			add(garbage(liar_, n, entry));
			garble(liar_, n, entry);
		}
		if (liar_.tells(lie::duplicate, where_, n))
			add(entry);
		if (hold_back(entry, n))
			return true;
		ring_.push(entry);
		release([](const held &h) { return h.next_too; });
		if (liar_.tells(lie::index, where_, n))
			ring_.garble(static_cast<std::uint32_t>(liar_.word(where_, n, 7)));
		dying_ |= liar_.tells(lie::die, where_, n);
		return true;
	}

	// Was the last message's interrupt one of the lost?
	bool quiet() const { return quiet_; }
	bool dying() const { return dying_; }

	// Every 50 ms. True: what was held back is in the ring now.
	bool tick()
	{
		for (held &h : held_)
			h.ticks -= h.ticks != 0;
		return release([](const held &h) { return !h.ticks; });
	}

	// Entries beyond those that somebody said.
	std::uint32_t extra() const { return extra_; }
	std::uint32_t taken() const { return ring_.taken(); }
	bool garbled() const { return ring_.garbled(); }

	void reset()
	{
		ring_.reset();
		held_.clear();
		extra_ = 0;
	}

private:
	struct held {
		Entry entry;
		unsigned ticks;
		bool next_too; // also after the next message
	};

	void add(const Entry &entry)
	{
		// The true ones keep their room.
		if (ring_.used() < entries / 2 && ring_.push(entry))
			++extra_;
	}

	bool hold_back(const Entry &entry, std::uint64_t n)
	{
		if (liar_.tells(lie::reorder, where_, n))
			held_.push_back({ entry, 4, true });
		else if (liar_.tells(lie::late, where_, n))
			held_.push_back({ entry, 1 + static_cast<unsigned>(liar_.word(where_, n, 8) % 4), false });
		else
			return false;
		return true;
	}

	template <class Due> bool release(Due due)
	{
		bool any = false;

		for (auto it = held_.begin(); it != held_.end();) {
			if (!due(*it) || !ring_.push(it->entry)) {
				++it;
				continue;
			}
			it = held_.erase(it);
			any = true;
		}
		return any;
	}

	producer<Entry, entries> ring_;
	const liar &liar_;
	const stream where_;
	std::deque<held> held_;
	std::uint64_t messages_ = 0;
	std::uint32_t extra_ = 0;
	bool quiet_ = false;
	bool dying_ = false;
};

} // namespace svgpu
