# SPDX-License-Identifier: GPL-2.0-only
"""Results of suites: read from JUnit and KTAP, counted, written as check.json and tables.

A suite that was asked for and produced no result has failed: there is no way to pass by silence.
Nor by a skip: it counts as one only with its reason, without which it is a failure. Nor by an end before the last
test: a KTAP plan must be kept, and a program that ends with a status other than 0 has failed whatever it printed.
"""

import dataclasses
import json
import re
import xml.etree.ElementTree as xml

from .say import Failed, tail

VARIANTS = re.compile(r"^kcsan-|-(?:tsan|tables-system|little-vram|formats)$")


@dataclasses.dataclass
class Suite:
	suite: str
	lane: str
	seconds: float = 0.0
	passes: list = dataclasses.field(default_factory=list)      # tests
	failures: list = dataclasses.field(default_factory=list)    # (test, message)
	skips: list = dataclasses.field(default_factory=list)       # (test, reason)

	@property
	def passed(self):
		return len(self.passes)

	@property
	def failed(self):
		return len(self.failures)

	@property
	def skipped(self):
		return len(self.skips)

	@property
	def kind(self):
		"""Suites of one kind run the same tests: with another sanitizer, with the page tables elsewhere, on another kernel."""
		return VARIANTS.sub("", self.suite)

	def add(self, name, verdict, message=""):
		if verdict == "passed":
			self.passes.append(name)
		elif verdict == "skipped" and message.strip():
			self.skips.append((name, " ".join(message.split())))
		elif verdict == "skipped":
			self.add(name, "failed", "skipped without a reason")
		else:
			self.failures.append((name, message))

	def require_results(self, where):
		"""Turn silence into a failure."""
		if not self.passed + self.failed + self.skipped:
			self.add("results", "failed", f"the suite produced no results ({where})")
		return self

	def require_status(self, status, log):
		"""Turn a status that no failed test explains into a failure."""
		if status and not self.failed:
			self.add("exit status", "failed", f"status {status}, though no test failed; the end of {log}:\n{tail(log)}")
		return self


def read_junit(suite, path, prefix=""):
	"""Add a JUnit file's test cases (GoogleTest's or ctest's) to a suite, with a prefix to their names; False if unreadable."""
	try:
		tree = xml.parse(path)
	except (OSError, xml.ParseError):
		return False
	for case in tree.iter("testcase"):
		group, name = case.get("classname", ""), case.get("name", "")
		full = prefix + (name if group in ("", name) else f"{group}.{name}")
		bad = [node for node in case if node.tag in ("failure", "error")]
		if bad or case.get("status") == "fail":
			text = "\n".join(node.get("message") or node.text or "" for node in bad).strip()
			output = case.findtext("system-out") or ""
			suite.add(full, "failed", text or output[-2000:])
		elif (case.find("skipped") is not None or case.get("result") == "skipped"
				or case.get("status") in ("notrun", "disabled")):
			suite.add(full, "skipped", _skip_reason(case))
		else:
			suite.add(full, "passed")
	return True


SKIPPED_AT = re.compile(r"^\S+:\d+:?(?: Skipped)?$")     # GoogleTest says where on a line, and why below it


def _skip_reason(case):
	"""GoogleTest's message, or what it printed where ctest wrote the file."""
	node = case.find("skipped")
	lines = (node.get("message") or "" if node is not None else "").splitlines()
	if case.get("status") == "notrun":    # ctest's own words are the same for all
		lines = (case.findtext("system-out") or "").splitlines()
		lines = [line for number, line in enumerate(lines) if number and lines[number - 1].endswith(": Skipped")]
	return " ".join(line for line in lines if not SKIPPED_AT.match(line)).strip()


KTAP_LINE = re.compile(r"^(\s*)(ok|not ok) \d+(?: - | )?(.*)$")
UNPRINTABLE = re.compile(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")   # XML cannot hold it
KTAP_PLAN = re.compile(r"^(\s*)1\.\.(\d+)\s*(?:#.*)?$")


class _Ktap:
	"""The levels of a KTAP file, each a depth of indentation with the results that no outer line has summed up yet."""

	def __init__(self, suite, group):
		self.suite, self.group = suite, group
		self.pending = []       # (depth, name or "" for a summary, result, notes)
		self.plans = {}         # depth: how many results were promised
		self.planned = False    # any plan was there

	def plan(self, depth, number):
		self.close(depth)       # a level that begins anew
		self.plans[depth] = number
		self.planned = True

	def close(self, depth):
		"""The results from this depth on are complete: add those that are no summaries; (any there, any failed)."""
		entries = [entry for entry in self.pending if entry[0] >= depth]
		self.pending = [entry for entry in self.pending if entry[0] < depth]
		for _, name, result, message in entries:
			if name:
				self.suite.add(f"{self.group}.{name}", result, message)
		bad = any(result == "failed" for _, _, result, _ in entries)
		for level in [level for level in self.plans if level >= depth]:
			promised, came = self.plans.pop(level), sum(entry[0] == level for entry in entries)
			if promised != came:
				self.suite.add(f"{self.group}.plan", "failed", f"{promised} results were promised, {came} came")
				bad = True
		return bool(entries), bad

	def result(self, depth, good, rest, notes):
		any_inner, failed = self.close(depth + 1)
		if any_inner or failed:
			if not good and not failed:
				self.suite.add(f"{self.group}.{rest}", "failed", "failed as a whole")
			self.pending.append((depth, "", "failed" if failed or not good else "passed", ""))
			return
		skipped = re.search(r"# SKIP\b(.*)", rest, re.I)
		said = skipped.group(1) if skipped else "\n".join(notes[-12:])
		self.pending.append((depth, rest.split(" #")[0].strip(),
			"skipped" if skipped else "passed" if good else "failed", said))

	def end(self):
		if not self.planned:
			self.suite.add(f"{self.group}.plan", "failed", "the results have no plan: nothing says how many there are to be")
		if any(depth for depth, *_ in self.pending):
			self.suite.add(f"{self.group}.plan", "failed", "the results end within a group")
		self.close(0)


def read_ktap(suite, path, group):
	"""Add the innermost results of a KTAP file: an outer line only sums up the deeper ones before it."""
	levels, notes = _Ktap(suite, group), []
	for line in path.read_text(errors="replace").splitlines():
		match, plan = KTAP_LINE.match(line), KTAP_PLAN.match(line)
		if match:
			levels.result(len(match.group(1)), match.group(2) == "ok", match.group(3), notes)
			notes = []
		elif plan:
			levels.plan(len(plan.group(1)), int(plan.group(2)))
		elif line.startswith("Bail out!"):
			suite.add(f"{group}.plan", "failed", line)
		else:
			notes.append(line.strip())
	levels.end()


def read_kunit(suite, folder):
	"""Add what a guest left of KUnit's results: a file for each of its suites; returns whether there were any."""
	paths = sorted(folder.glob("*.ktap"))
	for path in paths:
		read_ktap(suite, path, path.stem)
	return bool(paths)


def write_junit(suite, path):
	"""The suite's own results as JUnit: each test of it, whatever became of it."""
	root = xml.Element("testsuite", name=suite.suite, tests=str(suite.passed + suite.failed + suite.skipped),
		failures=str(suite.failed), skipped=str(suite.skipped), time=f"{suite.seconds:.1f}")
	for name in suite.passes:
		xml.SubElement(root, "testcase", classname=suite.suite, name=name)
	for tag, tests in (("failure", suite.failures), ("skipped", suite.skips)):
		for name, message in tests:
			case = xml.SubElement(root, "testcase", classname=suite.suite, name=name)
			xml.SubElement(case, tag, message=UNPRINTABLE.sub("?", message))
	path.parent.mkdir(parents=True, exist_ok=True)
	xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def runs(suites):
	"""(passed, failed, skipped): a test counts as often as it ran."""
	return (sum(suite.passed for suite in suites), sum(suite.failed for suite in suites),
		sum(suite.skipped for suite in suites))


def tests(suites):
	"""(passed, failed, skipped): a test counts once, however many suites of its kind ran it. It failed if it failed
	anywhere, and is skipped if no suite ran it."""
	worst = {}
	for suite in suites:
		for rank, names in enumerate(([name for name, _ in suite.skips], suite.passes, [name for name, _ in suite.failures])):
			for name in names:
				worst[suite.kind, name] = max(rank, worst.get((suite.kind, name), 0))
	ranks = list(worst.values())
	return ranks.count(1), ranks.count(2), ranks.count(0)


def count_lines(suites):
	"""How many runs there were of how many tests; the last line counts tests."""
	def line(counts):
		return "{} passed, {} failed, {} skipped".format(*counts)
	return [f"runs: {line(runs(suites))}", line(tests(suites))]


def write_json(suites, path, **more):
	"""The suites; further keys where there is something to say."""
	def counts(three):
		return dict(zip(("passed", "failed", "skipped"), three))

	rows = [{"suite": suite.suite, "lane": suite.lane, "passed": suite.passed, "failed": suite.failed,
		"skipped": suite.skipped, "seconds": round(suite.seconds, 1)} for suite in suites]
	path.write_text(json.dumps({"suites": rows, "tests": counts(tests(suites)), "runs": counts(runs(suites)),
		**{key: value for key, value in more.items() if value}}, indent=1) + "\n")


def read_mutations(path):
	"""What the mutation suite of this run left: a list of {"fault", "caught_by", "steps"}; empty if it did not run."""
	try:
		return json.loads(path.read_text())
	except OSError:
		return []
	except ValueError as error:
		raise Failed(f"{path} is no JSON: {error}") from error


def columns(rows, right=()):
	"""Rows of text under each other; numbers to the right."""
	widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
	return "\n".join("  ".join(cell.rjust(width) if column in right else cell.ljust(width)
		for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def table(suites):
	"""One line for each suite on each lane."""
	rows = [["suite", "lane", "passed", "failed", "skipped", "seconds"]]
	rows += [[suite.suite, suite.lane, str(suite.passed), str(suite.failed), str(suite.skipped), f"{suite.seconds:.1f}"]
		for suite in suites]
	return columns(rows, right=range(2, 6))


def mutation_table(mutations):
	"""Each deliberate fault, what caught it and after how many steps."""
	rows = [["fault", "caught by", "steps until caught"]]
	rows += [[str(each["fault"]), str(each["caught_by"] or "NOT CAUGHT"), str(each["steps"])] for each in mutations]
	return columns(rows, right=(2,))


def skip_lines(suites):
	"""Each test that did not run and why; one that several suites skip for one reason is named once."""
	where = {}
	for suite in suites:
		for name, reason in suite.skips:
			where.setdefault((name, reason), []).append(f"{suite.suite} on {suite.lane}")
	return [f"skipped: {name} ({', '.join(places)}): {reason}" for (name, reason), places in where.items()]


def failure_lines(suites):
	"""Each test that failed, where; what it said is further up, where its suite ended."""
	return [f"FAILED: {name} ({suite.suite} on {suite.lane})" for suite in suites for name, _ in suite.failures]
