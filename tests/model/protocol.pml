/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collision protocol of mm/mirror.hpp: faults and callbacks meet in one table of a few pages, from the insertion of
 * its interval's notifier on. Leaves are retired, the device forgets, the pages are given back (mm/pt/gather.hpp).
 *
 * FLUSH is one step: acknowledge.pml shows what makes it one. The table is never freed: that is reclaim.pml. The memory
 * model is sequentially consistent; B1 and B2 are left out by letting what they order change places.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, dirtied_after_free, mapping_lost;

#include "mm.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 2
#endif
#ifndef ENTRIES
#define ENTRIES 1
#endif

#define blank	0
#define valid	1
#define retired	2

byte cpu[ENTRIES];		/* the page that the CPU's entry maps */
byte next_page = ENTRIES + 1;
byte ended;

bool published; bool ready; bool locked;
byte seq;
byte state[ENTRIES]; byte leaf[ENTRIES];
byte tlb[ENTRIES];

#define LOCK	atomic { !locked -> locked = 1 }
#define UNLOCK	locked = 0

#define FILL(e)		d_step { tlb[e] == 0 && state[e] == valid -> tlb[e] = leaf[e] }
#define ACCESS(e)	d_step { tlb[e] != 0 ->						\
				CLAIM(device_reaches_freed_page, !freed[tlb[e]]);	\
				CLAIM(device_reaches_page_given_back, dma[tlb[e]] > 0) }

active proctype device()
{
end:	do
	:: FILL(0)
	:: ACCESS(0)
#if ENTRIES > 1
	:: FILL(1)
	:: ACCESS(1)
#endif
	od
}

/* The device forgets the part, and acknowledges. */
inline flush(first, last)
{
	d_step { i = first; do :: i < last -> tlb[i] = 0; i++ :: else -> break od; i = 0 }
}

/* The pages behind retired leaves are given back: the lock is held. What a device could write is marked dirty. */
inline finish(first, last)
{
	d_step {
		i = first;
		do
		:: i < last ->
			if :: state[i] == retired ->
				CLAIM(dirtied_after_free, !freed[leaf[i]]);
				dma[leaf[i]]--; state[i] = blank; leaf[i] = 0
			   :: else -> skip
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

inline retire(first, last)
{
	d_step {
		i = first;
		do
		:: i < last ->
			if :: state[i] == valid -> state[i] = retired; owed = true
#ifndef SECOND_DOES_NOT_FLUSH
			   :: state[i] == retired -> owed = true
#endif
			   :: else -> skip
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

/* The callback has returned: core mm takes its entries away and frees their pages. */
inline free_pages(first, last)
{
	d_step {
		i = first;
		do
		:: i < last ->
			if :: cpu[i] != 0 ->
				freed[cpu[i]] = 1;
				CLAIM(leaf_outlives_callback, state[i] != valid || leaf[i] != cpu[i]);
				cpu[i] = 0
			   :: else -> skip
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

proctype callback()
{
	byte q, i, first, last; bool owed, told, there;

	last = ENTRIES;
	if :: ENTRIES > 1 -> first = 1 :: ENTRIES > 1 -> last = 1 :: skip fi;
	BEGIN_INVALIDATION(q, told);
	if
	:: !told -> goto out
	:: else -> skip
	fi;
#ifdef NO_B1
	there = published; iseq = q;
#else
	iseq = q;		/* then B1 */
	there = published;
#endif
	if
	:: !there -> goto out
	:: else -> skip
	fi;
	LOCK;
#ifdef NO_SEQ_WHERE_EMPTY
	if :: state[first] != blank -> seq = q :: else -> skip fi;
#else
	seq = q;		/* and nothing else: a fresh table stays fresh */
#endif
#ifdef FLUSH_BEFORE_RETIRE
	flush(first, last);
#endif
	retire(first, last);
#ifdef FINISH_BEFORE_FLUSH
	finish(first, last);
#endif
	UNLOCK;
#if !defined(FLUSH_BEFORE_RETIRE) && !defined(NO_FLUSH)
	if :: owed -> flush(first, last) :: else -> skip fi;
#endif
	if
	:: owed ->
		LOCK;
#ifdef FINISH_BEYOND_PART
		finish(0, ENTRIES);
#elif !defined(NO_FINISH)
		finish(first, last);
#endif
		UNLOCK
	:: else -> skip
	fi;
out:
	free_pages(first, last);
	END_INVALIDATION;
	ended++
}

/*
 * Finds the table, or makes one. Unless it is ready, its sequence is raised to the interval's: binding.pml has what is looked
 * at besides, and tables of several intervals.
 */
inline table()
{
#ifdef NO_B2
	early = iseq;
#endif
	creator = false;
	if
#ifdef TABLE_BEFORE_NOTIFIER
	:: published -> skip
	:: else ->
		atomic { if :: !published -> published = 1; creator = true :: else -> skip fi }
		INSERT_NOTIFIER
#else
	:: published && ready -> skip
	:: else ->
		INSERT_NOTIFIER;
		atomic { if :: !published -> published = 1; creator = true :: else -> skip fi }
#endif
	fi;
#ifndef NO_B2
	early = 0;
#endif
#ifndef NO_RAISE
	if
#ifdef RAISE_BY_CREATOR_ALONE
	:: creator ->
#else
	:: !ready ->
#endif
		LOCK;		/* after B2 */
		d_step {
			if :: !early -> early = iseq :: else -> skip fi;
			if :: early > seq -> seq = early :: else -> skip fi;
			early = 0; ready = 1
		}
		UNLOCK
	:: else -> skip
	fi
#endif
}

/* hmm_range_fault: the page that was asked for is made present, its neighbour taken as it is; then mapped for DMA. */
inline ask(e)
{
	d_step {
		if :: cpu[e] == 0 && next_page <= PAGES -> cpu[e] = next_page; next_page++ :: else -> skip fi;
		i = 0; do :: i < ENTRIES -> page[i] = cpu[i]; i++ :: else -> break od; i = 0
	}
	d_step { i = 0; do :: i < ENTRIES -> dma[page[i]]++; i++ :: else -> break od; i = 0; dma[0] = 0 }
}

inline undo()
{
	d_step {
		i = 0;
		do :: i < ENTRIES -> if :: page[i] -> dma[page[i]]-- :: else -> skip fi; page[i] = 0; i++
		   :: else -> break
		od;
		i = 0
	}
}

inline write_leaves()
{
	d_step {
		i = 0;
		do
		:: i < ENTRIES ->
			if
			:: page[i] == 0 -> skip
			:: page[i] != 0 && state[i] == valid ->
				CLAIM(leaf_replaced, leaf[i] == page[i]); dma[page[i]]--
			:: page[i] != 0 && state[i] != valid ->
				CLAIM(leaf_replaced, state[i] == blank);
				CLAIM(leaf_leads_to_freed_page, !freed[page[i]]);
				leaf[i] = page[i]; state[i] = valid
			fi;
			page[i] = 0; i++
		:: else -> break
		od;
		i = 0
	}
}

proctype fault()
{
	byte q, i, e, page[ENTRIES], early; bool creator;

	if :: ENTRIES > 1 -> e = 1 :: skip fi;
again:
	table();
	q = seq;
#ifndef NO_WAIT
	READ_BEGIN(q);
#endif
	ask(e);
	LOCK;
	if
#ifdef NO_RECHECK
	:: false ->
#else
	:: seq != q ->
#endif
		UNLOCK; undo(); goto again
	:: else ->
		write_leaves();
		UNLOCK
	fi;
	ended++
}

init {
	byte i, page;

	atomic {
		d_step { i = 0; do :: i < ENTRIES -> cpu[i] = i + 1; i++ :: else -> break od }
#ifdef ON_DEMAND
		notifier = absent; iseq = 0;
#endif
		i = 0; do :: i < CALLBACKS -> run callback(); i++ :: else -> break od;
		i = 0; do :: i < FAULTS -> run fault(); i++ :: else -> break od
	}
	/* At the end a page has as many mappings as leaves lead to it. */
	d_step {
		ended == CALLBACKS + FAULTS ->
		page = 1;
		do
		:: page <= PAGES ->
			CLAIM(mapping_lost, dma[page] == (state[0] == valid && leaf[0] == page) +
			      (state[ENTRIES - 1] == valid && leaf[ENTRIES - 1] == page && ENTRIES > 1));
			page++
		:: else -> break
		od
	}
}
