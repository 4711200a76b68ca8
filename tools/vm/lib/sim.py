# SPDX-License-Identifier: GPL-2.0-only
"""The seeded simulation, and the proof that it notices: deliberate faults in the core, each to be caught."""

import time

from . import host, plan, results, say
from .paths import BUILD, JOBS, OUT, TOP
from .results import Suite
from .say import Failed

PRESET = "release"
ROOM = BUILD / PRESET / "tests" / "sim"


def _suite(name, target, what, argv):
	suite = Suite(name, "host")
	started = time.monotonic()
	log = OUT / "log" / f"{name}.ktap"
	try:
		host.build(PRESET, [target])
		log.unlink(missing_ok=True)
		status = say.run(what, argv, log, check=False, estimate=lambda path, _elapsed: f"{path.read_text().count('ok ')} done")
		results.read_ktap(suite, log, name)
		suite.require_status(status, log)
	except Failed as error:
		suite.add("build", "failed", str(error))
	suite.seconds = time.monotonic() - started
	results.write_junit(suite, OUT / "junit" / f"{name}.xml")
	return suite.require_results(log)


def simulation(soak=False):
	"""All scenarios, from the same seeds each time; a failure's lines say how to repeat it."""
	return _suite("sim", "svm_sim", "simulation",
		[str(ROOM / "svm_sim"), *(["--steps", plan.SOAK_STEPS] if soak else [])])


def mutations():
	"""Each mutant of tests/mutants is a test: it fails if the program that its table names did not notice. The controls, where
	nothing is planted, are tests too."""
	return _suite("mutations", "svm_mutants", "mutants", [str(TOP / "tests" / "mutants" / "run"),
		str(BUILD / PRESET / "tests" / "mutants"), str(OUT), "--jobs", str(2 * JOBS)])
