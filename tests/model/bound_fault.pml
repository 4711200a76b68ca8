/* SPDX-License-Identifier: GPL-2.0-only */
/* The fault of binding.pml: mm/mirror.cpp's enter(), look() and write_with(). */
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
			   IF(k < null_pages && page[i % ENTRIES] != 0, dma[page[i % ENTRIES]]--);
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
				IF(k < null_pages, dma[page[i % ENTRIES]]--)
			   :: else ->
				CLAIM(leaf_replaced, LEAF(n, i) == 0);
				CLAIM(leaf_leads_to_freed_page, k >= null_pages || !freed[page[i % ENTRIES]]);
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
		EACH_PAGE(IF(!alone && HAS(span, i) && map[i] != k, good = false));
#endif
#ifndef WRITES_WHERE_IT_WAS
		IF(k == object && place != q, good = false)
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
	:: k == object ->
		q = place;
		if :: q == 0 -> goto out :: else -> skip fi;	/* the device comes again */
		d_step { EACH_PAGE(IF(HAS(span, i), page[i % ENTRIES] = LENT(q))) }
	:: else ->
		q = seq[n];
		READ_BEGIN(q);
		ask()
	fi;
	atomic {
		!locked[n] ->
		holds();
		if
		:: state[n] != ready || (k < null_pages && seq[n] != q) || !good -> undo(); goto again
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
