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
 * The intervals' notifiers. A late one was inserted while invalidations were under way: they do not call it. A leaving one
 * is removed while some are: until their end it is called.
 */
#ifndef INTERVALS
#define INTERVALS 1
#endif
#define absent	0
#define late	1
#define in_tree	2
#define leaving	3
byte notifiers[INTERVALS] = in_tree;
byte iseqs[INTERVALS] = 1;
#define notifier	notifiers[0]
#define iseq		iseqs[0]

/* told: the callback of interval k's notifier is called. Where it is not, another interval of the mm may be met. */
#define BEGIN_INVALIDATION_OF(k, q, told)					\
	atomic {								\
		under_way++;							\
		told = notifiers[k] >= in_tree;					\
		if								\
		:: subs % 2 == 0 -> subs++					\
		:: !told || subs % 2 == 1 -> skip				\
		fi;								\
		q = subs							\
	}
#define BEGIN_INVALIDATION(q, told)	BEGIN_INVALIDATION_OF(0, q, told)

#define SETTLE(k)								\
	if :: notifiers[k] == late -> notifiers[k] = in_tree			\
	   :: notifiers[k] == leaving -> notifiers[k] = absent			\
	   :: else -> skip fi

#define END_INVALIDATION							\
	atomic {								\
		under_way--;							\
		if :: under_way == 0 && subs % 2 == 1 ->			\
			subs++;							\
			SETTLE(0);						\
			SETTLE(INTERVALS - 1)					\
		   :: else -> skip						\
		fi								\
	}

#define INSERT_NOTIFIER_OF(k)							\
	atomic {								\
		if :: notifiers[k] != absent -> skip				\
		   :: notifiers[k] == absent && under_way == 0 -> notifiers[k] = in_tree; iseqs[k] = subs - 1	\
		   :: notifiers[k] == absent && under_way > 0 && subs % 2 == 1 -> notifiers[k] = late; iseqs[k] = subs	\
		   :: notifiers[k] == absent && under_way > 0 && subs % 2 == 0 ->	\
			subs++; notifiers[k] = in_tree; iseqs[k] = subs		\
		fi								\
	}
#define INSERT_NOTIFIER	INSERT_NOTIFIER_OF(0)

/* mmu_interval_notifier_remove(): returns when no callback runs any more; was: the caller's own */
#define REMOVE_NOTIFIER_OF(k, was)						\
	atomic {								\
		was = subs;							\
		if :: subs % 2 == 1 -> notifiers[k] = leaving :: else -> notifiers[k] = absent fi	\
	}									\
	(subs != was || was % 2 == 0)
#define REMOVE_NOTIFIER(was)	REMOVE_NOTIFIER_OF(0, was)

/* mmu_interval_read_begin() with a notifier that was seeded with q */
#define READ_BEGIN(q)	(subs != q)
