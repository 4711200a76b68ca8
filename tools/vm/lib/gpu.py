# SPDX-License-Identifier: GPL-2.0-only
"""The virtual GPU's process beside QEMU, and the channel over which the guest may hurt it.

svgpud is a supervisor that owns the socket and a worker that is the device. It must listen before
QEMU starts, since QEMU connects at once. The guest asks over its second serial port for the
worker to be killed (SIGUSR1 to the supervisor) or started again (SIGUSR2), and for a device that lies
(`evil SEED[:LIE,…]`) or does not (`honest`), or for page tables of a format (`mmu NAME`), from its next start on: loading
the driver is one.
"""

import re
import signal
import socket
import subprocess
import threading
import time

from . import say
from .paths import BUILD, TOP
from .say import Failed

PROGRAM = BUILD / "release" / "tools" / "svgpud" / "svgpud"
READY_SECONDS = 20
LEAVE_SECONDS = 20
LIES = re.compile(r"\d+(:[a-z-]+(,[a-z-]+)*)?$")
HEADER = TOP / "include" / "hw" / "svgpu_regs.h"


def formats():
	"""The names of the formats of page tables that the virtual GPU can walk, as its programming interface has them."""
	listed = re.search(r"#define SVGPU_FORMAT_NAMES \\\n\s*\{(.*?)\}", HEADER.read_text()).group(1)
	return tuple(re.findall(r'"(\w+)"', listed))


class Gpu:
	def __init__(self, folder, ram, ram_bytes, vram_mib, path, mmu=""):
		if not PROGRAM.exists():
			raise Failed(f"{PROGRAM} is not built: run `make host`")
		self.socket = path
		self.output = folder / "svgpud.out"
		self.lies = folder / "svgpud.lies"
		self.lies.write_text("")
		self.mmu = folder / "svgpud.mmu"
		self.mmu.write_text(mmu + "\n")
		with open(self.output, "wb") as sink:
			self.child = say.spawn([str(PROGRAM), "--socket", str(self.socket), "--ram", str(ram),
				"--ram-size", str(ram_bytes), "--vram-mib", str(vram_mib),
				"--evil-file", str(self.lies), "--mmu-file", str(self.mmu), "--log", str(folder / "svgpud.log")], stdout=sink, stderr=sink)
		self._await_listening()

	def _await_listening(self):
		deadline = time.monotonic() + READY_SECONDS
		while time.monotonic() < deadline:
			if "svgpud: listening" in self.output.read_text(errors="replace"):
				return
			if self.child.poll() is not None:
				break
			time.sleep(0.05)
		say.end(self.child)
		raise Failed(f"svgpud does not listen:\n{say.tail(self.output)}")

	def ask(self, request):
		"""Carry out a guest's request; the answer is a line."""
		signals = {"kill": signal.SIGUSR1, "restart": signal.SIGUSR2}
		if self.child.poll() is not None:
			return "svgpud has ended"
		match request:
			case ["kill" | "restart" as what]:
				self.child.send_signal(signals[what])
			case ["honest"]:
				self.lies.write_text("")
			case ["evil", lies] if LIES.match(lies):
				self.lies.write_text(lies + "\n")
			case ["mmu", name] if name in formats():
				self.mmu.write_text(name + "\n")
			case _:
				return f"unknown request 'gpu {' '.join(request)}'"
		return "ok"

	def end(self):
		"""End svgpud. The status is 0 if it went when QEMU did and its device kept its own rules, None
		if it had to be told."""
		try:
			status = self.child.wait(timeout=LEAVE_SECONDS)
		except subprocess.TimeoutExpired:
			status = None
		say.end(self.child)
		return status


class Control(threading.Thread):
	"""Serves the guest's /bin/hostctl on a UNIX socket that QEMU connects its serial port to."""

	def __init__(self, path, gpu, tracer=None):
		super().__init__(daemon=True)
		self.gpu, self.tracer = gpu, tracer
		self.listener = socket.socket(socket.AF_UNIX)
		self.listener.bind(str(path))
		self.listener.listen(1)

	def run(self):
		try:
			link, _ = self.listener.accept()
			with link, link.makefile("rw", newline="\n") as lines:
				for line in lines:
					lines.write(self._answer(line.split()) + "\n")
					lines.flush()
		except OSError:
			pass    # QEMU has gone, and with it whoever would read an answer

	def _answer(self, words):
		if words[:1] == ["gpu"]:
			return self.gpu.ask(words[1:]) if self.gpu else "this machine has no gpu"
		if words[:1] == ["trace"]:
			return self.tracer.ask(words[1:]) if self.tracer else "this machine is not traced"
		return f"unknown request '{' '.join(words)}'"

	def end(self):
		self.listener.close()
