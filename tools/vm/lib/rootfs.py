# SPDX-License-Identifier: GPL-2.0-only
"""The guest's disk: busybox, our modules, host-built programs with the libraries they load.

It is made afresh for every run (that takes under a second), so the guest may write to it.
"""

import pathlib
import re
import shlex
import shutil
import subprocess

from . import say, stock
from .paths import TOP
from .say import Failed

GUEST = TOP / "tools" / "vm" / "guest"
FOLDERS = ("bin", "dev", "etc", "lib/modules", "lib64", "mnt", "proc", "results", "root", "run", "sbin", "sys", "tmp", "usr/lib")
SLACK_MIB = 96


def libraries(program):
	"""Paths of the shared objects that a program loads, the dynamic linker included."""
	listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True)
	if "not found" in listed.stdout:
		raise Failed(f"{program} misses a library:\n{listed.stdout}")
	return re.findall(r"(/\S+) \(0x", listed.stdout)


def _install(root, origin, place):
	target = root / str(place).lstrip("/")
	target.parent.mkdir(parents=True, exist_ok=True)
	shutil.copyfile(origin, target, follow_symlinks=True)
	target.chmod(0o755)


def busybox():
	binary = shutil.which("busybox") or "/bin/busybox"
	if not pathlib.Path(binary).exists():
		raise Failed("busybox is missing: run tools/vm/setup")
	return binary


def _busybox(root):
	binary = busybox()
	_install(root, binary, "bin/busybox")
	for name in subprocess.run([binary, "--list"], capture_output=True, text=True).stdout.split():
		link = root / "bin" / name
		if name not in ("busybox", "init") and not link.exists():
			link.symlink_to("busybox")
	(root / "sbin" / "modprobe").symlink_to("../bin/busybox")   # the kernel asks it for modules


def add_program(root, program):
	"""Put a host program into the guest's /bin, under its own name."""
	_install(root, program, f"bin/{program.name}")
	for library in libraries(program):
		if not (root / library.lstrip("/")).exists():
			_install(root, library, library)


def make(folder, kernel, modules, load, programs, files, command, settings):
	"""The disk image in `folder`. `load` are module command lines, in order; `files` maps host to guest."""
	root = folder / "root"
	shutil.rmtree(root, ignore_errors=True)
	for name in FOLDERS:
		(root / name).mkdir(parents=True)
	_busybox(root)
	for script in ("init", "hostctl"):
		_install(root, GUEST / script, f"bin/{script}")
	for module in modules.values():
		_install(root, module, f"lib/modules/{module.name}")
	if kernel.packages:
		stock.install(kernel, root)
	for program in programs:
		add_program(root, program)
	for origin, place in files:
		_install(root, origin, place)
	(root / "etc" / "modules").write_text("".join(line + "\n" for line in load))
	(root / "etc" / "command").write_text(command + "\n")
	(root / "etc" / "settings").write_text(
		"".join(f"{key}={shlex.quote(str(value))}\n" for key, value in settings.items()))
	return _image(folder, root)


def _image(folder, root):
	size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
	image = folder / "root.img"
	image.unlink(missing_ok=True)
	mke2fs = shutil.which("mke2fs") or "/sbin/mke2fs"
	say.run("disk image", [mke2fs, "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
		"-d", str(root), str(image), f"{size // (1 << 20) + SLACK_MIB}M"], folder / "mke2fs.log")
	shutil.rmtree(root)
	return image
