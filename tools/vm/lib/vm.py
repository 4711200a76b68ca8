# SPDX-License-Identifier: GPL-2.0-only
"""One run of a command in a virtual machine: boot, watch, fetch the results, judge the log.

Whatever happens, QEMU and svgpud are gone afterwards and the RAM file with them. The verdict is
the guest's exit status AND a kernel log without reports; results come as files in the run's folder.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

from . import guestlog, modules, qemu, rootfs, say, stock
from .gpu import Control, Gpu
from .paths import OUT
from .trace import Tracer

RESULTS_MIB = 64

crowded = False             # several run at a time: what a guest says stays in its console log
_placing = threading.Lock()


@dataclasses.dataclass
class Job:
	kernel: object
	name: str
	command: list
	load: tuple = ("svmirror", "svm_drm", "svgpu")
	programs: tuple = ()
	files: tuple = ()           # (host path, guest path)
	gpu: bool = True
	ram_mib: int = 1536
	vram_mib: int = 64
	mmu: str = ""               # the format of the virtual GPU's page tables; its own choice if not given
	timeout: int = 900
	cmdline: str = ""
	leak_scan: bool = True
	settings: dict = None       # more variables for the guest's /etc/settings
	quiet: bool = False         # do not show the guest's output
	modules: dict = None        # {name: .ko}; built if not given
	counting: bool = False      # one CPU, whose clock counts instructions
	traced: bool = False        # the guest may have its instructions written down: see trace.py


@dataclasses.dataclass
class Outcome:
	folder: pathlib.Path
	status: int                 # of the command; -1 if the guest did not get that far
	reports: list               # reports in the kernel log, each a list of lines
	trouble: str                # why the run itself failed, or ""
	seconds: float
	accel: str
	race_on_purpose: bool       # KCSAN was on, and found the race that svm_kunit makes

	@property
	def ok(self):
		return self.status == 0 and not self.reports and not self.trouble

	def problems(self):
		"""All that is wrong, as text."""
		parts = [self.trouble] if self.trouble else []
		if self.status:
			parts.append(f"the guest's command ended with status {self.status}")
		for report in self.reports:
			parts.append("the guest's kernel log has a report:\n    " + "\n    ".join(report))
		return "\n".join(parts)


class _Tail:
	"""Shows a growing console log, and remembers when it last had something to show."""

	def __init__(self, path, quiet):
		self.path, self.quiet = path, quiet
		self.offset, self.partial, self.booting = 0, "", True
		self.spoken = time.monotonic()

	def _hidden(self, line):
		"""Boot messages are noise unless they report something; the log file keeps them."""
		if line.startswith("guest: up"):
			self.booting = False
		return self.quiet or self.booting and guestlog.harmless(line)

	def show(self, last=False):
		if not self.path.exists():
			return
		with open(self.path, "rb") as log:
			log.seek(self.offset)
			fresh = log.read()
		self.offset += len(fresh)
		lines = (self.partial + fresh.decode(errors="replace").replace("\r", "")).split("\n")
		self.partial = "" if last else lines.pop()
		for line in lines:
			if line and not self._hidden(line):
				say.say(f"  | {line}")
				self.spoken = time.monotonic()


def _clear_stale_ram(folder):
	"""RAM files of runners that were killed outright: their name carries the runner's pid. Another user's stay."""
	for left in folder.glob(f"{qemu.RAM_NAME}*"):
		pid = left.name.removeprefix(qemu.RAM_NAME).split("-")[0]
		if pid.isdigit() and not pathlib.Path("/proc", pid).exists():
			with contextlib.suppress(FileNotFoundError, PermissionError):
				left.unlink()


def _sparse(path, size):
	path.unlink(missing_ok=True)
	with open(path, "wb") as handle:
		handle.truncate(size)
	return path


def _ram(folder, mib):
	"""The guest's RAM, a sparse file."""
	with _placing:
		_clear_stale_ram(qemu.SHM)
		home = qemu.ram_folder(folder, mib)
		return _sparse(home / f"{qemu.RAM_NAME}{os.getpid()}-{folder.name}", mib << 20)


def _watch(child, console, job, accel):
	"""Wait for QEMU to end; returns what went wrong, or an empty string."""
	started = time.monotonic()
	tail = _Tail(console, job.quiet or crowded)
	while True:
		try:
			child.wait(timeout=0.2)
		except subprocess.TimeoutExpired:
			pass
		say.go_on()
		tail.show(last=child.poll() is not None)
		elapsed = time.monotonic() - started
		if child.poll() is not None:
			return f"QEMU failed with status {child.returncode}" if child.returncode else ""
		if elapsed > job.timeout:
			return f"the guest did not finish within {say.duration(job.timeout)} under {accel}"
		if time.monotonic() - tail.spoken > say.BEAT:
			tail.spoken = time.monotonic()
			say.say(f"  {job.name} on {job.kernel.lane} {job.kernel.config}: {say.duration(elapsed)}")


def _fetch(disk, folder):
	"""Unpack what the guest left on its second disk; False if it left nothing whole."""
	folder.mkdir(exist_ok=True)
	unpacked = subprocess.run(["tar", "-C", str(folder), "--no-same-owner", "-xf", str(disk)],
		stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	return unpacked.returncode == 0


def _status(folder):
	try:
		return int((folder / "rc").read_text())
	except (OSError, ValueError):
		return -1


def run(job):
	"""Run the job; returns its Outcome."""
	started = time.monotonic()
	folder = OUT / "vm" / f"{job.kernel.lane}-{job.kernel.config}-{job.name}"
	shutil.rmtree(folder, ignore_errors=True)
	folder.mkdir(parents=True)
	built = modules.build(job.kernel) if job.load and job.modules is None else job.modules or {}
	image = rootfs.make(folder, job.kernel, built, job.load, job.programs, job.files, _shell(job.command),
		{"LEAK_SCAN": int(job.leak_scan and job.kernel.config == "debug"),
			"DRIVERS": " ".join(stock.DRIVERS) if job.kernel.packages else "", **(job.settings or {})})
	accel, accel_args = ("TCG, counting", qemu.COUNTING) if job.counting else qemu.accelerator(job.kernel, folder)
	say.say(f"booting {job.kernel.release} ({job.kernel.lane} {job.kernel.config}) under {accel}: {job.name}")
	trouble = _boot(job, folder, image, accel, accel_args)
	image.unlink(missing_ok=True)
	outcome = _judge(job, folder, trouble, time.monotonic() - started, accel)
	say.say(f"  {job.name} on {job.kernel.lane} {job.kernel.config}: "
		f"{'ok' if outcome.ok else 'FAILED'} in {say.duration(outcome.seconds)}; results in {folder}")
	return outcome


def _shell(command):
	return command[0] if len(command) == 1 else shlex.join(command)


def _boot(job, folder, image, accel, accel_args):
	ram = _ram(folder, job.ram_mib)
	files = {"ram": ram, "root": image, "console": folder / "console.log",
		"results": _sparse(folder / "results.img", RESULTS_MIB << 20)}
	if job.kernel.packages:
		files["initramfs"] = stock.initramfs(job.kernel, folder, rootfs.busybox(), rootfs.GUEST / "initramfs")
	gpu = control = child = tracer = None
	# A UNIX socket's path is limited to 107 bytes; the run's folder may lie deeper.
	with tempfile.TemporaryDirectory(prefix="svmirror-") as short:
		short = pathlib.Path(short)
		try:
			if job.gpu:
				gpu = Gpu(folder, ram, job.ram_mib << 20, job.vram_mib, short / "gpu", job.mmu)
				files["gpu"] = gpu.socket
			if job.traced:
				tracer = Tracer(folder / "trace", short / "monitor")
			control = Control(short / "control", gpu, tracer)
			control.start()
			files["control"] = short / "control"
			argv = qemu.command(job.kernel, accel_args, files, job.ram_mib, job.cmdline, job.counting)
			argv += tracer.arguments() if tracer else []
			(folder / "qemu.sh").write_text(shlex.join(argv) + "\n")
			with open(folder / "qemu.log", "wb") as sink:
				child = say.spawn(argv, stdout=sink, stderr=sink)
			trouble = _watch(child, files["console"], job, accel)
			if trouble and child.poll():
				trouble += "\n" + say.tail(folder / "qemu.log")
		finally:
			if child:
				say.end(child)
			if control:
				control.end()
			if tracer:
				tracer.end()
			gone = gpu.end() if gpu else None
			ram.unlink(missing_ok=True)
	if gone and not trouble:
		trouble = f"svgpud failed with status {gone}:\n{say.tail(folder / 'svgpud.out')}"
	return trouble


def _judge(job, folder, trouble, seconds, accel):
	disk = folder / "results.img"
	fetched = _fetch(disk, folder / "results")
	disk.unlink(missing_ok=True)
	status = _status(folder / "results") if fetched else -1
	if status == -1 and not trouble:
		trouble = "the guest did not get to the end of its command"
	console = folder / "console.log"
	log = console.read_text(errors="replace") if console.exists() else ""
	found = guestlog.reports(log)
	dmesg = folder / "results" / "dmesg"
	whole = dmesg.read_text(errors="replace") if dmesg.exists() else ""
	# The console shows warnings and worse; the ring buffer also has what is marked less grave.
	if not found:
		found = guestlog.reports(whole)
	leaks = folder / "results" / "kmemleak"
	if leaks.exists() and leaks.stat().st_size:
		found.append(leaks.read_text(errors="replace").splitlines()[:guestlog.CONTEXT])
	others = guestlog.races_of_others(log)
	if others:
		say.say(f"  {others} data races of the kernel with itself are not ours: {console}")
	outcome = Outcome(folder, status, found, trouble, seconds, accel,
		guestlog.race_on_purpose(log) or guestlog.race_on_purpose(whole))
	(folder / "outcome.json").write_text(json.dumps({
		"status": status, "reports": found, "trouble": trouble, "seconds": round(seconds, 1),
		"accelerator": accel, "kernel": job.kernel.release}, indent=1) + "\n")
	return outcome
