# SPDX-License-Identifier: GPL-2.0-only
"""Coverage: which lines of mm/ the tests on the host run.

The preset `debug` counts them; what its tests have run is read by gcovr. A line of a template
counts once, whoever instantiates it.
"""

import json
import time

from . import host, results, say
from .kernel import clean_env
from .paths import BUILD, JOBS, OUT, TOP
from .results import Suite
from .say import Failed

PRESET = "debug"
ENOUGH_PERCENT = 95

counted = False              # its tests have run since this process began


def forget():
	"""Counts add up from run to run; what an older run did says nothing about this one."""
	for path in (BUILD / PRESET).rglob("*.gcda"):
		path.unlink()


def _run_tests():
	"""The tests of mm/ alone, for whoever wants coverage without all of the unit suite."""
	host.build(PRESET, ["tests/unit/all"])
	forget()
	say.run("testing mm", ["ctest", "--test-dir", str(BUILD / PRESET / "tests" / "unit"), f"-j{JOBS}", "--timeout",
		str(host.TEST_SECONDS)], OUT / "log" / "coverage-tests.log", cwd=TOP, env=clean_env(), estimate=host.ctest_step)


def _ranges(numbers):
	"""7, 9-12"""
	spans = []
	for number in numbers:
		if spans and number == spans[-1][1] + 1:
			spans[-1][1] = number
		else:
			spans.append([number, number])
	return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def read(report, sources):
	"""Lines and left-over lines of each file of gcovr's JSON. A line of a template counts once, whoever instantiates it."""
	files = {}
	for each in report["files"]:
		lines = {}
		for line in each["lines"]:
			if not line.get("gcovr/noncode") and not line.get("gcovr/excluded"):
				lines[line["line_number"]] = max(lines.get(line["line_number"], 0), line["count"])
		files[each["file"]] = {"lines": len(lines), "left": sorted(at for at, count in lines.items() if not count)}
	total = sum(each["lines"] for each in files.values())
	left = sum(len(each["left"]) for each in files.values())
	return {"percent": round(100 * (total - left) / total, 2) if total else 0.0, "lines": total, "covered": total - left,
		"left": {name: _ranges(each["left"]) for name, each in sorted(files.items()) if each["left"]},
		"missing": sorted(set(sources) - set(files))}


def text_of(report):
	left = [f"{name}:{lines}" for name, lines in report["left"].items()] + [f"{name}: in no host test" for name in report["missing"]]
	return (f"coverage of mm/ by host tests: {report['percent']:.2f} % of {report['lines']} lines; "
		f"left: {'; '.join(left) or 'nothing'}")


def suite():
	"""Lines of mm/ that tests on the host run; (suite, report)."""
	outcome, report = Suite("coverage", "host"), None
	started = time.monotonic()
	data = OUT / "coverage.json"
	data.unlink(missing_ok=True)
	try:
		if not counted:
			_run_tests()
		say.run("reading coverage", ["gcovr", f"-j{JOBS}", "--root", str(TOP), "--filter", "mm/", "--exclude", "mm/kernel/",
			"--json", str(data), *(str(BUILD / PRESET / folder) for folder in ("mm", "tests/unit"))],
			OUT / "log" / "coverage.log", cwd=TOP, env=clean_env())
		# core.cpp is the kernel's unit: nothing but the others.
		sources = [path.relative_to(TOP).as_posix() for path in (TOP / "mm").rglob("*.cpp") if path.name != "core.cpp"]
		report = read(json.loads(data.read_text()), sources)
		text = text_of(report)
		(OUT / "coverage.txt").write_text(text.replace("; ", "\n") + "\n")
		enough = report["percent"] >= ENOUGH_PERCENT
		outcome.add("lines", "passed" if enough else "failed", f"less than {ENOUGH_PERCENT} %\n{text}")
		outcome.add("files", "failed" if report["missing"] else "passed", f"never compiled: {', '.join(report['missing'])}")
	except Failed as error:
		outcome.add("build", "failed", str(error))
	outcome.seconds = time.monotonic() - started
	results.write_junit(outcome, OUT / "junit" / "coverage.xml")
	return outcome, report
