/* SPDX-License-Identifier: MIT */
/*
 * libsvmirror_preload.so: a program that has it in LD_PRELOAD is mirrored as a whole,
 * and a thread of the library's compares what the device reads at random spots
 * with what the CPU finds there. A difference that stays is a mismatch: it is
 * told on stderr and in the file named by SVM_MIRROR_REPORT, and makes the exit
 * status 86.
 *
 * The program must not notice: the thread takes no signals, descriptors are
 * above 100, nothing is allocated while it runs, and only memory that is
 * present is looked at, so that looking changes nothing.
 */
#ifndef SVM_MIRROR_H
#define SVM_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MIRROR_STATUS 86
#define MIRROR_LOWEST_FD 100
#define MIRROR_PAGE 4096ul
#define MIRROR_SPOT_PAGES 8

/* report.c: lines of "what number" to SVM_MIRROR_REPORT; without that file only mismatches are told. */
void report_open(void);
void report_count(const char *what, unsigned long number);
void report_mismatch(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
bool report_bad(void);

/*
 * held.c: a descriptor out of the program's way. Programs close what they do not know, and may have a file of
 * their own under the number then: held_fd() is -1 from there on.
 */
struct held {
	int fd;
	dev_t device;
	ino_t inode;
};
#define HELD_NONE ((struct held){.fd = -1})
/* Takes over fd, an open(2)'s result; HELD_NONE and closed if there is no room. */
struct held hold(int fd);
int held_fd(struct held *held);
void let_go(struct held *held);

/* memory_map.c: the process's mappings, as they were a short while ago. */
struct piece {
	uintptr_t start, end;
};
int memory_map_open(void);
void memory_map_close(void);
/* Reads them again; false if that is impossible. */
bool memory_map_read(void);
/* A random run of at most @most pages that are present now; no pages if none was found. */
struct piece memory_map_spot(uint64_t random, unsigned int most);

/* check.c: the device's side. */
int check_open(void);
void check_close(void);
/* Makes vm and queue; 0 or a negative errno. */
int check_begin(void);
/* Compares one spot. 1: done; 0: it would not stand still; negative: the device cannot be used any more. */
int check_spot(struct piece spot, uint64_t random);
void check_prefetch(struct piece span);

#endif
