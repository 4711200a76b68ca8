// SPDX-License-Identifier: GPL-2.0-only
// One context's MMU: the walker of Xe2 page tables, and the TLB above it.
//
//  - translate() is called inside the gate and what it returns may be used until the gate is left.
//  - Whatever changes or drops translations closes the gate first, so nothing dropped is in use afterwards, and a walk
//    that began before an invalidation cannot leave its result behind after it.
//  - A kept translation that denies an access is a fault; the walker does not look whether the table allows it by now.
//    The driver has to invalidate when it widens a permission.
#pragma once

#include "hw/svgpu_regs.h"
#include "model/access_gate.hpp"
#include "model/physical.hpp"
#include "model/tlb.hpp"

#include <cstdint>
#include <mutex>

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

class address_space {
public:
	address_space(const physical &memory, unsigned slots)
		: gate(slots)
		, memory_(memory)
	{
	}

	// False, and nothing changed, when the root table is misaligned or not inside its aperture.
	bool set_root(std::uint64_t address, unsigned aperture);
	void invalidate(std::uint64_t start, std::uint64_t end);

	// Inside the gate. `va` may be anything.
	translated translate(std::uint64_t va, svgpu_access access);

	static bool allows(const translation &page, svgpu_access access);

	const physical &memory() const { return memory_; }

	access_gate gate;

private:
	translated walk(std::uint64_t va, svgpu_access access);

	const physical &memory_;
	std::mutex lock_; // tlb_ and root_ among engines; invalidations exclude engines by the gate
	tlb tlb_;
	table_pointer root_;
};

} // namespace svgpu
