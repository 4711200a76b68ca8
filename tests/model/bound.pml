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
#ifndef DISPLACES
#define DISPLACES 0
#endif
#define ALL	(FAULTS + CALLBACKS + EVICTORS + (REBINDS > 0) + DISPLACES)

/* Bindings: 0 and 1 mirror. An interval has its binding's number. */
#define null_pages	2
#define hole		3
#define no_interval	3
#define object		4
byte map[P];
byte old[P];			/* the map before the rebind that is under way */
#ifndef OF_B			/* at first: device pages that lead to 1, and to null; the others lead to 0 */
#define OF_B 0
#endif
#ifndef OF_NULL
#define OF_NULL 0
#endif
#ifndef OF_OBJECT
#define OF_OBJECT 0
#endif
#ifndef MAPPED			/* those that have leaves, and so a table */
#define MAPPED 0
#endif

byte changing;			/* a bit for each device page */
byte place = 1;			/* where the object's memory is; 0: nowhere */
bool left[3];			/* the memory has gone from there */
byte hull = OF_OBJECT;		/* pages where the object knows that it is bound, or was */
byte moving;			/* the same: those that the rebind under way has not emptied; no step reads it */
bool bind_locked;
bool interval_ended[2];

/* What a leaf leads to: a page, zero_page, or the object's memory in a place; retired ones keep it. */
#define zero_page	100
#define LENT(place)	(zero_page + (place))
#define retired		128
#define VALID(w)	((w) != 0 && (w) < retired)
#define PAGE(w)		((w) % retired)
#define BINDING(w)	(PAGE(w) == zero_page -> null_pages : (PAGE(w) > zero_page -> object : ((PAGE(w) - 1) / P) % 2))

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
#define ACCESS(e)	d_step {						\
				if						\
				:: tlb[e] != 0 && tlb[e] < zero_page ->		\
					CLAIM(device_reaches_freed_page, !freed[tlb[e]]);	\
					CLAIM(device_reaches_page_given_back, dma[tlb[e]] > 0)	\
				:: tlb[e] > zero_page -> CLAIM(device_reaches_displaced_memory, !left[tlb[e] - zero_page])	\
				fi }

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

#ifdef FINISHES_BY_THE_MAP
#define STANDING(i)	map[i]
#else
#define STANDING(i)	(changing != 0 -> old[i] : map[i])
#endif

/* Under the lock: gives back what was retired, where the standing map says that it is owned. A null leaf says so itself. */
inline finish(n, t, pages)
{
	d_step {
		EACH_PAGE(
			IF(HAS((pages) & ENTRIES_OF(t), i) && LEAF(n, i) >= retired,
			   if
			   :: PAGE(LEAF(n, i)) == zero_page -> skip
			   :: PAGE(LEAF(n, i)) != zero_page && STANDING(i) >= null_pages ->
			      CLAIM(mapping_forgotten, PAGE(LEAF(n, i)) > zero_page)
			   :: else ->
			      CLAIM(lent_page_given_back, PAGE(LEAF(n, i)) < zero_page);
			      CLAIM(dirtied_after_free, !freed[PAGE(LEAF(n, i))]);
			      CLAIM(page_given_back_twice, dma[PAGE(LEAF(n, i))] > 0);
			      dma[PAGE(LEAF(n, i))]--
			   fi;
			   LEAF(n, i) = 0))
	}
}

/* Under the lock of t's node: what of the pages the standing map gives to b. The map is read first, `changing` after it. */
#define OF(which, b)	mine = 0; EACH_PAGE(IF(TABLE(i) == t && which[i] == b, mine = mine | (1 << i)))
inline parts_of(b, pages)
{
#ifdef CHANGING_BEFORE_MAP
	d_step { mine = (changing != 0 -> 128 : 0); IF(mine == 128, OF(old, b); mine = mine | 128) }
	d_step { IF(mine < 128, OF(map, b)) }
#else
	d_step { OF(map, b) }
#ifndef CALLBACK_DOES_NOT_ASK
	d_step { IF(changing != 0, OF(old, b)) }
#endif
#endif
	mine = mine & (pages)
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
