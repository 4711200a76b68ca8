# SPDX-License-Identifier: GPL-2.0-only
"""The seeded simulation, and the proof that it notices: deliberate faults in the core, each to be caught."""

import time

from . import host, plan, results, say
from .paths import BUILD, JOBS, OUT, TOP
from .results import Suite
from .say import Failed

PRESET = "release"
ROOM = BUILD / PRESET / "tests" / "sim"


def _suite(name, what, argv):
	suite = Suite(name, "host")
	started = time.monotonic()
	log = OUT / "log" / f"{name}.ktap"
	try:
		host.build(PRESET, ["svm_sim"])
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
	return _suite("sim", "simulation", [str(ROOM / "svm_sim"), *(["--steps", plan.SOAK_STEPS] if soak else [])])


def mutations():
	"""Each fault of tests/sim/mutants.py is a test: it fails if nobody noticed."""
	return _suite("mutations", "deliberate faults", [str(TOP / "tests" / "sim" / "mutate"), str(ROOM / "recipe.json"), str(OUT),
		"--jobs", str(JOBS)])
