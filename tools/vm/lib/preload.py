# SPDX-License-Identifier: GPL-2.0-only
"""The suite `preload`: unmodified programs under libsvmirror_preload.so, which compares what the device reads of
their memory with what the CPU reads.

Each program is a test: it must end as it does without the mirror, some spots must have been compared, and
none may differ. The kernel's own selftests are built from the lane's source when they are to run.
"""

import collections
import pathlib
import shutil
import subprocess

from . import guest, say, vm
from .paths import BUILD, OUT
from .results import Suite
from .rootfs import GUEST
from .say import Failed

LIBRARY = BUILD / "release" / "tools" / "preload" / "libsvmirror_preload.so"
SECONDS = 300                       # for one program; far more than any needs
KSFT_SKIP = 4                       # exit status of the kernel's selftests

# Stressors that live on changing memory; two workers each, that many operations. Not madvise: where the kernel can, it
# declares pages of its own bad, and dies of them now and then, mirrored or not.
STRESSORS = (("mmap", 8), ("mremap", 12), ("mprotect", 60), ("fork", 60), ("shm", 6), ("mlock", 60), ("vm", 400), ("malloc", 6000))
# Those that need no special hardware, no setting up and no minutes: (name, arguments).
SELFTESTS = (("map_fixed_noreplace", ""), ("map_populate", ""), ("mremap_dontunmap", ""), ("madv_populate", ""),
	("mlock2-tests", ""))
SAMPLE = """#include <map>
#include <string>
int main() { std::map<std::string, int> words; words["mirror"]++; return words.size() == 1 ? 0 : 1; }
"""


class Load:
	"""What the guest is to run, and the files for it."""

	def __init__(self):
		self.lines, self.programs, self.files, self.skipped = [], [], [], []

	def add(self, name, command):
		self.lines.append(f"{name} {SECONDS} {command}")

	def program(self, name):
		path = shutil.which(name)
		if not path:
			raise Failed(f"the program {name} is missing: run tools/vm/setup")
		self.programs.append(pathlib.Path(path).resolve())


def _stress(load):
	load.program("stress-ng")
	for name, operations in STRESSORS:
		load.add(f"stress-{name}", f"stress-ng --{name} 2 --{name}-ops {operations} --timeout 3 --oomable --temp-path /tmp"
			+ (" --vm-bytes 8M --verify" if name == "vm" else "") + (" --mmap-bytes 4M" if name == "mmap" else ""))


def _said(argv):
	ended = subprocess.run(argv, capture_output=True, text=True)
	if ended.returncode:
		raise Failed(f"{' '.join(argv)}:\n{ended.stderr}")
	return ended.stdout


def _compiler(load, folder):
	"""The host's own compiler on preprocessed text; the object must come out the same."""
	source = folder / "sample.cpp"
	source.write_text(SAMPLE)
	_said(["g++", "-E", "-o", str(folder / "sample.ii"), str(source)])
	driver = pathlib.Path(shutil.which("g++")).resolve()
	for name in ("cc1plus", "as"):
		found = shutil.which(_said([str(driver), f"-print-prog-name={name}"]).strip())
		if not found:
			raise Failed(f"{driver} has no {name}")
		link = folder / name        # programs are named by their file, not by what it resolves to
		link.unlink(missing_ok=True)
		shutil.copyfile(found, link)
		link.chmod(0o755)
		load.programs.append(link)
	load.programs.append(driver)
	load.files.append((folder / "sample.ii", "/mnt/sample.ii"))
	load.add("g++", f"{driver.name} -B/bin/ -c /mnt/sample.ii -o sample.o && "
		"{ [ -e first.o ] || cp sample.o first.o; } && cmp sample.o first.o")


def _selftests(load, kernel_source, folder):
	tests = kernel_source / "tools" / "testing" / "selftests"
	home = tests / "mm" if (tests / "mm").is_dir() else tests / "vm"
	for name, arguments in SELFTESTS:
		source = home / f"{name}.c"
		if not source.exists():
			load.skipped.append((f"kernel-{name}", "this kernel's selftests do not have it"))
			continue
		helpers = [str(home / "vm_util.c")] if '"vm_util.h"' in source.read_text() else []
		program = folder / f"kernel-{name}"
		built = subprocess.run(["gcc", "-O1", "-w", f"-I{home}", f"-I{tests}", "-o", str(program), str(source), *helpers,
			"-pthread", "-lrt"], capture_output=True, text=True)
		if built.returncode:
			load.skipped.append((f"kernel-{name}", "the distribution's headers do not compile it:\n" + built.stderr[-800:]))
			continue
		load.programs.append(program)
		load.add(program.name, f"{program.name} {arguments}".strip())


def _judge(suite, name, folder):
	try:
		bare, mirrored = (folder / f"{name}.status").read_text().split()
		counted = collections.Counter()
		told = []
		report = folder / f"{name}.report"
		for line in report.read_text(errors="replace").splitlines() if report.exists() else []:
			what, number, *text = line.split(" ", 2)
			counted[what] += int(number)
			told += text
	except (OSError, ValueError) as error:
		suite.add(name, "failed", f"left no result that makes sense: {error}")
		return
	summary = f"status {bare} bare, {mirrored} mirrored; " + ", ".join(f"{n} {what}" for what, n in counted.items())
	say.say(f"  {name}: {summary}")
	lost = any(what.startswith("device_lost") for what in counted)
	if bare == mirrored == str(KSFT_SKIP) and name.startswith("kernel-") and not counted["mismatch"]:
		suite.add(name, "skipped", "the test skips itself on this kernel, mirrored or not")
	elif bare != mirrored or counted["mismatch"] or not counted["checked"] or lost:
		said = (folder / f"{name}.out").read_text(errors="replace")[-1500:]
		suite.add(name, "failed", "\n".join([summary, *told[:10], said]))
	else:
		suite.add(name, "passed")


def preload(kernel, modules, kernel_source):
	suite = Suite("preload", kernel.lane)
	folder = OUT / "preload"
	folder.mkdir(parents=True, exist_ok=True)
	load = Load()
	_stress(load)
	_compiler(load, folder)
	_selftests(load, kernel_source, folder)
	(folder / "list").write_text("".join(f"{line}\n" for line in load.lines))
	load.files += [(folder / "list", "/etc/preload"), (GUEST / "preload-tests", "/bin/preload-tests")]
	load.files += [(LIBRARY, "/lib/libsvmirror_preload.so")]
	# the tool is there for its libraries, libdrm among them
	outcome = vm.run(vm.Job(kernel=kernel, name="preload", modules=modules, command=["preload-tests"],
		programs=(*load.programs, guest.SVMCTL), files=tuple(load.files), timeout=1800))
	for line in load.lines:
		_judge(suite, line.split()[0], outcome.folder / "results" / "preload")
	for name, reason in load.skipped:
		say.say(f"  {name}: skipped: {reason}")
		suite.add(name, "skipped", reason)
	return guest._closed(suite, outcome)

