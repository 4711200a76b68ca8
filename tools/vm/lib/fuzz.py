# SPDX-License-Identifier: GPL-2.0-only
"""The fuzzers of tests/fuzz: their corpus again, a fixed time of new inputs, or as long as one likes."""

import re
import time

from . import host, plan, results, say
from .kernel import clean_env
from .paths import BUILD, OUT, TOP
from .results import Suite
from .say import Failed

FUZZERS = {"svm_fuzz_ops": 20, "svm_fuzz_load": 10}      # and the seconds of each in `make check`


def _fuzzer(name):
	return BUILD / "fuzz" / "tests" / "fuzz" / name


def _corpus(name):
	return TOP / "tests" / "fuzz" / "corpus" / name.removeprefix("svm_fuzz_")


def failure(name, log):
	"""What a fuzzer that ended badly said, and how to see it again."""
	text = log.read_text(errors="replace")
	written, running = re.findall(r"Test unit written to (\S+)", text), re.findall(r"^Running: (\S+)", text, re.M)
	said = "\n".join(re.findall(r"^(?:(?:fuzz|host port): |==\d+== ?ERROR: ).*", text, re.M)[:3])
	again = "".join(f"\nagain: SVM_FUZZ_TRACE=1 {_fuzzer(name).relative_to(TOP)} {path}" for path in (written or running)[-1:])
	return f"{said}\n{say.tail(log, 40)}{again}"


def run_one(name, seconds):
	"""One fuzzer for so many seconds (0: until it is ended), on from the corpus. What is new goes to out/fuzz, as does
	an input that fails. Returns its status and its log."""
	folder = OUT / "fuzz" / name
	(folder / "corpus").mkdir(parents=True, exist_ok=True)
	log = folder / "log"
	argv = [str(_fuzzer(name)), f"-max_total_time={seconds}", "-len_control=0", "-max_len=256", "-timeout=60",
		"-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={folder}/", str(folder / "corpus"), str(_corpus(name))]
	return say.run(f"fuzzing {name}", argv, log, cwd=TOP, env=clean_env(), check=False, estimate=_step), log


def summary(log):
	"""Inputs tried, from libFuzzer's statistics."""
	for line in log.read_text(errors="replace").splitlines():
		if line.startswith("stat::number_of_executed_units:"):
			return f"{line.split()[-1]} inputs, nothing found"
	raise Failed(f"{log}: the fuzzer ended without its statistics")


def keep_corpus(name):
	"""Add what earlier runs found and the corpus lacks; each new file brings something."""
	before = len(list(_corpus(name).iterdir()))
	say.run(f"merging {name}", [str(_fuzzer(name)), "-merge=1", "-max_len=256", str(_corpus(name)),
		str(OUT / "fuzz" / name / "corpus")], OUT / "log" / f"{name}-merge.log", cwd=TOP, env=clean_env())
	return f"{name}: {len(list(_corpus(name).iterdir())) - before} new files in {_corpus(name)}"


def _step(log, _elapsed):
	tried = re.findall(r"^#(\d+)\s", log.read_text(errors="replace"), re.M)
	return f"{tried[-1]} inputs" if tried else ""


def suite(soak=False):
	"""Each fuzzer: its corpus again, file by file, then a fixed time of new inputs, more of it in a soak."""
	outcome = Suite("fuzz", "host")
	started = time.monotonic()
	try:
		host.build("fuzz", FUZZERS)
		for name, seconds in FUZZERS.items():
			log = OUT / "log" / f"{name}-corpus.log"
			(OUT / "fuzz" / name).mkdir(parents=True, exist_ok=True)
			files = sorted(str(path) for path in _corpus(name).iterdir())
			status = say.run(f"{name}: {len(files)} files", [str(_fuzzer(name)), "-timeout=60",
				f"-artifact_prefix={OUT}/fuzz/{name}/", *files], log, cwd=TOP, env=clean_env(), check=False)
			outcome.add(f"{name}.corpus", "failed" if status else "passed", failure(name, log) if status else "")
			status, log = run_one(name, plan.SOAK_FUZZ if soak else seconds)
			outcome.add(f"{name}.new", "failed" if status else "passed", failure(name, log) if status else "")
	except Failed as error:
		outcome.add("build", "failed", str(error))
	outcome.seconds = time.monotonic() - started
	results.write_junit(outcome, OUT / "junit" / "fuzz.xml")
	return outcome
