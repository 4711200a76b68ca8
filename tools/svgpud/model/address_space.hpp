// SPDX-License-Identifier: GPL-2.0-only
// One context's MMU: a format's walker (mmu/mmu.h), and the TLB above it.
//
//  - translate() is called inside the gate and what it returns may be used until the gate is left.
//  - Whatever changes or drops translations closes the gate first, so nothing dropped is in use afterwards, and a walk
//    that began before an invalidation cannot leave its result behind after it.
//  - A kept translation that denies an access is a fault; the walker does not look whether the table allows it by now.
//    The driver has to invalidate when it widens a permission.
//  - Every use of a translation, and every acknowledge, is checked against the ledger of acknowledged invalidations.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/access_gate.hpp"
#include "model/flush_ledger.hpp"
#include "model/formats.hpp"
#include "model/physical.hpp"
#include "model/tlb.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace svgpu {

enum class verdict {
	ok,
	fault, // the driver may mend it
	bus, // it may not: `address` tells where the walk or the access went wrong
};

struct translated {
	enum verdict verdict = verdict::fault;
	bool hit = false; // from the TLB
	translation page;
	// bus: the bus address of the table entry that is outside of all memory, or that has a reserved bit set
	std::uint64_t address = 0;
};

// A translation outlived an acknowledged invalidation: the device is broken, or tells lie::false_ack.
using violation_report = std::function<void(const std::string &)>;

class address_space {
public:
	address_space(const physical &memory, unsigned slots, const violation_report &violated, unsigned format = SVGPU_FORMAT_XE2)
		: gate(slots)
		, memory_(memory)
		, format_(format_of(format))
		, violated_(violated)
	{
	}

	// False, and nothing changed, when the root table is misaligned or not inside its aperture.
	bool set_root(std::uint64_t address, unsigned aperture);
	void invalidate(std::uint64_t start, std::uint64_t end);
	// When it returns, each piece that is opened finds the space stopped, or not.
	void set_stopped(bool stopped);
	bool stopped() const { return stopped_; } // inside the gate

	// Around invalidate(), by whoever acknowledges it: before it, and before the driver can see the acknowledge.
	flush_ledger::clock begin_invalidation();
	void acknowledge(std::uint64_t start, std::uint64_t end, flush_ledger::clock begun);

	// Inside the gate, or on the thread that closes it. `va` may be anything.
	translated translate(std::uint64_t va, svgpu_access access);

	// For who keeps a translation of his own: changes with each acknowledge, and then check() it before its next use.
	std::uint64_t acknowledged() const { return acknowledged_.load(std::memory_order_acquire); }
	void check(const translation &page);

	static bool allows(const translation &page, svgpu_access access);

	const physical &memory() const { return memory_; }

	access_gate gate;

private:
	translated walk(std::uint64_t va, svgpu_access access);
	void check_locked(const char *what, std::uint64_t start, std::uint64_t end, flush_ledger::clock born) const;

	const physical &memory_;
	const mmu &format_;
	std::mutex lock_; // tlb_ and root_ among engines; invalidations exclude engines by the gate
	tlb tlb_;
	std::uint64_t root_ = 0;
	unsigned root_aperture_ = 0;
	bool stopped_ = false; // written while the gate is closed
	flush_ledger ledger_; // lock_
	std::atomic<std::uint64_t> acknowledged_{ 0 };
	const violation_report &violated_;
};

} // namespace svgpu
