/* SPDX-License-Identifier: GPL-2.0-only */
/* Device pages, what they lead to, their tables and leaves, and the device: the state of binding.pml. */
#ifndef TABLES
#define TABLES 1
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#define P	(TABLES * ENTRIES)	/* device pages */
#define PAGES	(4 * P)			/* of memory: two for each page of both bindings */
#define INTERVALS 2
#include "mm.pml"
#define NODES	(TABLES + 1)
#include "readers.pml"

#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef CALLBACKS
#define CALLBACKS 1
#endif
#ifndef REBINDS
#define REBINDS 1
#endif
#ifndef EVICTORS
#define EVICTORS 0
#endif
#define ALL	(FAULTS + CALLBACKS + EVICTORS + (REBINDS > 0))

/* Bindings: 0 and 1 mirror. An interval has its binding's number. */
#define null_pages	2
#define hole		3
#define no_interval	3
byte map[P];
#ifndef OF_B			/* at first: device pages that lead to 1, and to null; the others lead to 0 */
#define OF_B 0
#endif
#ifndef OF_NULL
#define OF_NULL 0
#endif
#ifndef MAPPED			/* those that have leaves, and so a table */
#define MAPPED 0
#endif

byte changing;			/* a bit for each device page */
byte moving;			/* the same: those that the rebind under way has not emptied; no step reads it */
bool bind_locked;
bool interval_ended[2];

/* What a leaf leads to: a page, or zero_page; retired ones keep it. */
#define zero_page	100
#define retired		128
#define VALID(w)	((w) != 0 && (w) < retired)
#define PAGE(w)		((w) % retired)
#define BINDING(w)	(PAGE(w) == zero_page -> null_pages : ((PAGE(w) - 1) / P) % 2)

byte cpu[2 * P];		/* the page behind a binding's device page */
bool refilled[2 * P];

#define fresh	0
#define ready	1
#define going	2		/* table_state::leaving */
#define dead	3
#define none	15
byte slot[TABLES]; byte link[TABLES];
byte nodes;
byte state[NODES]; byte seq[NODES]; byte interval[NODES]; bool locked[NODES];
byte leaf[NODES * ENTRIES];
byte tlb[P];
byte ended;

#define TABLE(e)	((e) / ENTRIES)
#define LEAF(n, e)	leaf[(n) * ENTRIES + (e) % ENTRIES]
#define ENTRIES_OF(t)	(((1 << ENTRIES) - 1) << ((t) * ENTRIES))
#define HAS(pages, e)	(((pages) >> (e)) & 1)

#define LOCK(n)		!locked[n] -> locked[n] = 1
#define UNLOCK(n)	locked[n] = 0

#define FILL(e)		d_step { tlb[e] == 0 && link[TABLE(e)] != none && VALID(LEAF(link[TABLE(e)], e)) ->	\
				tlb[e] = LEAF(link[TABLE(e)], e) }
#define ACCESS(e)	d_step { tlb[e] != 0 && tlb[e] != zero_page ->		\
				CLAIM(device_reaches_freed_page, !freed[tlb[e]]);	\
				CLAIM(device_reaches_page_given_back, dma[tlb[e]] > 0) }

active proctype device()
{
end:	do
	:: FILL(0)
	:: ACCESS(0)
#if TABLES * ENTRIES > 1
	:: FILL(1)
	:: ACCESS(1)
#endif
#if TABLES * ENTRIES > 2
	:: FILL(2)
	:: ACCESS(2)
#endif
	od
}

/* For each device page; in a d_step, with the caller's own i. */
#define EACH_PAGE(step)	i = 0; do :: i < P -> step; i++ :: else -> break od; i = 0
#define IF(cond, step)	if :: cond -> step :: else -> skip fi

#define FLUSH(pages)	d_step { EACH_PAGE(IF(HAS(pages, i), tlb[i] = 0)) }

/* Under the lock. owed: pages of which the device may still have a leaf. */
#define RETIRE(n, t, pages, owed)							\
	EACH_PAGE(									\
		IF(HAS((pages) & ENTRIES_OF(t), i) && LEAF(n, i) != 0,			\
		   owed = owed | (1 << i);						\
		   IF(LEAF(n, i) < retired, LEAF(n, i) = LEAF(n, i) + retired)))

/* Under the lock: gives back what was retired. */
inline finish(n, t, pages)
{
	d_step {
		EACH_PAGE(
			IF(HAS((pages) & ENTRIES_OF(t), i) && LEAF(n, i) >= retired,
			   IF(PAGE(LEAF(n, i)) != zero_page,
			      CLAIM(dirtied_after_free, !freed[PAGE(LEAF(n, i))]);
			      CLAIM(page_given_back_twice, dma[PAGE(LEAF(n, i))] > 0);
			      dma[PAGE(LEAF(n, i))]--);
			   LEAF(n, i) = 0))
	}
}

/* Of what is retired in the node, all of it. */
#define RETIRED_IN(n, t, owed)	EACH_PAGE(IF(TABLE(i) == t && LEAF(n, i) >= retired, owed = owed | (1 << i)))

/* The hull of some pages. */
inline widen(pages)
{
	d_step {
		i = 0;
		do
		:: i < P ->
			if :: !HAS(pages, i) && (pages & ((1 << i) - 1)) != 0 && (pages >> i) != 0 -> pages = pages | (1 << i)
			   :: else -> skip
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}
