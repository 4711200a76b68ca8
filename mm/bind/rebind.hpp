// SPDX-License-Identifier: GPL-2.0-only
// Changing what device addresses lead to. The operations of a call are done all together, or none is.
//
//	rebind, under the bind lock			fault in a table T that is not of one interval alone
//	build the new map; it may fail			find T, or publish it
//	vm.changing = hull of the operations, old map	full barrier				(B2)
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
// T therefore becomes one interval's alone only when it holds no other's leaf. (13) Each leaf of T, valid or retired, is of the
// binding that the standing map gives to its page. That is the old map while there is a `changing`, else the map, looked at under
// T's lock: a fault writes by the map that it sees under this lock, and from the rebind's turn in T until `changing` is over no leaf is
// in an operation's part of T, (12); beside the operations both maps say the same. The map is read first and `changing` after it: one that
// sees the new map sees `changing`, or that T was emptied. So a callback takes all that T maps, where T is its interval's
// alone, else the parts that the standing map gives to its binding. (14) In a T that is not of one interval alone, callback and
// rebind flush and give back before they drop T's lock. At the moment when T ceases to be one interval's alone, the rebind does so
// with all that is retired in T, also beside its operations: a callback of that interval which is still waiting for its flush passes T
// when it comes back, as it passes each table that is not its interval's alone, (5). So in such a T no retired leaf waits but an
// eviction's, (8), and a displaced object's, (18). (15) A reader that still stands on an old binding or its interval has left
// before these end. Notifiers stay until then, so the CPU's side cannot take a page that a table still maps. The nodes of the old map
// stay as well, until the readers have left that may have found it by `changing`.
//
// Objects. The driver displaces one before its memory goes:
//
//	displace					fault by binding b of the object, in a table T
//	placement = none				find T, or publish it
//	full barrier				(B4)	full barrier				(B2)
//	each binding b of the object:			lock; look into the map; unlock
//	    each published T in the hull of b's spans:	placement of the object: none: the device comes again
//		lock; retire what is b's; unlock	lock; the map leads elsewhere, the placement is another: unlock, again
//	    flush the TLB, wait for the acknowledge	write leaves; unlock
//	    in each T: lock; forget what is retired and b's; unlock
//
// (16) The binding says who releases a page: a mirrored one is given back, what an object lends is forgotten. A table counts the
// leaves that own nothing. Where it has such, each that finishes retired leaves of it, an eviction or a callback or a rebind, asks
// the standing map for each part, (13). (17) Displacing is a callback of the object's. It meets a fault in T's lock, as in (1). If it did not find T
// published, B2 and B4 make the placement's end visible to the fault, which looks at it under T's lock. A binding is in
// the object's list, and its hull holds the span, before the map leads there, and both change under the object's lock, under which the placement
// ends. So if displacing does not come to b, or to a part of it, a fault that sees the map sees that end as well. It leaves the
// list after its tables are empty, and a grace period after that it goes: displacing stands on it in a reader section that begins
// under the object's lock. What a rebind is replacing is b's by the standing map until it is empty, so displacing does not
// wait for the rebind. (18) Leaves that displacing has retired wait for its flush without T's lock. Nothing is written over them:
// a fault by b sees no placement, and one by another binding comes after the rebind emptied T. Who meets them before flushes for
// itself and may then forget them, as in (4); displacing returns after its own flush in any case. It forgets what is b's
// only: beside it there may be leaves that were retired after its flush.
#pragma once

#include "mm/vm.hpp"

namespace svm {

// Does the operations. Sleeps; not in a reader section. err::inval, nomem, intr: nothing was done.
status rebind(svm_vm &vm, const svm_bind_op *ops, u32 count);

// Ends all bindings. No call is under way in the vm, but callbacks and the shrinker.
void end_bindings(svm_vm &vm);

} // namespace svm
