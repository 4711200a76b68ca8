/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A huge leaf in place of a table and back (mm/pt/leaves.hpp): a table of two pages, that the CPU maps by small entries
 * or by one huge one. khugepaged collapses, core mm splits, zaps and write-protects parts; faults bring a block or
 * pages, to read or to write; a device that keeps a translation for each page, and a pointer to the table's memory.
 *
 * Pages 1 and 2 are there at first, 3 and 4 are one block, 5 and 6 come when there is nothing. A page is mapped for DMA by
 * itself or as part of the block, which are two mappings: 7 and 8 are those of the block.
 */
hidden byte device_reaches_freed_page, device_reaches_page_given_back, leaf_outlives_callback, right_outlives_callback,
	leaf_leads_to_freed_page, leaf_replaced, small_leaf_under_huge_one, dirtied_after_free, written_but_not_dirtied,
	translation_denies_what_leaf_allows, mapping_lost;

#define PAGES 8
#include "mm.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 1
#endif
#define BLOCK	3		/* its first page */
#define MAPPED	7		/* the block's mapping */
#define page_of(m)	(m >= MAPPED -> m - MAPPED + BLOCK : m)
#define FRESH	5

/* The CPU's entries: page and right to write, or one huge entry for both. */
byte cpu[2]; bool cpu_w[2]; bool cpu_huge; bool used[PAGES + 1];
bool dirty_owed[PAGES + 1];	/* written by the device, not yet marked dirty */
byte ended;

/* The table, and the directory's entry for it. */
#define none		0
#define linked		1
#define huge		2
#define huge_retired	3
byte top; bool top_w;

#define blank	0
#define valid	1
#define retired	2
byte state[2]; byte leaf[2]; bool leaf_w[2];
byte seq = 1; bool locked;

/* The device: its pointer to the table's memory, its TLB. */
bool cached; byte tlb[2]; bool tlb_w[2];

#define LOCK	atomic { !locked -> locked = 1 }
#define UNLOCK	d_step { CLAIM(small_leaf_under_huge_one, top != huge || (state[0] == blank && state[1] == blank)); locked = 0 }

#define FILL(e)									\
	d_step { tlb[e] == 0 && top == huge -> tlb[e] = MAPPED + e; tlb_w[e] = top_w }		\
	:: d_step { tlb[e] == 0 && cached && state[e] == valid -> tlb[e] = leaf[e]; tlb_w[e] = leaf_w[e] }
#define ACCESS(e)								\
	d_step { tlb[e] != 0 ->							\
		CLAIM(device_reaches_freed_page, !freed[page_of(tlb[e])]);	\
		CLAIM(device_reaches_page_given_back, dma[tlb[e]] > 0);		\
		if :: tlb_w[e] -> dirty_owed[page_of(tlb[e])] = 1 :: else -> skip fi }

active proctype device()
{
end:	do
	:: d_step { !cached && top == linked -> cached = 1 }
	:: FILL(0)
	:: FILL(1)
	:: ACCESS(0)
	:: ACCESS(1)
	od
}

/* Of a huge leaf the device may keep a piece for each page; a flush of a part need not take the others. */
inline flush(first, last)
{
	d_step {
		cached = 0;
		if :: first == 0 -> tlb[0] = 0; tlb_w[0] = 0 :: else -> skip fi;
		if :: last == 2 -> tlb[1] = 0; tlb_w[1] = 0 :: else -> skip fi
	}
}

inline release(m, w)
{
	dma[m]--;
#ifdef RELEASED_AS_CLEAN
	skip
#else
	if :: w -> CLAIM(dirtied_after_free, !freed[page_of(m)]); dirty_owed[page_of(m)] = 0 :: else -> skip fi
#endif
}

inline retire_small(i)
{
	if :: state[i] == valid -> state[i] = retired :: else -> skip fi
}

inline finish_small(i)
{
	if :: state[i] == retired -> release(leaf[i], leaf_w[i]); state[i] = blank; leaf[i] = 0; leaf_w[i] = 0 :: else -> skip fi
}

inline finish_huge()
{
	if :: top == huge_retired -> release(MAPPED, top_w); release(MAPPED + 1, top_w); top = none; top_w = 0 :: else -> skip fi
}

/* The callback has returned; core mm does what it announced. */
inline zap(i)
{
	if
	:: cpu[i] != 0 ->
		CLAIM(written_but_not_dirtied, !dirty_owed[cpu[i]]);
		freed[cpu[i]] = 1; cpu[i] = 0; cpu_w[i] = 0
	:: else -> skip
	fi
}

inline change(first, last)
{
	atomic {
		if
		:: first == 0 ->
			CLAIM(leaf_outlives_callback, state[0] != valid && !(top == huge && cpu[0] == BLOCK));
			CLAIM(right_outlives_callback, !tlb_w[0])
		:: else -> skip
		fi;
		if
		:: last == 2 ->
			CLAIM(leaf_outlives_callback, state[1] != valid && !(top == huge && cpu[1] == BLOCK + 1));
			CLAIM(right_outlives_callback, !tlb_w[1])
		:: else -> skip
		fi;
		if
		:: d_step { if :: first == 0 -> zap(0) :: else -> skip fi;
			    if :: last == 2 -> zap(1) :: else -> skip fi; cpu_huge = 0 }
		:: d_step { first == 0 && last == 2 && !used[BLOCK] && cpu[0] != 0 && cpu[1] != 0 ->
			    zap(0); zap(1); cpu[0] = BLOCK; cpu[1] = BLOCK + 1; cpu_huge = 1; used[BLOCK] = 1 }
		:: d_step { first == 0 && last == 2 && cpu_huge -> cpu_huge = 0 }
		:: d_step { if :: first == 0 -> cpu_w[0] = 0 :: else -> skip fi;
			    if :: last == 2 -> cpu_w[1] = 0 :: else -> skip fi;
			    if :: first == 0 && last == 2 -> skip :: else -> cpu_huge = 0 fi }
		fi
	}
}

proctype callback()
{
	byte q, first, last = 2; bool told, owed, whole, mine;

	if :: first = 1 :: last = 1 :: skip fi;
	BEGIN_INVALIDATION(q, told);
	LOCK;
	seq = q;
#ifdef LEAVES_HUGE_LEAF_OF_A_PART
	if :: top == huge && first == 0 && last == 2 -> top = huge_retired :: else -> skip fi;
#else
	if :: top == huge -> top = huge_retired; mine = true :: else -> skip fi;
#endif
	d_step {
		if :: first == 0 -> retire_small(0) :: else -> skip fi;
		if :: last == 2 -> retire_small(1) :: else -> skip fi;
#ifdef SECOND_DOES_NOT_FLUSH
		whole = top == huge_retired && mine;
#else
		whole = top == huge_retired;
#endif
		owed = whole || state[0] == retired || state[1] == retired
	}
	UNLOCK;
#ifndef FLUSHES_PART_OF_HUGE
	if
	:: owed && whole -> flush(0, 2)
	:: owed && !whole -> flush(first, last)
	:: else -> skip
	fi;
#else
	if :: owed -> flush(first, last) :: else -> skip fi;
#endif
	if
	:: owed ->
		LOCK;
		d_step {
			finish_huge();
			if :: first == 0 -> finish_small(0) :: else -> skip fi;
			if :: last == 2 -> finish_small(1) :: else -> skip fi
		}
		UNLOCK
	:: else -> skip
	fi;
	change(first, last);
	END_INVALIDATION;
	ended++
}

/* hmm_range_fault and the mapping for DMA. A block may come as pages too: where it cannot be mapped in one piece. */
inline ask()
{
	atomic {
		if
		:: cpu[e] == 0 && cpu[1 - e] == 0 && !used[BLOCK] ->
			cpu[0] = BLOCK; cpu[1] = BLOCK + 1; cpu_huge = 1; used[BLOCK] = 1
		:: cpu[e] == 0 && !used[FRESH + e] -> cpu[e] = FRESH + e; used[FRESH + e] = 1
		:: cpu[e] == 0 && used[FRESH + e] && (used[BLOCK] || cpu[1 - e] != 0) -> ended++; goto out
		:: cpu[e] != 0 -> skip
		fi;
		if :: write -> cpu_w[e] = 1; if :: cpu_huge -> cpu_w[1 - e] = 1 :: else -> skip fi :: else -> skip fi;
		block = false;
		if :: cpu_huge -> block = true :: skip fi;
		d_step {
			page[e] = cpu[e]; page_w[e] = cpu_w[e];
			if
			:: block || !skip_other -> page[1 - e] = cpu[1 - e]; page_w[1 - e] = cpu_w[1 - e]
			:: else -> page[1 - e] = 0; page_w[1 - e] = 0
			fi;
			if :: block -> page[0] = MAPPED; page[1] = MAPPED + 1 :: else -> skip fi;
			if :: page[0] -> dma[page[0]]++ :: else -> skip fi;
			if :: page[1] -> dma[page[1]]++ :: else -> skip fi
		}
	}
}

/* What no leaf took is given back. */
inline undo()
{
	d_step {
		if :: page[0] -> dma[page[0]]-- :: else -> skip fi;
		if :: page[1] -> dma[page[1]]-- :: else -> skip fi;
		page[0] = 0; page[1] = 0; page_w[0] = 0; page_w[1] = 0
	}
}

inline map_block()
{
	if
	:: top == huge ->
		if
		:: page_w[0] && !top_w ->
			top_w = 1;
#ifndef GRANT_WITHOUT_FLUSH
			flush(0, 2)
#endif
		:: else -> skip
		fi
	:: else ->
		CLAIM(leaf_replaced, top != huge_retired);
		CLAIM(leaf_leads_to_freed_page, !freed[BLOCK] && !freed[BLOCK + 1]);
		was_linked = top == linked;
#ifndef HUGE_OVER_VALID_SMALL
		if :: was_linked -> d_step { retire_small(0); retire_small(1) } :: else -> skip fi;
#endif
		d_step { top = huge; top_w = page_w[0]; page[0] = 0; page[1] = 0 }
		if
		:: was_linked ->
#ifdef FINISH_SMALL_BEFORE_FLUSH
			d_step { finish_small(0); finish_small(1) }
			flush(0, 2)
#else
#ifndef HUGE_OVER_SMALL_WITHOUT_FLUSH
			flush(0, 2);
#endif
			d_step { finish_small(0); finish_small(1) }
#endif
		:: else -> skip
		fi
	fi
}

inline map_one(i)
{
	if
	:: page[i] == 0 -> skip
	:: page[i] != 0 && state[i] == valid ->
		CLAIM(leaf_replaced, leaf[i] == page[i]);
		if :: page_w[i] && !leaf_w[i] -> leaf_w[i] = 1; granted = true :: else -> skip fi
	:: page[i] != 0 && state[i] != valid ->
		CLAIM(leaf_replaced, state[i] == blank);
		CLAIM(leaf_leads_to_freed_page, !freed[page[i]]);
		leaf[i] = page[i]; leaf_w[i] = page_w[i]; state[i] = valid; page[i] = 0
	fi
}

inline map_pages()
{
	if
	:: top == huge && top_w -> skip		/* it serves as well */
	:: else ->
		if
		:: top == huge && !top_w ->
#ifndef SMALL_BESIDE_HUGE
			top = huge_retired;
#ifndef SMALL_OVER_HUGE_WITHOUT_FLUSH
			flush(0, 2);
#endif
			d_step { finish_huge() }
#endif
		:: else -> CLAIM(leaf_replaced, top != huge_retired)
		fi;
		top = linked;
		granted = false;
		d_step { map_one(0); map_one(1) }
#ifndef GRANT_WITHOUT_FLUSH
		if :: granted -> flush(0, 2) :: else -> skip fi
#endif
	fi
}

#define ALLOWED(i)	((top == huge && (top_w || !write)) || (top != huge && state[i] == valid && (leaf_w[i] || !write)))

proctype fault()
{
	byte q, e, page[2]; bool page_w[2], write, block, skip_other, was_linked, granted;

	if :: e = 1 :: skip fi;
	if :: write = true :: skip fi;
again:
	skip_other = ALLOWED(1 - e);
	q = seq;
	READ_BEGIN(q);
	ask();
	LOCK;
	if
#ifdef NO_RECHECK
	:: false ->
#else
	:: seq != q ->
#endif
		UNLOCK; undo(); goto again
	:: else ->
		if
		:: block -> map_block()
		:: else -> map_pages()
		fi;
		CLAIM(translation_denies_what_leaf_allows, !write || tlb[e] == 0 || tlb_w[e]);
		UNLOCK;
		undo()
	fi;
	ended++;
out:	skip
}

#define COUNTS(p)	((state[0] == valid && leaf[0] == p) + (state[1] == valid && leaf[1] == p) +	\
			 (top == huge && p >= MAPPED))

init {
	byte i;

	atomic {
#ifdef START_HUGE
		cpu[0] = BLOCK; cpu[1] = BLOCK + 1; cpu_huge = 1; used[BLOCK] = 1;
#else
		cpu[0] = 1; cpu[1] = 2;
#endif
		i = 0; do :: i < CALLBACKS -> run callback(); i++ :: else -> break od;
		i = 0; do :: i < FAULTS -> run fault(); i++ :: else -> break od
	}
	/* At the end a page has as many mappings as leaves lead to it. */
	d_step {
		ended == CALLBACKS + FAULTS ->
		i = 1;
		do :: i <= PAGES -> CLAIM(mapping_lost, dma[i] == COUNTS(i)); i++ :: else -> break od
	}
}
