# SPDX-License-Identifier: GPL-2.0-only
"""`make bench`: what svmirror costs beside drm_gpusvm and hmm_range_fault itself, in instructions.

The guest (tests/bench) counts, on a machine whose clock is its instructions; this turns its counts into figures, prints
them, and compares those of svmirror with the ones that are kept in the repository. A profile says which functions the
instructions are in; profiles are kept beside the figures, so that a row that got dearer can name the functions that grew.
"""

import json
import subprocess

from . import host, kernel as kernels, modules, qemu, results, say, trace, vm
from .paths import BUILD, OUT, TOP
from .results import Suite
from .say import Failed

LANE, CONFIG = "current", "base"
PROGRAM = BUILD / "release" / "tests" / "bench" / "svm_bench"
KEPT = TOP / "tests" / "bench" / "figures.json"
LOAD = ("drm_gpusvm_helper", "svmirror", "svm_bench")
NONE, FLOOR, PEER = "none", "floor", "drm_gpusvm"      # names of tests/bench/contender.cpp; all others are svmirror
MARKS = ("svm_bench_mark_begin", "svm_bench_mark_end")      # of tests/bench/main.c
TOLERANCE = 0.02
KEPT_FUNCTIONS = 25         # of each profile
EXPLAINED, NAMED = 3, 4     # profiles that a failed suite makes, functions that it names of each
SECONDS = 900


def ours(names):
	return [name for name in names if name not in (NONE, FLOOR, PEER)]


def _least(turns, which):
	return min(turn[which] for turn in turns)


def figure(row, contender):
	"""Instructions (or bytes) for one unit of a row, or None where the contender was not measured.

	Of several turns the cheapest counts: an interrupt, or a worker, falls into some. The floor pays for the process's own calls what
	they cost without a device; where only what a device adds is asked for, that is taken off.
	"""
	turns = row["turns"].get(contender)
	if turns is None:
		return None
	alone = _least(row["turns"][NONE], 0)
	process = alone if contender == FLOOR else _least(turns, 0)
	return (process - (alone if row["added"] else 0) + _least(turns, 1)) / row["units"]


def figures(counts):
	"""{row: {contender: figure}}, what a process costs alone left out."""
	return {row["id"]: {name: round(figure(row, name), 3) for name in row["turns"] if name != NONE} for row in counts["rows"]}


def environment(kernel):
	"""What the figures depend on beside our own code."""
	gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
	said = subprocess.run([qemu.BINARY, "--version"], capture_output=True, text=True).stdout
	return {"kernel": kernel.release, "gcc": gcc, "qemu": said.split("version ")[-1].split()[0]}


def program():
	host.build("release", ["svm_bench"])
	return PROGRAM


def built_kernel(lane):
	return kernels.kernel(lane, CONFIG)


def built_modules(kernel):
	return modules.build(kernel, ("SVM_BENCH=1",))


def _boot(kernel, ours_built, name, command, **options):
	return vm.run(vm.Job(kernel=kernel, name=name, gpu=False, load=tuple(module for module in LOAD if module in ours_built), modules=ours_built, programs=(PROGRAM,),
		command=[command], counting=True, timeout=SECONDS, **options))


def measure(kernel, ours_built):
	"""Boot, run all rows; (Outcome, counts or None)."""
	outcome = _boot(kernel, ours_built, "bench", "svm_bench /results/bench.json")
	try:
		return outcome, json.loads((outcome.folder / "results" / "bench.json").read_text())
	except (OSError, ValueError):
		return outcome, None


def _number(value):
	if value is None:
		return "-"
	return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(value, peer):
	return f"{value / peer:.2f}" if value is not None and peer else "-"


def table(counts):
	"""A line for each row: the floor, the peer, svmirror, and how svmirror relates to the peer."""
	names = list(dict.fromkeys(name for row in counts["rows"] for name in row["turns"] if name != NONE))
	lines = [["row", "instructions or bytes for", "a", *names, *(f"{name} / {PEER}" for name in ours(names))]]
	for row in counts["rows"]:
		of = {name: figure(row, name) for name in names}
		lines.append([row["id"], row["title"], row["unit"], *(_number(of[name]) for name in names),
			*(_ratio(of[name], of.get(PEER)) for name in ours(names))])
	return results.columns(lines, right=range(3, len(lines[0])))


def _all_kept():
	"""A list of {"measured with", "figures", "profiles"}, one for each kernel and compiler."""
	try:
		return json.loads(KEPT.read_text())
	except OSError:
		return []
	except ValueError as error:
		raise Failed(f"{KEPT} is no JSON: {error}") from error


def kept(here):
	"""What is kept of this environment, or None."""
	return next((each for each in _all_kept() if each["measured with"] == here), None)


def keep(here, now, profiles):
	"""Put figures in the place of those of this environment, and of those of other releases of this kernel."""
	def line(release):
		return release.split(".")[:2]

	others = [each for each in _all_kept() if line(each["measured with"]["kernel"]) != line(here["kernel"])]
	KEPT.write_text(json.dumps([*others, {"measured with": here, "figures": now, "profiles": profiles}], indent="\t") + "\n")


def report(kernel, counts, path):
	"""The whole as JSON: raw counts, figures, what it was measured with."""
	path.parent.mkdir(parents=True, exist_ok=True)
	path.write_text(json.dumps({"lane": kernel.lane, "measured with": environment(kernel), "figures": figures(counts),
		"counts": counts["rows"]}, indent=1) + "\n")


def verdict(row, contender, now, before):
	"""What is wrong with a figure of svmirror's, or an empty string."""
	if before is None:
		return f"row {row} of {contender} has no kept figure: make bench KEEP=1"
	if now > before * (1 + TOLERANCE):
		return (f"row {row} of {contender} is dearer: {_number(now)}, kept is {_number(before)} "
			f"(+{(now / before - 1) * 100:.1f} %). All functions: make bench-profile ROW={row} CONTENDER={contender}; "
			"if it is meant: make bench KEEP=1")
	return ""


def judge(suite, now, before, explain=lambda row, contender: ""):
	"""Each figure of svmirror is a test: it must not be dearer than the kept one. `now` and `before` as of figures();
	`explain` says more of one that failed."""
	for row, by_contender in now.items():
		for name in ours(by_contender):
			problem = verdict(row, name, by_contender[name], before.get(row, {}).get(name))
			suite.add(f"{row}.{name}", "failed" if problem else "passed", problem and problem + explain(row, name))
	for row, by_contender in before.items():
		for name in ours(by_contender):
			if name not in now.get(row, {}):
				suite.add(f"{row}.{name}", "failed", "it has a kept figure and was not measured")


def suite_of(kernel, ours_built):
	"""The suite `bench` of make check."""
	suite = Suite("bench", kernel.lane)
	outcome, counts = measure(kernel, ours_built)
	suite.seconds = outcome.seconds
	if outcome.ok and counts:
		say.say(table(counts))
		report(kernel, counts, OUT / "bench.json")
		_compare(suite, kernel, ours_built, counts)
	else:
		suite.add("svm_bench", "failed", outcome.problems() or "it left no counts")
	results.write_junit(suite, OUT / "junit" / f"bench-{kernel.lane}.xml")
	return suite


def _compare(suite, kernel, ours_built, counts):
	here = environment(kernel)
	before = kept(here)
	if before is None:
		suite.add("kept figures", "skipped", f"there are none for {here}: make bench KEEP=1")
		return
	explained = []

	def explain(row, contender):
		if len(explained) == EXPLAINED:
			return ""
		explained.append(row)
		try:
			now = profile_of(kernel, ours_built, row, contender)
		except Failed as error:
			return f"\nno profile of it: {error}"
		return "\n" + grown(now, before["profiles"].get(row, {}).get(contender))

	judge(suite, figures(counts), before["figures"], explain)


def run(lane, path, keeping):
	"""`make bench`; returns the exit status."""
	kernel = built_kernel(lane)
	program()
	built = built_modules(kernel)
	outcome, counts = measure(kernel, built)
	if not outcome.ok or not counts:
		raise Failed(outcome.problems() or "the guest left no counts")
	say.say("\n" + table(counts))
	report(kernel, counts, path)
	say.say(f"\nwritten: {path}")
	if keeping:
		profiles = profiles_of(kernel, built, "all", "svmirror")
		keep(environment(kernel), figures(counts), {row: {name: dict(counts.most_common(KEPT_FUNCTIONS)) for name, counts in each.items()}
			for row, each in profiles.items()})
		say.say(f"kept: {KEPT}")
	return 0


def profiles_of(kernel, ours_built, row, contender):
	"""{row: {contender: {function: instructions}}} of one turn of a row, or of "all", of contenders whose name begins so."""
	outcome = _boot(kernel, ours_built, "bench-profile",
		f"svm_bench /results/bench.json {row} {contender} trace && cat /proc/kallsyms >/results/kallsyms", traced=True)
	if not outcome.ok:
		raise Failed(outcome.problems())
	symbols = trace.Symbols(outcome.folder / "results" / "kallsyms")
	modules_marks = tuple(symbols.places[name] for name in MARKS)
	profiles = {}
	for marks in sorted((outcome.folder / "trace").glob("*.marks")):
		name, _, who = marks.stem.partition(".")
		written = marks.with_suffix("")
		profiles.setdefault(name, {})[who] = trace.profile(written, symbols, [trace.read_marks(written), modules_marks])
		written.unlink()        # hundreds of megabytes
	return profiles


def profile_of(kernel, ours_built, row, contender):
	"""{function: instructions} of one turn."""
	found = profiles_of(kernel, ours_built, row, contender).get(row, {}).get(contender)
	if not found:
		raise Failed(f"{row} of {contender} has no region that could be written down")
	return found


def grown(now, before):
	"""Which functions a row's new instructions are in, by its kept profile; without one, which have most."""
	if not before:
		return "most are in: " + ", ".join(f"{name} {count:,}" for name, count in now.most_common(NAMED))
	least = min(before.values())    # a function that is not kept had no more than this
	more = {name: count - before.get(name, min(least, count)) for name, count in now.items()}
	named = [f"{name} +{more[name]:,}" for name in sorted(more, key=more.get, reverse=True)[:NAMED] if more[name] > 0]
	return "grown: " + (", ".join(named) or "none in the one turn that was profiled")


def profile(lane, row, contender):
	"""`make bench-profile`; returns the exit status."""
	kernel = built_kernel(lane)
	program()
	counts = profile_of(kernel, built_modules(kernel), row, contender)
	total = sum(counts.values())
	lines = [["function", "instructions", "%"]]
	lines += [[name, f"{count:,}", f"{count / total * 100:.1f}"] for name, count in counts.most_common()]
	say.say(f"\n{row} of {contender}: {total:,} instructions in one turn")
	say.say(results.columns(lines, right=(1, 2)))
	return 0
