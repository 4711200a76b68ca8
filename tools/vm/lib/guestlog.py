# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel log must not contain. A report is quoted with the lines that follow it.

Only lines that the kernel wrote count: they begin with printk's time stamp, so a program's own
output that mentions a BUG is not taken for one.

A data race is KCSAN's report of two accesses, each with its stack. It counts where either stack has a
frame of our modules, and against an access of unknown origin (the rest of the kernel is not instrumented)
where the function is in one of them; races of the kernel with itself are others' and only counted. So are
those on what a part of the kernel keeps for itself under its own lock (ITS_OWN), though our calls lead there.
One race is made on purpose: a kernel that does not report it looks for none.
"""

import re

KERNEL_LINE = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?(.*)$")
BAD = re.compile(
	r"WARNING:|BUG:|BUG at|KASAN|KCSAN:|UBSAN|INFO: possible|INFO: task .* blocked|INFO: trying to register"
	r"|suspicious RCU|possible recursive locking|lockdep|kmemleak: \d+ new|Oops|general protection"
	r"|Kernel panic|refcount_t:|detected stalls|self-detected stall|Bad page|list_(?:add|del) corruption"
	r"|soft lockup|bad: scheduling|sleeping function called|pagealloc: (?:memory corruption|single bit error)")
# Boot messages that name a checker without reporting anything.
FINE = re.compile(
	r"kasan: KernelAddressSanitizer|Lock dependency validator|\.\.\. (?:MAX_|CHAINHASH|CLASSHASH|TASK_|BFS_)"
	r"|memory used by lock dependency|per task-struct memory|memory used for stack traces"
	r"|RCU lockdep checking|RCU CPU stall|kmemleak: Kernel memory leak detector|kmemleak: Automatic|Command line:"
	r"|lockdep is enabled|running with lockdep|RCU debug extended"
	# A frame of a stack, whatever its function is called: the OOM killer shows one and accuses nobody of ours.
	r"|^\s*(?:\? )?[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?$")
CONTEXT = 28
RACE = "BUG: KCSAN:"
RACE_END = "Reported by Kernel Concurrency Sanitizer"
RACE_LINES = 120    # more than two stacks have; a report whose end is missing is cut there
OURS = re.compile(r"\[(?:svmirror|svm_drm|svgpu|svm_kunit)\]")
# Two functions that race on their own: one looks, in the way that they have agreed upon, without the other's lock.
ITS_OWN = tuple(tuple(map(re.compile, pair)) for pair in (
	# DRM's sync objects: a wait's fence. Every wait comes by our ioctl.
	(r"(?:drm_)?syncobj_\w+", r"(?:drm_)?syncobj_\w+"),
	# The notifiers' invalidate_seq, mm/mmu_notifier.c: wait_event() reads it (marked), begin and end of an
	# invalidation write it (plain, under the spinlock). Each fault that meets an invalidation comes there.
	(r"mmu_interval_(?:read_begin|notifier_remove)",
		r"mn_itree_inv_\w+|__mmu_notifier_invalidate_range_(?:start|end)|__mmu_interval_notifier_insert"),
	# The flag of a DRM device that goes, drm_drv.c: both plain; who has not seen it set is waited for (SRCU).
	# Each ioctl looks at it, and our removal sets it.
	(r"drm_dev_(?:enter|is_unplugged)", r"drm_dev_(?:synchronize_)?unplug"),
))
ON_PURPOSE = "svm_race_on_purpose"      # tests/kunit/oracle_test.c
# Whose a report is.
OURS_TO_MEND, OTHERS, MADE = "ours", "others", "made on purpose"


def _bad(match):
	return match and BAD.search(match.group(1)) and not FINE.search(match.group(1))


def harmless(line):
	"""A line of the kernel that reports nothing."""
	match = KERNEL_LINE.match(line)
	return bool(match) and not _bad(match)


def _race(lines, index):
	"""The lines of KCSAN's report that begins at index."""
	for end in range(index + 1, min(index + RACE_LINES, len(lines))):
		match = KERNEL_LINE.match(lines[end])
		other = _bad(match) and not match.group(1).startswith(" ")     # frames of a stack are indented
		if other or RACE_END in lines[end]:
			return lines[index:end]
	return lines[index:index + RACE_LINES]


def _racers(race):
	"""The functions that a report's first line names: two, or one against an unknown."""
	title = re.search(r"race in (.*)", race[0])
	return [re.match(r"\w*", name).group(0) for name in title.group(1).split(" / ")] if title else ["?"]


def _are(names, first, second):
	return len(names) == 2 and bool(first.fullmatch(names[0]) and second.fullmatch(names[1]))


def _whose(race):
	"""OURS_TO_MEND, OTHERS or MADE, see above."""
	names = _racers(race)
	if set(names) == {ON_PURPOSE}:
		return MADE
	if any(_are(names, one, other) or _are(names, other, one) for one, other in ITS_OWN):
		return OTHERS
	# Against an unknown, only the function counts, which the first line names with its module.
	where = race[:1] if len(names) == 1 and names[0] != "?" else race
	return OURS_TO_MEND if any(OURS.search(line) for line in where) else OTHERS


def _walk(text):
	"""(report, whose it is) for each report in a log."""
	lines = text.replace("\r", "").splitlines()
	index = 0
	while index < len(lines):
		match = KERNEL_LINE.match(lines[index])
		if match and RACE in match.group(1):
			race = _race(lines, index)
			yield race, _whose(race)
			index += len(race)
		elif _bad(match):
			yield lines[index:index + CONTEXT], OURS_TO_MEND
			index += CONTEXT
		else:
			index += 1


def reports(text):
	"""The reports in a log that count against us, each a list of lines."""
	return [lines for lines, whose in _walk(text) if whose == OURS_TO_MEND]


def races_of_others(text):
	"""How many data races the kernel has with itself."""
	return sum(whose == OTHERS for _, whose in _walk(text))


def race_on_purpose(text):
	"""Whether the race that is there to be found was found."""
	return any(whose == MADE for _, whose in _walk(text))
