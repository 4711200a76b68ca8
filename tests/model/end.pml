/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vm ends (mm/bind/rebind.cpp: end_bindings, mm/reclaim.cpp: sweep), while callbacks and the shrinker are under way, and so
 * does the process (the kernel's exit_mmap), while faults are: who waits for whom before what is freed. A table is a node
 * with one leaf here; that its memory is another thing is in reclaim.pml.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, freed_table_touched, freed_interval_touched, freed_directory_touched,
	device_walks_freed_memory, table_freed_twice, table_in_use_freed, table_leaked, mapping_lost,
	address_space_walked_after_its_end;

#define PAGES 2
#include "mm.pml"
#include "readers.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 0
#endif
#ifndef SHRINKERS
#define SHRINKERS 0
#endif
#ifndef END
#define END 0
#endif
#ifndef EXIT
#define EXIT 0
#endif
#define ALL	(FAULTS + CALLBACKS + SHRINKERS + END + EXIT)
#define NONE	15

/* The process: users of its memory, its entry for the page. */
byte users = 1; bool mm_ended;
byte cpu = 1; bool refilled;
byte ended, served;		/* of all; of the faults */

bool interval_gone;

/* Tables; fresh is 0. */
#define fresh	0
#define ready	1
#define dead	2
#define blank	0
#define valid	1
#define retired	2
byte slot = NONE; byte link = NONE;
byte nodes;
byte state[NODES]; byte seq[NODES]; byte leaf[NODES]; byte leads_to[NODES];
bool locked[NODES];
bool directory_gone;

byte cached = NONE; byte tlb;

#define TOUCH(n)	CLAIM(freed_table_touched, !gone[n])
#define LOCK(n)		atomic { !locked[n] -> TOUCH(n); locked[n] = 1 }
#define UNLOCK(n)	d_step { TOUCH(n); locked[n] = 0 }
#define FLUSH		d_step { tlb = 0; cached = NONE }

active proctype device()
{
end:	do
	:: d_step { cached == NONE && link != NONE -> cached = link }
	:: d_step { cached != NONE && tlb == 0 ->
		    CLAIM(device_walks_freed_memory, !gone[cached]);
		    if :: leaf[cached] == valid -> tlb = leads_to[cached] :: else -> skip fi }
	:: d_step { tlb != 0 ->
		    CLAIM(device_reaches_freed_page, !freed[tlb]);
		    CLAIM(device_reaches_page_given_back, dma[tlb] > 0) }
	od
}

/* The port calls back for a deferred node once its grace period is over. */
#define FREE(n)									\
	d_step {								\
		deferred[n] && waits_for[n] == 0 ->				\
		CLAIM(table_in_use_freed, leaf[n] == blank);			\
		CLAIM(freed_directory_touched, !directory_gone);		\
		deferred[n] = 0; gone[n] = 1					\
	}

active proctype freeing()
{
end:	do
	:: FREE(0)
	:: FREE(1)
	od
}

/* Gives back what was retired in the table that is there now. */
inline finish()
{
	n = slot;
	if
	:: n != NONE ->
		LOCK(n);
		d_step {
			if
			:: leaf[n] == retired -> dma[leads_to[n]]--; leads_to[n] = 0; leaf[n] = blank
			:: else -> skip
			fi
		}
		UNLOCK(n)
	:: else -> skip
	fi
}

/* One callback from BEGIN to its return. */
inline invalidate()
{
	BEGIN_INVALIDATION(q, told);
	if
	:: told ->
		ENTER(me);
		d_step { CLAIM(freed_interval_touched, !interval_gone); CLAIM(freed_directory_touched, !directory_gone); iseq = q }
		n = slot; owed = false;
		if
		:: n != NONE ->
			LOCK(n);
			d_step {
				if
				:: state[n] != dead ->
					seq[n] = q;
					if :: leaf[n] != blank -> leaf[n] = retired; owed = true :: else -> skip fi
				:: else -> skip
				fi
			}
			UNLOCK(n)
		:: else -> skip
		fi;
		if :: owed -> FLUSH; finish() :: else -> skip fi;
		CLAIM(freed_interval_touched, !interval_gone);
		LEAVE(me)
	:: else -> skip
	fi
}

inline free_page()
{
	d_step { if :: cpu != 0 -> freed[cpu] = 1; cpu = 0 :: else -> skip fi }
}

/* Somebody takes the page while the process lives: reclaim, or a thread of it. */
proctype callback(byte me)
{
	byte q, n; bool told, owed;

	atomic { if :: users > 0 -> users++ :: else -> goto out fi }
	invalidate();
	free_page();
	END_INVALIDATION;
	users--;
out:	ended++
}

/* The last user of the memory is gone: RELEASE, which frees nothing, then UNMAP, then the page tables go. */
proctype exiting(byte me)
{
	byte q, n; bool told, owed;

	users--;
	users == 0;
	invalidate();
	END_INVALIDATION;
	invalidate();
	free_page();
	END_INVALIDATION;
	mm_ended = 1;
	ended++
}

inline publish()
{
	atomic {
		if
		:: slot == NONE && nodes < NODES -> n = nodes; nodes++; slot = n
		:: slot != NONE -> n = slot
		:: else -> goto out
		fi
	}
}

inline make_ready()
{
	if
	:: state[n] == fresh ->
		LOCK(n);
		d_step {
			if
			:: state[n] == fresh ->
				CLAIM(freed_interval_touched, !interval_gone);
				state[n] = ready;
				if :: iseq > seq[n] -> seq[n] = iseq :: else -> skip fi
			:: else -> skip
			fi
		}
		UNLOCK(n)
	:: else -> skip
	fi
}

proctype fault(byte me)
{
	byte q, n, page;

	ENTER(me);
again:
	n = slot;
	if
	:: n == NONE -> publish()
	:: else -> skip
	fi;
	make_ready();
	q = seq[n];
#ifndef NO_MMGET
	atomic { if :: users > 0 -> users++ :: else -> goto out fi }
#endif
	READ_BEGIN(q);
	d_step {
		CLAIM(address_space_walked_after_its_end, !mm_ended);
		if :: cpu == 0 && !refilled -> cpu = 2; refilled = 1 :: else -> skip fi;
		page = cpu
	}
	if :: page != 0 -> dma[page]++ :: else -> skip fi;
#ifndef NO_MMGET
	users--;
#endif
	if
	:: page == 0 -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	if
	:: state[n] == dead || seq[n] != q -> UNLOCK(n); dma[page]--; goto again
	:: else ->
		d_step {
			if
			:: leaf[n] == valid -> CLAIM(leaf_replaced, leads_to[n] == page); dma[page]--
			:: else ->
				CLAIM(leaf_replaced, leaf[n] == blank);
				CLAIM(leaf_leads_to_freed_page, !freed[page]);
				leads_to[n] = page; leaf[n] = valid
			fi
		}
		link = n;
		UNLOCK(n)
	fi;
out:
	LEAVE(me);
	atomic { served++; ended++ }
}

proctype shrinker(byte me)
{
	byte n;

	/* A vm that has ended is no longer on the list of vms. */
	atomic { if :: !directory_gone -> ENTER(me) :: else -> goto out fi }
	d_step { CLAIM(freed_directory_touched, !directory_gone); n = slot }
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	if
	:: state[n] == dead || leaf[n] != blank -> UNLOCK(n); goto out
	:: else -> link = NONE; state[n] = dead; slot = NONE; UNLOCK(n)
	fi;
	FLUSH;
	DEFER(n);
out:
	LEAVE(me);
	ended++
}

inline strip()
{
	n = slot;
	if
	:: n != NONE ->
		LOCK(n);
		d_step {
			if
			:: state[n] != dead ->
				if :: leaf[n] == valid -> leaf[n] = retired :: else -> skip fi;
				link = NONE
			:: else -> skip
			fi
		}
		UNLOCK(n);
#ifndef NO_FLUSH_IN_SWEEP
		FLUSH;
#endif
		finish()
	:: else -> skip
	fi
}

inline take_out()
{
	n = slot;
	if
	:: n != NONE ->
		LOCK(n);
		if
#ifdef TAKES_OUT_DEAD
		:: false -> skip
#else
		:: state[n] == dead -> UNLOCK(n)
#endif
		:: else ->
			d_step { CLAIM(table_in_use_freed, leaf[n] == blank && link == NONE); state[n] = dead; slot = NONE }
			UNLOCK(n);
			DEFER(n)
		fi
	:: else -> skip
	fi
}

inline sweep()
{
	ENTER(me);
	strip();
	take_out();
	LEAVE(me)
}

inline remove_notifier()
{
#ifdef NO_WAIT_FOR_CALLBACKS
	atomic { notifier = (subs % 2 == 1 -> leaving : absent) }
#else
	REMOVE_NOTIFIER(was);
#endif
	interval_gone = 1
}

proctype ending(byte me)
{
	byte n, was;

	served == FAULTS;	/* the driver's part: no call is under way any more */
#ifdef NOTIFIER_BEFORE_SWEEP
	remove_notifier();
	sweep();
#else
	sweep();
#ifndef NO_SYNCHRONIZE
	SYNCHRONIZE(was);
#endif
	remove_notifier();
#endif
#ifndef NO_WAIT_FOR_DEFERRED
	!deferred[0] && !deferred[1];
#endif
	directory_gone = 1;
	ended++
}

#define LEADS(n, p)	(slot == n && leaf[n] == valid && leads_to[n] == p)

init {
	byte i;

	atomic {
		i = 0; do :: i < CALLBACKS -> run callback(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS -> run fault(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS + SHRINKERS -> run shrinker(i); i++ :: else -> break od;
		if :: END -> run ending(i); i++ :: else -> skip fi;
		if :: EXIT -> run exiting(i) :: else -> skip fi
	}
	/* At the end what is not in the tree is freed, and a page has as many mappings as leaves lead to it. */
	d_step {
		ended == ALL && !deferred[0] && !deferred[1] ->
		i = 0;
		do
		:: i < nodes -> CLAIM(table_leaked, gone[i] || slot == i); i++
		:: else -> break
		od;
		CLAIM(table_leaked, !END || slot == NONE);
		i = 1;
		do
		:: i <= PAGES -> CLAIM(mapping_lost, dma[i] == LEADS(0, i) + LEADS(1, i)); i++
		:: else -> break
		od
	}
}
