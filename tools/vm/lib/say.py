# SPDX-License-Identifier: GPL-2.0-only
"""How the tools speak and how they run others: never silent for long, nothing left behind.

A child runs in a process group of its own with its output in a log file. While it runs a line
with the elapsed time (and an estimate, where there is one) appears at least every BEAT seconds.
However this process ends, the groups of its children are ended first; setpriv's parent-death
signal covers the one case in which no Python code can run, a SIGKILL.
"""

import atexit
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

BEAT = 8.0

_children = {}
_children_lock = threading.Lock()
_ending = False


class Failed(Exception):
	"""An error to be shown to the user as one line, without a traceback."""


class Skipped(Exception):
	"""Something that cannot be had here; the text is the reason."""


def say(text):
	# one write: several threads may speak
	sys.stdout.write(f"{text}\n")
	sys.stdout.flush()


def duration(seconds):
	seconds = int(seconds)
	if seconds < 60:
		return f"{seconds}s"
	return f"{seconds // 60}m{seconds % 60:02d}s"


def _end_group(pid):
	for number in (signal.SIGTERM, signal.SIGKILL):
		try:
			os.killpg(pid, number)
		except (ProcessLookupError, PermissionError):
			return
		deadline = time.monotonic() + 3
		while time.monotonic() < deadline:
			child = _children.get(pid)
			if child is None or child.poll() is not None:
				break
			time.sleep(0.05)


@atexit.register
def end_children():
	"""End all that was spawned. From then on nothing can be: a thread that only waited for a child ends, too."""
	global _ending
	with _children_lock:
		_ending = True
	for pid, child in list(_children.items()):
		if child.poll() is None:
			_end_group(pid)
		_children.pop(pid, None)


def go_on():
	"""For those that wait in a thread of their own, which no signal reaches: Failed if the tool is ending."""
	if _ending:
		raise Failed("ended before it was done")


def _on_signal(number, _frame):
	global _ending
	_ending = True
	# SystemExit unwinds every `finally`; a second signal must not interrupt them.
	for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(other, signal.SIG_IGN)
	sys.exit(128 + number)


def guard_exit():
	"""Make Ctrl-C and friends run the clean-up code; call once, from the main thread."""
	for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(number, _on_signal)


def spawn(argv, **options):
	"""Popen in a group of its own that does not outlive this process."""
	if shutil.which("setpriv"):
		argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
	options.setdefault("stdin", subprocess.DEVNULL)
	with _children_lock:
		go_on()
		child = subprocess.Popen(argv, start_new_session=True, **options)
		_children[child.pid] = child
	if os.sched_getscheduler(0) == os.SCHED_IDLE:       # a session is scheduled as a group, whose weight is its own
		with contextlib.suppress(OSError):
			pathlib.Path(f"/proc/{child.pid}/autogroup").write_text("19")
	return child


def end(child):
	"""End a spawned child and its group; harmless if it is gone already."""
	if child.poll() is None:
		_end_group(child.pid)
	_children.pop(child.pid, None)


def tail(path, lines=25):
	with open(path, errors="replace") as log:
		return "".join(log.readlines()[-lines:]).rstrip()


def excerpt(path):
	"""What a failed log has to say: its complaints if it names any, and its end."""
	with open(path, errors="replace") as log:
		lines = log.read().splitlines()
	named = [index for index, line in enumerate(lines[:-12])
		if re.search(r"\b(error|Error|ERROR|undefined reference|FAILED)\b", line)]
	keep = sorted({index + offset for index in named[:6] for offset in range(4)}
		| set(range(max(0, len(lines) - 12), len(lines))))
	return "\n".join(lines[index] for index in keep if index < len(lines))


def run(label, argv, log, estimate=None, cwd=None, env=None, append=False, check=True):
	"""Run argv with its output in `log`; returns its exit status, or raises Failed if checked.

	`estimate(path, elapsed)` returns a phrase for the progress line.
	"""
	started = time.monotonic()
	log.parent.mkdir(parents=True, exist_ok=True)
	with open(log, "ab" if append else "wb") as sink:
		child = spawn(argv, stdout=sink, stderr=subprocess.STDOUT, cwd=cwd, env=env)
	try:
		while True:
			try:
				status = child.wait(timeout=BEAT)
				break
			except subprocess.TimeoutExpired:
				go_on()
				elapsed = time.monotonic() - started
				more = estimate(log, elapsed) if estimate else ""
				say(f"  {label}: {duration(elapsed)}{', ' + more if more else ''}")
	finally:
		end(child)
	if status and check:
		raise Failed(f"{label} failed (status {status}); from {log}:\n{excerpt(log)}")
	return status


def counting(prefix_test, total):
	"""An estimate from the number of log lines that satisfy prefix_test, out of about `total`."""
	def estimate(log, elapsed):
		with open(log, errors="replace") as lines:
			done = sum(1 for line in lines if prefix_test(line))
		if not total:
			return f"{done} steps"
		shown = f"{done} of about {total} steps"
		if done < 20 or done >= total:
			return shown
		return f"{shown}, about {duration(elapsed * (total - done) / done)} left"
	return estimate


def main(entry):
	"""Run a tool's entry(argv) with the exits that users expect."""
	guard_exit()
	try:
		sys.exit(entry(sys.argv[1:]) or 0)
	except Failed as error:
		say(f"error: {error}")
		sys.exit(1)
	except Skipped as reason:
		say(f"SKIPPED: {reason}")
		sys.exit(1 if os.environ.get("CI") == "true" else 77)
