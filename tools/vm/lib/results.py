# SPDX-License-Identifier: GPL-2.0-only
"""Results of suites: read from JUnit and KTAP, counted, written as check.json and a table.

A suite that was asked for and produced no result has failed: there is no way to pass by silence.
"""

import dataclasses
import json
import re
import xml.etree.ElementTree as xml


@dataclasses.dataclass
class Suite:
	suite: str
	lane: str
	passed: int = 0
	failed: int = 0
	skipped: int = 0
	seconds: float = 0.0
	failures: list = dataclasses.field(default_factory=list)    # (test, message)

	def add(self, name, verdict, message=""):
		if verdict == "passed":
			self.passed += 1
		elif verdict == "skipped":
			self.skipped += 1
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
			suite.add(full, "skipped")
		else:
			suite.add(full, "passed")
	return True


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
			skipped = re.search(r"# SKIP\b", rest, re.I)
			result = "skipped" if skipped else "passed" if verdict == "ok" else "failed"
			pending.append((depth, rest.split(" #")[0].strip(), result, "\n".join(notes[-12:])))
		notes = []
	_add_ktap(suite, group, pending)


def write_junit(suite, path):
	"""The suite's own results as JUnit, for suites whose tool does not write it."""
	root = xml.Element("testsuite", name=suite.suite, tests=str(suite.passed + suite.failed + suite.skipped),
		failures=str(suite.failed), skipped=str(suite.skipped))
	for name, message in suite.failures:
		case = xml.SubElement(root, "testcase", classname=suite.suite, name=name)
		xml.SubElement(case, "failure", message=message)
	path.parent.mkdir(parents=True, exist_ok=True)
	xml.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def totals(suites):
	return (sum(suite.passed for suite in suites), sum(suite.failed for suite in suites),
		sum(suite.skipped for suite in suites))


def write_json(suites, path):
	rows = [{"suite": suite.suite, "lane": suite.lane, "passed": suite.passed, "failed": suite.failed,
		"skipped": suite.skipped, "seconds": round(suite.seconds, 1)} for suite in suites]
	path.write_text(json.dumps({"suites": rows}, indent=1) + "\n")


def _cell(suite):
	parts = [f"{suite.passed} passed"] if suite.passed else []
	parts += [f"{suite.failed} FAILED"] if suite.failed else []
	parts += [f"{suite.skipped} skipped"] if suite.skipped else []
	return ", ".join(parts)


def table(suites):
	"""Suites by lane, as text."""
	lanes = list(dict.fromkeys(suite.lane for suite in suites))
	names = list(dict.fromkeys(suite.suite for suite in suites))
	cells = {(suite.suite, suite.lane): _cell(suite) for suite in suites}
	rows = [["suite", *lanes]] + [[name, *(cells.get((name, lane), "-") for lane in lanes)] for name in names]
	widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
	return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
