# SPDX-License-Identifier: GPL-2.0-only
"""The suites that run on the host: unit tests per sanitizer, lock annotations, documentation,
checkpatch; coverage and fuzzing have files of their own. Each function returns a Suite; a build
that fails is a failed suite, not an exception.
"""

import concurrent.futures
import re
import shutil
import subprocess
import time
import unittest

from . import coverage, plan, results, say
from .kernel import clean_env
from .paths import BUILD, CACHE, JOBS, OUT, TOP
from .results import Suite
from .say import Failed

TEST_SECONDS = 600
CHECKED = ("include", "mm/kernel", "drivers", "tests/kunit", "tests/bench", "tools/svgpud/mmu")


def _wrapped(preset, argv):
	"""ThreadSanitizer of older compilers cannot place its shadow under full address randomisation."""
	if preset == "tsan" and subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode == 0:
		return ["setarch", "-R", *argv]
	return argv


def build(preset, targets=()):
	"""Configure and build a preset (all of it, or targets), or raise Failed with the compiler's words."""
	chosen = ["--target", *targets] if targets else []
	log = OUT / "log" / f"build-{preset}.log"
	say.run(f"configuring {preset}", ["cmake", "--preset", preset], log, cwd=TOP, env=clean_env())
	say.run(f"building {preset}", _wrapped(preset, ["cmake", "--build", "--preset", preset, f"-j{JOBS}", *chosen]),
		log, cwd=TOP, env=clean_env(), append=True, estimate=_ninja_step)


def _ninja_step(log, _elapsed):
	lines = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[")]
	return lines[-1].split("]")[0].strip("[") + " steps" if lines else ""


def unit_targets():
	"""What ctest runs: all of each folder whose tests it is told of. None can be forgotten here."""
	lists = sorted((TOP / "tests").glob("*/CMakeLists.txt"))
	return [f"tests/{path.parent.name}/all" for path in lists
		if re.search(r"^\s*(?:gtest_discover_tests|add_test)\(", path.read_text(), re.M)]


def unit(preset, soak=False):
	"""All of ctest in one preset; a soak gives the stress of each scenario more time."""
	suite = Suite("unit" if preset == "debug" else f"unit-{preset}", "host")
	started = time.monotonic()
	junit = OUT / "junit" / f"{suite.suite}.xml"
	junit.parent.mkdir(parents=True, exist_ok=True)
	junit.unlink(missing_ok=True)
	try:
		build(preset, unit_targets())
		if preset == coverage.PRESET:
			coverage.forget()
		log = OUT / "log" / f"test-{preset}.log"
		status = say.run(f"testing {preset}", _wrapped(preset, ["ctest", "--test-dir", str(BUILD / preset), f"-j{JOBS}",
			"--no-tests=error", "--timeout", str(TEST_SECONDS), "--output-junit", str(junit)]),
			log, cwd=TOP, env=dict(clean_env(), SVM_STRESS_SECONDS=plan.SOAK_STRESS if soak else plan.STRESS), check=False,
			estimate=ctest_step)
		results.read_junit(suite, junit)
		suite.require_status(status, log)
		if preset == coverage.PRESET:
			coverage.counted = True
	except Failed as error:
		suite.add("build", "failed", str(error))
	suite.seconds = time.monotonic() - started
	return suite.require_results(junit)


def ctest_step(log, _elapsed):
	lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if " Test " in line]
	return lines[-1].split(" Test ")[0] + " tests" if lines else ""


def thread_safety():
	"""The core and its tests compiled with clang's check of lock annotations: one test, the build."""
	suite = Suite("thread-safety", "host")
	started = time.monotonic()
	try:
		build("thread-safety", ["tests/unit/all"])
		suite.add("compile", "passed")
	except Failed as error:
		suite.add("compile", "failed", str(error))
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / "thread-safety.xml")
	return suite


class _ToolsResult(unittest.TestResult):
	"""Each test of unittest's, added to a suite: a test with several failed parts once."""

	def __init__(self, suite):
		super().__init__()
		self.suite, self.failed = suite, []

	def _fail(self, test, error):
		if error:
			self.failed.append(self._exc_info_to_string(error, test))

	def addFailure(self, test, err):
		self._fail(test, err)

	def addError(self, test, err):
		self._fail(test, err)
		if not isinstance(test, unittest.TestCase):      # a module or a class that cannot be set up: no test starts or stops
			self.stopTest(test)

	def addSubTest(self, test, subtest, err):
		self._fail(subtest, err)

	def addUnexpectedSuccess(self, test):
		self.failed.append("it passed, though it is marked as one that fails")

	def addSuccess(self, test):
		if not self.failed:
			self.suite.add(str(test), "passed")

	def addSkip(self, test, reason):
		self.suite.add(str(test), "skipped", reason)

	def stopTest(self, test):
		if self.failed:
			self.suite.add(str(test), "failed", "\n".join(self.failed))
		self.failed = []
		super().stopTest(test)


def tools():
	"""The tools' own tests: what they take for a failure, and what not."""
	suite = Suite("tools", "host")
	started = time.monotonic()
	loaded = unittest.defaultTestLoader.discover(str(TOP / "tools" / "vm" / "tests"))
	loaded.run(_ToolsResult(suite))
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / "tools.xml")
	return suite.require_results("tools/vm/tests")


def model(soak=False):
	"""The protocol's models by spin, and each variant of them that leaves a step out: TAP, states and seconds a run. What is known of
	models that have not changed is believed, but in a soak."""
	suite = Suite("model", "host")
	started = time.monotonic()
	log = OUT / "model" / "model.tap"
	status = say.run("model", [str(TOP / "tests" / "model" / "run"), "-o", str(OUT / "model"), "-j", str(JOBS),
		*([] if soak else ["--keep", str(CACHE / "model")])], log, check=False,
		estimate=lambda path, _elapsed: f"{path.read_text().count('ok ')} cases")
	say.say(log.read_text().rstrip())
	results.read_ktap(suite, log, "model")
	suite.require_status(status, log)
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / "model.xml")
	return suite.require_results(log)


def docs():
	"""Documentation/ by Sphinx, a warning being an error."""
	suite = Suite("docs", "host")
	started = time.monotonic()
	log = OUT / "log" / "docs.log"
	shutil.rmtree(OUT / "docs", ignore_errors=True)
	status = say.run("documentation", ["sphinx-build", "-W", "--keep-going", "-q", "-b", "html",
		str(TOP / "Documentation"), str(OUT / "docs")], log, check=False)
	suite.add("sphinx", "failed" if status else "passed", say.tail(log) if status else "")
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / "docs.xml")
	return suite


def checkpatch(kernel_source):
	"""The kernel's own style checker over all C that the kernel compiles; each file is a test."""
	suite = Suite("checkpatch", "host")
	started = time.monotonic()
	script = kernel_source / "scripts" / "checkpatch.pl"
	names = subprocess.run(["git", "-C", str(TOP), "ls-files", "--cached", "--others", "--exclude-standard",
		"--", *CHECKED], capture_output=True, text=True, check=True).stdout.split()
	names = [name for name in names if name.endswith((".c", ".h")) and (TOP / name).is_file()]

	def check(name):
		return name, subprocess.run(["perl", str(script), "--no-tree", "--strict", "--terse", "--quiet",
			"--no-summary", "--show-types", "-f", name], cwd=TOP, capture_output=True, text=True)

	with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
		for name, outcome in pool.map(check, names):
			said = (outcome.stdout + outcome.stderr).strip()
			suite.add(name, "failed" if outcome.returncode or said else "passed", said)
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / "checkpatch.xml")
	return suite.require_results(script)
