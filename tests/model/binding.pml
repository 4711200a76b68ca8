/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bindings change (mm/bind/rebind.hpp) while faults and callbacks are under way. Device pages lead to one of two mirror
 * bindings, which show the process at two offsets and have an interval each, to the null binding, or nowhere. A table
 * has ENTRIES of them; its leaves may be of several bindings.
 *
 * Each step under a table's lock is one step here where it reads nothing that is written without that lock. FLUSH is one
 * step: acknowledge.pml. Nodes are not freed: reclaim.pml. The memory model is sequentially consistent; B2 and B3 are left out
 * by letting what they order change places.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, dirtied_after_free, mapping_lost, page_given_back_twice, old_binding_written, old_binding_reachable,
	table_of_one_holds_leaf_of_another, freed_interval_touched;

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

/* ---- the callback ---- */

/* The callback has returned: core mm takes its entries away and frees their pages. */
inline free_pages()
{
	d_step {
		EACH_PAGE(
			IF(HAS(part, i) && cpu[k * P + i] != 0,
			   freed[cpu[k * P + i]] = 1;
			   CLAIM(leaf_outlives_callback, slot[TABLE(i)] == none || LEAF(slot[TABLE(i)], i) != cpu[k * P + i]);
			   cpu[k * P + i] = 0))
	}
}

/* In a table that is of no interval alone: what the map gives to the binding, and what is being changed. */
inline take_parts()
{
	mine = 0;
#ifdef CHANGING_BEFORE_MAP
	mine = changing;
#endif
	j = 0;
	do
	:: j < ENTRIES -> IF(map[t * ENTRIES + j] == k, mine = mine | (1 << (t * ENTRIES + j))); j++
	:: else -> break
	od;
	j = 0;
	d_step {
#if !defined(CHANGING_BEFORE_MAP) && !defined(CALLBACK_DOES_NOT_ASK)
		mine = mine | changing;
#endif
		mine = mine & part; owed = 0;
		RETIRE(n, t, mine, owed);
		mine = 0
	}
#ifdef MIXED_IN_THE_BATCH
	batch = batch | owed;
#else
	FLUSH(owed);
	finish(n, t, owed);
#endif
	owed = 0
}

/* Another interval's own table is passed over. */
inline invalidate_table()
{
	n = slot[t]; mixed = false;
	if
	:: n == none -> skip
	:: else ->
		atomic {
			!locked[n] ->
			if
			:: state[n] != dead && interval[n] == k -> seq[n] = q; d_step { RETIRE(n, t, part, batch) }
			:: state[n] != dead && interval[n] == no_interval -> seq[n] = q; locked[n] = 1; mixed = true
			:: else -> skip
			fi
		}
		if
		:: mixed -> take_parts(); UNLOCK(n)
		:: else -> skip
		fi
	fi
}

/* A gather is a span: the hull of what was retired. */
inline finish_batch()
{
	widen(batch);
	FLUSH(batch);
	t = 0;
	do
	:: t < TABLES ->
		n = slot[t];
		if
		:: n == none || (batch & ENTRIES_OF(t)) == 0 -> skip
		:: else ->
			atomic {
				!locked[n] ->
#ifdef FINISHES_IN_ANY_TABLE
				finish(n, t, batch)
#else
				if :: interval[n] == k -> finish(n, t, batch) :: else -> skip fi
#endif
			}
		fi;
		t++
	:: else -> break
	od;
	t = 0
}

proctype callback(byte me)
{
	byte k, q, part, t, n, i, j, mine, owed, batch; bool told, mixed;

	atomic {
		if :: k = 0 :: k = 1 fi;
		if :: part = 1 :: P > 1 -> part = 2 :: P > 1 -> part = (1 << P) - 1 fi
	}
	BEGIN_INVALIDATION_OF(k, q, told);
	if
	:: told ->
		ENTER(me);
		d_step { CLAIM(freed_interval_touched, !interval_ended[k]); iseqs[k] = q }
		t = 0;		/* after B1 */
		do
		:: t < TABLES -> if :: (part & ENTRIES_OF(t)) != 0 -> invalidate_table() :: else -> skip fi; t++
		:: else -> break
		od;
		t = 0;
		if :: batch != 0 -> finish_batch() :: else -> skip fi;
		d_step { n = 0; batch = 0; mixed = false; CLAIM(freed_interval_touched, !interval_ended[k]) }
		LEAVE(me)
	:: else -> skip
	fi;
	free_pages();
	END_INVALIDATION;
	d_step { k = 0; q = 0; part = 0; told = false; ended++ }
}

/* ---- the fault ---- */

/* The part of the page's table that leads where the page does: with two entries it is one run. */
#define BOUND_PART								\
	span = 0; EACH_PAGE(IF(TABLE(i) == TABLE(e) && map[i] == map[e], span = span | (1 << i)))

inline publish()
{
	atomic {
		if
		:: slot[TABLE(e)] == none && nodes < NODES ->
			n = nodes; nodes++;
			interval[n] = no_interval; slot[TABLE(e)] = n
		:: slot[TABLE(e)] != none -> n = slot[TABLE(e)]
		:: else -> goto out
		fi
	}
}

#define ALONE_IF_WHOLE								\
	d_step {								\
		alone = (k < null_pages && span == ENTRIES_OF(TABLE(e)));	\
		if :: alone ->							\
			interval[n] = k;					\
			EACH_PAGE(IF(TABLE(i) == TABLE(e) && LEAF(n, i) != 0,	\
				     CLAIM(table_of_one_holds_leaf_of_another, BINDING(LEAF(n, i)) == k)))	\
		   :: else -> skip						\
		fi								\
	}

/* What the page leads to: the map is read first, `changing` after it. */
inline look()
{
	atomic {
		LOCK(n);
		if :: state[n] == dead || state[n] == going -> UNLOCK(n); goto again :: else -> skip fi
	}
#ifndef NO_B2
	d_step { now = map[e]; BOUND_PART }
#endif
	if :: now != k -> UNLOCK(n); goto again :: else -> skip fi;
#ifdef ALONE_TOO_EARLY
	ALONE_IF_WHOLE;
#endif
#ifndef NO_B2
	early = changing;
#endif
	if
#ifdef LOOK_DOES_NOT_ASK
	:: false -> skip
#else
	:: (early & ENTRIES_OF(TABLE(e))) != 0 -> UNLOCK(n); LEAVE(me); goto wait_for_bind
#endif
	:: else -> skip
	fi;
	atomic {
		if
		:: k < null_pages ->
			CLAIM(freed_interval_touched, !interval_ended[k]);
#ifndef NO_RAISE
			if
#ifdef RAISES_FRESH_ALONE
			:: iseqs[k] > seq[n] && state[n] == fresh -> seq[n] = iseqs[k]
#elif defined(LOWERS)
			:: iseqs[k] != seq[n] -> seq[n] = iseqs[k]
#else
			:: iseqs[k] > seq[n] -> seq[n] = iseqs[k]
#endif
			:: else -> skip
			fi;
#endif
			ALONE_IF_WHOLE
		:: else -> skip
		fi;
		state[n] = ready; now = 0; early = 0;
		UNLOCK(n)
	}
}

/* hmm_range_fault: the page that was asked for is made present, its neighbours are taken as they are; then mapped for DMA. */
inline ask()
{
	d_step {
		CLAIM(freed_interval_touched, !interval_ended[k]);
		if
		:: cpu[k * P + e] == 0 && !refilled[k * P + e] -> cpu[k * P + e] = 1 + (2 + k) * P + e; refilled[k * P + e] = 1
		:: else -> skip
		fi;
		EACH_PAGE(IF(HAS(span, i), page[i % ENTRIES] = cpu[k * P + i]))
	}
	d_step { EACH_PAGE(IF(HAS(span, i) && page[i % ENTRIES] != 0, dma[page[i % ENTRIES]]++)) }
}

inline undo()
{
	d_step {
		EACH_PAGE(
			IF(HAS(span, i),
			   IF(k != null_pages && page[i % ENTRIES] != 0, dma[page[i % ENTRIES]]--);
			   page[i % ENTRIES] = 0))
	}
}

inline write_leaves()
{
	d_step {
		EACH_PAGE(
			IF(HAS(span, i) && page[i % ENTRIES] != 0,
			   CLAIM(old_binding_written, map[i] == k || HAS(moving, i));
			   if
			   :: VALID(LEAF(n, i)) ->
				CLAIM(leaf_replaced, LEAF(n, i) == page[i % ENTRIES]);
				IF(k != null_pages, dma[page[i % ENTRIES]]--)
			   :: else ->
				CLAIM(leaf_replaced, LEAF(n, i) == 0);
				CLAIM(leaf_leads_to_freed_page, k == null_pages || !freed[page[i % ENTRIES]]);
				LEAF(n, i) = page[i % ENTRIES]
			   fi;
			   page[i % ENTRIES] = 0));
		link[TABLE(e)] = n
	}
}

/* Under the lock: is the part still bound so? */
inline holds()
{
	d_step {
		good = (interval[n] == (alone -> k : no_interval));
#ifndef WRITES_WITHOUT_MAP
		EACH_PAGE(IF(!alone && HAS(span, i) && map[i] != k, good = false))
#endif
	}
}

proctype fault(byte me)
{
	byte e, k, n, q, now, early, span, i, page[ENTRIES]; bool alone, good;

	atomic { if :: e = 0 :: P > 1 -> e = 1 fi; ENTER(me) }
again:	skip;
	d_step {
		alone = false; good = false; q = 0; span = 0; now = 0; early = 0;
		n = slot[TABLE(e)]
	}
	if
	:: n == none -> k = no_interval
	:: else -> k = interval[n]
	fi;
	if
	:: k != no_interval ->
		d_step { alone = true; span = ENTRIES_OF(TABLE(e)); CLAIM(freed_interval_touched, !interval_ended[k]) }
	:: else ->
		d_step {
			k = map[e];
#ifdef NO_B2
			now = k; BOUND_PART; early = changing
#endif
		}
		if
		:: k == hole -> goto out
		:: k < null_pages ->
			CLAIM(freed_interval_touched, !interval_ended[k]);
			INSERT_NOTIFIER_OF(k)
		:: else -> skip
		fi;
		publish();
		look()		/* after B2 */
	fi;
	if
	:: k == null_pages -> d_step { EACH_PAGE(IF(HAS(span, i), page[i % ENTRIES] = zero_page)) }
	:: else ->
		q = seq[n];
		READ_BEGIN(q);
		ask()
	fi;
	atomic {
		!locked[n] ->
		holds();
		if
		:: state[n] != ready || (k != null_pages && seq[n] != q) || !good -> undo(); goto again
		:: else -> write_leaves()
		fi
	}
	goto out;
wait_for_bind:
	!bind_locked;
	ENTER(me);
	goto again;
out:
	LEAVE(me);
	d_step { e = 0; k = 0; n = 0; q = 0; span = 0; alone = false; good = false; ended++ }
}

/* ---- what takes tables out ---- */

/* Under its lock: unlinked; unpublished as well where it is idle, else retired. */
inline take()
{
	atomic {
		!locked[n] ->
		d_step {
			taken = false; owed = 0;
			if
			:: state[n] == ready ->
				RETIRE(n, t, ENTRIES_OF(t), owed);
				link[t] = none;
				if
				:: owed == 0 -> slot[t] = none; state[n] = dead
				:: else -> state[n] = going; taken = true
				fi
			:: else -> skip
			fi;
			owed = 0
		}
	}
}

inline see_out(node)
{
	atomic {
		!locked[node] ->
		finish(node, t, ENTRIES_OF(t));
		state[node] = dead; slot[t] = none
	}
}

proctype evictor(byte me)
{
	byte t, n, i, owed; bool taken;

	ENTER(me);
	n = slot[t];
	if
	:: n == none -> skip
	:: else ->
		take();
		if :: taken -> FLUSH(ENTRIES_OF(t)); see_out(n) :: else -> skip fi
	fi;
	LEAVE(me);
	ended++
}

/* ---- the rebind ---- */

/* One operation's part of a table. */
inline empty_table()
{
	taken = false;
	if
	:: (op & ENTRIES_OF(t)) == ENTRIES_OF(t) -> take()
	:: else -> skip
	fi;
	if
	:: taken -> departing[t] = n
	:: else ->
		atomic {
			LOCK(n);
			if :: state[n] == dead -> UNLOCK(n); goto next :: else -> skip fi;
#ifndef STAYS_ALONE
			interval[n] = no_interval;
#endif
			d_step {
				owed = 0;
				RETIRE(n, t, op, owed);
#ifdef FINISHES_WHERE_ITS_PART_OWES
				IF(owed != 0, RETIRED_IN(n, t, owed))
#elif !defined(FINISHES_ITS_PART_ALONE)
				RETIRED_IN(n, t, owed)
#endif
			}
		}
#ifdef FINISH_BEFORE_FLUSH
		finish(n, t, owed);
#endif
#ifndef NO_FLUSH
		FLUSH(owed);
#endif
		finish(n, t, owed);
		UNLOCK(n);
next:		skip
	fi
}

inline see_all_out()
{
	t = 0;
	do
	:: t < TABLES ->
		if
		:: departing[t] != none ->
			FLUSH(ENTRIES_OF(t));
			see_out(departing[t]);
			departing[t] = none
		:: else -> skip
		fi;
		t++
	:: else -> break
	od;
	t = 0
}

#ifdef NO_B3
#define FOUND(t)	found[t]
#else
#define FOUND(t)	slot[t]
#endif

inline empty_tables()
{
	ENTER(me);
	o = 0;
	do
	:: o < 2 ->
		op = ops[o]; t = 0;
		do
		:: t < TABLES ->
			n = FOUND(t);
			if
			:: (op & ENTRIES_OF(t)) != 0 && n != none -> empty_table()
			:: else -> skip
			fi;
			t++
		:: else -> break
		od;
		o++
	:: else -> break
	od;
	see_all_out();
	d_step { o = 0; op = 0; n = 0; t = 0; owed = 0; taken = false }
	LEAVE(me)
}

#ifdef TO
#define LEADS(where)	where = TO
#else
#define LEADS(where)	if :: where = 0 :: where = 1 :: where = null_pages :: where = hole fi
#endif

/* Where the operations lead. An operation covers one page, or both of the first two. */
inline choose()
{
	if
	:: ops[0] = 1; LEADS(to[0])
	:: P > 1 -> ops[0] = 2; LEADS(to[0])
	:: P > 1 -> ops[0] = 3; LEADS(to[0])
#ifdef TWO_OPERATIONS
	:: P > 1 -> ops[0] = 1; LEADS(to[0]); ops[1] = 2; LEADS(to[1])
#endif
	fi
}

#define OPERATION(o)								\
	EACH_PAGE(IF(HAS(ops[o], i), IF(map[i] != hole && map[i] != to[o], replaces = true)))

/* Ends the interval if no page leads to its binding. */
inline end_interval(k)
{
	d_step { good = (notifiers[k] != absent); EACH_PAGE(IF(map[i] == k, good = false)) }
	if
	:: good -> REMOVE_NOTIFIER_OF(k, was); interval_ended[k] = 1
	:: else -> skip
	fi
}

proctype rebinding(byte me)
{
	byte ops[2], to[2], o, op, t, n, i, owed, was, turn; bool taken, replaces, good; byte departing[TABLES];
#ifdef NO_B3
	byte found[TABLES];
#endif

	d_step { i = 0; do :: i < TABLES -> departing[i] = none; i++ :: else -> break od; i = 0 }
	do
	:: turn < REBINDS ->
		atomic { choose() }
		bind_locked = 1;
		d_step { replaces = false; OPERATION(0); OPERATION(1) }
#ifndef NO_CHANGING
		if :: replaces -> changing = ops[0] | ops[1] :: else -> skip fi;
#endif
#ifdef NO_B3
		d_step { i = 0; do :: i < TABLES -> found[i] = slot[i]; i++ :: else -> break od; i = 0 }
#endif
		d_step {
			if :: replaces -> moving = ops[0] | ops[1] :: else -> skip fi;
			EACH_PAGE(IF(HAS(ops[0], i), map[i] = to[0]));
			EACH_PAGE(IF(HAS(ops[1], i), map[i] = to[1]));
			EACH_PAGE(IF(map[i] < null_pages, interval_ended[map[i]] = 0))	/* made anew where it had ended */
		}
		if
		:: replaces ->
			empty_tables();		/* after B3 */
			d_step { changing = 0; moving = 0 }
#ifndef NO_SYNCHRONIZE
			SYNCHRONIZE(was);
#endif
			end_interval(0);
			end_interval(1)
		:: else -> skip
		fi;
		d_step {
			/* Nothing leads any more to what these pages led to. */
			EACH_PAGE(
				IF(link[TABLE(i)] != none && VALID(LEAF(link[TABLE(i)], i)),
				   CLAIM(old_binding_reachable, BINDING(LEAF(link[TABLE(i)], i)) == map[i]));
				IF(tlb[i] != 0, CLAIM(old_binding_reachable, BINDING(tlb[i]) == map[i])));
			bind_locked = 0; replaces = false; was = 0; ops[0] = 0; ops[1] = 0; to[0] = 0; to[1] = 0;
			turn++
		}
	:: else -> break
	od;
	ended++
}

init {
	byte i, n, page;

	atomic {
		d_step {
			i = 0; do :: i < 2 * P -> cpu[i] = i + 1; i++ :: else -> break od;
			i = 0; do :: i < TABLES -> slot[i] = none; link[i] = none; i++ :: else -> break od;
			i = 0; do :: i < NODES -> interval[i] = no_interval; i++ :: else -> break od;
			EACH_PAGE(map[i] = (HAS(OF_B, i) -> 1 : (HAS(OF_NULL, i) -> null_pages : 0)));
			if :: OF_B == 0 -> notifiers[1] = absent; iseqs[1] = 0 :: else -> skip fi;
			nodes = (MAPPED -> TABLES : 0);
			EACH_PAGE(
				IF(HAS(MAPPED, i),
				   page = (map[i] == null_pages -> zero_page : 1 + map[i] * P + i);
				   n = TABLE(i);
				   slot[n] = n; link[n] = n; state[n] = ready; seq[n] = 1; LEAF(n, i) = page;
				   IF(page != zero_page, dma[page]++)));
			EACH_PAGE(
				IF(HAS(MAPPED, i) && (OF_B & ENTRIES_OF(TABLE(i))) == 0 && (OF_NULL & ENTRIES_OF(TABLE(i))) == 0,
				   interval[TABLE(i)] = 0);
				IF(HAS(MAPPED, i) && (OF_B & ENTRIES_OF(TABLE(i))) == ENTRIES_OF(TABLE(i)), interval[TABLE(i)] = 1));
			page = 0; n = 0
		}
		i = 0; do :: i < CALLBACKS -> run callback(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS -> run fault(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS + EVICTORS -> run evictor(i); i++ :: else -> break od;
		if :: REBINDS > 0 -> run rebinding(i) :: else -> skip fi;
		i = 0
	}
	/* At the end a page has as many mappings as leaves lead to it, and no leaf waits to be given back. */
	d_step {
		ended == ALL ->
		page = 1;
		do
		:: page <= PAGES ->
			n = 0;
			i = 0; do :: i < NODES * ENTRIES -> n = n + (leaf[i] == page); i++ :: else -> break od;
			CLAIM(mapping_lost, dma[page] == n);
			page++
		:: else -> break
		od
	}
}
