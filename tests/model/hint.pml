/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Leaves with a hint (mm/pt/leaves.hpp): a group of neighbours that lead to one block says so in each leaf, and the device
 * may keep one translation for the whole group, made from whichever leaf it read. So a group that becomes uneven loses
 * its hints first, and a flush takes the whole group.
 *
 * A group of two. Pages 1 and 2 are one block, 3 and 4 come later and are none. What is done under the table's lock is one
 * step, but that the device may read between two stores.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, translation_leads_elsewhere, leaf_outlives_callback,
	leaf_leads_to_freed_page, leaf_replaced, dirtied_after_free, mapping_lost;

#define PAGES 4
#include "mm.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 1
#endif

#define blank	0
#define valid	1
#define retired	2

byte cpu[2]; bool refilled[2];
byte ended;
bool locked; byte seq = 1;
byte state[2]; byte leaf[2]; bool hint[2];

/* One translation for each page, or one for the group that is found under either. */
byte tlb[2]; bool tlb_group;

#define LOCK	atomic { !locked -> locked = 1 }
#define UNLOCK	locked = 0

/* By a hinted leaf the device takes the neighbour to be the block's next or previous page. */
#define FILL(e)									\
	d_step {								\
		tlb[e] == 0 && state[e] == valid ->				\
		tlb[e] = leaf[e];						\
		if :: hint[e] -> tlb_group = 1; tlb[1 - e] = leaf[e] + 1 - 2 * e :: else -> skip fi	\
	}
#define ACCESS(e)								\
	d_step {								\
		tlb[e] != 0 ->							\
		CLAIM(device_reaches_freed_page, !freed[tlb[e]]);		\
		CLAIM(device_reaches_page_given_back, dma[tlb[e]] > 0);		\
		CLAIM(translation_leads_elsewhere, state[e] != valid || tlb[e] == leaf[e])	\
	}

active proctype device()
{
end:	do
	:: FILL(0)
	:: FILL(1)
	:: ACCESS(0)
	:: ACCESS(1)
	od
}

/* A translation of a group is known by its first page: a flush that leaves that out leaves it alone. */
inline flush(first, last)
{
	d_step {
		if
		:: tlb_group && first == 0 -> tlb[0] = 0; tlb[1] = 0; tlb_group = 0
		:: !tlb_group ->
			if :: first == 0 -> tlb[0] = 0 :: else -> skip fi;
			if :: last == 2 -> tlb[1] = 0 :: else -> skip fi
		:: else -> skip
		fi
	}
}

inline finish(e)
{
	if
	:: state[e] == retired ->
		CLAIM(dirtied_after_free, !freed[leaf[e]]);
		dma[leaf[e]]--; state[e] = blank; leaf[e] = 0
	:: else -> skip
	fi
}

/* A store to each leaf, which the device may read before the next. */
inline drop_hints()
{
	hint[0] = 0;
	hint[1] = 0
}

inline retire(e)
{
	if :: state[e] == valid -> state[e] = retired; hint[e] = 0 :: else -> skip fi
}

inline free_page(e)
{
	if
	:: cpu[e] != 0 -> CLAIM(leaf_outlives_callback, state[e] != valid); freed[cpu[e]] = 1; cpu[e] = 0
	:: else -> skip
	fi
}

proctype callback()
{
	byte q, first, last = 2; bool told, owed;

	if :: first = 1 :: last = 1 :: skip fi;
	BEGIN_INVALIDATION(q, told);
	LOCK;
	seq = q;
#ifndef HINTS_STAY
	if :: last - first == 1 -> drop_hints() :: else -> skip fi;
#endif
	if :: first == 0 -> retire(0) :: else -> skip fi;
	if :: last == 2 -> retire(1) :: else -> skip fi;
	owed = state[0] == retired || state[1] == retired;
	UNLOCK;
	if
	:: owed ->
#ifdef FLUSH_NOT_WIDENED
		flush(first, last);
#else
		flush(0, 2);
#endif
		LOCK;
		d_step {
			if :: first == 0 -> finish(0) :: else -> skip fi;
			if :: last == 2 -> finish(1) :: else -> skip fi
		}
		UNLOCK
	:: else -> skip
	fi;
	d_step {
		if :: first == 0 -> free_page(0) :: else -> skip fi;
		if :: last == 2 -> free_page(1) :: else -> skip fi
	}
	END_INVALIDATION;
	ended++
}

inline map_one(e)
{
	if
	:: page[e] == 0 -> skip
	:: page[e] != 0 && state[e] == valid -> CLAIM(leaf_replaced, leaf[e] == page[e]); dma[page[e]]--
	:: page[e] != 0 && state[e] != valid ->
		CLAIM(leaf_replaced, state[e] == blank);
		CLAIM(leaf_leads_to_freed_page, !freed[page[e]]);
		leaf[e] = page[e]; state[e] = valid; hint[e] = whole
	fi;
	page[e] = 0
}

inline undo(e)
{
	if :: page[e] != 0 -> dma[page[e]]--; page[e] = 0 :: else -> skip fi
}

#if defined(HINT_FOR_UNEVEN_GROUP)
#define WHOLE	(page[0] != 0 && page[1] != 0 && state[0] == blank && state[1] == blank)
#elif defined(HINT_BESIDE_OTHERS)
#define WHOLE	(page[0] == 1 || page[1] == 2)
#else
#define WHOLE	(page[0] == 1 && page[1] == 2 && state[0] == blank && state[1] == blank)
#endif

/* A fault brings its page and, if it is there and asked for, its neighbour. */
proctype fault()
{
	byte q, e, page[2]; bool whole;

	if :: e = 1 :: skip fi;
again:
	q = seq;
	READ_BEGIN(q);
	atomic {
		if :: cpu[e] == 0 && !refilled[e] -> cpu[e] = 3 + e; refilled[e] = 1 :: else -> skip fi;
		page[e] = cpu[e];
		if :: page[1 - e] = cpu[1 - e] :: skip fi;
		if :: page[0] != 0 -> dma[page[0]]++ :: else -> skip fi;
		if :: page[1] != 0 -> dma[page[1]]++ :: else -> skip fi
	}
	LOCK;
	if
	:: seq != q -> UNLOCK; d_step { undo(0); undo(1) } goto again
	:: else ->
		whole = WHOLE;
		d_step { map_one(0) }
		d_step { map_one(1) }
		whole = 0;
		UNLOCK
	fi;
	ended++
}

init {
	byte i;

	atomic {
		cpu[0] = 1; cpu[1] = 2;
		i = 0; do :: i < CALLBACKS -> run callback(); i++ :: else -> break od;
		i = 0; do :: i < FAULTS -> run fault(); i++ :: else -> break od
	}
	d_step {
		ended == CALLBACKS + FAULTS ->
		i = 1;
		do
		:: i <= PAGES ->
			CLAIM(mapping_lost, dma[i] == (state[0] == valid && leaf[0] == i) + (state[1] == valid && leaf[1] == i));
			i++
		:: else -> break
		od
	}
}
