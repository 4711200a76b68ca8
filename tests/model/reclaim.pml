/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables leave while faults and callbacks are on their way into them (mm/reclaim.cpp, mm/pt/walk.hpp). The shrinker
 * takes an idle one: unlink and unpublish under the lock, flush, free after a grace period. An eviction takes one in use:
 * retire, unlink and mark it leaving under the lock, flush, give the pages back and unpublish, free after a grace period.
 * A table is two things here, as in mm/pt/table.hpp: the node that the CPU's side walks to, and the memory with the
 * leaves that the device walks to.
 *
 * Nodes and memory are used once, so that a touch after the free is seen. A fault that gets none fails.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, freed_table_touched, freed_memory_touched, device_walks_freed_memory, table_freed_twice,
	table_in_use_freed, table_leaked, memory_leaked, mapping_lost;

#define PAGES 3
#include "mm.pml"
#include "readers.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 1
#endif
#ifndef SHRINKERS
#define SHRINKERS 1
#endif
#ifndef EVICTORS
#define EVICTORS 0
#endif
#define ALL	(FAULTS + CALLBACKS + SHRINKERS + EVICTORS)
#define MEMS	3
#define NONE	15

byte cpu = 1;			/* the page that the CPU's entry maps */
byte next_page = 2;
byte ended;

/* The slot in the directory, and what the device reads there: the memory of the table. */
byte slot = NONE;
byte link = NONE;

/* Nodes; fresh is 0, and leaving is 3: mm.pml has that word for a notifier too. */
#define fresh	0
#define ready	1
#define dead	2
byte nodes;			/* used so far */
byte state[NODES]; byte seq[NODES]; byte mem[NODES];
bool locked[NODES];

/* Memory: one leaf each. */
#define blank	0
#define valid	1
#define retired	2
byte mems;			/* used so far */
bool mem_gone[MEMS];
byte leaf[MEMS]; byte leads_to[MEMS];

/* The device: its cached pointer to memory, its TLB. */
byte cached = NONE; byte tlb;

#define LOCK(n)		atomic { !locked[n] -> CLAIM(freed_table_touched, !gone[n]); locked[n] = 1 }
#define UNLOCK(n)	d_step { CLAIM(freed_table_touched, !gone[n]); locked[n] = 0 }
#define FLUSH		d_step { tlb = 0; cached = NONE }
#define TOUCH(m)	CLAIM(freed_memory_touched, !mem_gone[m])

active proctype device()
{
end:	do
	:: d_step { cached == NONE && link != NONE -> cached = link }
	:: d_step { cached != NONE && tlb == 0 ->
		    CLAIM(device_walks_freed_memory, !mem_gone[cached]);
		    if :: leaf[cached] == valid -> tlb = leads_to[cached] :: else -> skip fi }
	:: d_step { tlb != 0 ->
		    CLAIM(device_reaches_freed_page, !freed[tlb]);
		    CLAIM(device_reaches_page_given_back, dma[tlb] > 0) }
	od
}

inline free_node(n)
{
	CLAIM(table_freed_twice, !gone[n]);
	CLAIM(table_in_use_freed, mem[n] == NONE || leaf[mem[n]] == blank);
	gone[n] = 1;
	if :: mem[n] != NONE -> mem_gone[mem[n]] = 1 :: else -> skip fi
}

/* The port calls back for a deferred node once its grace period is over. */
#define FREE(n)		d_step { deferred[n] && waits_for[n] == 0 -> deferred[n] = 0; free_node(n) }

active proctype freeing()
{
end:	do
	:: FREE(0)
	:: FREE(1)
	od
}

/* After the flush: gives the page of a retired leaf back. */
inline finish(n)
{
	d_step {
		if
		:: mem[n] != NONE && leaf[mem[n]] == retired ->
			TOUCH(mem[n]);
			dma[leads_to[mem[n]]]--; leads_to[mem[n]] = 0; leaf[mem[n]] = blank
		:: else -> skip
		fi
	}
}

proctype callback(byte me)
{
	byte q, n; bool told, owed;

	BEGIN_INVALIDATION(q, told);
	ENTER(me);
	iseq = q;		/* then B1 */
	n = slot;
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	if
	:: state[n] == dead -> UNLOCK(n); goto out
#ifdef CALLBACK_SKIPS_LEAVING
	:: state[n] == leaving -> UNLOCK(n); goto out
#endif
	:: else -> skip
	fi;
	d_step {
		seq[n] = q;
		if :: mem[n] != NONE && leaf[mem[n]] != blank -> leaf[mem[n]] = retired; owed = true :: else -> skip fi
	}
	UNLOCK(n);
	if
	:: !owed -> goto out
	:: else -> FLUSH
	fi;
	n = slot;		/* walks again to give the pages back */
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	finish(n);
	UNLOCK(n);
out:
	LEAVE(me);
	d_step {
		if
		:: cpu != 0 ->
			CLAIM(leaf_outlives_callback, link == NONE || leaf[link] != valid || leads_to[link] != cpu);
			freed[cpu] = 1; cpu = 0
		:: else -> skip
		fi
	}
	END_INVALIDATION;
	ended++
}

inline free_fresh(m)
{
	if :: m != NONE -> mem_gone[m] = 1; m = NONE :: else -> skip fi
}

proctype fault(byte me)
{
	byte q, n, m = NONE, page;

	ENTER(me);
again:
	n = slot;
	if
	:: n == NONE ->
		atomic { if :: slot == NONE && nodes < NODES -> n = nodes; nodes++; mem[n] = NONE; slot = n
			    :: slot != NONE -> n = slot :: else -> skip fi }
	:: else -> skip
	fi;
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	if
	:: state[n] == fresh ->
		LOCK(n);
		d_step {
			if :: iseq > seq[n] -> seq[n] = iseq :: else -> skip fi;
			if :: state[n] == fresh -> state[n] = ready :: else -> skip fi
		}
		UNLOCK(n)
	:: else -> skip
	fi;
	/* What is present already is read without the lock. */
	atomic { CLAIM(freed_table_touched, !gone[n]); m = mem[n] }
	atomic { if :: m != NONE -> TOUCH(m) :: else -> skip fi; m = NONE; q = seq[n] }
	READ_BEGIN(q);
	d_step { if :: cpu == 0 && next_page <= PAGES -> cpu = next_page; next_page++ :: else -> skip fi; page = cpu }
	if
	:: page == 0 -> goto out
	:: else -> dma[page]++
	fi;
	atomic { if :: mem[n] == NONE && mems < MEMS -> m = mems; mems++ :: else -> skip fi }
	LOCK(n);
#ifndef NO_DEAD_CHECK
	if
#ifdef FAULT_GOES_ON_IN_LEAVING
	:: state[n] == dead ->
#else
	:: state[n] != ready ->
#endif
		UNLOCK(n);
#ifdef DEAD_LEAKS
		m = NONE;
#endif
		d_step { free_fresh(m); dma[page]--; page = 0 }
		goto again
	:: else -> skip
	fi;
#endif
	if
#ifdef LOSER_REPLACES
	:: m != NONE ->
#else
	:: m != NONE && mem[n] == NONE ->
#endif
		mem[n] = m; m = NONE
	:: else -> skip
	fi;
	if
	:: seq[n] != q ->
		UNLOCK(n);
		d_step { free_fresh(m); dma[page]--; page = 0 }
		goto again
	:: seq[n] == q && mem[n] == NONE ->
		UNLOCK(n); dma[page]--	/* memory ran out */
	:: else ->
		d_step {
			TOUCH(mem[n]);
			if
			:: leaf[mem[n]] == valid -> CLAIM(leaf_replaced, leads_to[mem[n]] == page); dma[page]--
			:: else ->
				CLAIM(leaf_replaced, leaf[mem[n]] == blank);
				CLAIM(leaf_leads_to_freed_page, !freed[page]);
				leads_to[mem[n]] = page; leaf[mem[n]] = valid
			fi
		}
		link = mem[n];
		UNLOCK(n)
	fi;
#ifndef LOSER_LEAKS
	d_step { free_fresh(m) }
#endif
out:
	LEAVE(me);
	ended++
}

proctype shrinker(byte me)
{
	byte n;

	ENTER(me);
	n = slot;
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	if
#ifndef REAPS_DEAD
	:: state[n] == dead || state[n] == leaving -> UNLOCK(n); goto out
#endif
#ifdef REAPS_RETIRED
	:: mem[n] != NONE && leaf[mem[n]] == valid -> UNLOCK(n); goto out
#elif !defined(REAPS_IN_USE)
	:: mem[n] != NONE && leaf[mem[n]] != blank -> UNLOCK(n); goto out
#endif
	:: else -> skip
	fi;
#ifndef NO_UNLINK
	link = NONE;
#endif
	state[n] = dead;
	slot = NONE;
	UNLOCK(n);
#ifndef NO_FLUSH_BEFORE_FREE
	FLUSH;
#endif
#ifdef NO_GRACE
	d_step { free_node(n) }
#elif !defined(NEVER_FREED)
	DEFER(n);
#endif
out:
	LEAVE(me);
	ended++
}

proctype evictor(byte me)
{
	byte n;

	ENTER(me);
	n = slot;
	if
	:: n == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(n);
	if
#ifdef EVICTS_DEAD
	:: state[n] == fresh -> UNLOCK(n); goto out
#else
	:: state[n] == dead || state[n] == leaving -> UNLOCK(n); goto out
#endif
	:: else -> skip
	fi;
#ifndef EVICTION_LEAVES_LEAF
	d_step { if :: mem[n] != NONE && leaf[mem[n]] == valid -> leaf[mem[n]] = retired :: else -> skip fi }
#endif
#ifndef EVICTION_LEAVES_LINK
	link = NONE;
#endif
#ifdef UNPUBLISHED_BEFORE_FLUSH
	slot = NONE;
#endif
	state[n] = leaving;
#ifdef PAGES_BACK_BEFORE_FLUSH
	finish(n);
#endif
	UNLOCK(n);
#ifndef NO_FLUSH_IN_EVICTION
	FLUSH;
#endif
	LOCK(n);
	finish(n);
	state[n] = dead;
#ifndef UNPUBLISHED_BEFORE_FLUSH
	slot = NONE;
#endif
	UNLOCK(n);
#ifdef EVICTION_WITHOUT_GRACE
	d_step { free_node(n) }
#else
	DEFER(n);
#endif
out:
	LEAVE(me);
	ended++
}

init {
	byte i, p;

	atomic {
		i = 0; do :: i < NODES -> mem[i] = NONE; i++ :: else -> break od;
		i = 0; do :: i < CALLBACKS -> run callback(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS -> run fault(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS + SHRINKERS -> run shrinker(i); i++ :: else -> break od;
		do :: i < ALL -> run evictor(i); i++ :: else -> break od
	}
	/* At the end: what is not in the tree is freed, and a page has as many mappings as leaves lead to it. */
	d_step {
		ended == ALL && !deferred[0] && !deferred[NODES - 1] ->
		i = 0;
		do
		:: i < nodes -> CLAIM(table_leaked, gone[i] || slot == i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < mems -> CLAIM(memory_leaked, mem_gone[i] || (slot != NONE && mem[slot] == i)); i++
		:: else -> break
		od;
		p = 1;
		do
		:: p <= PAGES ->
			CLAIM(mapping_lost, dma[p] == (slot != NONE && mem[slot] != NONE && leaf[mem[slot]] == valid &&
			      leads_to[mem[slot]] == p));
			p++
		:: else -> break
		od
	}
}
