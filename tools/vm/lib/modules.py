# SPDX-License-Identifier: GPL-2.0-only
"""The project's kernel modules, built for one lane without disturbing another's objects.

The sources that git knows (or would add) are copied into the lane's own tree with their times
kept, so the build there is incremental; a file that has left the sources is deleted there too.
"""

import os
import shutil
import subprocess

from . import say
from .kernel import clean_env
from .paths import JOBS, OUT, TOP

PARTS = ["Makefile", "Kconfig", "include", "mm", "drivers", "tests/kunit", "tests/bench", "tools/svgpud/mmu"]


def _listed():
	names = subprocess.run(
		["git", "-C", str(TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS],
		capture_output=True, text=True, check=True).stdout.split("\0")
	return [name for name in names if name and (TOP / name).is_file()]


def sync(tree):
	"""Make the sources in `tree` equal to the project's; build products there stay."""
	manifest = tree / ".sources"
	before = set(manifest.read_text().splitlines()) if manifest.exists() else set()
	names = _listed()
	for gone in before - set(names):
		(tree / gone).unlink(missing_ok=True)
	for name in names:
		origin, copy = TOP / name, tree / name
		now = origin.stat()
		if copy.exists():
			then = copy.stat()
			if then.st_mtime_ns == now.st_mtime_ns and then.st_size == now.st_size:
				continue
		copy.parent.mkdir(parents=True, exist_ok=True)
		shutil.copy2(origin, copy)
		if copy.stat().st_mtime_ns < now.st_mtime_ns:
			os.utime(copy)
	manifest.write_text("\n".join(names) + "\n")


def _kept(kernel):
	"""Variables for make, so that ccache keeps what the compiler made. A prebuilt kernel's headers name a compiler of their own."""
	return [] if kernel.packages or not shutil.which("ccache") else ["CC=ccache gcc"]


def build(kernel, more=()):
	"""{module name: path of its .ko}, built for `kernel`; `more` is for make, e.g. what asks for modules that few need."""
	home = OUT / "lanes" / f"{kernel.lane}-{kernel.config}"
	tree = home / "src"
	tree.mkdir(parents=True, exist_ok=True)
	marker = home / "kdir"
	if marker.exists() and marker.read_text() != str(kernel.build):
		# Another kernel: kbuild would not notice that its headers are other files.
		shutil.rmtree(tree)
		tree.mkdir()
	marker.write_text(str(kernel.build))
	sync(tree)
	say.run(f"modules for {kernel.lane} {kernel.config}",
		["make", "-C", str(kernel.build), f"M={tree}", f"-j{JOBS}", *_kept(kernel), *more, "modules"],
		home / "modules.log", env=dict(clean_env(), CCACHE_BASEDIR=str(TOP), CCACHE_NOHASHDIR="1"))
	if kernel.config == "kcsan":
		_require_instrumented(tree / "mm" / "core.o")
	return {path.stem: path for path in sorted(tree.rglob("*.ko"))}


def _require_instrumented(unit):
	"""The core's flags are made by mm/cxx.mk, not by Kbuild: KCSAN's could get lost, and no race be seen."""
	if b"__tsan_read8" not in unit.read_bytes():
		raise say.Failed(f"{unit} is not instrumented for KCSAN")
