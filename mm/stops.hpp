// SPDX-License-Identifier: GPL-2.0-only
// Vms of devices that cannot fault (SVM_VM_NO_FAULT). Their jobs run only while the page table has all that is bound.
//
// What takes leaves away (a callback, displacing, an eviction, a rebind) is a halt from its first leaf to its last: it stops the
// jobs before, and no job runs again until it has ended. restore() brings back what was taken and resumes the jobs.
//
//	halt					restore, one at a time
//	lock					lock; seen = ended; span = stale; unlock
//	    begun++; stale += its span		bring in what is bound in the span
//	    running: stop, not running		lock
//	unlock					    begun != seen or ended != seen: unlock, again
//	wait until the device has stopped	    stale = none; not running: running, resume
//	retire, flush, give back		unlock
//	lock; ended++; unlock
//
// Why it holds. (19) A job meets no leaf that is on its way out: the halt waits until the device has stopped before it retires the
// first one. A second halt that finds the jobs stopped waits for the same token. (20) A restore that resumes has seen no halt from
// its beginning to its comparison, both under the lock: begun == ended == seen. A halt that ended before let go of the lock
// after its last leaf was retired, so the restore finds that leaf missing and brings it. A halt that was under way at the beginning,
// whose leaf the restore may have found in place, has begun != seen. One that began later changes `begun`. One that begins after
// the comparison finds the jobs running and stops them. (21) `stale` holds what was taken since the table was last whole, for it
// grows in each halt and ends in the comparison only. While jobs run it is empty. (22) A callback whose span is bound to nothing is no
// halt. It looks into the map after B1, so a bind that it does not see is one whose faults see the callback's sequence, (2): they
// wait for its end before they bring a page, and the callback finds no leaf of theirs. A rebind is a halt from before the new
// map to after the last leaf of the old one, so a callback that reads the old map meets stopped jobs, or leaves that it brought
// itself to stop.
//
// A stop lasts as long as the CPU's side keeps moving. Jobs get on in two ways. A driver may put off what is about to stop them
// (svm_backend_ops.delay). And a restore that was spoiled goes again with mmap_lock held, which keeps out those that change memory
// with mmap_lock held for writing; all other callbacks are put off until it lets go, before the kernel's sequence of the callback is
// set. But for those that share their sequence with a callback which was not put off: the kernel lets a sequence last as long as any
// invalidation of the process, so one that sleeps would make the restore's faults wait in every table that the other one has met.
#pragma once

#include "mm/base/atomic.hpp"
#include "mm/base/guard.hpp"
#include "mm/base/span.hpp"

namespace svm {

struct binding;

// Of one vm. The lock is a leaf but for what the backend takes in stop and resume.
struct stops {
	table_lock lock;
	bool running SVM_GUARDED_BY(lock) = true;
	u64 token SVM_GUARDED_BY(lock) = 0; // of the last stop, for flush_wait
	u64 begun SVM_GUARDED_BY(lock) = 0; // halts
	u64 ended SVM_GUARDED_BY(lock) = 0;
	va_span stale SVM_GUARDED_BY(lock){};
	// Hints, all of them: what is seen too late costs a stop, or a sleep.
	atomic<u32> rebinding{ 0 }; // rebinds that are halts
	atomic<const void *> restorer{ nullptr }; // port_self() of a restore that goes again
	atomic<bool> map_held{ false };		  // it holds mmap_lock just now
	atomic<u64> met{ 0 }; // the sequence of the last callback that was not put off, or is no longer
};

// No job of the vm runs from here to the end of the scope. Does nothing for a vm whose device faults, or where nothing is taken. No
// table lock is held.
class halt {
public:
	halt(svm_vm &of, va_span taken, bool may_sleep);
	~halt();
	halt(const halt &) = delete;
	halt &operator=(const halt &) = delete;

private:
	svm_vm *vm; // null: it stops nothing
};

// Puts off what is about to stop the jobs of the vm: as the driver likes, and a callback also for a restore. seq: the callback's; 0: it is
// none. Sleeps; no lock of svmirror's is held that a restore takes.
void put_off(svm_vm &vm, u64 seq);

// Is any of that bound by b, in the map or in the one that is being replaced? Inside a reader section.
bool binds(const svm_vm &vm, const binding &b, va_span part);

// Why the device's access failed in a vm where nothing is brought for it: err::fault or err::perm.
status why_missing(svm_vm &vm, u64 va, svm_access access);

// Has the process memory that can be read in all of that? err::fault: no; or what keeps us from knowing. Sleeps.
status all_mapped(const svm_vm &vm, cpu_span cpu);

} // namespace svm
