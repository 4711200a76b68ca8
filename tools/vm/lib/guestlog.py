# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel log must not contain. A report is quoted with the lines that follow it.

Only lines that the kernel wrote count: they begin with printk's time stamp, so a program's own
output that mentions a BUG is not taken for one.

A data race is KCSAN's report of two accesses, each with its stack. It counts where either stack has a
frame of our modules, and against an access of unknown origin where the function is in one of them; races of
the kernel with itself are others' and only counted. So are those between two
functions of DRM's sync objects: these have their own lock, and every wait for one comes by our ioctl.
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
OURS = re.compile(r"\[(?:svmirror|svgpu|svm_kunit)\]")
SYNCOBJ = re.compile(r"(?:drm_)?syncobj_\w+")
ON_PURPOSE = "svm_race_on_purpose"      # tests/kunit/oracle_test.c


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


def _others(race):
	"""Whether a race is not ours, or not to be mended."""
	names = _racers(race)
	if len(names) == 1 and names[0] != "?" and not OURS.search(race[0]):
		return True     # the kernel's function against the kernel's rest, which is not instrumented
	if set(names) == {ON_PURPOSE} or all(SYNCOBJ.fullmatch(name) for name in names):
		return True
	return not any(OURS.search(line) for line in race)


def _walk(text):
	"""(report, whether it is KCSAN's of somebody else) for each report in a log."""
	lines = text.replace("\r", "").splitlines()
	index = 0
	while index < len(lines):
		match = KERNEL_LINE.match(lines[index])
		if match and RACE in match.group(1):
			race = _race(lines, index)
			yield race, _others(race)
			index += len(race)
		elif _bad(match):
			yield lines[index:index + CONTEXT], False
			index += CONTEXT
		else:
			index += 1


def reports(text):
	"""The reports in a log that count against us, each a list of lines."""
	return [lines for lines, others in _walk(text) if not others]


def races_of_others(text):
	"""How many data races the kernel has with itself."""
	return sum(others and ON_PURPOSE not in lines[0] for lines, others in _walk(text))


def race_on_purpose(text):
	"""Whether the race that is there to be found was found."""
	return any(others and ON_PURPOSE in lines[0] for lines, others in _walk(text))
