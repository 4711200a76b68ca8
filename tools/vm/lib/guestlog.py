# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel log must not contain. A report is quoted with the lines that follow it.

Only lines that the kernel wrote count: they begin with printk's time stamp, so a program's own
output that mentions a BUG is not taken for one.
"""

import re

KERNEL_LINE = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? ?(.*)$")
BAD = re.compile(
	r"WARNING:|BUG:|BUG at|KASAN|KCSAN:|UBSAN|INFO: possible|INFO: task .* blocked|INFO: trying to register"
	r"|suspicious RCU|possible recursive locking|lockdep|kmemleak: \d+ new|Oops|general protection"
	r"|Kernel panic|refcount_t:|detected stalls|self-detected stall|Bad page|list_(?:add|del) corruption"
	r"|soft lockup|bad: scheduling|sleeping function called")
# Boot messages that name a checker without reporting anything.
FINE = re.compile(
	r"kasan: KernelAddressSanitizer|Lock dependency validator|\.\.\. (?:MAX_|CHAINHASH|CLASSHASH|TASK_|BFS_)"
	r"|memory used by lock dependency|per task-struct memory|memory used for stack traces"
	r"|RCU lockdep checking|RCU CPU stall|kmemleak: Kernel memory leak detector|kmemleak: Automatic|Command line:"
	r"|lockdep is enabled|running with lockdep|RCU debug extended")
CONTEXT = 28


def _bad(match):
	return match and BAD.search(match.group(1)) and not FINE.search(match.group(1))


def harmless(line):
	"""A line of the kernel that reports nothing."""
	match = KERNEL_LINE.match(line)
	return bool(match) and not _bad(match)


def reports(text):
	"""The reports in a log, each a list of lines."""
	lines = text.replace("\r", "").splitlines()
	found = []
	index = 0
	while index < len(lines):
		if _bad(KERNEL_LINE.match(lines[index])):
			found.append(lines[index:index + CONTEXT])
			index += CONTEXT
		else:
			index += 1
	return found
