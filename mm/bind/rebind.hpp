// SPDX-License-Identifier: GPL-2.0-only
// Changing what device addresses lead to. All operations of a call happen at one stroke, or none does.
//
//	rebind, under the bind lock			fault in a table T that is not of one interval alone
//	build the new map; it may fail			find T, or publish it
//	vm.changing = hull of the operations		full barrier				(B2)
//	publish the map					lock; look into the map; vm.changing meets T: unlock, wait
//	full barrier				(B3)	       for the bind lock, again; raise T.seq; unlock
//	each published T that meets an operation:	… pages are brought …
//	    lock; T is of no interval alone; retire	lock; T.seq, T's interval or the binding in the map is another:
//	    the part; unlock				       unlock, undo, again
//	flush the TLB, wait for the acknowledge		write leaves; unlock
//	give pages back
//	vm.changing = none
//	wait for readers; end what nothing leads to
//
// Why it holds. (11) What a fault brought for an old binding is not written after the new one stands: the fault looks into the
// map, or at T's interval, under T's lock. Rebind first: the fault sees the new map, or that T is no longer of its interval
// alone. Fault first: the rebind retires what it wrote. A T that the rebind did not find was published after it had read the
// slot; B2 and B3 then make the new map visible to the fault's look. (12) No fault writes for the new binding beside leaves of
// the old one: while `changing` meets T no fault gets past its look, and `changing` is over for T only after T was emptied.
// T therefore becomes one interval's alone only when it holds no other's leaf. (13) A callback takes what T maps by its own
// binding: all of it, where T is its interval's alone, else the parts that the map gives to its binding, and besides what
// `changing` covers, where leaves of an old binding may still be. It reads the map first and `changing` after it: one that sees
// the new map sees `changing`, or that T was emptied. (14) In a T that is not of one interval alone, callback and rebind flush
// and give back before they drop T's lock. At the moment when T ceases to be one interval's alone, the rebind does so with all
// that is retired in T, also beside its operations: a callback of that interval which is still waiting for its flush passes T
// when it comes back, as it passes each table that is not its interval's alone, (5). So in such a T no retired leaf waits but an
// eviction's, (8). (15) A reader that still stands on an old binding or its interval has left before these end. Notifiers stay
// until then, so the CPU's side cannot take a page that a table still maps.
#pragma once

#include "mm/vm.hpp"

namespace svm {

// Does the operations. Sleeps; not in a reader section. err::inval, nomem, intr: nothing was done.
status rebind(svm_vm &vm, const svm_bind_op *ops, u32 count);

// Ends all bindings. No call is under way in the vm, but callbacks and the shrinker.
void end_bindings(svm_vm &vm);

} // namespace svm
