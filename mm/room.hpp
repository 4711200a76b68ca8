// SPDX-License-Identifier: GPL-2.0-only
// What happens when memory for tables runs out: the vms of the device give some back, and the call is made again.
//
// First, all that is idle goes: tables that map nothing, and directories without children. Where there is little of it, tables
// in use are evicted: of the vms that hold at least an average share of the memory, so that a vm pays for its own hunger
// before its neighbours do, and in each of them those that were not faulted in for longest. Their pages fault again.
//
// Progress. A fault needs a few pieces of memory at a time, and each node that it walks gets the vm's clock as its stamp.
// A young node is left alone while there are others: so few pieces were handed out to the vm since the fault passed. So a
// fault keeps what it has while it waits for the rest, and what it brought until the device has come again. What was
// walked since the last piece was handed out is never taken; where there is nothing else, the clocks go on. A caller tries
// max_turns times, of 100 ms at most each, and then gets -ENOMEM; at once where no vm has any memory.
//
// No more than needed. One thread at a time takes nodes of a device's vms. The others wait for what it frees, and so does
// the thread itself. While nodes are on their way, more are taken only by a thread for which no memory came back in 100 ms, or
// which lost what came back to others a few times.
//
// Memory comes back after a grace period, which the caller itself would delay: it must have left its reader section.
// It does not wait for a certain vm's readers, but for the first memory of the device that comes back, so that a vm whose
// reader sleeps long does not hold up others.
#pragma once

#include "mm/base/result.hpp"
#include "mm/port.h"

struct svm_vm;

namespace svm {

// What one caller of with_room() has tried so far.
struct patience {
	unsigned turns = 0;
	unsigned waits = 0; // for memory that was taken before; many at once where a wait was in vain
	u64 seen = 0;	    // port_frees() before the last try
};

// One turn. Sleeps; not in a reader section. Ok: try again. err::nomem, err::intr.
status make_room(svm_vm &vm, patience &p);

// Another thread evicts the table that fn() needs: one turn of waiting for what it frees. Ok: try again. err::again, err::intr.
status wait_for_leaving(svm_vm &vm, patience &p);

// Of the vm's device: for patience::seen.
u64 frees_of(const svm_vm &vm);

// Calls fn() until it says neither err::room nor err::leaving, as often as there may be room.
template <typename Fn>
status with_room(svm_vm &vm, Fn fn)
{
	for (patience p;;) { // ends: both bound the turns
		p.seen = frees_of(vm);
		status done = fn();

		if (done.is(err::room))
			done = make_room(vm, p);
		else if (done.is(err::leaving))
			done = wait_for_leaving(vm, p);
		else
			return done;
		if (!done.ok())
			return done;
	}
}

// Keeps a vm from piling up what is idle while there is memory enough: a few are looked at for each piece of memory that
// the vm gets, many at a time. Inside a reader section. Sleeps.
void trim(svm_vm &vm);

} // namespace svm
