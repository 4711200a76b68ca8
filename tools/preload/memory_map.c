// SPDX-License-Identifier: MIT
/* What is mapped and present: /proc/self/maps and /proc/self/pagemap through descriptors that stay open. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mirror.h"

#define MOST_PIECES 1024
#define PRESENT (1ull << 63)

static struct held maps = {.fd = -1}, pagemap = {.fd = -1};
static struct piece pieces[MOST_PIECES];
static unsigned int count;
static char text[32768];

int memory_map_open(void)
{
	maps = hold(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
	pagemap = hold(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	return maps.fd < 0 || pagemap.fd < 0 ? -1 : 0;
}

void memory_map_close(void)
{
	let_go(&maps);
	let_go(&pagemap);
	count = 0;
}

/* Memory of devices is not mirrored, and to read it may do something. */
static bool of_a_device(const char *name)
{
	if (!strncmp(name, "/dev/zero", 9) || !strncmp(name, "/dev/shm/", 9))
		return false;
	return !strncmp(name, "/dev/", 5) || !strncmp(name, "[v", 2) ||
	       !strncmp(name, "anon_inode:", 11);
}

static void take_line(char *line)
{
	char *at;
	uintptr_t start = strtoull(line, &at, 16),
		  end = strtoull(at + 1, &at, 16);

	/* the name comes after start-end, access, offset, device and inode */
	for (int field = 0; field < 4 && at; field++)
		at = strchr(at + 1, ' ');
	if (!of_a_device(at ? at + strspn(at, " ") : "") && count < MOST_PIECES)
		pieces[count++] = (struct piece){start, end};
}

bool memory_map_read(void)
{
	size_t held = 0;
	ssize_t got;

	if (lseek(held_fd(&maps), 0, SEEK_SET))
		return false;
	count = 0;
	while ((got = read(held_fd(&maps), text + held,
			   sizeof(text) - 1 - held)) > 0) {
		char *line = text, *end;

		held += (size_t)got;
		text[held] = 0;
		while ((end = strchr(line, '\n'))) {
			*end = 0;
			take_line(line);
			line = end + 1;
		}
		held -= (size_t)(line - text);
		memmove(text, line, held);
	}
	return got == 0 && count;
}

struct piece memory_map_spot(uint64_t random, unsigned int most)
{
	struct piece in = pieces[random % count], spot;
	uint64_t page[64] = {0};
	uintptr_t pages = (in.end - in.start) / MIRROR_PAGE;
	uintptr_t first = in.start / MIRROR_PAGE + (random >> 16) % pages;
	unsigned int want = most < 64 ? most : 64, from = 0, to;

	if (want > in.end / MIRROR_PAGE - first)
		want = (unsigned int)(in.end / MIRROR_PAGE - first);
	if (pread(held_fd(&pagemap), page, want * sizeof(page[0]),
		  (off_t)(first * sizeof(page[0]))) < (ssize_t)sizeof(page[0]))
		want = 0;
	while (from < want && !(page[from] & PRESENT))
		from++;
	for (to = from; to < want && (page[to] & PRESENT); to++)
		;
	spot.start = (first + from) * MIRROR_PAGE;
	spot.end = (first + to) * MIRROR_PAGE;
	return spot;
}
