// SPDX-License-Identifier: GPL-2.0-only
// What happens when memory for tables runs out: the vms of the device give some back, and the call is made again.
//
// First, all that is idle goes: tables that map nothing, and directories without children. Where there is none, tables
// in use are evicted: of the vms that hold at least an average share, so that a vm pays for its own hunger before its
// neighbours do, and in each of them those that were not faulted in for longest. Their pages fault again.
//
// Progress. A fault needs a few nodes at a time, and each one that it walks gets the vm's clock as its stamp. A young
// node is left alone while there are others: so few pieces of memory were handed out to the vm since the fault passed. So a
// fault keeps what it has while it waits for the rest, and what it brought until the device has come again. What was
// walked since the last piece was handed out is never taken; where there is nothing else, the clocks go on. A caller tries max_turns times, of 100 ms at most each, and
// then gets -ENOMEM; at once where there is nothing to take.
//
// Memory comes back after a grace period, which the caller itself would delay: it must have left its reader section.
// It does not wait for a certain vm's readers, but for the first memory that comes back, so that a vm whose reader
// sleeps long does not hold up others.
#pragma once

#include "mm/base/result.hpp"
#include "mm/port.h"

struct svm_vm;

namespace svm {

// One turn. Sleeps; not in a reader section. Ok: try again. err::nomem, err::intr.
status make_room(svm_vm &vm, unsigned turn);

// Another thread evicts the table that fn() needs: one turn of waiting for what it frees. seen: port_frees() before
// fn(). Ok: try again. err::again, err::intr.
status wait_for_leaving(svm_vm &vm, unsigned turn, u64 seen);

// Calls fn() until it says neither err::room nor err::leaving, as often as there may be room.
template <typename Fn>
status with_room(svm_vm &vm, Fn fn)
{
	for (unsigned turn = 0;; turn++) { // ends: both bound the turns
		u64 seen = port_frees();
		status done = fn();

		if (done.is(err::room))
			done = make_room(vm, turn);
		else if (done.is(err::leaving))
			done = wait_for_leaving(vm, turn, seen);
		else
			return done;
		if (!done.ok())
			return done;
	}
}

// Keeps a vm from piling up what is idle while there is memory enough: a few are looked at for each table that is made.
// Inside a reader section. Sleeps.
void trim(svm_vm &vm);

} // namespace svm
