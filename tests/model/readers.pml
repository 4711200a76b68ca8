/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reader sections and what waits for them: port_read_enter(), port_defer(), port_synchronize(). A grace period waits for
 * the readers that are inside when it begins, and for no others: a bit for each of them.
 */
#ifndef NODES
#define NODES 2
#endif
byte inside;			/* who is in a section */
byte waits_for[NODES];		/* whom a deferred node waits for */
bool deferred[NODES];
bool gone[NODES];		/* freed nodes */

#define ENTER(me)	inside = inside | (1 << me)
#define LEAVE(me)								\
	atomic {								\
		inside = inside & ~(1 << me);					\
		waits_for[0] = waits_for[0] & ~(1 << me);			\
		waits_for[NODES - 1] = waits_for[NODES - 1] & ~(1 << me)	\
	}
#define DEFER(n)	d_step { CLAIM(table_freed_twice, !deferred[n] && !gone[n]); deferred[n] = 1; waits_for[n] = inside }
/* `whom` is the caller's own */
#define SYNCHRONIZE(whom)	whom = inside; (whom & inside) == 0
