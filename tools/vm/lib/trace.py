# SPDX-License-Identifier: GPL-2.0-only
"""Which functions a guest's instructions belong to: QEMU writes down every instruction of a region that the guest marks.

The guest asks over its control channel: `trace begin NAME START END` and `trace end`. Between them QEMU's monitor lets it
run one instruction at a time and log the address of each. START and END are the addresses of two functions of the guest's
program that its region begins and ends with; a module may have two of its own. What the log has outside of them is the
guest's talk with us.
"""

import bisect
import collections
import re
import socket
import subprocess

from .say import Failed

ADDRESS = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")
KERNEL = 1 << 63
PROCESS = "(the process)"
PROMPT = b"(qemu) "
SECONDS = 30


class Tracer:
	"""Speaks to QEMU's monitor; one file in `folder` for each name that the guest gives."""

	def __init__(self, folder, path):
		self.folder, self.path, self.link = folder, path, None
		folder.mkdir()

	def arguments(self):
		return ["-chardev", f"socket,id=monitor,path={self.path},server=on,wait=off", "-mon", "chardev=monitor,mode=readline"]

	def _await_prompt(self):
		said = b""
		while not said.endswith(PROMPT):
			more = self.link.recv(4096)
			if not more:
				raise OSError("QEMU's monitor has gone")
			said += more

	def _tell(self, *commands):
		if self.link is None:
			self.link = socket.socket(socket.AF_UNIX)
			self.link.settimeout(SECONDS)
			self.link.connect(str(self.path))
			self._await_prompt()
		for command in commands:
			self.link.sendall(command.encode() + b"\n")
			self._await_prompt()

	def ask(self, request):
		"""Carry out a guest's request; the answer is a line."""
		match request:
			case ["begin", name, start, end] if re.fullmatch(r"[\w.-]+", name):
				(self.folder / f"{name}.marks").write_text(f"{start} {end}\n")
				# The first is older QEMUs' name of the second; the one that this QEMU does not know is refused.
				self._tell(f"logfile {self.folder / name}", "singlestep on", "one-insn-per-tb on", "log exec,nochain")
			case ["end"]:
				self._tell("log none", "singlestep off", "one-insn-per-tb off")
			case _:
				return f"unknown request 'trace {' '.join(request)}'"
		return "ok"

	def end(self):
		if self.link:
			self.link.close()


def _pretty(names):
	"""C++ names as they are in the source, without their arguments."""
	plain = subprocess.run(["c++filt", "-p"], input="\n".join(names), capture_output=True, text=True).stdout.split("\n")
	return dict(zip(names, (re.sub(r" \[clone .*", "", name) for name in plain)))


class Symbols:
	"""Of a guest's /proc/kallsyms."""

	def __init__(self, path):
		table = []
		for line in path.read_text().splitlines():
			address, kind, name = line.split()[:3]
			if kind in "tTwW":
				table.append((int(address, 16), name))
		if not table:
			raise Failed(f"{path} names no function")
		table.sort()
		self.starts, self.names = [address for address, _ in table], [name for _, name in table]
		self.places = {name: address for address, name in table}

	def name(self, address):
		if address < KERNEL:
			return PROCESS
		return self.names[bisect.bisect_right(self.starts, address) - 1]


def read_marks(path):
	"""The addresses that the guest named for a file of instructions."""
	begin, end = path.with_name(path.name + ".marks").read_text().split()
	return int(begin, 16), int(end, 16)


def profile(path, symbols, marks):
	"""{function: instructions} between the marks, pairs of addresses that a region begins and ends at."""
	begins, ends = {begin for begin, _ in marks}, {end for _, end in marks}
	counts, inside = collections.Counter(), False
	with open(path, errors="replace") as log:
		for line in log:
			match = ADDRESS.match(line)
			if not match:
				continue
			address = int(match.group(1), 16)
			if address in begins:
				inside = True
			elif address in ends:
				inside = False
			elif inside:
				counts[address] += 1
	by_name = collections.Counter()
	for address, count in counts.items():
		by_name[symbols.name(address)] += count
	pretty = _pretty(list(by_name))
	merged = collections.Counter()
	for name, count in by_name.items():
		merged[pretty[name]] += count
	return merged
