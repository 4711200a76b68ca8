# SPDX-License-Identifier: GPL-2.0-only
"""The virtual GPU's process beside QEMU, and the channel over which the guest may hurt it.

svgpud is a supervisor that owns the socket and a worker that is the device. It must listen before
QEMU starts, since QEMU connects at once. The guest asks over its second serial port for the
worker to be killed (SIGUSR1 to the supervisor) or started again (SIGUSR2).
"""

import signal
import socket
import threading
import time

from . import say
from .paths import BUILD
from .say import Failed

PROGRAM = BUILD / "release" / "tools" / "svgpud" / "svgpud"
READY_SECONDS = 20


class Gpu:
	def __init__(self, folder, ram, ram_bytes, vram_mib, path):
		if not PROGRAM.exists():
			raise Failed(f"{PROGRAM} is not built: run `make host`")
		self.socket = path
		self.output = folder / "svgpud.out"
		with open(self.output, "wb") as sink:
			self.child = say.spawn([str(PROGRAM), "--socket", str(self.socket), "--ram", str(ram),
				"--ram-size", str(ram_bytes), "--vram-mib", str(vram_mib),
				"--log", str(folder / "svgpud.log")], stdout=sink, stderr=sink)
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
		if request not in signals:
			return f"unknown request 'gpu {request}'"
		if self.child.poll() is not None:
			return "svgpud has ended"
		self.child.send_signal(signals[request])
		return "ok"

	def end(self):
		"""End svgpud. The status is 0 if it went when QEMU did, None if it had to be told."""
		status = self.child.poll()
		say.end(self.child)
		return status


class Control(threading.Thread):
	"""Serves the guest's /bin/hostctl on a UNIX socket that QEMU connects its serial port to."""

	def __init__(self, path, gpu):
		super().__init__(daemon=True)
		self.gpu = gpu
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
		if len(words) == 2 and words[0] == "gpu":
			return self.gpu.ask(words[1]) if self.gpu else "this machine has no gpu"
		return f"unknown request '{' '.join(words)}'"

	def end(self):
		self.listener.close()
