/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bindings change (mm/bind/rebind.hpp) while faults and callbacks are under way. Device pages lead to one of two mirror
 * bindings, which show the process at two offsets and have an interval each, to the null binding, to an object of the driver's
 * that moves, or nowhere. A table
 * has ENTRIES of them; its leaves may be of several bindings.
 *
 * Each step under a table's lock is one step here where it reads nothing that is written without that lock. FLUSH is one
 * step: acknowledge.pml. Nodes are not freed: reclaim.pml. The memory model is sequentially consistent; B2 and B3 are left out
 * by letting what they order change places, and so is B4.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, dirtied_after_free, mapping_lost, page_given_back_twice, old_binding_written, old_binding_reachable,
	table_of_one_holds_leaf_of_another, freed_interval_touched, mapping_forgotten, lent_page_given_back,
	device_reaches_displaced_memory;

#include "bound.pml"
#include "bound_fault.pml"

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

/* In a table that is of no interval alone: what the standing map gives to the binding. */
inline take_parts()
{
	parts_of(k, part);
	d_step {
		owed = 0;
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
	byte k, q, part, t, n, i, mine, owed, batch; bool told, mixed;

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

/* The object knows of the span before the map leads there. */
#define LINK_OBJECT	d_step { if :: to[0] == object -> hull = hull | ops[0] :: else -> skip fi; if :: ops[1] != 0 && to[1] == object -> hull = hull | ops[1] :: else -> skip fi };

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
		d_step { if :: replaces -> changing = ops[0] | ops[1]; EACH_PAGE(old[i] = map[i]) :: else -> skip fi }
#endif
#ifdef NO_B3
		d_step { i = 0; do :: i < TABLES -> found[i] = slot[i]; i++ :: else -> break od; i = 0 }
#endif
#ifndef LINKS_AFTER_THE_MAP
		LINK_OBJECT
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
#ifdef LINKS_AFTER_THE_MAP
			LINK_OBJECT
#endif
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

/* ---- the object moves ---- */

#ifdef NO_B4
#define FOUND_BY_OBJECT(t)	found[t]
#else
#define FOUND_BY_OBJECT(t)	slot[t]
#endif

inline displace_in_table()
{
	n = FOUND_BY_OBJECT(t);
	if
	:: n == none -> skip
	:: else ->
		mixed = false;
		atomic { !locked[n] -> if :: state[n] != dead -> locked[n] = 1; mixed = true :: else -> skip fi }
		if
		:: mixed ->
			parts_of(object, known);
			d_step { owed = 0; RETIRE(n, t, mine, owed); batch = batch | owed; mine = 0; owed = 0 }
			UNLOCK(n)
		:: else -> skip
		fi
	fi
}

inline forget_in_table()
{
	n = slot[t];
	if
	:: n == none -> skip
	:: else ->
		mixed = false;
		atomic { !locked[n] -> if :: state[n] != dead -> locked[n] = 1; mixed = true :: else -> skip fi }
		if
		:: mixed ->
#ifdef FORGETS_ALL
			mine = ENTRIES_OF(t);
#else
			parts_of(object, known);
#endif
			finish(n, t, mine);
			mine = 0;
			UNLOCK(n)
		:: else -> skip
		fi
	fi
}

proctype displacing(byte me)
{
	byte known, t, n, i, mine, owed, batch; bool mixed;
#ifdef NO_B4
	byte found[TABLES];

	d_step { i = 0; do :: i < TABLES -> found[i] = slot[i]; i++ :: else -> break od; i = 0 }
#endif
	place = 0;
	atomic { known = hull; ENTER(me) }	/* after B4 */
	t = 0;
	do
	:: t < TABLES -> if :: (known & ENTRIES_OF(t)) != 0 -> displace_in_table() :: else -> skip fi; t++
	:: else -> break
	od;
	if
	:: batch != 0 ->
#ifndef DISPLACES_WITHOUT_FLUSH
		FLUSH(batch);
#endif
		t = 0;
		do
		:: t < TABLES -> if :: (batch & ENTRIES_OF(t)) != 0 -> forget_in_table() :: else -> skip fi; t++
		:: else -> break
		od
	:: else -> skip
	fi;
	LEAVE(me);
	left[1] = 1;
	d_step { known = 0; t = 0; n = 0; batch = 0; mixed = false }
	place = 2;
	ended++
}

init {
	byte i, n, page;

	atomic {
		d_step {
			i = 0; do :: i < 2 * P -> cpu[i] = i + 1; i++ :: else -> break od;
			i = 0; do :: i < TABLES -> slot[i] = none; link[i] = none; i++ :: else -> break od;
			i = 0; do :: i < NODES -> interval[i] = no_interval; i++ :: else -> break od;
			EACH_PAGE(map[i] = (HAS(OF_B, i) -> 1 : (HAS(OF_NULL, i) -> null_pages : (HAS(OF_OBJECT, i) -> object : 0))));
			if :: OF_B == 0 -> notifiers[1] = absent; iseqs[1] = 0 :: else -> skip fi;
			nodes = (MAPPED -> TABLES : 0);
			EACH_PAGE(
				IF(HAS(MAPPED, i),
				   page = (map[i] == null_pages -> zero_page : (map[i] == object -> LENT(1) : 1 + map[i] * P + i));
				   n = TABLE(i);
				   slot[n] = n; link[n] = n; state[n] = ready; seq[n] = 1; LEAF(n, i) = page;
				   IF(page < zero_page, dma[page]++)));
			EACH_PAGE(
				IF(HAS(MAPPED, i) && (OF_B & ENTRIES_OF(TABLE(i))) == 0 && ((OF_NULL | OF_OBJECT) & ENTRIES_OF(TABLE(i))) == 0,
				   interval[TABLE(i)] = 0);
				IF(HAS(MAPPED, i) && (OF_B & ENTRIES_OF(TABLE(i))) == ENTRIES_OF(TABLE(i)), interval[TABLE(i)] = 1));
			page = 0; n = 0
		}
		i = 0; do :: i < CALLBACKS -> run callback(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS -> run fault(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS + EVICTORS -> run evictor(i); i++ :: else -> break od;
		if :: REBINDS > 0 -> run rebinding(i); i++ :: else -> skip fi;
		if :: DISPLACES > 0 -> run displacing(i) :: else -> skip fi;
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
