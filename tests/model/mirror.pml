/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collision protocol of mm/mirror.hpp as a model: one page of one table, its interval, the device's TLB and
 * its cached pointer to the table, callbacks, faults, and the shrinker.
 *
 * Each variant (-D...) leaves out one step and must fail: see tests/model/run, which runs them all. The memory
 * model is sequentially consistent: what B1 and B2 are for is modelled by the order of their neighbours.
 *
 * Asserted: no access of the device leads to a page after the callback that covers it has returned; no page is
 * given back for DMA while the device can reach it; no node and no table memory is touched after it was freed.
 * That nobody waits for ever is the absence of invalid end states.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 2
#endif
#ifndef SHRINKERS
#define SHRINKERS 0
#endif
#define NODES	(1 + SHRINKERS)
#define PAGES	4
#define NONE	15

#define blank	0
#define valid	1
#define retired	2

/* The CPU's side: what its entry maps (0: nothing), which pages were freed, the mm's sequence. */
byte cpu = 1;
byte next_page = 2;
bool freed[PAGES + 1];
byte subs = 2;			/* odd: an invalidation is under way */
byte under_way;
byte iseq = 1;			/* the interval's */

/* Tables: node n is published while slot == n. */
byte slot = NONE;
byte made;			/* nodes used so far */
bool ready[NODES]; bool dead[NODES]; bool locked[NODES]; bool gone[NODES];
byte seq[NODES];
byte state[NODES]; byte leaf[NODES];
byte dma[PAGES + 1];		/* live DMA mappings of a page */
byte readers;			/* in a reader section */

/* The device: the directory's entry for the table, its cached pointer, its TLB. */
byte link = NONE; byte cached = NONE; byte tlb;

#define LOCK(n)		atomic { !locked[n] -> assert(!gone[n]); locked[n] = 1 }
#define UNLOCK(n)	locked[n] = 0
#define FLUSH		atomic { tlb = 0; cached = NONE }

active proctype device()
{
end:	do
	:: atomic { cached == NONE && link != NONE -> cached = link }
	:: atomic { cached != NONE && tlb == 0 -> assert(!gone[cached]);
		    if :: state[cached] == valid -> tlb = leaf[cached] :: else -> skip fi }
	:: atomic { tlb != 0 -> assert(!freed[tlb]); assert(dma[tlb] > 0) }
	od
}

/* The page behind a retired leaf is given back: the lock is held. */
inline finish(n)
{
	if
	:: state[n] == retired -> atomic { assert(tlb != leaf[n]); dma[leaf[n]]--; state[n] = blank; leaf[n] = 0 }
	:: else -> skip
	fi
}

proctype callback()
{
	byte q, n, old; bool owed;

	atomic { under_way++; if :: subs % 2 == 0 -> subs++ :: else -> skip fi; q = subs }
	readers++;
#ifdef SEQ_AFTER_WALK
	n = slot; iseq = q;
#else
	iseq = q;		/* then B1 */
	n = slot;
#endif
	owed = false;
	if
	:: n == NONE -> skip
	:: else ->
		LOCK(n);
		if
		:: dead[n] -> UNLOCK(n)
		:: else ->
#ifdef NO_SEQ_WHERE_EMPTY
			if :: state[n] != blank -> seq[n] = q; ready[n] = 1 :: else -> skip fi;
#else
			seq[n] = q; ready[n] = 1;
#endif
#ifdef FLUSH_BEFORE_RETIRE
			FLUSH;
#endif
			if :: state[n] == valid -> state[n] = retired; owed = true
#ifndef SECOND_DOES_NOT_FLUSH
			:: state[n] == retired -> owed = true
#endif
			:: else -> skip
			fi;
#ifdef FINISH_BEFORE_FLUSH
			finish(n);
#endif
			UNLOCK(n);
#if !defined(FLUSH_BEFORE_RETIRE) && !defined(NO_FLUSH)
			if :: owed -> FLUSH :: else -> skip fi;
#endif
			if :: owed -> LOCK(n); finish(n); UNLOCK(n) :: else -> skip fi
		fi
	fi;
	readers--;
	/* The callback has returned: core mm takes its entry away and frees the page. */
	atomic {
		old = cpu; cpu = 0;
		if :: old != 0 -> freed[old] = 1; assert(tlb != old);
			assert(slot == NONE || state[slot] != valid || leaf[slot] != old)
		   :: else -> skip fi
	}
	atomic { under_way--; if :: under_way == 0 -> subs++ :: else -> skip fi }
}

/* Finds the table, makes one where there is none, and sees that it is ready. */
inline table(n)
{
	creator = false;
	n = slot;
	if
	:: n == NONE -> atomic { if :: slot == NONE && made < NODES -> n = made; made++; slot = n; creator = true
				    :: slot != NONE -> n = slot :: else -> skip fi }
	:: else -> skip
	fi;
#ifndef NO_RAISE
	if
#ifdef RAISE_BY_CREATOR_ALONE
	:: n != NONE && creator -> LOCK(n); seq[n] = iseq; ready[n] = 1; UNLOCK(n)
#else
	:: n != NONE && !ready[n] -> LOCK(n); if :: !ready[n] -> seq[n] = iseq; ready[n] = 1 :: else -> skip fi; UNLOCK(n)
#endif
	:: else -> skip
	fi
#endif
}

proctype fault()
{
	byte q, n, page, turn; bool creator;

	readers++;
again:
	table(n);
	if :: n == NONE -> goto out :: else -> skip fi;	/* the model's nodes are used up */
	q = seq[n];
	(subs != q || q % 2 == 0);	/* read_begin */
	atomic {			/* hmm_range_fault under mmap_lock, and the mapping for DMA */
		if :: cpu == 0 && next_page <= PAGES -> cpu = next_page; next_page++ :: else -> skip fi;
		page = cpu;
		if :: page != 0 -> dma[page]++ :: else -> goto out fi
	}
	LOCK(n);
	if
#ifdef NO_RECHECK
	:: false ->
#else
#ifdef NO_DEAD_CHECK
	:: seq[n] != q ->
#else
	:: seq[n] != q || dead[n] ->
#endif
#endif
		UNLOCK(n); dma[page]--; turn++;
		if :: turn < 3 -> goto again :: else -> goto out fi
	:: else ->
		if
		:: state[n] == valid -> assert(leaf[n] == page); dma[page]--
		:: else -> assert(state[n] == blank); assert(!freed[page]);
			leaf[n] = page; state[n] = valid; link = n
		fi;
		UNLOCK(n)
	fi;
out:	readers--
}

proctype shrinker()
{
	byte n;

	readers++;
	n = slot;
	if
	:: n == NONE -> skip
	:: else ->
		LOCK(n);
		if
		:: state[n] == blank && ready[n] && !dead[n] ->
			dead[n] = 1; slot = NONE;
			if :: link == n -> link = NONE :: else -> skip fi;
			UNLOCK(n);
#ifndef NO_FLUSH_BEFORE_FREE
			FLUSH;
#endif
			readers--;
#ifndef NO_GRACE
			readers == 0;	/* stronger than a grace period, so it hides nothing that one would allow */
#endif
			atomic { gone[n] = 1; assert(state[n] == blank) };
			goto done
		:: else -> UNLOCK(n)
		fi
	fi;
	readers--;
done:	skip
}

init {
	byte i;
	atomic {
		dma[1] = 0;
		for (i : 1 .. CALLBACKS) { run callback() }
		for (i : 1 .. FAULTS) { run fault() }
		i = 0;
		do :: i < SHRINKERS -> run shrinker(); i++ :: else -> break od
	}
}
