# SPDX-License-Identifier: GPL-2.0-only
"""The first answer after a change: the host's tests of preset `quick`, the stress of each scenario cut short.

Each program runs in shards beside each other, since many tests wait for a thread and not for a CPU.
"""

import subprocess
import time

from . import host, results, say
from .kernel import clean_env
from .paths import BUILD, JOBS, OUT
from .results import Suite

PRESET = "quick"
PROGRAMS = {"svm_unit_tests": "tests/unit", "svgpud_tests": "tests/svgpud"}
STRESS_SECONDS = 0.1        # of each scenario; `make check` takes 2
SHARDS = 2 * JOBS
LIMIT = 120                 # seconds


def _start(name, shard, folder):
	left = folder / f"{name}-{shard}.xml"
	left.unlink(missing_ok=True)
	env = dict(clean_env(), SVM_STRESS_SECONDS=str(STRESS_SECONDS), GTEST_TOTAL_SHARDS=str(SHARDS),
		GTEST_SHARD_INDEX=str(shard), GTEST_OUTPUT=f"xml:{left}")
	log = left.with_suffix(".log")
	with open(log, "wb") as sink:
		child = say.spawn([str(BUILD / PRESET / PROGRAMS[name] / name)], stdout=sink, stderr=subprocess.STDOUT, env=env)
	return name, child, left, log


def _finish(suite, started, deadline):
	name, child, left, log = started
	try:
		status = child.wait(timeout=max(0.1, deadline - time.monotonic()))
	except subprocess.TimeoutExpired:
		status = f"none after {LIMIT} s"
	finally:
		say.end(child)
	before = suite.failed
	if not results.read_junit(suite, left):
		suite.add(name, "failed", f"left no results, status {status}; the end of {log}:\n{say.tail(log)}")
	elif status and suite.failed == before:
		suite.add(name, "failed", f"status {status}, though no test failed; the end of {log}:\n{say.tail(log)}")


def run():
	"""Build and run; the Suite."""
	suite = Suite("quick", "host")
	started = time.monotonic()
	host.build(PRESET, [f"{folder}/all" for folder in PROGRAMS.values()])
	built = time.monotonic()
	folder = OUT / "quick"
	folder.mkdir(parents=True, exist_ok=True)
	shards = [_start(name, shard, folder) for name in PROGRAMS for shard in range(SHARDS)]
	for each in shards:
		_finish(suite, each, built + LIMIT)
	suite.seconds = time.monotonic() - started
	say.say(f"built in {built - started:.1f} s, ran for {time.monotonic() - built:.1f} s")
	return suite.require_results(folder)
