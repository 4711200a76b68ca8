# SPDX-License-Identifier: GPL-2.0-only
"""The suite `hmm-tests`: the kernel's own selftest of HMM, as the lane's source has it, on drivers/dmirror.

Nothing of the test is changed, and no list of its tests is kept: a test belongs to the suite if all ioctls that it issues,
itself or through its helpers, are in dmirror.h by their numbers. An ioctl more there brings its tests with it. A test that wants to
see a huge page in the device's memory is left out, since svmirror moves huge pages in pieces of 4 KiB, and so is one that asks for more
time than the harness gives others, as 7.3's benchmark of 1.8 million moves does.

Each of them must be reported as passed. All else is a failure, a skip too: what the tests want is set up before. Only the
variant of private device memory runs, because dmirror has no coherent memory; 6.1 calls the other variant passed where
its device node is missing.
"""

import os
import re

from . import guest, plan, results, say, vm
from .kernel import clean_env
from .paths import JOBS, OUT, TOP
from .results import Suite
from .rootfs import GUEST

NAME = plan.HMM
CHOICE = GUEST / "hmm-tests.c"      # the selftest with a choice of its tests
SERVED = TOP / "drivers" / "dmirror" / "dmirror.h"
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
HUGE_PAGES_WANTED = 4
IOCTL = re.compile(r"^#define\s+(\w+)\s+_IOWR\('H', (0x[0-9a-fA-F]+),", re.M)
FUNCTION = re.compile(r"^(\w[^;{}]*?)\n\{\n(.*?)^\}", re.M | re.S)
HUGE_THERE = "huge pages in device memory"
SEES_HUGE = re.compile(r"_PROT_DEV_PRIVATE_LOCAL\b[^;]*_PROT_PMD\b|_PROT_PMD\b[^;]*_PROT_DEV_PRIVATE_LOCAL\b")
LONG = "more time than an emulated machine has"
TEST = re.compile(r"\bTEST_F(_TIMEOUT)?\((\w+), (\w+)")


def ioctls(header):
	"""{name: number} of the ioctls that a header's text defines."""
	return {name: int(number, 16) for name, number in IOCTL.findall(header)}


def needs(source, known):
	"""{test's full name: the ioctls of `known` that it issues, and HUGE_THERE or LONG}, from the text of hmm-tests.c; helpers stand before their users."""
	helpers, tests = {}, {}
	for head, body in FUNCTION.findall(source):
		words = set(re.findall(r"\w+", body))
		issued = (words & set(known)).union(*(helpers[word] for word in words & set(helpers)))
		if SEES_HUGE.search(body):
			issued.add(HUGE_THERE)
		test = TEST.search(head)
		if test:
			long, fixture, name = test.groups()
			issued |= {LONG} if long else set()
			tests[f"{fixture}.{fixture}_device_private.{name}"] = issued
		else:
			helpers[re.search(r"\w+(?=\()|$", head).group()] = issued
	return tests


def chosen(source, header, served):
	"""(tests that dmirror can run, {test left out: what it lacks}), from the texts of the three files."""
	known, numbers = ioctls(header), set(ioctls(served).values())
	lacks = {test: sorted(name.removeprefix("HMM_DMIRROR_") for name in issued if known.get(name) not in numbers)
		for test, issued in needs(source, known).items()}
	return [test for test in lacks if not lacks[test]], {test: names for test, names in lacks.items() if names}


def judge(suite, wanted, path):
	"""What the selftest's output says of the wanted tests; its tests that were not wanted do not count."""
	told = Suite(NAME, suite.lane)
	if path.exists():
		results.read_ktap(told, path, NAME)
	failures = {name.removeprefix(f"{NAME}."): message for name, message in told.failures}
	passes = {name.removeprefix(f"{NAME}.") for name in told.passes}
	for test in wanted:
		if test in passes and test not in failures:
			suite.add(test, "passed")
		else:
			suite.add(test, "failed", failures.get(test) or "it did not say that it passed: it was skipped, or never came")
	if not wanted or "plan" in failures:
		suite.add("plan", "failed", failures.get("plan", "the selftest has no test that dmirror can run"))


def _build(source, folder):
	"""Compile the selftest with the kernel's own headers; returns the program and the selftest's text."""
	tests = source / "tools" / "testing" / "selftests"
	home = tests / "mm" if (tests / "mm").is_dir() else tests / "vm"
	text = (home / "hmm-tests.c").read_text()
	headers = folder / "headers"
	headers.mkdir(parents=True, exist_ok=True)
	say.run(f"headers of {source.name}", ["make", "-s", "-C", str(source), f"O={headers}", f"-j{JOBS}", "headers"],
		folder / "build.log", env=clean_env())
	helpers = [str(home / f"{name}.c") for name in ("vm_util", "hugepage_settings") if f"{name}.h" in text]
	program = folder / NAME
	say.run(f"{NAME} of {source.name}", ["gcc", "-O1", "-w", "-D_GNU_SOURCE", f"-I{home}", f"-I{tests}", f"-I{source}",
		"-isystem", str(headers / "usr" / "include"), f'-DSELFTEST="{home / "hmm-tests.c"}"', "-o", str(program), str(CHOICE), *helpers,
		"-pthread", "-lrt"], folder / "build.log", append=True, env={**os.environ, "LC_ALL": "C"})
	return program, text


def suite_of(kernel, modules):
	suite = Suite(guest.named(kernel, NAME), kernel.lane)
	program, text = _build(kernel.source, OUT / "hmm" / kernel.source.name)
	wanted, left_out = chosen(text, (kernel.source / "lib" / "test_hmm_uapi.h").read_text(), SERVED.read_text())
	for test, lacking in left_out.items():
		say.say(f"  left out: {test.rpartition('.')[2]} needs {', '.join(lacking)}")
	outcome = vm.run(vm.Job(kernel=kernel, name=NAME, gpu=False, load=("svmirror", "dmirror"), modules=modules, programs=(program,),
		command=[f"echo {HUGE_PAGES_WANTED} >{HUGE_PAGES}; {NAME} {' '.join(wanted)} >/results/{NAME}.ktap 2>&1"],
		timeout=1200, leak_scan=False))     # the system tests of dmirror have it
	judge(suite, wanted, outcome.folder / "results" / f"{NAME}.ktap")
	return guest._closed(suite, outcome)
