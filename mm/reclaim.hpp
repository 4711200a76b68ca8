// SPDX-License-Identifier: GPL-2.0-only
// How tables and directories leave: all of a vm at once (sweep), those that a rebind empties, idle ones by the shrinker, and any
// of them where memory for tables ran out (mm/room.hpp). departure is what the latter three have in common.
#pragma once

#include "mm/vm.hpp"

namespace svm {

// Unmaps the span (whole tables) and takes its tables out. No fault maps into it any more. Sleeps.
void sweep(svm_vm &vm, va_span tables);

// Tables and directories of one vm on their way out, flushed together.
//
// 1. Under its lock, a table that maps nothing is unlinked and unpublished. A table that maps something is retired,
//    unlinked, and becomes `leaving`: faults come again, and callbacks still find it, since its pages are mapped for DMA
//    until 3. A directory is closed, unlinked and unpublished.
// 2. One flush makes the device forget all of them.
// 3. The pages of a leaving table are given back, and it is unpublished.
// 4. After a grace period, the memory is freed.
class departure {
public:
	explicit departure(svm_vm &from) : vm(from) {}
	~departure() { finish(); }
	departure(const departure &) = delete;
	departure &operator=(const departure &) = delete;

	svm_vm &of() const { return vm; }
	// Step 1. Inside a reader section that lasts until finish(); no table lock is held.
	// take(): an idle table; one that is in use only where in_use says so.
	// False: it was not to be had.
	bool take(table &tb, va_span all, bool in_use);
	void take_empty(directory &d, va_span all);
	// Steps 2 to 4. Sleeps.
	void finish();

	u64 taken = 0;

private:
	static constexpr unsigned size = 32;

	void add(node &n, va_span all, bool leaving);
	void see_out(table &tb);

	svm_vm &vm;
	node *on_their_way[size];
	u32 count = 0;
	u32 is_leaving = 0; // bit n: on_their_way[n] is a table in that state
	va_span owed{};
};

// Frees what the vm has idle, among so many that it looks at. Inside a reader section. Sleeps; allocates nothing.
u64 shrink(svm_vm &vm, u64 n, u64 &looked);

} // namespace svm
