/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A restore (mm/stops.hpp) gets through while memory changes without a pause: by one thread that holds mmap_lock for
 * writing, and by one that does not, which may be in the midst of it at the same time; and once by a third. Checked under
 * weak fairness, the lock is a queue.
 *
 * Sequences are kept as in progress.pml: whether the table's is that of the invalidations under way (hit), and whether the
 * restore's fault waits for that (busy) or was overtaken (moved). They last while any invalidation does. Of the numbers of
 * halts it is kept whether one was under way since the restore looked (spoiled). So many invalidations may begin before there is
 * a gap, OVERLAP: where they overlap without one, for ever, mmu_interval_read_begin() itself would not return. That a callback is
 * put off for 100 ms at most is left out: nothing may depend on it.
 */
#define ATTEMPTS 2
#define TURNS	4
#define OVERLAP	2

chan mmap_lock = [3] of { byte };
#define TAKE(me)	mmap_lock!me; mmap_lock?[eval(me)]
#define RELEASE		mmap_lock?_

#define RESTORE	0
#define WRITER	1
#define OTHER	2
#define THIRD	3

bool hit, busy, moved;
bool met;			/* a callback with the sequence of now has gone on */
byte under_way, overlapping;
bool leaf = 1, running = 1, spoiled; byte halts;
bool quiet;

#define restores_end	([]<> running)
ltl restores_end_for_ever { restores_end }

/* The approach, the callback, the end. The sequence is new where no other invalidation is under way. */
inline invalidate()
{
	atomic { overlapping < OVERLAP -> overlapping++; under_way++ }
#ifdef NO_MEETING
	!quiet;
#else
#ifndef NO_QUIET
	!quiet || met;
#endif
#endif
	d_step { met = 1; halts++; spoiled = 1; running = 0 }
	d_step { hit = 1; moved = 1; leaf = 0 }
	halts--;
	d_step {
		under_way--;
		if :: under_way == 0 -> hit = 0; busy = 0; met = 0; overlapping = 0 :: else -> skip fi
	}
}

active proctype writer()
{
end:	do
	:: TAKE(WRITER);
	   invalidate();
	   RELEASE
	od
}

active proctype other()
{
end:	do
	:: invalidate()
	od
}

active proctype third()
{
	if :: invalidate() :: skip fi
}

inline lock_map()
{
	if :: !held -> TAKE(RESTORE) :: else -> skip fi
}

inline unlock_map()
{
	if :: !held -> RELEASE :: else -> skip fi
}

/* One try, which `did` or did not get through. */
inline try()
{
	d_step { spoiled = halts > 0; attempt = 0; did = 0 }
	do
	:: leaf || attempt == ATTEMPTS -> break
	:: else ->
		d_step { moved = 0; busy = hit }
		!busy;
		lock_map();
		unlock_map();
		d_step {
			if :: !moved -> leaf = 1; attempt = ATTEMPTS :: else -> attempt++ fi
		}
	od;
	atomic {
		if :: leaf && !spoiled -> running = 1; did = 1 :: else -> skip fi
	}
}

active proctype restore()
{
	byte attempt, turn; bool held, did;

end:	do
	:: !running ->
		try();
		if
		:: did -> skip
		:: else ->
#ifndef NO_MMAP_LOCK
			TAKE(RESTORE);
			held = 1;
#endif
			quiet = 1;
			turn = 0;
			do
			:: turn < TURNS && !did ->
#ifndef DOES_NOT_WAIT_FOR_HALTS
				halts == 0;
#endif
				try();
				turn++
			:: else -> break
			od;
			quiet = 0;
#ifndef NO_MMAP_LOCK
			held = 0;
			RELEASE
#endif
		fi
	od
}
