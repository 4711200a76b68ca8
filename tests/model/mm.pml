/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the models share: claims with names, locks, and the kernel's side of the collision, that is the mm's sequence
 * and the interval notifier as mm/mmu_notifier.c has them.
 *
 * A claim's name says what must never happen. It is a variable that is always false and costs no state: there so that
 * spin's report of a violation has the name in it, which tests/model/run compares with what a variant is to break.
 */
#define CLAIM(name, cond)	assert((cond) || name)

/* pages of memory; 0 is none */
#ifndef PAGES
#define PAGES	4
#endif
bool freed[PAGES + 1];
byte dma[PAGES + 1];		/* live DMA mappings of a page */

/* A sequence is odd while an invalidation is under way that meets an interval. */
byte subs = 2;
byte under_way;

/*
 * The interval's notifier. A late one was inserted while invalidations were under way: they do not call it. A leaving one
 * is removed while some are: until their end it is called.
 */
#define absent	0
#define late	1
#define in_tree	2
#define leaving	3
byte notifier = in_tree;
byte iseq = 1;

/* told: the notifier's callback is called. Where it is not, another interval of the mm may be met. */
#define BEGIN_INVALIDATION(q, told)						\
	atomic {								\
		under_way++;							\
		told = notifier >= in_tree;					\
		if								\
		:: subs % 2 == 0 -> subs++					\
		:: !told || subs % 2 == 1 -> skip				\
		fi;								\
		q = subs							\
	}

#define END_INVALIDATION							\
	atomic {								\
		under_way--;							\
		if :: under_way == 0 && subs % 2 == 1 ->			\
			subs++;							\
			if :: notifier == late -> notifier = in_tree		\
			   :: notifier == leaving -> notifier = absent		\
			   :: else -> skip fi					\
		   :: else -> skip						\
		fi								\
	}

#define INSERT_NOTIFIER								\
	atomic {								\
		if :: notifier != absent -> skip				\
		   :: notifier == absent && under_way == 0 -> notifier = in_tree; iseq = subs - 1	\
		   :: notifier == absent && under_way > 0 && subs % 2 == 1 -> notifier = late; iseq = subs	\
		   :: notifier == absent && under_way > 0 && subs % 2 == 0 ->	\
			subs++; notifier = in_tree; iseq = subs			\
		fi								\
	}

/* mmu_interval_notifier_remove(): returns when no callback runs any more; was: the caller's own */
#define REMOVE_NOTIFIER(was)							\
	atomic {								\
		was = subs;							\
		if :: subs % 2 == 1 -> notifier = leaving :: else -> notifier = absent fi	\
	}									\
	(subs != was || was % 2 == 0)

/* mmu_interval_read_begin() with a notifier that was seeded with q */
#define READ_BEGIN(q)	(subs != q)
