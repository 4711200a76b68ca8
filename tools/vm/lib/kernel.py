# SPDX-License-Identifier: GPL-2.0-only
"""A lane's kernel: its source fetched, configured and built once, into the cache.

A build directory is named by everything that decides its content (lane, config, source version,
fragments, compiler). It counts as whole only with its marker file, which is written last; a build
that was killed is continued, and begun afresh if that fails. A lock per directory lets a
background prefetch and the foreground ask for the same kernel.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from . import debian, say, stock
from .paths import CACHE, JOBS, LANES
from .say import Failed

MARKER = "svmirror-complete.json"
# How long a version that apt told us stays good, in days: kernels are not refetched every morning.
RESOLVE_DAYS = 14
# Log lines of a build from scratch, for the estimate.
STEPS = {"base": 1750, "debug": 1850, "kcsan": 1990}
# What make is told for a config, to instrument by folder. An emulated CPU takes three times as long for what is instrumented,
# and what has no share in our memory (the interpreter of ACPI, the disk's file system) would take most of each boot.
# debug: what handles memory, files, devices or graphics, less what cannot be instrumented ("n" is no, nothing is as the kernel has it).
# kcsan: only what shares data with us, so that its samples are not spent on the rest of the kernel, nor its reports; and, for its memory
# model, the barriers in what we synchronise by, but for the files that the kernel excepts ("n" before anything else is no).
_OURS = ("$(if $(filter-out mm/kasan/% mm/kmsan/% mm/kmemleak.o kernel/kcsan/% kernel/entry/% fs/ext4/% fs/jbd2/%,"
	"$(filter mm/% kernel/% lib/% fs/% ipc/% io_uring/% drivers/base/% drivers/pci/% drivers/iommu/% drivers/dma-buf/% drivers/gpu/%,"
	"$@)),,n)")
TOLD = {
	"debug": (f"KASAN_SANITIZE={_OURS}", f"UBSAN_SANITIZE={_OURS}"),
	"kcsan": (
		"KCSAN_SANITIZE=$(if $(filter drivers/gpu/% mm/hmm.o mm/mmu_notifier.o lib/xarray.o,$@),y,n)",
		"KCSAN_INSTRUMENT_BARRIERS=$(if $(filter-out kernel/kcsan/% kernel/trace/%,"
		"$(filter kernel/% mm/% lib/% drivers/gpu/%,$@)),$(if $(filter mm/%,$@),,$(KCSAN_SANITIZE_$(target-stem).o)),n)y"),
}


@dataclasses.dataclass(frozen=True)
class Source:
	path: pathlib.Path
	version: str        # names the exact source in the cache's keys
	owned: bool         # fetched by us and never changed; a user's KSRC= tree may change


@dataclasses.dataclass(frozen=True)
class Kernel:
	lane: str
	config: str
	build: pathlib.Path     # KDIR
	source: pathlib.Path
	release: str            # what `uname -r` will say
	image: pathlib.Path
	packages: pathlib.Path = None   # of a prebuilt kernel: where its packages are unpacked


def clean_env():
	"""The environment without what an outer make would pass into an inner one."""
	env = {key: value for key, value in os.environ.items()
		if not re.fullmatch(r"MAKE.*|MFLAGS|GNUMAKEFLAGS|KDIR|M|LANE|KSRC|KBUILD.*|CI", key)}
	env.update(KBUILD_BUILD_USER="svmirror", KBUILD_BUILD_HOST="svmirror", LC_ALL="C")
	return env


@contextlib.contextmanager
def locked(path, label, progress=None):
	"""Hold an exclusive lock on path, saying so (with progress()) while somebody else has it."""
	path.parent.mkdir(parents=True, exist_ok=True)
	with open(path, "w") as handle:
		started = spoken = time.monotonic()
		while True:
			try:
				fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
				break
			except BlockingIOError:
				time.sleep(0.2)
				say.go_on()
			if time.monotonic() - spoken > say.BEAT:
				spoken = time.monotonic()
				more = progress() if progress else ""
				say.say(f"  {label} is being made in the background: "
					f"{say.duration(spoken - started)}{', ' + more if more else ''}")
		yield


def _record(lane):
	"""Where it is kept which version a lane's package has; a lane that becomes another package gets another record."""
	return CACHE / "lanes" / f"{lane.codename}-{lane.preferred}.json"


def _resolve(lane, refresh):
	"""(package, version) of the lane's source; asked of apt once in a while."""
	record = _record(lane)
	if record.exists() and not refresh:
		known = json.loads(record.read_text())
		kept = (CACHE / "src" / f"{known['package']}_{known['version']}").exists()
		if kept and time.time() - record.stat().st_mtime < RESOLVE_DAYS * 86400:
			return known["package"], known["version"]
	suite = debian.Suite(lane.codename, lane.security)
	suite.update()
	package, version = suite.newest(lane.package, lane.preferred)
	record.parent.mkdir(parents=True, exist_ok=True)
	record.write_text(json.dumps({"package": package, "version": version}))
	return package, version


def _fetch(lane, package, version, target):
	suite = debian.Suite(lane.codename, lane.security)
	staging = target.with_name(target.name + ".part")
	shutil.rmtree(staging, ignore_errors=True)
	log = CACHE / "log" / f"unpack-{target.name}.log"
	if lane.prebuilt:
		stock.unpack(suite, package, version, staging, log)
		stock.finish(staging, target)
		staging.rename(target)
		return
	deb = suite.download(package, version, staging / "deb")
	say.run(f"unpacking {package} {version}", ["dpkg-deb", "-x", str(deb), str(staging / "deb")], log)
	tarball = next((staging / "deb" / "usr" / "src").glob("linux-source-*.tar.xz"), None)
	if tarball is None:
		raise Failed(f"{deb.name} holds no kernel tarball")
	(staging / "tree").mkdir()
	say.run(f"unpacking {tarball.name}",
		["tar", "-C", str(staging / "tree"), "--strip-components=1", "-xf", str(tarball)], log, append=True)
	(staging / "tree").rename(target)
	shutil.rmtree(staging)


def _given(path):
	"""A kernel source tree of the user's own."""
	tree = pathlib.Path(path).resolve()
	if not (tree / "Kbuild").exists():
		raise Failed(f"KSRC={path} is neither a kernel source tree nor a package that the lane's suite could have")
	version = subprocess.run(["make", "-s", "-C", str(tree), "kernelversion"],
		capture_output=True, text=True, env=clean_env()).stdout.strip()
	return Source(tree, f"{version}-{hashlib.sha256(str(tree).encode()).hexdigest()[:6]}", False)


def source(lane, refresh=False):
	"""The lane's source tree, or the one that KSRC= names: a directory, or another package of the lane's suite."""
	given = os.environ.get("KSRC")
	if given and not lane.prebuilt:
		if not re.fullmatch(lane.package, given):
			return _given(given)
		lane = dataclasses.replace(lane, package=re.escape(given), preferred=given)
	with locked(_record(lane).with_suffix(".lock"), f"the source of lane {lane.name}"):
		package, version = _resolve(lane, refresh)
		target = CACHE / "src" / f"{package}_{version}"
		if not target.exists():
			target.parent.mkdir(parents=True, exist_ok=True)
			_fetch(lane, package, version, target)
	return Source(target, f"{package.removeprefix('linux-source-')}_{version}", True)


def wanted(lane, config):
	"""The option lines of a config: base; for the tests also what memory can do, and their checks; what is the lane's own."""
	names = ["base"] if config == "base" else ["base", "behaviours", config]
	paths = [LANES / f"{name}.config" for name in (*names, lane.name)]
	lines = []
	for path in paths if paths[-1].exists() else paths[:-1]:
		for line in path.read_text().splitlines():
			if line.startswith("CONFIG_") or re.match(r"# CONFIG_\w+ is not set$", line):
				lines.append(line)
	return lines


def _allowed_absent(lane):
	"""Options that a lane cannot have, from tests/kernel/absent.txt: `lane option reason`."""
	absent = set()
	for line in (LANES / "absent.txt").read_text().splitlines():
		words = line.split(maxsplit=2)
		if len(words) == 3 and not line.startswith("#") and words[0] == lane.name:
			absent.add(words[1])
	return absent


def _verify(lane, config, build):
	got = set((build / ".config").read_text().splitlines())
	absent = _allowed_absent(lane)
	missing = []
	for line in wanted(lane, config):
		name = re.search(r"CONFIG_\w+", line).group(0)
		if line.startswith("#"):
			effective = not any(entry.startswith(name + "=") for entry in got)
		else:
			effective = line in got
		if not effective and name not in absent:
			missing.append(line)
	if missing:
		raise Failed(f"lane {lane.name}, config {config}: these options did not take effect "
			f"(mend the fragment, or give the reason in tests/kernel/absent.txt): {', '.join(missing)}")


def _key(lane, config):
	compiler = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout
	text = "\n".join((*wanted(lane, config), *TOLD.get(config, ()))) + compiler
	return hashlib.sha256(text.encode()).hexdigest()[:12]


def _configure(lane, config, tree, build):
	fragment = build / "svmirror.config"
	fragment.write_text("\n".join(wanted(lane, config)) + "\n")
	env = clean_env()
	env["KCONFIG_ALLCONFIG"] = str(fragment)
	before = (build / ".config").read_bytes() if (build / ".config").exists() else None
	if before is None:
		say.run(f"configuring {lane.name} {config}",
			["make", "-C", str(tree.path), f"O={build}", "allnoconfig"],
			build / "configure.log", env=env)
	_verify(lane, config, build)


def _estimate(config):
	return say.counting(lambda line: re.match(r"  [A-Z]", line), STEPS[config])


def _progress_of(build, config):
	"""Progress of a build that another process runs."""
	def progress():
		log = build / "build.log"
		if not log.exists():
			return "fetching and unpacking its source"
		return _estimate(config)(log, time.time() - (build / "configure.log").stat().st_mtime)
	return progress


def _compile(lane, config, tree, build, nice):
	name = f"kernel {lane.name} {config}"
	argv = ["nice", "-n", str(nice), "make", "-C", str(tree.path), f"O={build}", f"-j{JOBS}",
		*TOLD.get(config, ()), "bzImage", "modules"]
	say.run(name, argv, build / "build.log", estimate=_estimate(config), env=clean_env())


def _release(build):
	return (build / "include" / "config" / "kernel.release").read_text().strip()


def kernel(lane, config, nice=0, refresh=False):
	"""The built kernel of a lane, building what is missing."""
	tree = source(lane, refresh)
	if lane.prebuilt:
		return Kernel(lane.name, config, stock.headers(tree.path), tree.path, *stock.image(tree.path), tree.path)
	build = CACHE / "build" / f"{lane.name}-{config}-{tree.version}-{_key(lane, config)}"
	marker = build / MARKER
	if not (marker.exists() and tree.owned):
		with locked(build.with_name(build.name + ".lock"), f"kernel {lane.name} {config}",
				_progress_of(build, config)):
			if not (marker.exists() and tree.owned):
				_make(lane, config, tree, build, nice)
	return Kernel(lane.name, config, build, tree.path, _release(build), build / "arch" / "x86" / "boot" / "bzImage")


def _make(lane, config, tree, build, nice):
	started = time.monotonic()
	resumed = build.exists()
	build.mkdir(parents=True, exist_ok=True)
	say.say(f"building the kernel of lane {lane.name} ({tree.version}, {config}) in {build}; "
		"this is done once")
	try:
		_configure(lane, config, tree, build)
		_compile(lane, config, tree, build, nice)
	except Failed:
		if not resumed:
			raise
		say.say("  an earlier, unfinished build could not be continued: starting afresh")
		shutil.rmtree(build)
		build.mkdir()
		_configure(lane, config, tree, build)
		_compile(lane, config, tree, build, nice)
	seconds = round(time.monotonic() - started)
	(build / MARKER).write_text(json.dumps({
		"lane": lane.name, "config": config, "source": tree.version,
		"release": _release(build), "seconds": seconds}) + "\n")
	say.say(f"  kernel {lane.name} {config}: {_release(build)} built in {say.duration(seconds)}")
