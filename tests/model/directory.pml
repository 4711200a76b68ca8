/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory whose last child goes is closed, while faults add children to it (mm/pt/walk.hpp: join(), leave(),
 * next_directory(), make_table(), take_out_empty()) and a callback skips it where its count of children is zero (visit()).
 *
 * The root has one slot, for a directory; a directory has one slot, for a table. A table is its state, its sequence and
 * one leaf; its own end is in reclaim.pml. Directories are used once, so that a thread that touches one after it was freed is
 * seen. A fault that gets none fails.
 */
hidden byte device_walks_freed_memory, device_reaches_freed_page, leaf_outlives_callback, freed_directory_touched,
	directory_in_use_freed, directory_freed_twice, table_freed_twice, directory_leaked, directory_in_tree_not_linked;

#define PAGES 2
#include "mm.pml"
#include "readers.pml"

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef CALLBACKS
#define CALLBACKS 0
#endif
#ifndef TAKERS
#define TAKERS 1
#endif
#ifndef CLOSERS
#define CLOSERS 1
#endif
#define ALL	(FAULTS + CALLBACKS + TAKERS + CLOSERS)
#define NONE	15
#define CLOSED	15

byte cpu = 1;			/* the page that the CPU's entry maps */
byte ended;

/* The root: its slot, and what the device reads there. */
byte slot = NONE;
byte link = NONE;

/* Directories. */
byte nodes;			/* used so far */
byte children[NODES];
bool linked[NODES];
bool child[NODES];		/* the slot: a table is published there */

/* The table below: its lock, whether it is ready, its sequence, its leaf. */
bool locked[NODES];
bool ready[NODES];
byte seq[NODES];
byte leaf[NODES];		/* the page that it leads to, 0: none */

/* The device: its cached pointer to a directory, its TLB. */
byte cached = NONE; byte tlb;

#define TOUCH(d)	CLAIM(freed_directory_touched, !gone[d])
#define LOCK(d)		atomic { !locked[d] -> TOUCH(d); locked[d] = 1 }
#define UNLOCK(d)	d_step { TOUCH(d); locked[d] = 0 }
#define FLUSH		d_step { tlb = 0; cached = NONE }

active proctype device()
{
end:	do
	:: d_step { cached == NONE && link != NONE -> cached = link }
	:: d_step { cached != NONE && tlb == 0 ->
		    CLAIM(device_walks_freed_memory, !gone[cached]);
		    tlb = leaf[cached] }
	:: d_step { tlb != 0 -> CLAIM(device_reaches_freed_page, !freed[tlb]) }
	od
}

inline free_directory(d)
{
	CLAIM(directory_freed_twice, !gone[d]);
	CLAIM(directory_in_use_freed, !child[d]);
	gone[d] = 1
}

#define FREE(d)		d_step { deferred[d] && waits_for[d] == 0 -> deferred[d] = 0; free_directory(d) }

active proctype freeing()
{
end:	do
	:: FREE(0)
	:: FREE(NODES - 1)
	od
}

/* Fails where the directory is closed. */
inline join(d, failed)
{
	d_step {
		TOUCH(d);
#ifdef JOINS_CLOSED
		failed = false;
		if :: children[d] == CLOSED -> skip :: else -> children[d]++ fi
#else
		failed = children[d] == CLOSED;
		if :: failed -> skip :: else -> children[d]++ fi
#endif
	}
}

inline leave(d)
{
	d_step {
		TOUCH(d);
		if :: children[d] == CLOSED -> skip :: else -> children[d]-- fi
	}
}

proctype callback(byte me)
{
	byte q, d; bool told, owed;

	BEGIN_INVALIDATION(q, told);
	ENTER(me);
	iseq = q;		/* then B1 */
	d = slot;
	if
	:: d == NONE -> goto out
	:: else -> skip
	fi;
	d_step { TOUCH(d); owed = children[d] != 0 }
	if
	:: !owed -> goto out
	:: else -> owed = child[d]
	fi;
	if
	:: !owed -> goto out
	:: else -> skip
	fi;
	LOCK(d);
	d_step { seq[d] = q; owed = leaf[d] != 0; leaf[d] = 0 }
	UNLOCK(d);
	if
	:: owed -> FLUSH
	:: else -> skip
	fi;
out:
	LEAVE(me);
	d_step {
		CLAIM(leaf_outlives_callback, slot == NONE || leaf[slot] == 0);
		freed[cpu] = 1; cpu = 0
	}
	END_INVALIDATION;
	ended++
}

proctype fault(byte me)
{
	byte d, q, page; bool failed;

	ENTER(me);
again:
	d = slot;
	if
	:: d == NONE ->
		atomic { if :: nodes < NODES -> d = nodes; nodes++ :: else -> skip fi }
		if
		:: d == NONE -> goto out
		:: else -> skip
		fi;
		atomic {
			if
			:: slot == NONE -> slot = d
			:: else ->
#ifndef LOSER_LEAKS
				gone[d] = 1;
#endif
				d = slot
			fi
		}
	:: else -> skip
	fi;
	d_step { TOUCH(d); failed = linked[d] }
	if
	:: !failed ->
#ifndef LINKS_WITHOUT_JOIN
		join(d, failed);
		if
		:: failed -> goto again
		:: else -> skip
		fi;
#endif
		link = d;
		linked[d] = 1;
#ifndef LINKS_WITHOUT_JOIN
		leave(d)
#endif
	:: else -> skip
	fi;
	d_step { TOUCH(d); failed = child[d] }
	if
	:: failed -> skip
	:: else ->
#ifndef COUNTED_AFTER_PUBLISHING
		join(d, failed);
		if
		:: failed -> goto again
		:: else -> skip
		fi;
#endif
		d_step { TOUCH(d); failed = child[d];
			 if :: failed -> skip :: else -> child[d] = 1; ready[d] = 0; seq[d] = 0 fi }
#ifdef COUNTED_AFTER_PUBLISHING
		if :: !failed -> join(d, failed); failed = false :: else -> skip fi;
#else
		if :: failed -> leave(d) :: else -> skip fi;
#endif
	fi;
	/* The table: made ready after B2, then mapped into under its lock; see protocol.pml. */
	LOCK(d);
	d_step {
		if :: child[d] && !ready[d] -> ready[d] = 1; if :: iseq > seq[d] -> seq[d] = iseq :: else -> skip fi :: else -> skip fi;
		q = seq[d]
	}
	UNLOCK(d);
	READ_BEGIN(q);
	page = cpu;
	if
	:: page == 0 -> goto out
	:: else -> skip
	fi;
	LOCK(d);
	if
	:: !child[d] || !ready[d] || seq[d] != q -> UNLOCK(d); goto again
	:: else -> leaf[d] = page; UNLOCK(d)
	fi;
out:
	LEAVE(me);
	ended++
}

/* Takes the table out: it may be an eviction. The page is given back at once, since reclaim.pml looks at that. */
proctype taker(byte me)
{
	byte d;

	ENTER(me);
	d = slot;
	if
	:: d == NONE -> goto out
	:: else -> skip
	fi;
	LOCK(d);
	if
	:: !child[d] || !ready[d] -> UNLOCK(d); goto out
	:: else -> skip
	fi;
	leaf[d] = 0;
	FLUSH;
	d_step { ready[d] = 0; child[d] = 0 }
	leave(d);
	UNLOCK(d);
out:
	LEAVE(me);
	ended++
}

proctype closer(byte me)
{
	byte d; bool failed;

	ENTER(me);
	d = slot;
	if
	:: d == NONE -> goto out
	:: else -> skip
	fi;
#ifdef CLOSED_IN_TWO_STEPS
	d_step { TOUCH(d); failed = children[d] != 0 }
	if :: !failed -> children[d] = CLOSED :: else -> skip fi;
#else
	d_step {
		TOUCH(d);
#ifdef CLOSES_IN_USE
		failed = children[d] == CLOSED;
#elif defined(CLOSES_TWICE)
		failed = children[d] != 0 && children[d] != CLOSED;
#else
		failed = children[d] != 0;
#endif
		if :: !failed -> children[d] = CLOSED :: else -> skip fi
	}
#endif
	if
	:: failed -> goto out
	:: else -> skip
	fi;
#ifdef SLOT_BEFORE_LINK
	slot = NONE;
	link = NONE;
#else
#ifndef NO_UNLINK
	link = NONE;
#endif
	slot = NONE;
#endif
#ifndef NO_FLUSH
	FLUSH;
#endif
#ifdef NO_GRACE
	d_step { free_directory(d) }
#elif !defined(NEVER_FREED)
	DEFER(d);
#endif
out:
	LEAVE(me);
	ended++
}

init {
	byte i;

	atomic {
		do :: i < CALLBACKS -> run callback(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS -> run fault(i); i++ :: else -> break od;
		do :: i < CALLBACKS + FAULTS + TAKERS -> run taker(i); i++ :: else -> break od;
		do :: i < ALL -> run closer(i); i++ :: else -> break od
	}
	/* At the end: a directory that is not in the tree is freed, and the device finds the one that is. */
	d_step {
		ended == ALL && !deferred[0] && !deferred[NODES - 1] ->
		CLAIM(directory_in_tree_not_linked, slot == NONE || !linked[slot] || link == slot);
		i = 0;
		do
		:: i < nodes -> CLAIM(directory_leaked, gone[i] || slot == i); i++
		:: else -> break
		od
	}
}
