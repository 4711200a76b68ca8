/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events that are filtered by their owner: a driver migrates pages to its own device memory and back, and the event says
 * that it is its own. The callback sets the sequence all the same, and takes leaves of system pages; those of the
 * device's own pages may stay, since whoever frees such a page takes its leaf away first, inside the event.
 *
 * This is ahead of the code, which filters no event of a migration: svm_port_invalidate() is called for each.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, mapping_lost;

/* 1 is there at first, 2 comes when there is nothing, 3 is the migration's page of device memory, 4 its page on the way back. */
#define PAGES	4
#define OWN	3
#include "mm.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 1
#endif
#ifndef EVICTIONS
#define EVICTIONS 1
#endif
#define ALL	(FAULTS + CALLBACKS + EVICTIONS + 1)

#define blank	0
#define valid	1
#define retired	2

byte cpu = 1; bool refilled;
byte ended;
byte seq = 1; byte state; byte leaf; byte tlb;

#define FLUSH	tlb = 0

active proctype device()
{
end:	do
	:: d_step { tlb == 0 && state == valid -> tlb = leaf }
	:: d_step { tlb != 0 ->
		    CLAIM(device_reaches_freed_page, !freed[tlb]);
		    CLAIM(device_reaches_page_given_back, tlb == OWN || dma[tlb] > 0) }
	od
}

/* What is done under the table's lock is one step here: nobody reads the table without it but the device, one word at a time. */
#define FINISH									\
	d_step {								\
		if								\
		:: state == retired ->						\
			if :: leaf != OWN -> dma[leaf]-- :: else -> skip fi;	\
			state = blank; leaf = 0					\
		:: else -> skip							\
		fi								\
	}

/* Set the sequence, unless new_seq is 0; retire, flush, give back. */
inline take(what, new_seq)
{
	d_step {
		if :: new_seq != 0 -> seq = new_seq :: else -> skip fi;
		owed = (what) && state != blank;
		if :: owed -> state = retired :: else -> skip fi
	}
	if :: owed -> FLUSH; FINISH :: else -> skip fi
}

#ifdef FILTERED_EVENT_KEEPS_SEQ
#define FILTERED_SEQ	0
#else
#define FILTERED_SEQ	q
#endif
#ifdef FILTERED_EVENT_LEAVES_SYSTEM_PAGE
#define FILTERED_TAKES	false
#else
#define FILTERED_TAKES	(leaf != OWN)
#endif

/* munmap, reclaim, … */
proctype callback()
{
	byte q; bool told, owed;

	BEGIN_INVALIDATION(q, told);
#ifdef OWN_PAGES_ALWAYS_STAY
	take(leaf != OWN, q);
#else
	take(true, q);
#endif
	d_step {
		if
		:: cpu != 0 -> CLAIM(leaf_outlives_callback, state != valid || leaf != cpu); freed[cpu] = 1; cpu = 0
		:: else -> skip
		fi
	}
	END_INVALIDATION;
	ended++
}

proctype to_device()
{
	byte q; bool told, owed;

	BEGIN_INVALIDATION(q, told);
	take(FILTERED_TAKES, FILTERED_SEQ);
	d_step { if :: cpu != 0 && cpu != OWN && !freed[OWN] -> freed[cpu] = 1; cpu = OWN :: else -> skip fi }
	END_INVALIDATION;
	ended++
}

/* The CPU touched the page, or device memory is short. */
proctype eviction()
{
	byte q; bool told, owed;

#ifdef TAKEN_BEFORE_EVENT
	take(leaf == OWN, 0);
#endif
	BEGIN_INVALIDATION(q, told);
	take(FILTERED_TAKES, FILTERED_SEQ);
#if !defined(EVICTION_LEAVES_LEAF) && !defined(TAKEN_BEFORE_EVENT)
	take(leaf == OWN, 0);
#endif
	d_step { if :: cpu == OWN -> cpu = 4; freed[OWN] = 1 :: else -> skip fi }
	END_INVALIDATION;
	ended++
}

proctype fault()
{
	byte q, page;

again:
	q = seq;
	READ_BEGIN(q);
	d_step { if :: cpu == 0 && !refilled -> cpu = 2; refilled = 1 :: else -> skip fi; page = cpu }
	if
	:: page == 0 -> goto out
	:: page == OWN -> skip		/* not mapped for DMA: it is the device's */
	:: else -> dma[page]++
	fi;
	atomic {
		if
		:: seq != q ->
			if :: page != OWN -> dma[page]-- :: else -> skip fi;
			goto again
		:: seq == q && state == valid ->
			CLAIM(leaf_replaced, leaf == page);
			if :: page != OWN -> dma[page]-- :: else -> skip fi
		:: seq == q && state != valid ->
			CLAIM(leaf_replaced, state == blank);
			CLAIM(leaf_leads_to_freed_page, !freed[page]);
			leaf = page; state = valid
		fi
	}
out:
	ended++
}

init {
	byte i;

	atomic {
		i = 0; do :: i < CALLBACKS -> run callback(); i++ :: else -> break od;
		i = 0; do :: i < EVICTIONS -> run eviction(); i++ :: else -> break od;
		i = 0; do :: i < FAULTS -> run fault(); i++ :: else -> break od;
		run to_device()
	}
	d_step {
		ended == ALL ->
		i = 1;
		do
		:: i <= PAGES -> CLAIM(mapping_lost, dma[i] == (state == valid && leaf == i && i != OWN)); i++
		:: else -> break
		od
	}
}
