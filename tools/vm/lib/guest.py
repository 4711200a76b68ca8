# SPDX-License-Identifier: GPL-2.0-only
"""The suites that run in the virtual machine: KUnit, the system tests, the demo.

A boot is judged as a whole by a test of its own, "kernel log": a report in the log fails it even
where every test program was content.
"""

import json
import os
import pathlib
import time

from . import gpu, host, plan, results, say, vm
from .paths import BUILD, OUT
from .results import Suite
from .rootfs import GUEST
from .say import Failed

PROGRAM_SECONDS = 1200              # each test has a limit of its own
TABLES_SYSTEM = "system-tables-system"      # the suite `system` with the device's page tables in system memory
LITTLE_VRAM = "system-little-vram"          # or with less VRAM than page tables want
FORMATS = "system-formats"                  # or once for each format of page tables but the usual one
SYSTEM_SUITES = ("system", TABLES_SYSTEM, LITTLE_VRAM, FORMATS)
LITTLE_VRAM_MIB = 4                         # registers included
CHAOS = BUILD / "release" / "tests" / "chaos" / "svm_chaos"
SVMCTL = BUILD / "release" / "tools" / "svmctl" / "svmctl"
DEFAULT_INPUT = pathlib.Path("/usr/bin/cmake")


def _judge_log(suite, outcome):
	if outcome.reports or outcome.trouble:
		suite.add("kernel log", "failed", outcome.problems())
	else:
		suite.add("kernel log", "passed")


def _closed(suite, outcome):
	"""Account for what no single test shows: the log, and a status that no failure explains."""
	if outcome.status > 0 and not suite.failed:
		suite.add("guest status", "failed", outcome.problems())
	suite.require_results(outcome.folder)
	_judge_log(suite, outcome)
	suite.seconds = outcome.seconds
	results.write_junit(suite, OUT / "junit" / f"{suite.suite}-{suite.lane}.xml")
	return suite


def named(kernel, name):
	"""A suite's name says the kernel's config where other rows of the plan have it on another one."""
	return f"{kernel.config}-{name}" if kernel.config == plan.RACES else name


def kunit(kernel, modules):
	"""Loading the module runs its suites; their results lie in debugfs as KTAP."""
	suite = Suite(named(kernel, "kunit"), kernel.lane)
	if "svm_kunit" not in modules:
		suite.add("build", "failed", "there is no svm_kunit.ko")
		return suite
	outcome = vm.run(vm.Job(kernel=kernel, name="kunit", gpu=False, load=("svmirror", "svm_kunit"),
		modules=modules, command=["cat /sys/kernel/debug/kunit/*/results"], timeout=1200))
	results.read_kunit(suite, outcome.folder / "results" / "kunit")
	suite.require_results(outcome.folder)
	if kernel.config == "kcsan":
		found = outcome.race_on_purpose
		suite.add("the race on purpose", "passed" if found else "failed", "" if found else "KCSAN has not reported it")
	return _closed(suite, outcome)


def system(kernel, modules, name, wanted):
	"""The wanted programs of tests/system, with the page tables where and what the suite's name says, else in VRAM of the usual size."""
	suite = Suite(named(kernel, name), kernel.lane)
	programs = [BUILD / "release" / "tests" / "system" / program for program in wanted]
	place = "system" if name == TABLES_SYSTEM else "vram"       # svgpu's parameter `tables`
	vram = {"vram_mib": LITTLE_VRAM_MIB} if name == LITTLE_VRAM else {}
	settings = {"PROGRAMS": " ".join(wanted), "PROGRAM_SECONDS": PROGRAM_SECONDS}
	left = {program: "" for program in wanted}      # name of its results: what its tests' names begin with
	if name == FORMATS:
		formats = gpu.formats()[1:]
		settings |= {"FORMATS": " ".join(formats), "TESTS": plan.LEAF_TESTS}
		left = {f"{program}-{format}": f"{format}." for program in wanted for format in formats}
	outcome = vm.run(vm.Job(kernel=kernel, name=name, modules=modules, load=("svmirror", "svm_drm", f"svgpu tables={place}"),
		command=["system-tests"], programs=(*programs, SVMCTL), files=((GUEST / "system-tests", "/bin/system-tests"),),
		settings=settings, timeout=3000, **vram))
	for program, prefix in left.items():
		file = outcome.folder / "results" / program
		if not results.read_junit(suite, file.with_suffix(".xml"), prefix):
			status = file.with_suffix(".status")
			ended = f"status {status.read_text().strip()}" if status.exists() else "it never ended"
			suite.add(program, "failed", f"the program left no results: {ended}")
	return _closed(suite, outcome)


def demo_input():
	given = os.environ.get("INPUT", "").strip()
	path = pathlib.Path(given) if given else DEFAULT_INPUT
	if not path.is_file():
		raise Failed(f"INPUT={path} is no file")
	if not path.stat().st_size:
		raise Failed(f"INPUT={path} is empty")
	return path


def demo(kernel, modules, source, mmu=""):
	"""Run svmctl's demo on the file; returns the Outcome and the demo's own report (or None)."""
	if not SVMCTL.exists():
		raise Failed(f"{SVMCTL} is not built")
	place = f"/input/{source.name}"
	size = source.stat().st_size >> 20
	say.say(f"input: {source} ({source.stat().st_size} bytes)")
	outcome = vm.run(vm.Job(kernel=kernel, name="demo", modules=modules, files=((source, place),),
		programs=(SVMCTL,), mmu=mmu, ram_mib=min(2048 + 256, 1536 + size),
		command=["svmctl", "demo", "--input", place, "--json-out", "/results/demo.json"], timeout=1200))
	report = None
	try:
		report = json.loads((outcome.folder / "results" / "demo.json").read_text())
	except (OSError, ValueError):
		pass
	if report is not None:
		report = {"lane": kernel.lane, "kernel": kernel.release, **report}
		report["lane"], report["kernel"] = kernel.lane, kernel.release
	return outcome, report


def demo_suite(kernel, modules, source):
	"""The demo as a suite: each of its jobs is a test."""
	suite = Suite("demo", kernel.lane)
	outcome, report = demo(kernel, modules, source)
	for job in (report or {}).get("jobs", []):
		suite.add(job["name"], "passed" if job.get("ok") is True else "failed", json.dumps(job))
	return _closed(suite, outcome)


def number(name, otherwise, least):
	"""A whole number from the environment."""
	text = os.environ.get(name) or str(otherwise)
	if not text.isdecimal() or int(text) < least:
		raise Failed(f"{name}={text} is no whole number from {least} on")
	return int(text)


def chaos(kernel, modules, seconds=60):
	"""Random memory operations against random jobs; each kind of process is a test."""
	suite = Suite("chaos", kernel.lane)
	seed = number("SEED", time.time_ns() // 1000 % 10**9, 0)
	say.say(f"chaos on {kernel.lane}: seed {seed}; again: make chaos LANE={kernel.lane} SECONDS={seconds} SEED={seed}")
	outcome = vm.run(vm.Job(kernel=kernel, name="chaos", modules=modules, programs=(CHAOS,),
		command=[f"SVM_CHAOS_SECONDS={seconds} SVM_CHAOS_SEED={seed} svm_chaos --gtest_output=xml:/results/chaos.xml"],
		timeout=seconds + 1200))
	if not results.read_junit(suite, outcome.folder / "results" / "chaos.xml"):
		suite.add("svm_chaos", "failed", f"the program left no results: status {outcome.status}")
	return _closed(suite, outcome)


def build_host(with_tests, more=()):
	"""What boots with the virtual GPU need from the host: the device, the tool, perhaps the tests."""
	host.build("release", ["svgpud", "svmctl", *(["tests/system/all"] if with_tests else []), *more])
