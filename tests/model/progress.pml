/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything ends: each fault, each callback, and a rebind, while invalidations never cease, the device may stop
 * answering, and the manager of a userfaultfd may never supply its page. Checked under weak fairness (whoever can go on
 * does at some time); locks are queues, as the kernel's are.
 *
 * Sequences would grow for ever. What matters of one is kept: whether the table's is that of the invalidation under way
 * (hit), and for each fault whether it waits for that (busy) and whether the table's has changed since it read it (moved).
 * All invalidations here hold mmap_lock and so follow each other. Where they overlap without a gap, for ever,
 * mmu_interval_read_begin() itself would not return.
 */
#ifndef FAULTS
#define FAULTS 1
#endif
#define ATTEMPTS 2
#define STORM	FAULTS		/* who it is among the callers of flush() */
#define REBIND	(FAULTS + 1)

/* Locks: a queue of those who want it, the first of whom has it. */
chan table_lock = [4] of { byte };
chan mmap_lock = [4] of { byte };
chan interval_lock = [4] of { byte };
chan bind_lock = [4] of { byte };

#define TAKE(lock, me)	lock!me; lock?[eval(me)]
#define RELEASE(lock)	lock?_

bool hit; bool busy[2]; bool moved[2];
byte inside, awaited;		/* reader sections, a bit for each fault; those that the rebind waits for */
byte posted;			/* flushes that the device has not acknowledged, a bit for each caller */
bool dead; bool wedged;
bool changing;

bool in_fault[2]; bool in_callback; bool in_rebind;

#define every_fault_ends	([]<> !in_fault[0] && []<> !in_fault[1])
#define every_callback_ends	([]<> !in_callback)
#define rebind_ends		([]<> !in_rebind)

ltl everything_ends { every_fault_ends && every_callback_ends && rebind_ends }

active proctype device()
{
end:	do
	:: d_step { posted != 0 -> posted = 0 }		/* in order, so nobody is passed over */
	:: atomic { !dead -> dead = 1; break }
	od
}

/* Only a device that is dead is waited for until patience ends. */
inline flush(me)
{
	posted = posted | (1 << me);
	if
	:: (posted & (1 << me)) == 0 || wedged -> skip
#ifndef NO_LIMIT_OF_PATIENCE
	:: dead && !wedged -> wedged = 1
#endif
	fi
}

inline callback(me)
{
	TAKE(table_lock, me);
	d_step { hit = 1; moved[0] = 1; moved[1] = 1 }
	RELEASE(table_lock);
	flush(me);
#ifdef CALLBACK_WAITS_FOR_READERS
	inside == 0;
#endif
	TAKE(table_lock, me);
	RELEASE(table_lock)
}

#define END_INVALIDATION	d_step { hit = 0; busy[0] = 0; busy[1] = 0 }

/* munmap and mmap, again and again */
active proctype storm()
{
end:	do
	:: TAKE(mmap_lock, STORM);
	   in_callback = 1;
	   callback(STORM);
	   in_callback = 0;
	   END_INVALIDATION;
	   RELEASE(mmap_lock)
	od
}

proctype fault(byte me)
{
	byte attempt;

end:	do
	:: atomic { in_fault[me] = 1; attempt = 0; inside = inside | (1 << me) }
again:
	   TAKE(interval_lock, me);		/* for an interval, where there is none yet */
	   RELEASE(interval_lock);
	   if
	   :: changing ->
#ifndef WAITS_FOR_BIND_INSIDE_SECTION
		atomic { inside = inside & ~(1 << me); awaited = awaited & inside }
#endif
		TAKE(bind_lock, me);
		RELEASE(bind_lock);
		atomic { inside = inside | (1 << me) }
		goto again
	   :: else -> skip
	   fi;
#ifdef LOCK_HELD_OVER_READ_BEGIN
	   TAKE(table_lock, me);
#endif
	   d_step { moved[me] = 0; busy[me] = hit }
	   !busy[me];
#ifdef LOCK_HELD_OVER_READ_BEGIN
	   RELEASE(table_lock);
#endif
	   TAKE(mmap_lock, me);
#ifdef LOCK_HELD_OVER_ASKING
	   TAKE(table_lock, me);
#endif
	   if
	   :: skip			/* the page is there */
	   :: callback(me); END_INVALIDATION	/* it must be copied first: our own thread invalidates */
	   :: RELEASE(mmap_lock);	/* somebody in userspace must supply it, and may never do so */
#ifdef WAITS_INSIDE_SECTION
	      in_fault[me] = 0;
end_in:	      false
#else
	      atomic { in_fault[me] = 0; inside = inside & ~(1 << me); awaited = awaited & inside }
end_out:      false
#endif
	   fi;
#ifdef LOCK_HELD_OVER_ASKING
	   RELEASE(table_lock);
#endif
	   RELEASE(mmap_lock);
	   TAKE(table_lock, me);
	   if
	   :: moved[me] ->
		RELEASE(table_lock);
#ifndef NO_BOUND
		attempt++;
#endif
		if
		:: attempt < ATTEMPTS -> goto again
		:: else -> skip
		fi
	   :: else -> RELEASE(table_lock)
	   fi;
	   atomic {
		in_fault[me] = 0; attempt = 0;
		inside = inside & ~(1 << me); awaited = awaited & inside
	   }
	od
}

active proctype rebind()
{
	if :: goto out :: in_rebind = 1 fi;
	TAKE(bind_lock, REBIND);
	changing = 1;
	TAKE(table_lock, REBIND);
	flush(REBIND);
	RELEASE(table_lock);
	changing = 0;
#ifdef SYNCHRONIZE_UNDER_INTERVAL_LOCK
	TAKE(interval_lock, REBIND);
#endif
	awaited = inside;
	awaited == 0;
#ifndef SYNCHRONIZE_UNDER_INTERVAL_LOCK
	TAKE(interval_lock, REBIND);
#endif
	RELEASE(interval_lock);
	RELEASE(bind_lock);
	in_rebind = 0;
out:	skip
}

init {
	atomic {
		run fault(0);
		if :: FAULTS > 1 -> run fault(1) :: else -> skip fi
	}
}
