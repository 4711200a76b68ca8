# SPDX-License-Identifier: GPL-2.0-only
"""Results of suites: read from JUnit and KTAP, counted, written as check.json and tables.

A suite that was asked for and produced no result has failed: there is no way to pass by silence.
Nor by a skip: it counts as one only with its reason, without which it is a failure.
"""

import dataclasses
import json
import re
import xml.etree.ElementTree as xml

from .say import Failed


@dataclasses.dataclass
class Suite:
	suite: str
	lane: str
	passed: int = 0
	failed: int = 0
	skipped: int = 0
	seconds: float = 0.0
	failures: list = dataclasses.field(default_factory=list)    # (test, message)
	skips: list = dataclasses.field(default_factory=list)       # (test, reason)

	def add(self, name, verdict, message=""):
		if verdict == "passed":
			self.passed += 1
		elif verdict == "skipped" and message.strip():
			self.skipped += 1
			self.skips.append((name, " ".join(message.split())))
		elif verdict == "skipped":
			self.add(name, "failed", "skipped without a reason")
		else:
			self.failed += 1
			self.failures.append((name, message))

	def require_results(self, where):
		"""Turn silence into a failure."""
		if not self.passed + self.failed + self.skipped:
			self.add("results", "failed", f"the suite produced no results ({where})")
		return self


def read_junit(suite, path):
	"""Add a JUnit file's test cases (GoogleTest's or ctest's) to a suite; False if unreadable."""
	try:
		tree = xml.parse(path)
	except (OSError, xml.ParseError):
		return False
	for case in tree.iter("testcase"):
		group, name = case.get("classname", ""), case.get("name", "")
		full = name if group in ("", name) else f"{group}.{name}"
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


def _add_ktap(suite, group, entries):
	"""Add results that are not summaries; returns whether anything below failed."""
	for _, name, result, message in entries:
		if name:
			suite.add(f"{group}.{name}", result, message)
	return any(result == "failed" for _, _, result, _ in entries)


def read_ktap(suite, path, group):
	"""Add the innermost results of a KTAP file: an outer line only sums up the deeper ones before it."""
	pending = []    # (depth, name or "" for a summary, result, notes), not yet summed up
	notes = []
	for line in path.read_text(errors="replace").splitlines():
		match = KTAP_LINE.match(line)
		if not match:
			notes.append(line.strip())
			continue
		depth, verdict, rest = len(match.group(1)), match.group(2), match.group(3)
		inner = [entry for entry in pending if entry[0] > depth]
		pending = [entry for entry in pending if entry[0] <= depth]
		if inner:
			failed = _add_ktap(suite, group, inner)
			if verdict == "not ok" and not failed:
				suite.add(f"{group}.{rest}", "failed", "failed as a whole")
			pending.append((depth, "", "failed" if failed or verdict == "not ok" else "passed", ""))
		else:
			skipped = re.search(r"# SKIP\b(.*)", rest, re.I)
			result = "skipped" if skipped else "passed" if verdict == "ok" else "failed"
			said = skipped.group(1) if skipped else "\n".join(notes[-12:])
			pending.append((depth, rest.split(" #")[0].strip(), result, said))
		notes = []
	_add_ktap(suite, group, pending)


def write_junit(suite, path):
	"""The suite's own results as JUnit, for suites whose tool does not write it."""
	root = xml.Element("testsuite", name=suite.suite, tests=str(suite.passed + suite.failed + suite.skipped),
		failures=str(suite.failed), skipped=str(suite.skipped))
	for name, message in suite.failures:
		case = xml.SubElement(root, "testcase", classname=suite.suite, name=name)
		xml.SubElement(case, "failure", message=message)
	for name, reason in suite.skips:
		case = xml.SubElement(root, "testcase", classname=suite.suite, name=name)
		xml.SubElement(case, "skipped", message=reason)
	path.parent.mkdir(parents=True, exist_ok=True)
	xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def totals(suites):
	return (sum(suite.passed for suite in suites), sum(suite.failed for suite in suites),
		sum(suite.skipped for suite in suites))


def write_json(suites, path, **more):
	"""The suites; further keys where there is something to say."""
	rows = [{"suite": suite.suite, "lane": suite.lane, "passed": suite.passed, "failed": suite.failed,
		"skipped": suite.skipped, "seconds": round(suite.seconds, 1)} for suite in suites]
	path.write_text(json.dumps({"suites": rows, **{key: value for key, value in more.items() if value}}, indent=1) + "\n")


def read_mutations(path):
	"""What the mutation suite of this run left: a list of {"fault", "caught_by", "steps"}; empty if it did not run."""
	try:
		return json.loads(path.read_text())
	except OSError:
		return []
	except ValueError as error:
		raise Failed(f"{path} is no JSON: {error}") from error


def _columns(rows, right=()):
	"""Rows of text under each other; numbers to the right."""
	widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
	return "\n".join("  ".join(cell.rjust(width) if column in right else cell.ljust(width)
		for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def table(suites):
	"""One line for each suite on each lane."""
	rows = [["suite", "lane", "passed", "failed", "skipped", "seconds"]]
	rows += [[suite.suite, suite.lane, str(suite.passed), str(suite.failed), str(suite.skipped), f"{suite.seconds:.1f}"]
		for suite in suites]
	return _columns(rows, right=range(2, 6))


def mutation_table(mutations):
	"""Each deliberate fault, what caught it and after how many steps."""
	rows = [["fault", "caught by", "steps until caught"]]
	rows += [[str(each["fault"]), str(each["caught_by"] or "NOT CAUGHT"), str(each["steps"])] for each in mutations]
	return _columns(rows, right=(2,))


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
