// SPDX-License-Identifier: GPL-2.0-only
// Keeping device and CPU in step: faults fill tables, notifier callbacks empty them.
//
// The collision protocol. Kernel facts: mmu_interval_read_begin(n) and hmm_range_fault() look at n->mm and
// n->invalidate_seq only; interval notifiers have no end callback, "an invalidation is under way" is
// n->invalidate_seq == the mm's sequence. So each table has a sequence of its own, and a fault passes the kernel a
// notifier that was never inserted, with mm and that sequence in it. The kernel then waits for, and the fault
// starts over for, invalidations that met this table, and no others.
//
// A table that one interval's binding covers whole is this interval's alone (table.interval), and that is the usual case. What is
// different in other tables, and what happens when bindings change, is in bind/rebind.hpp, (11) to (15).
//
//   callback of interval I over [s, e) with sequence q		fault in table T
//	I.seq = q (the port)						find T, or publish it	(P)
//	full barrier				(B1)			T of no interval alone: full barrier	(B2)
//	each published T that meets [s, e), but those			    lock; look(): T.seq = the later of T.seq and I.seq;
//	of another interval alone:					    all of T is I's: T is I's alone; ready; unlock
//	    lock; T.seq = q; retire; unlock			q = T.seq; read_begin(q) waits while q is under way
//	flush the TLB, wait for the acknowledge			mmap_lock; hmm_range_fault; map for DMA; unlock
//	in those of I alone: give pages back			lock; T.seq != q, T not ready, T's interval another:
//									    unlock, undo, again
//									write leaves; unlock
//
// Why it holds. (1) Callback and fault meet in T's lock. Callback first: the fault sees another T.seq, or it began
// after the callback, with T.seq == q, and then read_begin waited until the invalidation ended, so
// hmm_range_fault saw the CPU's new state. Fault first: the callback retires what it wrote. (2) A callback that did
// not find T published read the slot before P; B1 and B2 then make I.seq = q visible to each look() for I, which comes before
// the first leaf of I in T: that is case (1) with T.seq == q. The same holds where the callback passed T because T was another
// interval's alone: look() takes T's lock after it. A callback sets the sequence of a fresh table too, and leaves it fresh:
// look() alone makes tables ready, and never lowers the sequence. (3) T.seq is set where T is empty as well, since a fault may
// hold pages for it that are about to go. (4) Two callbacks over the same page: the second finds the leaf retired and flushes
// for itself before it returns, so no callback returns while the device can still reach a page of its span. (5) Between
// retiring and giving back no fault can write the same leaf: it would need a read_begin that did not wait, and T.seq == q holds
// until the invalidation has ended. A callback gives back in tables of I alone, as it retired there: in the span of its flush
// other tables may lie, whose retired leaves wait for another flush. (6) The sequence is compared and the leaf written under
// one lock, so a stale sequence read without it does no harm: it costs a retry.
//
// Tables leave as well, see reclaim.hpp. (7) A dead table is idle and unlinked: a callback has nothing to do in it, and a
// fault walks again. A fresh table that no fault made ready is idle as well, and may leave. (8) A leaving table was evicted
// while it mapped pages. Its leaves are retired and it is unlinked, but its pages are still mapped for DMA. So it stays
// published, and a callback treats it like a ready one: it sets the sequence, meets the retired leaves, and flushes for
// itself, (4). The callback therefore does not wait for the eviction. A fault starts over until the table is unpublished.
// It checks the state under the same lock as the sequence, so no leaf is written after the eviction retired all of them,
// and the eviction's one flush covers every leaf that it gives back. (9) A callback skips a directory whose count of
// children is zero. A child is counted before its pointer shows, so a count of zero that is read after B1 or B3 says no
// more and no less than an empty slot does: a table that is published there later is case (2), or (11).
//
// A callback may take more than its span, inside the tables that it meets. A fork calls for one mapping after the other,
// and each call would flush for itself; so the first one in a table takes all that the table maps by its binding. (10) What
// it takes beside its span is safe by (4): a page there may be about to go by another callback, which finds the leaf
// retired, flushes for itself, and returns only when the page was given back, by one of the two. (3) and (5) hold for the
// whole table, as its sequence does.
//
// One event is left out: a fault takes a page away from the CPU, for atomics, in the name of its own vm (mm/kernel/port_alone.c). (23) Neither the
// leaf nor the sequence has to go, because the page stays where it is: a leaf of this vm leads to it before and after. What changes
// after that, be it that the CPU takes the page back, is another event, which is not left out; the fault sees its sequence, (1). That
// it is the page which hmm saw is compared when it was taken.
#pragma once

#include "mm/vm.hpp"

namespace svm {

// What a fault or a prefetch wants of one table.
struct wish {
	static constexpr u64 nowhere = ~0ull;

	u64 va;		    // the page of the access; of a prefetch, where the rest of its span begins
	va_span want;	    // what is to be made present in the same go, where that needs no wait
	svm_access access;
	const binding *only = nullptr; // where anything else is bound by now, it gets err::fault
	bool must = true;   // a fault: va must be had. A prefetch: nothing must, and nothing outside of `want` is taken
	bool bring = true;  // of a prefetch: false: what is present is taken, and nothing is brought
	bool moved = false; // of a fault: move_first() has been called for it
	u64 cpu = 0;	    // out: va's, where something is bound there
	u64 reached = 0;    // out, of a prefetch: it has seen to `want` below this
	svm_object *absent = nullptr; // out, with err::absent: the object that has no place, and a reference to it
	u64 wait = nowhere; // out, likewise: the first page of that which port_wait() may bring
};

// Has the wish come true, as far as it can without waiting. Inside a reader section. err::fault, perm, nomem, intr;
// err::again when the CPU's side kept moving; err::wait: port_wait() for va first; err::room: make_room() first; err::changing:
// wait_for_bind() first; err::absent: bring() first; err::misplaced: move_first() first. Under an mmap_guard no table, memory for one or interval is
// made: err::wait.
status fault_in(svm_vm &vm, wish &w);

// For a pass under an mmap_guard, which waits for nothing and ends with err::again where it would have to.
struct at_once {
	u64 end;		    // port_now_ms(): err::again from then on
	u64 refused = PORT_NO_PAGE; // the page that port_wait() could not bring: it is left out
	u64 wait = PORT_NO_PAGE;    // out: the page to bring by port_wait() before the next pass
	bool write = false;	    // out: for writing
};

// What svm_prefetch() does, in a session; what is not bound is left out. bring: false: what svm_map_present() does.
status bring_in(svm_vm &vm, va_span span, svm_access access, u64 &pages, bool bring = true, at_once *limits = nullptr);

// How many pages of the span the device can reach. Takes no lock; what changes meanwhile may count or not.
u64 pages_present(svm_vm &vm, va_span span, svm_access access);

// A bind that is under way has ended. Sleeps; not in a reader section. err::intr.
status wait_for_bind(svm_vm &vm);

} // namespace svm
