# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line, and the choice between KVM and emulation.

The guest's RAM is a file that svgpud maps too: that is the virtual GPU's DMA. With q35 and less
than 2816 MiB the guest-physical address equals the file offset. Emulation needs two CPUs and
MTTCG, or QEMU leaves out the barriers that guest and device rely on.
"""

import ctypes
import functools
import json
import mmap
import os
import pathlib
import platform
import subprocess
import threading
import time

from . import say
from .paths import OUT
from .say import Failed

BINARY = "qemu-system-x86_64"
RAM_LIMIT_MIB = 2815
SHM = pathlib.Path("/dev/shm")
RAM_NAME = "svmirror-ram-"  # and the runner's pid, and the run's name
PROBE_SECONDS = 20
PMEM = "64M!1G"             # size and guest-physical address, in all sizes of RAM that are used
TCG = ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]
KVM = ["-accel", "kvm", "-cpu", "host"]
# One CPU whose time is its instructions: each takes 1 ns, and the time-stamp counter counts ns. The same boot counts the
# same to the last digit, so nothing from outside may have a say: the clock begins at a fixed date, chance has a seed.
COUNTING = ["-accel", "tcg,thread=single", "-cpu", "max,la57=off", "-icount", "shift=0,sleep=off",
	"-rtc", "base=2020-01-01,clock=vm", "-seed", "42"]
COUNTING_KHZ = 1000000

_probing = threading.Lock()


def _promised(file):
	"""Bytes that a RAM file, which is sparse, may still take; none if it goes meanwhile."""
	try:
		stat = file.stat()
	except OSError:
		return 0
	return max(0, stat.st_size - stat.st_blocks * 512)


def ram_folder(folder, mib):
	"""Where the RAM file goes: into memory if there is room, else to the run's own folder."""
	try:
		room = os.statvfs(SHM)
		promised = sum(_promised(file) for file in SHM.glob(f"{RAM_NAME}*"))
		if room.f_bavail * room.f_frsize - promised > (mib + 256) << 20:
			return SHM
	except OSError:
		pass
	return folder


def _boot_id():
	return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _probe(kernel, folder):
	"""Whether KVM runs this kernel up to the point where it misses its root disk."""
	log = folder / "kvm-probe.log"
	argv = [BINARY, *KVM, "-M", "q35", "-m", "512M", "-smp", "2", "-nodefaults", "-display", "none",
		"-no-reboot", "-kernel", str(kernel.image), "-append", "console=ttyS0 panic=-1 root=/dev/none",
		"-serial", f"file:{log}"]
	child = say.spawn(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	try:
		child.wait(timeout=PROBE_SECONDS)
	except subprocess.TimeoutExpired:
		return False
	finally:
		say.end(child)
	return log.exists() and "Unable to mount root" in log.read_text(errors="replace")


def accelerator(kernel, folder):
	"""("KVM" or "TCG", its arguments). The answer holds until the next boot of this machine."""
	if not os.access("/dev/kvm", os.R_OK | os.W_OK):
		return "TCG", TCG
	record = OUT / "vm" / "accelerator.json"
	with _probing:
		known = json.loads(record.read_text()) if record.exists() else {}
		if known.get("boot") != _boot_id():
			say.say("probing KVM with a boot")
			known = {"boot": _boot_id(), "kvm": _probe(kernel, folder)}
			record.write_text(json.dumps(known) + "\n")
	return ("KVM", KVM) if known["kvm"] else ("TCG", TCG)


def _sample(counter):
	"""(nanoseconds, ticks) of the same moment: the closest of some tries, for we may be preempted in between."""
	best = None
	for _ in range(50):
		before, ticks, after = time.monotonic_ns(), counter(), time.monotonic_ns()
		if best is None or after - before < best[0]:
			best = (after - before, (before + after) // 2, ticks)
	return best[1:]


@functools.cache
def tsc_khz():
	"""The rate of this machine's time-stamp counter, which is the guest's too, or 0 where there is none."""
	if platform.machine() != "x86_64":
		return 0
	try:
		code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
	except OSError:         # a policy against code that is written: the guest has to find out for itself
		return 0
	code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))    # rdtsc; shl rdx, 32; or rax, rdx; ret
	counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
	first = _sample(counter)
	time.sleep(0.2)
	last = _sample(counter)
	return round((last[1] - first[1]) * 1000000 / (last[0] - first[0]))


def _clock(counting):
	"""What the kernel is told of its clock. On a busy machine its own measurement is off, by up to 7 times, and with it
	each of its seconds: so it is measured here."""
	if counting:
		return f"tsc_early_khz={COUNTING_KHZ} norandmaps "
	return f"tsc_early_khz={tsc_khz()} " if tsc_khz() else ""


def command(kernel, accel, files, ram_mib, extra, counting=False):
	"""The argv of a run. `files`: ram, root, results, console, control; initramfs and gpu too if there are."""
	if ram_mib > RAM_LIMIT_MIB:
		raise Failed(f"{ram_mib} MiB of RAM: above {RAM_LIMIT_MIB} file offsets are no longer physical addresses")
	# no_timer_check: the check of the timer's interrupt at boot counts ticks in a loop. Where the host is busy none
	# comes in time, and the kernel panics.
	# Persistent memory for a file system with DAX, /dev/pmem0: only prebuilt kernels have its drivers. And they keep
	# programs from mapping registers that a driver has (IO_STRICT_DEVMEM), which one test does.
	prebuilt = f"memmap={PMEM} iomem=relaxed " if kernel.packages else ""
	# Two nodes of the one RAM file; their balancing is switched on by the test that wants it. What is counted has one
	# CPU, which cannot be in two nodes, and no poison in pages.
	behaviour = "" if counting else "numa=fake=2 page_poison=1 "
	append = (_clock(counting) + prebuilt + behaviour + "numa_balancing=disable secretmem.enable=1 "
		"root=/dev/vda rw init=/bin/init console=ttyS0 loglevel=5 nokaslr tsc=reliable no_timer_check oops=panic "
		"panic=-1 kmemleak=on watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120 "
		+ extra).strip()
	argv = [BINARY, *accel, "-M", "q35", "-m", f"{ram_mib}M", "-smp", "1" if counting else "2", "-nodefaults",
		"-display", "none", "-no-reboot", "-object", f"memory-backend-file,id=ram,size={ram_mib}M,mem-path={files['ram']},share=on",
		"-machine", "memory-backend=ram", "-kernel", str(kernel.image), "-append", append,
		"-drive", f"file={files['root']},if=virtio,format=raw,cache=unsafe",
		"-drive", f"file={files['results']},if=virtio,format=raw,cache=unsafe",
		"-chardev", f"file,id=console,path={files['console']}", "-serial", "chardev:console",
		"-chardev", f"socket,id=control,path={files['control']}", "-serial", "chardev:control"]
	if "initramfs" in files:
		argv += ["-initrd", str(files["initramfs"])]
	if "gpu" in files:
		argv += ["-chardev", f"socket,id=gpu,path={files['gpu']}",
			"-device", "ivshmem-doorbell,chardev=gpu,vectors=4"]
	return argv
