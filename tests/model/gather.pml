/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One gather over several tables (mm/pt/gather.hpp): tables are locked one after the other, the flush is one for all, and
 * what is finished after it is the hull of what was retired. In the hull may lie a table in which this gather retired
 * nothing and another one did, after our flush: that must not be finished by us. The sequence keeps it from coming up.
 *
 * Three tables of one page; the first and the last are mapped, the one between is filled and emptied by others. What is
 * done under a table's lock is one step.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, leaf_leads_to_freed_page,
	leaf_replaced, dirtied_after_free, mapping_lost;

#define PAGES 5
#include "mm.pml"

#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef CALLBACKS
#define CALLBACKS 2		/* over the table between; another goes over all three */
#endif
#define ALL	(FAULTS + CALLBACKS + 1)
#define TABLES	3
#define BETWEEN	1

#define blank	0
#define valid	1
#define retired	2

byte cpu[TABLES]; byte next_page = 4;
byte seq[TABLES] = 1; byte state[TABLES]; byte leaf[TABLES]; byte tlb[TABLES];
byte ended;

#define FILL(t)		d_step { tlb[t] == 0 && state[t] == valid -> tlb[t] = leaf[t] }
#define ACCESS(t)	d_step { tlb[t] != 0 ->						\
				CLAIM(device_reaches_freed_page, !freed[tlb[t]]);	\
				CLAIM(device_reaches_page_given_back, dma[tlb[t]] > 0) }

active proctype device()
{
end:	do
	:: FILL(0)
	:: FILL(1)
	:: FILL(2)
	:: ACCESS(0)
	:: ACCESS(1)
	:: ACCESS(2)
	od
}

inline retire(t)
{
	d_step {
#ifdef NO_SEQ_WHERE_EMPTY
		if :: state[t] != blank -> seq[t] = q :: else -> skip fi;
#else
		seq[t] = q;
#endif
		if
		:: state[t] != blank ->
			state[t] = retired;
			if :: from > t -> from = t :: else -> skip fi;
			to = t + 1
		:: else -> skip
		fi
	}
}

inline finish(t)
{
	d_step {
		if
		:: state[t] == retired ->
			CLAIM(dirtied_after_free, !freed[leaf[t]]);
			dma[leaf[t]]--; state[t] = blank; leaf[t] = 0
		:: else -> skip
		fi
	}
}

inline free_pages(first, last)
{
	d_step {
		t = first;
		do
		:: t < last ->
			CLAIM(leaf_outlives_callback, state[t] != valid);
			if :: cpu[t] != 0 -> freed[cpu[t]] = 1; cpu[t] = 0 :: else -> skip fi;
			t++
		:: else -> break
		od;
		t = 0
	}
}

proctype callback(byte first, last)
{
	byte q, t, from = TABLES, to; bool told;

	BEGIN_INVALIDATION(q, told);
	t = first;
	do
	:: t < last -> retire(t); t++
	:: else -> break
	od;
	atomic {
#ifdef FLUSHES_FIRST_TABLE_ONLY
		if :: from < to -> tlb[from] = 0 :: else -> skip fi;
#else
		t = from;
		do :: t < to -> tlb[t] = 0; t++ :: else -> break od;
#endif
		t = from
	}
	do
	:: t < to -> finish(t); t++
	:: else -> break
	od;
	t = 0;
	free_pages(first, last);
	END_INVALIDATION;
	ended++
}

proctype fault()
{
	byte q, page;

again:
	q = seq[BETWEEN];
	READ_BEGIN(q);
	d_step {
		if :: cpu[BETWEEN] == 0 && next_page <= PAGES -> cpu[BETWEEN] = next_page; next_page++ :: else -> skip fi;
		page = cpu[BETWEEN]
	}
	if
	:: page == 0 -> goto out
	:: else -> dma[page]++
	fi;
	atomic {
		if
		:: seq[BETWEEN] != q -> dma[page]--; goto again
		:: seq[BETWEEN] == q && state[BETWEEN] == valid -> CLAIM(leaf_replaced, leaf[BETWEEN] == page); dma[page]--
		:: seq[BETWEEN] == q && state[BETWEEN] != valid ->
			CLAIM(leaf_replaced, state[BETWEEN] == blank);
			CLAIM(leaf_leads_to_freed_page, !freed[page]);
			leaf[BETWEEN] = page; state[BETWEEN] = valid
		fi
	}
out:
	ended++
}

init {
	byte i;

	atomic {
		cpu[0] = 1; cpu[1] = 2; cpu[2] = 3;
		leaf[0] = 1; state[0] = valid; dma[1] = 1;
		leaf[2] = 3; state[2] = valid; dma[3] = 1;
		run callback(0, TABLES);
		i = 0; do :: i < CALLBACKS -> run callback(BETWEEN, BETWEEN + 1); i++ :: else -> break od;
		i = 0; do :: i < FAULTS -> run fault(); i++ :: else -> break od
	}
	d_step {
		ended == ALL ->
		i = 1;
		do
		:: i <= PAGES -> CLAIM(mapping_lost, dma[i] == (state[BETWEEN] == valid && leaf[BETWEEN] == i)); i++
		:: else -> break
		od
	}
}
