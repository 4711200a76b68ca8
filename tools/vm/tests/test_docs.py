# SPDX-License-Identifier: GPL-2.0-only
"""The commands of README and of Documentation/testing.rst: each one's program exists and takes its arguments.

What takes minutes is not run: make answers a dry run, the tools parse their arguments, and a program of build/ is
one that cmake knows in that folder, with tests that its filter finds. A command of a kind that is not known here fails,
so that none goes unchecked. The commands in RUN take seconds and are run, in a copy of the sources without build/ and out/.
"""

import contextlib
import fnmatch
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

TOOLS = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

from vm.lib import check, lanes, plan, say
from vm.lib.paths import TOP

START = re.compile(r"(?:[A-Z_]+=\S* )*(?:make|cmake|ctest|tools/|tests/|build/)\S*(?: |$)")
IN_THE_GUEST = ("SVM_MIRROR_REPORT=",)
# Run as they stand, in this order.
RUN = ("make help", "tools/vm/run --help", "cmake --preset debug", "cmake --preset release",
	"tests/model/run no_barrier_in_callback", "make clean")
TEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|SVM_TEST|SVM_TEST_WITHIN)\((\w+),\s*(\w+)", re.M)


def blocks(text):
	"""The lines of literal blocks and of shell's code blocks, less the indentation."""
	code = False
	for line in text.splitlines():
		if line.strip() and not line[0].isspace():
			code = line.endswith("::") and not line.startswith(".. ") or line.startswith(".. code-block:: sh")
		elif code and line.strip():
			yield line.strip()


def commands(text):
	"""Shell's command lines of a text: of its blocks, and between backquotes."""
	joined = "\n".join(blocks(text)).replace("\\\n", " ")
	lines = joined.splitlines() + re.findall(r"(?<!`)`{1,2}([^`\n]+)`{1,2}(?!`)", text)
	for line in lines:
		line = re.sub(r"(?:^|\s)#.*", "", line).strip()
		if line.startswith(IN_THE_GUEST) or "…" in line or "[" in line:
			continue
		for command in line.split(" && "):
			if START.match(command):
				yield command


def program(path):
	loader = importlib.machinery.SourceFileLoader("tool", str(path))
	module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
	with mock.patch.object(say, "main"):
		loader.exec_module(module)
	return module


def targets(folder):
	"""Programs that cmake builds in a folder of the sources."""
	listed = TOP / folder / "CMakeLists.txt"
	return re.findall(r"add_executable\((\w+)", listed.read_text()) if listed.exists() else []


def tests(folder):
	"""Names of the tests in the sources of a folder, less what their instances add."""
	return [f"{suite}.{name}" for path in (TOP / folder).glob("*.cpp") for suite, name in TEST.findall(path.read_text())]


def found(pattern, names):
	"""Tests that a filter finds: a part of the form PREFIX/SUITE.NAME/NUMBER stands for SUITE.NAME."""
	parts = pattern.split("/")
	middle = next((part for part in parts if "." in part), pattern)
	return [name for name in names if fnmatch.fnmatchcase(name, middle)]


class Commands(unittest.TestCase):
	def presets(self):
		return {preset["name"] for preset in json.loads((TOP / "CMakePresets.json").read_text())["configurePresets"]}

	def check_built(self, path):
		_, preset, *folder, name = path.split("/")
		self.assertIn(preset, self.presets())
		self.assertIn(name, targets("/".join(folder)), f"cmake builds no {path}")
		return "/".join(folder)

	def check_filter(self, folder, words):
		for word in words:
			if word.startswith("--gtest_filter="):
				pattern = word.partition("=")[2]
				self.assertTrue(found(pattern, tests(folder)), f"{folder} has no test like {pattern}")

	def check_make(self, words):
		# The modules need a kernel's build tree: any will do for a dry run.
		words = [f"KDIR={TOP}" if word.startswith("KDIR=") or word == "modules" else word for word in words]
		ended = subprocess.run(["make", "-n", "-C", str(TOP), *words], capture_output=True, text=True,
			env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")})
		self.assertEqual(ended.returncode, 0, ended.stderr)

	def check_run(self, words):
		at = words.index("--") if "--" in words else len(words)
		for option, value in zip(words[:at], words[1:at]):
			if option == "--program":
				self.check_filter(self.check_built(value), shlex.split(" ".join(words[at + 1:])))
		with mock.patch("pathlib.Path.is_file", lambda path: True), contextlib.redirect_stderr(io.StringIO()) as said:
			try:
				options = program(TOOLS / "vm" / "run").parse(words)
			except SystemExit:
				self.fail(said.getvalue())
		lanes.config(options.config, lanes.one(options.lane))
		inside = options.command[0].split()[0]
		self.assertIn(inside, [path.name for path in options.program] + ["cat"], "the guest has no such program")

	def check_check(self, words, lane):
		asked = check.names(words[words.index("--suites") + 1]) if "--suites" in words else []
		chosen = lanes.chosen(lane or lanes.default())
		for name in set(asked) & set(plan.GUEST_SUITES):
			self.assertTrue(any(plan.rows(each.name, [name]) for each in chosen), f"{name} has no row on these lanes")

	def check_help(self, path, words):
		"""A program of ours: it is there, and its help names the options that are given."""
		ended = subprocess.run([str(TOP / path), "--help"], capture_output=True, text=True)
		self.assertEqual(ended.returncode, 0, ended.stderr)
		for word in words:
			if word.startswith("--"):
				self.assertIn(word.split("=")[0], ended.stdout)

	def one(self, command):
		words = shlex.split(command)
		settings = {}
		while re.match(r"[A-Z_]+=", words[0]):
			key, _, value = words.pop(0).partition("=")
			settings[key] = value
		head, rest = words[0], words[1:]
		if head == "make":
			self.check_make(rest)
		elif head == "cmake":
			self.assertIn(rest[rest.index("--preset") + 1], self.presets())
		elif head == "ctest":
			self.assertIn(rest[rest.index("--test-dir") + 1].removeprefix("build/"), self.presets())
		elif head == "tools/vm/run" and rest and rest != ["--help"]:
			self.check_run(rest)
		elif head == "tools/vm/check":
			self.check_check(rest, settings.get("LANE"))
			self.check_help(head, rest)
		elif head.endswith("/"):
			pass            # a folder is meant, perhaps one that is made
		elif head.startswith("build/"):
			self.check_filter(self.check_built(head), rest)
		elif (TOP / head).is_dir() or head.endswith((".txt", ".py", ".rst", ".cpp", ".hpp", ".h", ".c")):
			self.assertTrue((TOP / head).exists(), f"there is no {head}")
		elif os.access(TOP / head, os.X_OK):
			self.check_help(head, rest) if head.startswith("tools/vm/") and head.count("/") == 2 or head == "tests/model/run" else None
		else:
			self.fail(f"nothing here knows this command: {command}")

	def all_of(self, name, least):
		found = list(dict.fromkeys(commands((TOP / name).read_text())))
		self.assertGreaterEqual(len(found), least, f"{name}: only {found}")
		for command in found:
			with self.subTest(command):
				self.one(command)

	def test_readme(self):
		self.all_of("README.md", 12)

	def test_testing(self):
		self.all_of("Documentation/testing.rst", 25)

	def test_some_commands_run_in_a_clean_copy(self):
		documented = {command for name in ("README.md", "Documentation/testing.rst") for command in commands((TOP / name).read_text())}
		listed = subprocess.run(["git", "-C", str(TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
			capture_output=True, text=True, check=True).stdout.split("\0")
		with tempfile.TemporaryDirectory() as folder:
			copy = pathlib.Path(folder) / "svmirror"
			for name in listed:
				if name and (TOP / name).is_file():
					(copy / name).parent.mkdir(parents=True, exist_ok=True)
					shutil.copy2(TOP / name, copy / name)
			for command in RUN:
				self.assertIn(command, documented)
				ended = subprocess.run(command, shell=True, cwd=copy, capture_output=True, text=True,
					env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")})
				self.assertEqual(ended.returncode, 0, f"{command}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
			self.assertEqual({path.name for path in copy.iterdir()} & {"build", "out"}, set(), "make clean leaves something")

	def test_a_wrong_command_is_noticed(self):
		for command in ("make dmeo", "tools/vm/run debian-12 debg -- true", "build/release/tests/system/svm_no_tests",
				"tools/vm/check --suites sistem", "cmake --preset relase", "tests/model/rum", "build/relase/tools/svmctl/svmctl",
				"tools/vm/run debian-12 debug --program build/release/tests/system/svm_no_tests -- svm_no_tests",
				"build/debug/tests/unit/svm_unit_tests --gtest_filter='*nothing_like_it*'",
				"tools/vm/run debian-12 debug --program build/release/tests/system/svm_system_tests -- "
				"\"svm_system_tests --gtest_filter='*NothingLikeIt*'\"",
				"LANE=debian-12 tools/vm/check --suites kcsan-kunit", "tools/vm/fuzz --keap"):
			with self.subTest(command), self.assertRaises((AssertionError, say.Failed)):
				self.one(command)

	def test_make_host_builds_what_the_guest_needs(self):
		said = subprocess.run(["make", "-n", "-C", str(TOP), "host"], capture_output=True, text=True,
			env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")}).stdout
		for folder in re.findall(r"add_subdirectory\((\S+) EXCLUDE_FROM_ALL\)", (TOP / "CMakeLists.txt").read_text()):
			self.assertIn(f"{folder}/all", said)

	def test_help_lists_every_verb(self):
		verbs = re.findall(r"^([a-z_]+):.*##", (TOP / "Makefile").read_text(), re.M)
		said = subprocess.run(["make", "-C", str(TOP), "help"], capture_output=True, text=True).stdout
		self.assertLessEqual({"quick", "soak", "demo", "check"}, set(verbs))
		for verb in verbs:
			self.assertRegex(said, rf"make {verb}\b")


if __name__ == "__main__":
	unittest.main()
