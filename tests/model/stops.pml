/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vm whose device cannot fault (mm/stops.hpp): halts, which take leaves away, restores, which bring them back, and jobs,
 * which run only while all leaves are there. Two tables of one page each, that the process has and the vm has bound all
 * the time. What the CPU's memory is like is the business of the other models; here a fault finds it once no invalidation
 * of its table is under way.
 *
 * The device takes what it is told in order, and an access is one step of it. What is done under a lock is one step.
 */
hidden byte job_misses_leaf, vm_stays_stopped;

#include "mm.pml"

#ifndef CALLBACKS
#define CALLBACKS 2		/* each of one table; and one more of both */
#endif
#define TABLES	2
#define NO_TABLE TABLES

bool leaf[TABLES] = 1;
byte seq[TABLES] = 1;
bool running = 1; byte token; byte begun; byte over; bool stale[TABLES];
byte ended;			/* processes */

/* what the device was told and has not done */
#define stop	1
#define resume	2
chan told_device = [4] of { byte };
bool runs = 1; byte stopped;	/* stops that it has done */

active proctype device()
{
end:	do
	:: d_step { runs -> CLAIM(job_misses_leaf, leaf[0] && leaf[1]) }
	:: d_step { told_device?[stop] -> told_device?stop; runs = 0; stopped++ }
	:: d_step { told_device?[resume] -> told_device?resume; runs = 1 }
	od
}

inline halt_begins(first, last)
{
	atomic {
		begun++;
		t = first;
		do :: t < last -> stale[t] = 1; t++ :: else -> break od;
		was = running;
		if
		:: running -> running = 0; told_device!stop; token++
		:: else -> skip
		fi;
		mine = token
	}
	if
#ifdef DOES_NOT_WAIT_FOR_THE_STOP
	:: skip
#endif
#ifdef SECOND_DOES_NOT_WAIT
	:: !was
#endif
	:: stopped >= mine
	fi
}

proctype callback(byte first, last)
{
	byte q, t, mine; bool told, was;

	BEGIN_INVALIDATION(q, told);
	halt_begins(first, last);
	t = first;
	do
	:: t < last -> d_step { seq[t] = q; leaf[t] = 0; t++ }
	:: else -> break
	od;
	over++;
	END_INVALIDATION;
	ended++
}

inline fault(t)
{
	do
	:: leaf[t] -> break
	:: else ->
		q = seq[t];
		READ_BEGIN(q);
		d_step { if :: seq[t] == q -> leaf[t] = 1 :: else -> skip fi }
	od
}

/* Until nothing is left that stops jobs. */
active proctype restore()
{
	byte q, seen; bool want[TABLES];

	do
	:: ended == CALLBACKS + 1 && running -> break
	:: else ->
		d_step {
			seen = over; want[0] = stale[0]; want[1] = stale[1];
#ifdef FORGETS_AT_ONCE
			stale[0] = 0; stale[1] = 0
#endif
		}
		if :: want[0] -> fault(0) :: else -> skip fi;
		if :: want[1] -> fault(1) :: else -> skip fi;
		atomic {
			if
#ifdef NO_COMPARISON
			:: false -> skip
#else
#ifdef LOOKS_AT_ENDS_ONLY
			:: over != seen -> skip
#else
			:: begun != seen || over != seen -> skip
#endif
#endif
			:: else ->
				stale[0] = 0; stale[1] = 0;
				if :: !running -> running = 1; told_device!resume :: else -> skip fi
			fi
		}
	od;
	ended++
}

init {
	byte i;

	atomic {
		run callback(0, TABLES);
		i = 0; do :: i < CALLBACKS -> run callback(i % TABLES, i % TABLES + 1); i++ :: else -> break od
	}
	ended == CALLBACKS + 2 && empty(told_device) -> CLAIM(vm_stays_stopped, runs)
}
