/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What makes a flush one step in the other models: flush_begin and flush_wait (include/svm/backend.h, as
 * drivers/svgpu/sync.c has them) against a device that works through its ring, has accesses in flight, and may stop
 * answering while it goes on reaching memory. Each caller takes a page away and frees it when its flush has returned.
 *
 * What the device owes: it forgets, waits for its accesses in flight, and only then acknowledges. What the driver owes to
 * one that does not answer: it cuts it off from memory before any caller goes on.
 */
hidden byte device_reaches_freed_page;

#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef DIES
#define DIES 1			/* the device may stop answering, at any time */
#endif
#define PAGES	CALLERS
#include "mm.pml"

bool valid[PAGES + 1]; bool tlb[PAGES + 1]; bool in_flight[PAGES + 1];
byte ended;

/* The ring: sequences are given out, entries shown to the device, done is what it wrote last. */
byte given; byte shown; byte done;
bool ring_locked;

/* The driver's state of the device: see svgpu_device_wedge(). */
bool cut; bool wedged;

#define FORGET		d_step { i = 1; do :: i <= PAGES -> tlb[i] = 0; i++ :: else -> break od; i = 1 }
#if CALLERS == 3
#define DRAINED		(cut || (!in_flight[1] && !in_flight[2] && !in_flight[3]))
#else
#define DRAINED		(cut || (!in_flight[1] && !in_flight[2]))
#endif

/* An access has a moment of translation and, later, one at which it reaches memory. */
proctype engine(byte page)
{
end:	do
	:: d_step { !tlb[page] && valid[page] -> tlb[page] = 1 }
	:: d_step { tlb[page] && !in_flight[page] -> in_flight[page] = 1 }
	:: d_step { in_flight[page] -> CLAIM(device_reaches_freed_page, cut || !freed[page]); in_flight[page] = 0 }
	od
}

active proctype tlb_unit()
{
	byte i = 1, op;

end:	do
	:: atomic { done < shown -> op = done + 1 }
#ifdef ACKNOWLEDGES_BEFORE_FORGETTING
	   done = op;
	   FORGET
#else
	   FORGET
#ifndef ACKNOWLEDGES_BEFORE_DRAINED
	   DRAINED;
#endif
	   done = op
#endif
	:: atomic { DIES -> break }	/* it answers no more; the engines go on */
	od
}

/* Any waiter's patience may end: nothing here says how long it is. */
inline wedge()
{
#ifdef NO_CUT
	wedged = 1
#elif defined(CUT_AFTER_ERROR)
	wedged = 1;
	cut = 1
#else
	cut = 1;
	wedged = 1
#endif
}

proctype caller(byte page)
{
	byte token;

	valid[page] = 0;	/* retired, and published */
	/* flush_begin: a sequence and its entry under one lock */
	atomic { !ring_locked -> ring_locked = 1 }
#ifdef TOKEN_OF_THE_ONE_BEFORE
	token = given;
	given++;
#else
	given++;
	token = given;
#endif
	shown = given;
	ring_locked = 0;
	/* flush_wait */
#ifndef NO_WAIT
#ifdef NO_PATIENCE_LIMIT
	(done >= token);
#else
	if
	:: done >= token || wedged -> skip
	:: wedge()
	fi;
#endif
#endif
	freed[page] = 1;
	ended++
}

init {
	byte i = 1;

	atomic {
		do
		:: i <= CALLERS -> valid[i] = 1; run engine(i); run caller(i); i++
		:: else -> break
		od
	}
	ended == CALLERS
}
