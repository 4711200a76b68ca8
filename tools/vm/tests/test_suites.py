# SPDX-License-Identifier: GPL-2.0-only
"""The suites' own judgement: a program's status counts, and each of the tools' tests is counted."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

TOOLS = pathlib.Path(__file__).resolve().parents[2]
TOP = TOOLS.parent
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

from vm.lib import gpu, host, results, say, sim, vm


def program(name, folder=TOOLS / "vm"):
	"""A tool without .py, as a module."""
	loader = importlib.machinery.SourceFileLoader(f"tool_{name}", str(folder / name))
	module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
	with mock.patch.object(say, "main"):
		loader.exec_module(module)
	return module


class Folder(unittest.TestCase):
	def setUp(self):
		folder = tempfile.TemporaryDirectory()
		self.addCleanup(folder.cleanup)
		self.folder = pathlib.Path(folder.name)
		for module in (host, sim):
			self.patch(module, "OUT", self.folder)
		self.patch(say, "say", lambda text: None)

	def patch(self, where, name, value):
		patcher = mock.patch.object(where, name, value)
		patcher.start()
		self.addCleanup(patcher.stop)

	def runs(self, text, status):
		"""Let every program that is run write this and end so."""
		def run(_label, _argv, log, **_options):
			log.parent.mkdir(parents=True, exist_ok=True)
			log.write_text(text)
			return status
		self.patch(say, "run", run)


class Status(Folder):
	GOOD = "1..1\nok 1 a\n"

	def test_the_simulations_status_counts(self):
		self.patch(host, "build", lambda *_: None)
		self.runs(self.GOOD, 0)
		self.assertEqual(sim.simulation().failed, 0)
		self.runs(self.GOOD, 139)
		self.assertEqual([name for name, _ in sim.simulation().failures], ["exit status"])

	def test_the_models_status_counts(self):
		self.runs(self.GOOD, 0)
		self.assertEqual(host.model().failed, 0)
		self.runs(self.GOOD, 1)
		self.assertEqual([name for name, _ in host.model().failures], ["exit status"])

	def test_every_folder_whose_tests_ctest_knows_is_built(self):
		self.assertLessEqual({"tests/unit/all", "tests/svgpud/all"}, set(host.unit_targets()))
		self.assertFalse({"tests/system/all", "tests/host/all"} & set(host.unit_targets()))

	def test_ctests_status_counts(self):
		self.patch(host, "build", lambda *_: None)
		junit = self.folder / "junit" / "unit-tsan.xml"

		def run(_label, _argv, log, **_options):
			log.parent.mkdir(parents=True, exist_ok=True)
			log.write_text("terminated\n")
			junit.write_text('<testsuite><testcase name="a" classname="a" status="run"/></testsuite>')
			return 8
		self.patch(say, "run", run)
		self.assertEqual([name for name, _ in host.unit("tsan").failures], ["exit status"])


class Models(Folder):
	"""What came out right is not searched again, as long as nothing that decides has changed."""

	def setUp(self):
		super().setUp()
		self.model = program("run", TOP / "tests" / "model")
		(self.folder / "a.pml").write_text('#include "b.pml"\nbyte x;\n')
		(self.folder / "b.pml").write_text("byte y;\n")
		self.model.HERE = self.folder
		self.model.tools = lambda: "spin 6"
		self.searched = []
		self.came = "holds"
		self.model.run_case = self.search

	def search(self, case, _out):
		self.searched.append(case)
		return self.model.Outcome(case, self.came, 7, 1.0)

	def ask(self, *defines):
		return self.model.outcome_of(self.model.Case("a", "all", "holds", list(defines)), self.folder, self.folder)

	def test_a_case_is_searched_once(self):
		self.assertEqual([self.ask().known for _ in range(3)], [False, True, True])
		self.assertEqual((len(self.searched), self.ask().states), (1, 7))

	def test_a_change_of_the_model_of_what_it_includes_or_of_a_tool_counts(self):
		self.ask()
		self.assertFalse(self.ask("-DLESS").known)
		(self.folder / "b.pml").write_text("byte z;\n")
		self.assertFalse(self.ask().known)
		self.model.tools = lambda: "spin 7"
		self.assertFalse(self.ask().known)

	def test_what_came_out_wrong_is_not_kept(self):
		self.came = "deadlock"
		self.assertEqual([self.ask().came for _ in range(2)], ["deadlock"] * 2)
		self.assertEqual(len(self.searched), 2)


class Run(Folder):
	"""tools/vm/run: what KUnit's suites left counts."""

	def ends(self, ktap):
		kunit = self.folder / "results" / "kunit"
		kunit.mkdir(parents=True, exist_ok=True)
		(kunit / "svm_x.ktap").write_text(ktap)
		outcome = vm.Outcome(self.folder, 0, [], "", 1.0, "TCG", False)
		tool = program("run")
		self.patch(tool.vm, "run", lambda job: outcome)
		self.patch(tool.kernel, "kernel", lambda lane, config: None)
		return tool.entry(["debian-12", "debug", "--no-gpu", "--", "cat /sys/kernel/debug/kunit/*/results"])

	def test_a_failed_suite_is_a_failure_though_cat_is_content(self):
		self.assertEqual(self.ends("1..1\n    1..1\n    ok 1 a\nok 1 svm_x\n"), 0)
		self.assertEqual(self.ends("1..1\n    1..2\n    ok 1 a\n    not ok 2 b\nnot ok 1 svm_x\n"), 1)
		self.assertEqual(self.ends("1..1\n    1..2\n    ok 1 a\nok 1 svm_x\n"), 1)


class Formats(unittest.TestCase):
	"""The formats of page tables that the virtual GPU can walk."""

	def test_each_has_a_header_of_its_name(self):
		self.assertGreater(len(gpu.formats()), 1)
		for name in gpu.formats():
			self.assertTrue((TOOLS.parent / "mm" / "fmt" / f"{name}.hpp").exists(), name)

	def test_a_demo_on_an_unknown_one_names_those_that_are_known(self):
		said = []
		with mock.patch.object(say, "say", said.append), mock.patch.dict("os.environ", FORMAT="pascal"):
			self.assertEqual(program("demo").entry([]), 2)
		self.assertIn(", ".join(gpu.formats()), said[0])

	def test_the_guest_chooses_among_them(self):
		with tempfile.TemporaryDirectory() as folder:
			device = gpu.Gpu.__new__(gpu.Gpu)
			device.child, device.mmu = mock.Mock(), pathlib.Path(folder) / "mmu"
			device.child.poll.return_value = None
			self.assertEqual(device.ask(["mmu", "nv_v3"]), "ok")
			self.assertIn("unknown", device.ask(["mmu", "pascal"]))
			self.assertEqual(device.mmu.read_text(), "nv_v3\n")


class ToolsOwn(unittest.TestCase):
	def test_each_test_is_counted_once_by_name(self):
		class Sample(unittest.TestCase):
			def test_good(self):
				pass

			def test_bad(self):
				for part in range(3):
					with self.subTest(part):
						self.fail(f"part {part}")

			def test_skipped(self):
				self.skipTest("no disk")

			@unittest.expectedFailure
			def test_unexpected(self):
				pass

		suite = results.Suite("tools", "host")
		unittest.defaultTestLoader.loadTestsFromTestCase(Sample).run(host._ToolsResult(suite))
		self.assertEqual([(suite.passed, suite.failed, suite.skipped)], [(1, 2, 1)])
		self.assertIn("test_good", suite.passes[0])
		self.assertIn("part 2", dict(suite.failures)[next(name for name, _ in suite.failures if "test_bad" in name)])

	def test_a_module_that_cannot_be_loaded_is_a_failure(self):
		suite = results.Suite("tools", "host")
		unittest.defaultTestLoader.loadTestsFromName("vm.no_such_module").run(host._ToolsResult(suite))
		self.assertEqual((suite.passed, suite.failed), (0, 1))

	def test_a_class_that_cannot_be_set_up_is_a_failure(self):
		class Sample(unittest.TestCase):
			@classmethod
			def setUpClass(cls):
				raise OSError("no disk")

			def test_good(self):
				pass

		suite = results.Suite("tools", "host")
		unittest.defaultTestLoader.loadTestsFromTestCase(Sample).run(host._ToolsResult(suite))
		self.assertEqual((suite.passed, suite.failed), (0, 1))


if __name__ == "__main__":
	unittest.main()
